//! Splitting and packing of records, and assembling them again.
//!
//! `cargo bench --bench fit`

#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod text;

use divan::counter::{CharsCount, ItemsCount};
use divan::{Bencher, black_box};
use serde_json::{Map, Value, json};
use text::Language;
use zep_mcp_server::memory::fit::{
    Carrier, FittedPart, JoinPart, Level, Ours, join, pack, split, unpack,
};
use zep_mcp_server::memory::mapping::{RoleMap, message_role};
use zep_mcp_server::memory::model::{MemoryKind, RecordId};
use zep_mcp_server::memory::records::{StoredPart, assemble};
use zep_mcp_server::zep::{Metadata, RecordMark, Uuid};

/// Below, just above and well above the limit of a message, and the longest content of a record.
const CHARS: [usize; 4] = [200, 4_100, 20_000, 1_000_000];

fn main() {
    divan::main();
}

fn ours(record: &str) -> Ours {
    let mut ours = Ours::new(RecordId::new(record).unwrap());
    ours.memory_type = Some(MemoryKind::new("conversation").unwrap());
    ours
}

fn packed(record: &str, caller: &Map<String, Value>, content: &str) -> Vec<FittedPart> {
    pack(
        &ours(record),
        caller,
        content,
        Carrier::Message,
        Level::Normal,
    )
    .unwrap()
}

/// A part's metadata as it is stored.
fn stored(part: &FittedPart) -> Metadata {
    RecordMark::encode(Some(&part.mark), &part.metadata)
}

#[divan::bench(args = CHARS)]
fn split_content(bencher: Bencher<'_, '_>, chars: usize) {
    let content = Language::new().long(chars);
    let most = Level::Normal.max_chars(Carrier::Message);
    bencher
        .counter(CharsCount::new(chars))
        .bench(|| split(black_box(&content), most));
}

#[divan::bench(args = CHARS)]
fn pack_content(bencher: Bencher<'_, '_>, chars: usize) {
    let content = Language::new().long(chars);
    let caller = metadata(Keys::Few);
    let ours = ours("r");
    bencher.counter(CharsCount::new(chars)).bench(|| {
        pack(
            &ours,
            &caller,
            black_box(&content),
            Carrier::Message,
            Level::Normal,
        )
    });
}

/// Unpacks the metadata of every part and joins the parts.
#[divan::bench(args = CHARS)]
fn unpack_and_join_content(bencher: Bencher<'_, '_>, chars: usize) {
    let content = Language::new().long(chars);
    let parts = packed("r", &metadata(Keys::Few), &content);
    let metadata: Vec<_> = parts.iter().map(stored).collect();
    bencher.counter(CharsCount::new(chars)).bench(|| {
        let unpacked: Vec<_> = metadata
            .iter()
            .map(|metadata| unpack(black_box(metadata)))
            .collect();
        let pieces: Vec<_> = parts
            .iter()
            .zip(&unpacked)
            .map(|(part, unpacked)| JoinPart {
                part: unpacked.part,
                content: &part.content,
                gaps: &unpacked.gaps,
            })
            .collect();
        join(&pieces)
    });
}

/// The shape of the caller's metadata.
#[derive(Debug, Clone, Copy)]
enum Keys {
    /// 3 flat keys, which fit beside ours.
    Few,
    /// 12 flat keys: more than fit.
    Many,
    /// Nested objects and arrays, which Zep does not accept.
    Nested,
}

const KEYS: [Keys; 3] = [Keys::Few, Keys::Many, Keys::Nested];

fn metadata(keys: Keys) -> Map<String, Value> {
    let value = match keys {
        Keys::Few => json!({ "topic": "travel", "turn": 17, "private": false }),
        Keys::Many => (0..12)
            .map(|n| (format!("key_{n}"), json!(format!("value {n}"))))
            .collect(),
        Keys::Nested => json!({
            "topic": "travel",
            "place": { "city": "Lisbon", "position": [38.72, -9.14], "visited": null },
            "tags": ["summer", { "by": "Ada", "at": "2026-05-01T10:00:00Z" }, []],
        }),
    };
    match value {
        Value::Object(map) => map,
        _ => unreachable!("every arm is an object"),
    }
}

#[divan::bench(args = KEYS)]
fn pack_metadata(bencher: Bencher<'_, '_>, keys: Keys) {
    let caller = metadata(keys);
    let ours = ours("r");
    bencher.bench(|| {
        pack(
            &ours,
            black_box(&caller),
            "The tram leaves at nine.",
            Carrier::Message,
            Level::Normal,
        )
    });
}

#[divan::bench(args = KEYS)]
fn unpack_metadata(bencher: Bencher<'_, '_>, keys: Keys) {
    let metadata = stored(&packed("r", &metadata(keys), "The tram leaves at nine.")[0]);
    bencher.bench(|| unpack(black_box(&metadata)));
}

/// Messages per page.
const PAGE: usize = 200;

/// Assembles a page of messages with this many parts per record.
#[divan::bench(args = [1, 5])]
fn assemble_page(bencher: Bencher<'_, '_>, parts: usize) {
    let language = Language::new();
    let most = Level::Normal.max_chars(Carrier::Message);
    let page: Vec<StoredPart> = (0..PAGE / parts)
        .flat_map(|record| {
            let content = match parts {
                1 => language.turn(0, record as u64),
                // A piece can be up to a third shorter than the limit.
                _ => language.long((parts - 1) * most + most / 4),
            };
            packed(&format!("r{record}"), &metadata(Keys::Few), &content)
        })
        .enumerate()
        .map(|(place, part)| StoredPart {
            uuid: Some(Uuid(place.to_string())),
            role: "user".into(),
            name: None,
            metadata: stored(&part),
            content: part.content,
            created_at: None,
        })
        .collect();
    assert_eq!(page.len(), PAGE, "the page is full");
    bencher
        .counter(ItemsCount::new(PAGE))
        .with_inputs(|| page.clone())
        .bench_values(assemble);
}

#[divan::bench(args = ["user", "ai_therapist", "Narrator"])]
fn map_message_role(role: &str) -> bool {
    message_role(black_box(role)).original.is_some()
}

#[divan::bench(args = ["user", "Coach"])]
fn map_user_role(bencher: Bencher<'_, '_>, role: &str) {
    let map: RoleMap = "coach=trainer".parse().unwrap();
    bencher.bench(|| map.map(black_box(role)).len());
}

#[divan::bench(args = ["messages", "progress_notes", "recipes"])]
fn map_memory_type(kind: &str) -> bool {
    MemoryKind::new(black_box(kind)).is_ok()
}

//! Points that are none, and files that are none.

use std::fs;

use rusqlite::Connection;
use serde_json::json;

use super::pickled::{
    EMPTY_DICT, EMPTY_LIST, MARK, MEMOIZE, STOP, dict, memory, point, text, with_payload,
};
use super::{copy, fixture, library, migrate, read, shown, with_points};
use crate::common::program::World;

/// A payload with this value in it.
fn holding(value: Vec<u8>) -> Vec<u8> {
    let fields = [
        ("data", text("x")),
        ("user_id", text("ann")),
        ("value", value),
    ];
    with_payload("bad", dict(&fields))
}

/// A list of lists, each of which holds the one before it twice.
fn bomb() -> Vec<u8> {
    let mut all = [EMPTY_LIST, MARK, EMPTY_LIST, MEMOIZE].concat();
    for n in 0..60_u8 {
        all.extend([EMPTY_LIST, MEMOIZE, MARK, &[b'h', n, b'h', n], b"e"].concat());
    }
    all.push(b'e');
    all
}

#[test]
fn what_is_no_point_is_one_line_and_nothing_is_executed() {
    let canary = std::env::temp_dir().join(format!("zep-mcp-pickle-{}", std::process::id()));
    let command = format!("touch {}", canary.display());
    let calls = |module: &str, name: &str| {
        let function = [&text(module)[..], &text(name), b"\x93"].concat();
        [&function[..], &text(&command), b"\x85R"].concat()
    };
    let deep = [EMPTY_LIST.repeat(500), b"a".repeat(499)].concat();
    let within_itself = [EMPTY_LIST, MEMOIZE, b"h\0a"].concat();
    let wide = [EMPTY_LIST, MARK, &b"N".repeat(2 << 20), b"e"].concat();
    for (bytes, reason) in [
        (holding(calls("os", "system")), "class `os.system`"),
        (holding(calls("builtins", "eval")), "class `builtins.eval`"),
        (
            holding(calls("os", &"x\n".repeat(90))),
            "of an unusual name",
        ),
        (holding(b"cos\nsystem\n".to_vec()), "opcode 0x63"),
        (holding(b"(i__main__\nX\n".to_vec()), "opcode 0x69"),
        (holding(b"\x82\x01".to_vec()), "opcode 0x82"),
        (holding(b"X\xff\xff\xff\xff".to_vec()), "ends too early"),
        (holding(b"\x8a\xff".to_vec()), "ends too early"),
        (
            holding([&b"\x8a\x20"[..], &[1; 32]].concat()),
            "number that JSON does not have",
        ),
        (
            holding([&b"\x8a\x10"[..], &[1; 16]].concat()),
            "number that JSON does not have",
        ),
        (
            holding(b"G\x7f\xf8\0\0\0\0\0\0".to_vec()),
            "number that JSON does not have",
        ),
        (
            holding(b"X\x03\0\0\0\xed\xa0\x80".to_vec()),
            "not valid Unicode",
        ),
        (holding(b"h\xff".to_vec()), "not put together"),
        (holding(b"\x8f".to_vec()), "not put together"),
        (holding(bomb()), "too many objects"),
        (holding(deep), "too many objects or too deep"),
        (holding(within_itself), "too many objects or too deep"),
        (holding(wide), "too many objects"),
        (holding(MARK.repeat(100_000)), "too many objects"),
        (with_payload("bad", text("a text")), "not put together"),
        (
            with_payload("bad", [EMPTY_DICT, b"K\x01K\x02s"].concat()),
            "not put together",
        ),
        ([b"\x80\x09", STOP].concat(), "version 9"),
        (
            [b"\x80\x04", &text("no point")[..], STOP].concat(),
            "not put together",
        ),
        (Vec::new(), "byte 0: it ends too early"),
        (b"{\"id\": 1}".to_vec(), "opcode 0x7b"),
        (vec![b'N'; 17 << 20], "too large: a point may have 16 MiB"),
    ] {
        let directory = with_points(&[memory("1", "one"), bytes, memory("3", "three")]);
        let found = read(library(directory.path())).unwrap();
        assert_eq!(found.texts(), ["one", "three"], "{reason}");
        let named = found.named();
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(
            named[0].starts_with("collection mem0, row 2: "),
            "{named:?}"
        );
        assert!(named[0].contains(reason), "{reason}: {named:?}");
        assert!(named[0].len() < 300, "{named:?}");
    }
    assert!(!canary.exists(), "something was executed");
}

#[test]
fn a_point_that_ends_anywhere_is_refused() {
    let whole = memory("1", "one");
    let parts: Vec<_> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
    let found = read(library(with_points(&parts).path())).unwrap();
    assert!(found.records.is_empty());
    assert_eq!(found.problems.len(), whole.len());
}

#[test]
fn impossible_values_are_lines_of_the_report_and_the_run_goes_on() {
    let id = "x".repeat(10_000);
    let directory = with_points(&[
        memory("1", "one"),
        point("2", &[("data", "x"), ("user_id", &id)]),
        point("3", &[("data", "x"), ("user_id", "ann"), ("run_id", &id)]),
        point(&id, &[("data", "x"), ("user_id", "")]),
        point(
            "5",
            &[
                ("data", "x"),
                ("user_id", "ann"),
                ("expiration_date", "2024-02-30"),
            ],
        ),
        point(
            "6",
            &[
                ("data", "dated oddly"),
                ("user_id", "ann"),
                ("created_at", "2024-02-30"),
            ],
        ),
        point("7", &[("data", " "), ("user_id", "ann")]),
        memory("8", "eight"),
    ]);
    let world = World::embedded();
    let moved = migrate(
        &world,
        &["--from", "mem0-dir", shown(directory.path()), "--rehearse"],
    );
    assert_eq!(moved.code, 1, "{:#}", moved.report);
    assert_eq!(moved.report["memories_migrated"], 3, "{:#}", moved.report);
    let rows: Vec<_> = moved.report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["position"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = [2, 3, 4, 5, 7]
        .map(|row| format!("collection mem0, row {row}"))
        .into();
    let mut sorted = rows.clone();
    sorted.sort();
    assert_eq!(sorted, expected, "{:#}", moved.report);
}

#[test]
fn files_that_are_damaged_or_of_another_version_are_named() {
    const STORAGE: &str = "qdrant/collection/mem0/storage.sqlite";
    let error = |change: &dyn Fn(&std::path::Path)| {
        let directory = copy(&fixture());
        change(directory.path());
        match read(library(directory.path())) {
            Ok(found) => found.named().join("\n"),
            Err(error) => error.to_string(),
        }
    };
    let cut = error(&|path| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(path.join(STORAGE))
            .unwrap();
        file.set_len(9_000).unwrap();
    });
    assert!(cut.contains("collection mem0: it is damaged"), "{cut}");
    let text = error(&|path| fs::write(path.join(STORAGE), "not a database").unwrap());
    assert!(
        text.contains("collection mem0: it is not a file of SQLite"),
        "{text}"
    );
    let text = error(&|path| fs::write(path.join("history.db"), "not a database").unwrap());
    assert!(
        text.contains("history.db: it is not a file of SQLite"),
        "{text}"
    );
    let other = error(&|path| {
        let db = Connection::open(path.join(STORAGE)).unwrap();
        db.execute_batch("DROP TABLE points; CREATE TABLE points (uuid TEXT, data BLOB)")
            .unwrap();
    });
    assert!(
        other.contains("is not a collection that qdrant-client"),
        "{other}"
    );
    let other = error(&|path| {
        let db = Connection::open(path.join("history.db")).unwrap();
        db.execute_batch("ALTER TABLE history RENAME COLUMN event TO what")
            .unwrap();
    });
    assert!(
        other.contains("history.db: is of an unknown version"),
        "{other}"
    );
    let old = error(&|path| {
        let collection = path.join("qdrant/collection/old");
        fs::create_dir(&collection).unwrap();
        fs::write(collection.join("storage.dbm"), "").unwrap();
    });
    assert!(old.contains("collection old: has the format"), "{old}");
}

#[test]
fn a_damaged_file_ends_the_run_without_success() {
    let directory = copy(&fixture());
    fs::write(directory.path().join("history.db"), "no").unwrap();
    let world = World::embedded();
    let moved = migrate(&world, &["--from", "mem0-dir", shown(directory.path())]);
    assert_ne!(moved.code, 0);
    assert!(moved.stderr.contains("history.db"), "{}", moved.stderr);
    assert_eq!(moved.report, json!(null));
}

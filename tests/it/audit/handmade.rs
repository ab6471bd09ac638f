//! A trail that is written from its description in the docs alone.

use std::fs;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

fn sha256(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes a trail with these entries, each with its time.
pub fn write(directory: &Path, entries: &[(&str, Value)]) {
    fs::create_dir_all(directory).unwrap();
    let mut prev = "0".repeat(64);
    let mut lines = String::new();
    for (index, (at, entry)) in entries.iter().enumerate() {
        let mut line = Map::new();
        line.insert("seq".into(), (index + 1).into());
        line.insert("at".into(), (*at).into());
        line.insert("prev".into(), prev.into());
        line.extend(entry.as_object().unwrap().clone());
        let line = Value::Object(line).to_string();
        let covered = line.strip_suffix('}').unwrap();
        prev = sha256(covered);
        lines += &format!("{covered},\"hash\":\"{prev}\"}}\n");
    }
    fs::write(directory.join("audit-00000000000000000001.jsonl"), lines).unwrap();
    let head = format!("{:020} {prev} {:020}\n", entries.len(), 1);
    fs::write(directory.join("head"), head).unwrap();
}

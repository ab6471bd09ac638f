//! Points of Qdrant's local mode: read as data or refused, whatever their bytes are.

use proptest::prelude::*;

use super::{corpus, fuzz_bytes};
use crate::mem0_dir::pickled::{memory, point};
use crate::mem0_dir::{library, read, with_points};

const WORDS: &[&str] = &[
    "(",
    ")",
    "]",
    "}",
    "N",
    "K\u{1}",
    "h\u{0}",
    "h\u{2}",
    "e",
    "a",
    "u",
    "s",
    "b",
    ".",
    "R",
    "cos\nsystem\n",
    "X\u{4}\u{0}\u{0}\u{0}data",
    "X\u{7f}\u{7f}\u{7f}\u{7f}",
    "G",
    "J",
    "M",
    "j",
];

#[test]
fn a_pickle_is_read_or_refused() {
    let mut seeds = corpus("pickles");
    seeds.push(memory("1", "one"));
    let fields = [
        ("data", "says ☕"),
        ("run_id", "r"),
        ("created_at", "2026-01-01"),
    ];
    seeds.push(point("6b1f2c1e-0000-4000-8000-00000000000a", &fields));
    fuzz_bytes("pickles", 200, seeds, WORDS, |bytes| {
        let directory = with_points(&[bytes.to_owned(), memory("other", "the other one")]);
        let found = read(library(directory.path()));
        let found = found.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let is_there = |record: &_| {
            let record: &zep_mcp_server::sources::SourceRecord = record;
            record.content == "the other one"
        };
        prop_assert!(found.records.iter().any(is_there));
        // It is a record, a row that is no memory, or a line of the report.
        let outcomes = found.records.len() + found.problems.len() + found.left_out.len();
        prop_assert!(outcomes >= 2, "{found:?}");
        Ok(())
    });
}

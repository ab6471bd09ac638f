use std::ops::ControlFlow;

use proptest::prelude::*;
use zep_mcp_server::sources::files::MAX_ITEM_BYTES;
use zep_mcp_server::sources::{ReadError, RecordKind, SourceItem};

use super::{Read, read, read_each};

const SMALL: &str = concat!(
    r#"{"users":[{"messages":[{"role":"user","content":"é\n\ud83d\ude00"},"#,
    r#"{"role":"ai","content":"b","created_at":1.5}],"insights":["i"],"id":"u","name":"n"}],"#,
    r#""memories":[{"memory":"a","metadata":{"x":[1,null,true]}}]}"#
);

#[test]
fn a_document_cut_anywhere_yields_what_precedes_the_cut_and_one_problem() {
    let whole = read(SMALL).whole();
    let mut seen = 0;
    for end in 0..SMALL.len() {
        let cut = read(&SMALL.as_bytes()[..end]);
        let items = cut.entries();
        assert_eq!(items, whole.entries()[..items.len()], "{end}");
        assert!(items.len() >= seen, "{end}");
        seen = items.len();
        let reason = cut.reason();
        if end > 0 {
            assert!(reason.contains("cut off"), "{end}: {reason}");
            assert!(reason.contains("line 1"), "{end}: {reason}");
        }
    }
    assert_eq!(seen, whole.entries().len());
}

#[test]
fn the_position_of_a_cut_is_reported() {
    let end = SMALL.find(r#""created_at""#).unwrap();
    let cut = read(&SMALL[..end]);
    assert_eq!(cut.problem().position.0, "users[0].messages[1]");
    let column = format!("(line 1, column {end})");
    assert!(cut.reason().contains(&column), "{}", cut.reason());
}

#[test]
fn objects_that_were_cut_off_are_not_containers() {
    let end = SMALL.find(r#","memories""#).unwrap();
    let cut = read(&SMALL[..end]);
    assert_eq!(cut.containers().len(), 1);
    assert_eq!(cut.containers()[0].names.user.as_deref(), Some("u"));
}

#[test]
fn a_broken_line_costs_that_line_alone() {
    let broken: [&[u8]; 7] = [
        br#"{"memory":"b","user_id":"u""#,
        br#"{"memory":"b"#,
        b"{\"memory\":\"\xff\"}",
        b"nonsense",
        br#"{"memory":}"#,
        b"]]]}",
        br#"{"messages":[{"role":"user","content":"#,
    ];
    for line in broken {
        for at in 0..3 {
            let good: [&[u8]; 2] = [br#"{"memory":"a"}"#, br#"{"memory":"c"}"#];
            let mut all = good.to_vec();
            all.insert(at, line);
            let found = read(all.join(&b"\n"[..]));
            let reported = String::from_utf8_lossy(line);
            assert_eq!(found.lines().len(), 2, "{reported} as line {}", at + 1);
            let problem = found.problem();
            let position = format!("line {}", at + 1);
            assert!(problem.position.0.starts_with(&position), "{problem:?}");
        }
    }
}

#[test]
fn a_line_broken_late_yields_what_precedes_the_break() {
    let export = "{\"user_id\":\"u\",\"messages\":[{\"role\":\"a\",\"content\":\"b\"},{\"role\"\n{\"memory\":\"c\"}\n";
    let found = read(export);
    assert_eq!(
        found.lines(),
        [
            "line 1, messages[0] turn -/-/-/- a: b",
            "line 2 memory -/-/-/- user: c"
        ]
    );
    assert_eq!(found.problem().position.0, "line 1, messages[1]");
}

#[test]
fn a_first_line_too_long_to_look_at_may_be_broken_too() {
    let turn = r#"{"role":"user","content":"hello"},"#;
    let turns = 1024 * 1024 / turn.len() + 10;
    for (end, read_after_it) in [("]} x", 1), ("]", 0), ("", 0)] {
        let last = turn.trim_end_matches(',');
        let export = format!(
            "{{\"user_id\":\"u\",\"messages\":[{}{last}{end}\n{{\"memory\":\"last\"}}\n",
            turn.repeat(turns),
        );
        let found = read(export);
        let reported = found.problem();
        let kind = |kind| {
            let records = found.records().into_iter();
            records.filter(|record| record.kind == kind).count()
        };
        assert_eq!(kind(RecordKind::Turn), turns + 1, "{end}: {reported:?}");
        // What may be a document of several lines ends there.
        assert_eq!(
            kind(RecordKind::Memory),
            read_after_it,
            "{end}: {reported:?}"
        );
    }
}

#[test]
fn a_broken_document_is_one_problem() {
    let good = include_str!("../../fixtures/export/guide.json");
    let lines: Vec<&str> = good.lines().collect();
    for cut in 1..lines.len() {
        let mut broken = lines.clone();
        broken[cut] = "oops";
        let found = read(broken.join("\n"));
        assert_eq!(found.problems().len(), 1, "line {}", cut + 1);
    }
}

#[test]
fn a_file_that_is_not_an_export_is_one_problem() {
    let numbers = "1\n".repeat(100_000);
    let list = format!("[{}1]", "1,".repeat(100_000));
    let rows = "id,memory\n1,a\n".repeat(10_000);
    let objects = "{\"foo\":1}\n".repeat(10_000);
    let halves = "{\"foo\":\n".repeat(10_000);
    for (export, says) in [
        ("", "nothing of mem0"),
        (" \n\n ", "nothing of mem0"),
        (r#"{"foo":1}"#, "nothing of mem0"),
        ("[]", "nothing of mem0"),
        ("null", "nothing of mem0"),
        (&numbers, "nothing of mem0"),
        (&list, "nothing of mem0"),
        (&objects, "nothing of mem0"),
        (&halves, "cut off"),
        (&rows, "not JSON"),
        ("hello", "not JSON"),
    ] {
        let found = read(export);
        let shown = &export[..export.len().min(20)];
        assert!(found.reason().contains(says), "{shown}: {}", found.reason());
        assert_eq!(found.items.len(), 1);
    }
}

#[test]
fn an_empty_answer_is_not_a_problem() {
    let found = read(r#"{"count":0,"next":null,"previous":null,"results":[]}"#).whole();
    assert_eq!(found.entries().len(), 0);
}

#[test]
fn an_unrecognised_item_is_reported_with_its_position_and_id() {
    let found = read(r#"{"results":[{"memory":"a"},{"id":"x","foo":1},7,{"memory":"b"}]}"#);
    assert_eq!(found.entries().len(), 2);
    let reported: Vec<_> = found
        .problems()
        .into_iter()
        .map(|problem| (problem.position.0.as_str(), problem.record.as_deref()))
        .collect();
    assert_eq!(reported, [("results[1]", Some("x")), ("results[2]", None)]);
}

#[test]
fn problems_in_a_row_are_counted_after_the_first_hundred() {
    let export = format!(
        "{{\"memory\":\"a\"}}\n{}{{\"memory\":\"b\"}}\n",
        "{oops\n".repeat(5000)
    );
    let found = read(export);
    assert_eq!(found.entries().len(), 2);
    assert_eq!(found.problems().len(), 101);
    let last = found.problems()[100];
    assert!(
        last.defect.reason.starts_with("4900 more problems"),
        "{last:?}"
    );
    assert_eq!(last.position.0, "line 5001");
}

#[test]
fn other_encodings_and_broken_packed_files_are_named() {
    let utf_16: Vec<u8> = SMALL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&b"\xFF\xFE"[..], &utf_16].concat();
    for (export, says) in [
        (&utf_16[..], "UTF-16"),
        (&marked, "UTF-16"),
        (b"\x1F\x8B\x08\x00rest", "cut off"),
        (b"PK\x03\x04rest", "cut off"),
        (b"\x7FELF\x02\x01\x01\x00\x00", "not text"),
    ] {
        let found = read(export);
        assert!(found.reason().contains(says), "{}", found.reason());
        assert_eq!(found.items.len(), 1);
    }
}

#[test]
fn bytes_that_are_not_utf_8_cost_their_record_alone() {
    let mut export = br#"{"results":[{"memory":"a"},{"memory":""#.to_vec();
    export.extend(b"\xE9\"},{\"memory\":\"c\"}]}");
    let found = read(export);
    assert_eq!(found.entries().len(), 2);
    let problem = found.problem();
    assert_eq!(problem.position.0, "results[1]");
    assert!(
        found.reason().contains("`memory` is not UTF-8"),
        "{problem:?}"
    );
}

#[test]
fn an_item_nested_too_deep_is_skipped_and_the_rest_is_read() {
    for depth in [90, 101, 127, 128, 129, 1000, 100_000] {
        let deep = "[".repeat(depth) + &"]".repeat(depth);
        let deep_objects = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        for deep in [deep, deep_objects] {
            let found = read(format!(
                r#"{{"results":[{{"memory":"a"}},{{"id":"x","memory":"b","metadata":{deep}}},{{"memory":"c"}}]}}"#
            ));
            let expected = if depth < 100 { 3 } else { 2 };
            assert_eq!(found.entries().len(), expected, "{depth}");
            if depth > 100 {
                assert_eq!(found.problem().position.0, "results[1]");
                assert_eq!(found.problem().record.as_deref(), Some("x"));
                assert_eq!(found.problem().defect.field.as_deref(), Some("metadata"));
                assert!(found.reason().contains("`metadata` is nested"));
            }
        }
        let found = read("[".repeat(depth) + &"]".repeat(depth) + "\n{\"memory\":\"c\"}");
        assert_eq!(found.entries().len(), 1, "{depth}");
    }
    read("[".repeat(1_000_000)).problem();
}

#[test]
fn a_text_that_is_too_long_is_skipped_and_the_rest_is_read() {
    let words = r#"some words, 漢 and é \u6f22\\ \ud83d\ude00 \"so\" to whom it may concern "#;
    let text = words.repeat(MAX_ITEM_BYTES / words.len() + 2);
    let found = read(format!(
        r#"{{"results":[{{"memory":"a"}},{{"memory":"{text}","id":"x"}},{{"memory":"c"}}]}}"#
    ));
    assert_eq!(found.entries().len(), 2, "{:?}", found.problems());
    let problem = found.problem();
    assert_eq!(problem.record.as_deref(), Some("x"));
    assert_eq!(problem.position.0, "results[1]");
    assert!(
        found.reason().contains("`memory` is too large"),
        "{problem:?}"
    );
}

#[test]
fn an_item_that_is_too_large_is_skipped_and_the_rest_is_read() {
    let numbers = "0,".repeat(MAX_ITEM_BYTES / 10);
    let found = read(format!(
        r#"{{"messages":[{{"role":"a","content":"b"}}],"big":[{numbers}0],"insights":[[{numbers}0],"i"],"user_id":"u","name":"n"}}"#
    ));
    assert_eq!(
        found.lines(),
        [
            "messages[0] turn u/-/-/- a: b",
            "insights[1] snapshot u/-/-/- system: i",
            "line 1 user u",
        ]
    );
    let reported: Vec<_> = found
        .problems()
        .into_iter()
        .map(|problem| (problem.position.0.as_str(), problem.defect.to_string()))
        .collect();
    assert_eq!(reported[0].0, "insights[0]");
    assert!(reported[0].1.starts_with("is too large"));
    assert!(reported[1].1.starts_with("`big` is too large"));
    assert_eq!(reported.len(), 2);
}

#[test]
fn an_id_field_without_an_id_is_reported() {
    let found = read(r#"{"user_id":{"a":1},"results":[{"memory":"a"}]}"#);
    assert!(found.reason().starts_with("`user_id` is neither"));
    assert_eq!(found.entries().len(), 1);
}

#[test]
fn a_reader_that_fails_and_a_sink_that_stops_end_the_reading() {
    struct Fails;
    impl std::io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    use std::io::Read as _;
    for begun in ["", "{\"memory\":\"a\"}\n{", &"x".repeat(1024 * 1024)] {
        let begun = std::io::Cursor::new(begun.to_owned());
        let result = read_each(begun.chain(Fails), |_| ControlFlow::Continue(()));
        assert!(matches!(result, Err(ReadError::Io(error)) if error.to_string() == "gone"));
    }

    let mut seen = 0;
    let result = read_each(SMALL.as_bytes(), |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert!(matches!(result, Err(ReadError::Stopped)));
    assert_eq!(seen, 1);
}

fn never_panics(bytes: &[u8]) -> Read {
    let found = read(bytes);
    for item in &found.items {
        if let SourceItem::Problem(problem) = item {
            assert!(!problem.defect.reason.is_empty());
        }
    }
    found
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        never_panics(&bytes);
    }

    #[test]
    fn an_export_with_a_few_other_bytes_never_panics(
        changes in prop::collection::vec((0..SMALL.len(), any::<u8>()), 1..4)
    ) {
        let mut bytes = SMALL.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        never_panics(&bytes);
    }

    #[test]
    fn pieces_of_json_never_panic(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\n", "\"id\"", "\"users\"", "\"messages\"", "\"memory\"",
            "\"insights\"", "\"sessions\"", "\"role\":\"user\"", "\"content\":\"c\"", "1", "null",
            "\"user_id\":\"u\"", "\"history\"", "\"data\"", "{\"memory\":\"m\"}", "\"x", "\\",
        ]),
        0..40,
    )) {
        never_panics(pieces.concat().as_bytes());
    }
}

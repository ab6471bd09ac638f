//! Texts that are too long, with a bound small enough to try every length.

use std::ops::ControlFlow;

use super::documents::read;
use super::input::Input;
use super::output::Output;
use crate::sources::{Entry, Sink, SourceItem};

const LONGEST: usize = 64;

/// The ids that were read, and the problems.
#[derive(Default)]
struct Found(Vec<String>, Vec<String>);

impl Sink for Found {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        match item {
            SourceItem::Entry(Entry::Record(record)) => self.0.extend(record.id),
            SourceItem::Problem(problem) => self.1.push(problem.defect.to_string()),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

fn read_with_small_bound(export: &str) -> (Vec<String>, Vec<String>) {
    let mut found = Found::default();
    let mut bytes = export.as_bytes();
    let input = Input::with_longest(&mut bytes, LONGEST as u64);
    read(input, &mut Output::new(&mut found)).expect("bytes in memory can be read");
    (found.0, found.1)
}

fn with_text(text: &str) -> String {
    format!(
        r#"{{"results":[{{"id":1,"memory":"a"}},{{"memory":"{text}","id":2}},{{"id":3,"memory":"c"}}]}}"#
    )
}

#[test]
fn a_text_that_is_too_long_is_left_out_wherever_it_is_cut() {
    for piece in [
        "x",
        "plain words ",
        "漢字",
        "é and more text",
        r"\ud83d\ude00 and more text",
        r#"\\ and \" and more of the text"#,
        r"\u6f22 and the rest \\",
    ] {
        for before in 0..40 {
            let text = "x".repeat(before) + &piece.repeat(40 * LONGEST / piece.len());
            let (ids, problems) = read_with_small_bound(&with_text(&text));
            assert_eq!(ids, ["1", "3"], "{piece} {before}: {problems:?}");
            assert_eq!(problems.len(), 1);
            assert!(
                problems[0].starts_with("`memory` is too large"),
                "{problems:?}"
            );
        }
    }
}

#[test]
fn a_text_of_just_the_bound_is_kept() {
    for length in 0..LONGEST - 2 {
        for letter in ["x", " ", "é", r"\n"] {
            let text = letter.repeat(length / letter.len()) + "y";
            let (ids, problems) = read_with_small_bound(&with_text(&text));
            assert_eq!(ids, ["1", "2", "3"], "{length}: {problems:?}");
        }
    }
}

#[test]
fn a_text_in_which_nothing_can_be_left_out_ends_its_document_or_its_line() {
    let text = r"\u6f22".repeat(LONGEST);
    let (ids, problems) = read_with_small_bound(&with_text(&text));
    assert_eq!(ids, ["1"]);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("a single text is over"),
        "{problems:?}"
    );

    let memory = r#"{"id":1,"memory":"a"}"#;
    let (ids, problems) =
        read_with_small_bound(&format!("{memory}\n{{\"memory\":\"{text}\"}}\n{memory}"));
    assert_eq!(ids, ["1", "1"]);
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_name_that_is_too_long_costs_its_object_alone() {
    let name = "name ".repeat(LONGEST);
    let (ids, problems) = read_with_small_bound(&format!(
        r#"[{{"id":1,"memory":"a"}},{{"id":2,"memory":"b","{name}":1}},{{"id":3,"memory":"c"}}]"#
    ));
    assert_eq!(ids, ["1", "3"], "{problems:?}");
    assert_eq!(problems.len(), 1);
    assert!(problems[0].len() < 300);
}

#[test]
fn blanks_are_no_text_however_many() {
    let blanks = " \n".repeat(4 * LONGEST);
    let export = with_text("b").replace(',', &format!("{blanks},{blanks}"));
    let (ids, problems) = read_with_small_bound(&export);
    assert_eq!(ids, ["1", "2", "3"], "{problems:?}");
}

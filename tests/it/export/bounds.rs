use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zep_mcp_server::sources::SourceItem;

use super::read_each;

/// Makes an export while it is read: a beginning, one item again and again, an end.
struct Made {
    pieces: Box<dyn Iterator<Item = String> + Send>,
    piece: io::Cursor<String>,
    given: Arc<AtomicU64>,
}

impl Made {
    fn new(begin: &'static str, element: String, times: usize, end: &'static str) -> Self {
        let elements = std::iter::repeat_n(element, times);
        Self {
            pieces: Box::new(
                std::iter::once(begin.to_owned())
                    .chain(elements)
                    .chain([end.to_owned()]),
            ),
            piece: io::Cursor::default(),
            given: Arc::default(),
        }
    }
}

impl io::Read for Made {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(into)?;
            if read > 0 {
                self.given.fetch_add(read as u64, Ordering::Relaxed);
                return Ok(read);
            }
            match self.pieces.next() {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

/// Reads, and checks that each item is delivered before much more was read.
fn delivered_as_they_come(
    begin: &'static str,
    element: &str,
    end: &'static str,
    size: usize,
) -> usize {
    let times = size / element.len();
    let made = Made::new(begin, element.to_owned(), times, end);
    let given = made.given.clone();
    let mut items = 0_usize;
    let mut ahead = 0;
    read_each(made, |item| {
        match item {
            SourceItem::Entry(_) => {
                items += 1;
                let given = given.load(Ordering::Relaxed);
                ahead = ahead.max(given.saturating_sub((items * element.len()) as u64));
            }
            SourceItem::Problem(problem) => panic!("{problem:?}"),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(ahead < 5 * 1024 * 1024 / 2, "{ahead} bytes were read ahead");
    assert!(items >= times);
    items
}

const MEMORY: &str = r#"{"id":"0a7c2f0e-0001-4c1e-9d1a-000000000001","memory":"User moved to San Francisco from New York in January 2026","user_id":"jane","agent_id":null,"run_id":"run-1","metadata":{"source":"intake"},"categories":["location"],"created_at":"2026-01-15T10:30:00.123456-08:00","updated_at":"2026-01-15T10:30:00Z"},"#;

#[test]
fn one_huge_list_is_delivered_as_it_comes() {
    let size = 24 * 1024 * 1024;
    let items = delivered_as_they_come(r#"{"results":["#, MEMORY, r#"{"memory":"last"}]}"#, size);
    assert_eq!(items, size / MEMORY.len() + 1);
}

#[test]
fn huge_lists_at_any_level_are_delivered_as_they_come() {
    let turn = r#"{"role":"user","content":"the same words again"},"#;
    let size = 4 * 1024 * 1024;
    for (begin, element, end) in [
        ("[", MEMORY, r#"{"memory":"last"}]"#),
        (
            r#"{"users":[{"id":"u","sessions":[{"id":"s","messages":["#,
            turn,
            r#"{"role":"a","content":"b"}]}]}]}"#,
        ),
        (
            "{\"memory\":\"on a line before\"}\n{\"user_id\":\"u\",\"messages\":[",
            turn,
            "{\"role\":\"a\",\"content\":\"b\"}],\"id\":\"u\"}\n{\"memory\":\"after\"}",
        ),
        (
            r#"{"id":"u","insights":["#,
            r#"{"content":"an insight"},"#,
            r#""i"]}"#,
        ),
        (
            r#"{"data":{"history":["#,
            r#"{"memory_id":"m","input":[]},"#,
            r#"{"memory_id":"m","input":[]}]}}"#,
        ),
    ] {
        delivered_as_they_come(begin, element, end, size);
    }
}

use std::{io, ops::ControlFlow};

use zep_mcp_server::mem0::{Event, read_export};

/// Makes an export while it is read: a beginning, one thing again and again, an end.
struct Made {
    pieces: Box<dyn Iterator<Item = String>>,
    piece: io::Cursor<String>,
    given: u64,
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
            given: 0,
        }
    }
}

impl io::Read for Made {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(into)?;
            if read > 0 {
                self.given += read as u64;
                return Ok(read);
            }
            match self.pieces.next() {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

/// Reads, and checks that each thing is delivered before much more was read.
fn delivered_as_they_come(
    begin: &'static str,
    element: &str,
    end: &'static str,
    size: usize,
) -> usize {
    let times = size / element.len();
    let mut made = Made::new(begin, element.to_owned(), times, end);
    // The reader borrows it while the sink asks how far it is.
    let given = std::rc::Rc::new(std::cell::Cell::new(0));
    struct Counted<'a>(&'a mut Made, std::rc::Rc<std::cell::Cell<u64>>);
    impl io::Read for Counted<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(into)?;
            self.1.set(self.0.given);
            Ok(read)
        }
    }
    let mut items = 0_usize;
    let mut ahead = 0;
    read_export(Counted(&mut made, given.clone()), &mut |event| {
        match event {
            Event::Item(_) => {
                items += 1;
                ahead = ahead.max(given.get().saturating_sub((items * element.len()) as u64));
            }
            Event::Frame(_) => {}
            Event::Problem(problem) => panic!("{problem:?}"),
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

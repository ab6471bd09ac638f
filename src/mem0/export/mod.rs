//! Reading what mem0 and the applications around it leave in files, as it comes.
//!
//! `source.rs` hands the bytes to serde_json and knows where they stand; `walk.rs` goes through the
//! objects that hold others and delivers what stands in them one by one, and `takes.rs` says what is
//! done with each kind of value there; `gather.rs` reads one thing whole, within bounds; `shape.rs`
//! says what an object is by looking at it; `out.rs` delivers, and keeps a thousand like problems from
//! drowning the rest.

mod gather;
mod looks;
mod out;
mod shape;
mod source;
mod takes;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    cell::RefCell,
    io::{self, Read},
    ops::ControlFlow,
};

use serde_json::error::Category;

use self::{
    out::{Out, Sort},
    source::{Bytes, Source},
    walk::Walk,
};
use super::{Event, Position};

/// The largest single thing of an export: what its values take in memory, which is about its length as
/// JSON. A bound of ours, so that reading takes little memory whatever the file.
pub const MAX_ITEM_BYTES: usize = 16 * 1024 * 1024;

/// Why the reading of a source ended early. Whatever is wrong with the data is an
/// [`Event::Problem`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The source cannot be read.
    #[error("the export cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Whoever takes the events asked for no more.
    #[error("reading was stopped")]
    Asked,
}

/// Reads an export: one JSON document, several one after the other, or JSON Lines, whichever it is.
/// Blocks while it reads. Holds one thing at a time, and a megabyte or two beside it.
///
/// What it takes, all recognised by looking: pages and search answers of mem0 Platform, answers of a
/// self-hosted server and of the library, bare lists, histories, lists of entities, and an application's
/// users with messages, sessions and snapshots, also keyed by id.
///
/// # Errors
///
/// If the source cannot be read, or the sink breaks. What is wrong with the data is an event, and the
/// rest goes on where it can: after a broken line with the next one, not after broken syntax in a
/// document.
pub fn read_export(
    mut source: impl Read,
    sink: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<(), Stopped> {
    read(Source::new(&mut source), &mut Out::new(sink))
}

fn read(mut source: Source<'_>, out: &mut Out<'_>) -> Result<(), Stopped> {
    let start = source.look()?;
    if let Some(reason) = looks::not_text(start) {
        return out.problem(Sort::Other, at_line(1), None, reason.to_owned());
    }
    let mark = looks::UTF_8_MARK;
    let start_at = if start.starts_with(mark) {
        mark.len()
    } else {
        0
    };
    let is_lines = looks::is_lines(&start[start_at..]);
    source.skip(start_at);

    read_values(&RefCell::new(source), out, is_lines)?;
    out.finish()
}

/// How the values of a source follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// The first one is still being read.
    Unknown,
    /// Each on a line of its own, so that a broken one ends with its line.
    Lines,
    /// Over several lines each, so that nothing can be read after a broken one.
    Documents,
}

fn read_values(
    source: &RefCell<Source<'_>>,
    out: &mut Out<'_>,
    lines: bool,
) -> Result<(), Stopped> {
    let mut layout = if lines {
        Layout::Lines
    } else {
        Layout::Unknown
    };
    let mut walk = Walk::new(source, out);
    let mut first = true;
    loop {
        source.borrow_mut().read_by_line(layout == Layout::Lines);
        if source.borrow_mut().next_value()?.is_none() {
            return Ok(());
        }
        let (line, column) = {
            let source = source.borrow();
            (source.line(), source.column())
        };
        // The first document's positions are paths alone.
        walk.begin(line, !first || layout == Layout::Lines);
        first = false;

        let mut parser = serde_json::Deserializer::from_reader(Bytes(source));
        let Err(error) = walk.value(&mut parser) else {
            if layout == Layout::Unknown {
                let one_line = source.borrow().line() == line;
                layout = if one_line {
                    Layout::Lines
                } else {
                    Layout::Documents
                };
            }
            continue;
        };
        if walk.was_stopped() {
            return Err(Stopped::Asked);
        }
        if error.is_io() {
            return Err(Stopped::Io(error.into()));
        }

        let broken_line = match layout {
            Layout::Lines => source.borrow().reads_by_line(),
            // A first line too long to be looked at whole.
            Layout::Unknown => {
                let mut source = source.borrow_mut();
                let whole = source.line() == line || source.column() == 0;
                whole && {
                    source.next_line()?;
                    matches!(source.next_value()?, Some(b'{' | b'['))
                }
            }
            Layout::Documents => false,
        };
        let column = if error.line() == 1 {
            column + error.column() as u64
        } else {
            error.column() as u64
        };
        let at = format!(
            "line {}, column {column}",
            line + (error.line() as u64).saturating_sub(1)
        );
        let what = what_is_wrong(&error, source.borrow_mut().gave_up());
        if broken_line {
            layout = Layout::Lines;
            let reason = format!("{what} ({at}): what follows on this line was not read");
            walk.problem(Sort::Syntax, reason)?;
            source.borrow_mut().next_line()?;
        } else {
            let reason = format!(
                "{what} ({at}): nothing after it was read; repair the file or export it again"
            );
            walk.problem(Sort::Syntax, reason)?;
            return Ok(());
        }
    }
}

/// In words, without anything of the text itself.
fn what_is_wrong(error: &serde_json::Error, gave_up: bool) -> String {
    if gave_up {
        return format!("a single text is over {} MiB", MAX_ITEM_BYTES >> 20);
    }
    if error.classify() == Category::Eof {
        return "the JSON ends in the middle of a value: it was cut off".to_owned();
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match message {
        "invalid unicode code point" => "this is not UTF-8".to_owned(),
        message => format!("this is not JSON: {message}"),
    }
}

fn at_line(line: u64) -> Position {
    Position(format!("line {line}"))
}

//! The values of an export, one after the other: documents, or JSON Lines with broken lines among them.

use std::cell::RefCell;

use serde_json::error::Category;

use super::budget::MAX_ITEM_BYTES;
use super::detect;
use super::input::{Input, InputReader};
use super::output::{Output, Suspicion, at_line};
use super::parser::{Parser, Root};
use crate::sources::{Defect, ReadError};

pub(super) fn read(mut input: Input<'_>, output: &mut Output<'_>) -> Result<(), ReadError> {
    let start = input.look();
    if let Some(reason) = detect::not_text(start) {
        return output.problem(Suspicion::None, at_line(1), None, Defect::whole(reason));
    }
    let mark = detect::UTF_8_MARK;
    let start_at = if start.starts_with(mark) {
        mark.len()
    } else {
        0
    };
    let is_lines = detect::is_lines(&start[start_at..]);
    input.skip(start_at);

    read_values(&RefCell::new(input), output, is_lines)?;
    output.finish()
}

/// How the values of an export follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Unknown until the first one is read.
    Unknown,
    /// Each on its own line, so that a broken one ends with its line.
    Lines,
    /// Each across several lines, so that nothing can be read after a broken one.
    Documents,
}

fn read_values(
    input: &RefCell<Input<'_>>,
    output: &mut Output<'_>,
    lines: bool,
) -> Result<(), ReadError> {
    let mut layout = if lines {
        Layout::Lines
    } else {
        Layout::Unknown
    };
    let mut parser = Parser::new(input, output);
    let mut first = true;
    loop {
        input.borrow_mut().read_by_line(layout == Layout::Lines);
        let begins = input.borrow_mut().next_value()?;
        match begins {
            None => return Ok(()),
            // A comment on a line of its own.
            Some(b'#' | b'/') if layout != Layout::Documents => {
                input.borrow_mut().skip_line()?;
                continue;
            }
            Some(_) => {}
        }
        let (line, column) = {
            let input = input.borrow();
            (input.line(), input.column())
        };
        // In the first document a position is only a path.
        parser.begin(match first && layout != Layout::Lines {
            true => Root::Document(line),
            false => Root::Line(line),
        });
        first = false;

        let mut json = serde_json::Deserializer::from_reader(InputReader(input));
        let Err(error) = parser.value(&mut json) else {
            if layout == Layout::Unknown {
                let one_line = input.borrow().line() == line;
                layout = if one_line {
                    Layout::Lines
                } else {
                    Layout::Documents
                };
            }
            continue;
        };
        if parser.was_stopped() {
            return Err(ReadError::Stopped);
        }
        if error.is_io() {
            return Err(ReadError::Io(error.into()));
        }

        let broken_line = match layout {
            Layout::Lines => input.borrow().reads_by_line(),
            // The first line is longer than detection sees.
            Layout::Unknown => {
                let mut input = input.borrow_mut();
                let whole = input.line() == line || input.column() == 0;
                whole && {
                    input.next_line()?;
                    matches!(input.next_value()?, Some(b'{' | b'['))
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
        let what = what_is_wrong(&error, input.borrow_mut().gave_up());
        if broken_line {
            layout = Layout::Lines;
            let reason = format!("{what} ({at}): what follows on this line was not read");
            parser.broken_syntax(reason)?;
            input.borrow_mut().next_line()?;
        } else {
            let reason = format!(
                "{what} ({at}): nothing after it was read; repair the file or export it again"
            );
            parser.broken_syntax(reason)?;
            return Ok(());
        }
    }
}

/// What is wrong with the syntax, in words that quote nothing.
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

//! Reading this program's own exports, line by line: see [`crate::sources::lines`].

use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;

use super::budget::MAX_ITEM_BYTES;
use super::output::at_line;
use crate::sources::lines::Line;
use crate::sources::{Defect, Entry, Problem, ReadError, Severity, Sink, SourceItem};

/// Reads an export that begins like one of ours.
pub(super) fn read(reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut reader = BufReader::new(reader);
    let mut found = (0, 0);
    let mut said = None;
    let mut line = Vec::new();
    let mut number = 0;
    while next_line(&mut reader, &mut line)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let position = at_line(number);
        let read = match line.len() > MAX_ITEM_BYTES {
            true => Err(format!(
                "is too large: a line may have {} MiB",
                MAX_ITEM_BYTES >> 20
            )),
            false => serde_json::from_slice(&line).map_err(|_| {
                "is not as this program writes it: it was changed or cut off, and was not read"
                    .to_owned()
            }),
        };
        let item = match read {
            Ok(Line::Begin { .. }) => continue,
            Ok(Line::End {
                memories, users, ..
            }) => {
                // Several exports may follow each other.
                let (before, more) = said.unwrap_or((0, 0));
                said = Some((before + memories, more + users));
                continue;
            }
            Ok(Line::Memory(memory)) => {
                found.0 += 1;
                SourceItem::Entry(Entry::Record(Box::new(memory.record(position))))
            }
            Ok(Line::User(user)) => {
                found.1 += 1;
                let user = Box::new(user.user());
                SourceItem::Entry(Entry::User { position, user })
            }
            Err(reason) => SourceItem::Problem(Problem {
                position,
                record: None,
                severity: Severity::Record,
                defect: Defect::whole(reason),
            }),
        };
        send(sink, item)?;
    }
    let reason = match said {
        None => "the last line of the export is missing: it was cut off. Export again".to_owned(),
        Some(said) if said != found => format!(
            "the export says that it has {} memories and {} users, and here are {} and {}: lines \
             were added or removed",
            said.0, said.1, found.0, found.1
        ),
        Some(_) => return Ok(()),
    };
    send(
        sink,
        SourceItem::Problem(Problem {
            position: at_line(number),
            record: None,
            severity: Severity::Other,
            defect: Defect::whole(reason),
        }),
    )
}

/// Reads a line, of one that is too long a byte more than is allowed. Answers whether there was one.
fn next_line(reader: &mut BufReader<&mut dyn Read>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = MAX_ITEM_BYTES as u64 + 1;
    reader.by_ref().take(most).read_until(b'\n', line)?;
    if line.len() as u64 == most && line.last() != Some(&b'\n') {
        let mut rest = true;
        while rest {
            let skipped = reader.fill_buf()?;
            let end = skipped.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(skipped.len(), |end| end + 1);
            rest = end.is_none() && length > 0;
            reader.consume(length);
        }
    }
    Ok(!line.is_empty())
}

fn send(sink: &mut dyn Sink, item: SourceItem) -> Result<(), ReadError> {
    match sink.item(item) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ReadError::Stopped),
    }
}

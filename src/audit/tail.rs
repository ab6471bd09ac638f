//! Where the chain ends: the last whole line of the newest file, and what has to be said of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use jiff::Timestamp;

use super::chain::{Link, Linked};
use super::entry::TrailNote;
use super::folder::{Folder, Head};

/// The longest line that is read, in bytes. Ours: an entry of 1,000 owners and 1,000 ids of the greatest
/// length takes a third of it.
pub(super) const MAX_LINE: u64 = 16 << 20;
/// How much of a file is read at first to find its last line, in bytes.
const FIRST_LOOK: u64 = 8 * 1024;

/// Where the next line goes.
#[derive(Debug)]
pub(super) struct End {
    /// The file to append to; `None` if there is none.
    pub(super) file: Option<Newest>,
    /// What the next line follows.
    pub(super) link: Link,
    /// See [`Head::generation`].
    pub(super) generation: u64,
    /// What has to be noted first.
    pub(super) notes: Vec<TrailNote>,
}

/// The file that is appended to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    /// The number of its first entry.
    pub(super) first: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// When it was begun.
    pub(super) begun_at: Timestamp,
}

/// Finds the end of the chain. Cuts off half a line. Only for who holds the lock.
pub(super) fn find(folder: &Folder) -> io::Result<End> {
    let head = folder.head()?;
    let mut notes = Vec::new();
    let mut files = folder.files()?;
    let mut newest = None;
    let mut last = None;
    while let Some(first) = files.pop() {
        let path = folder.file(first);
        let mut file = File::options().read(true).write(true).open(&path)?;
        let length = file.metadata()?.len();
        let (whole, line) = last_line(&mut file, length)?;
        if whole < length {
            file.set_len(whole)?;
            notes.push(TrailNote::HalfLineCut {
                bytes: length - whole,
            });
        }
        drop(file);
        if whole == 0 {
            // Begun by a process that was killed before it wrote.
            std::fs::remove_file(&path)?;
            continue;
        }
        last = Some(Linked::read(&line));
        newest = Some(Newest {
            first,
            length: whole,
            begun_at: begun_at(folder, first)?.unwrap_or_else(Timestamp::now),
        });
        break;
    }
    let link = link(head, last, newest, &mut notes);
    Ok(End {
        file: newest,
        link,
        generation: head.map_or(0, |head| head.generation),
        notes,
    })
}

/// What the next line follows. What was written last is known from the note, what is there from the file.
fn link(
    head: Option<Head>,
    last: Option<Option<Linked>>,
    newest: Option<Newest>,
    notes: &mut Vec<TrailNote>,
) -> Link {
    let there = last.map(|line| line.filter(|line| line.is_unchanged).map(|it| it.link));
    match (head.map(|head| head.link), there) {
        (None, None) => Link::START,
        (None, Some(there)) => {
            notes.push(TrailNote::HeadMissing);
            // A last line that cannot be read: its number is not known either.
            there.unwrap_or(Link {
                seq: newest.map_or(0, |file| file.first),
                ..Link::START
            })
        }
        (Some(noted), None) => {
            if noted.seq > 0 {
                notes.push(lost(1, noted.seq));
            }
            noted
        }
        // Killed before it could be noted.
        (Some(noted), Some(Some(there))) if there.seq > noted.seq => there,
        (Some(noted), Some(Some(there))) if there == noted => noted,
        (Some(noted), Some(Some(there))) if there.seq < noted.seq => {
            notes.push(lost(there.seq + 1, noted.seq));
            noted
        }
        (Some(noted), Some(_)) => {
            notes.push(TrailNote::LastLineChanged);
            noted
        }
    }
}

fn lost(first: u64, last: u64) -> TrailNote {
    TrailNote::EntriesLost { first, last }
}

/// The length of a file up to its last line break, and the line that ends there.
fn last_line(file: &mut File, length: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut look = FIRST_LOOK;
    loop {
        let from = length.saturating_sub(look);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        Read::by_ref(file)
            .take(length - from)
            .read_to_end(&mut bytes)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let start = end.and_then(|end| bytes[..end].iter().rposition(|byte| *byte == b'\n'));
        match (end, start) {
            (Some(end), Some(start)) => {
                return Ok((from + end as u64 + 1, bytes[start + 1..end].to_vec()));
            }
            (Some(end), None) if from == 0 => return Ok((end as u64 + 1, bytes[..end].to_vec())),
            (None, _) if from == 0 => return Ok((0, Vec::new())),
            _ if look > 2 * MAX_LINE => {
                return Err(io::Error::other("it holds a line that is too long"));
            }
            _ => look *= 8,
        }
    }
}

/// The time of a file's first entry.
pub(super) fn begun_at(folder: &Folder, first: u64) -> io::Result<Option<Timestamp>> {
    Ok(first_line(folder, first)?.map(|line| line.at))
}

/// What a file's first line says of its place.
pub(super) fn first_line(folder: &Folder, first: u64) -> io::Result<Option<Linked>> {
    let file = File::open(folder.file(first))?;
    let mut line = Vec::new();
    BufReader::with_capacity(1_024, file.take(MAX_LINE)).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").and_then(Linked::read))
}

//! Adds lines to the trail, begins files, and removes old ones.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::chain::Link;
use super::entry::{Entry, TrailNote};
use super::folder::{Folder, Head, Open};
use super::tail::{self, Newest};

/// An entry, with the time of its end.
#[derive(Debug, Clone)]
pub(super) struct Dated {
    pub(super) at: Timestamp,
    /// Its JSON.
    pub(super) json: Vec<u8>,
}

impl Dated {
    pub(super) fn now(entry: &Entry) -> Self {
        Self {
            at: Timestamp::now(),
            json: entry.to_json(),
        }
    }
}

/// Appends to the trail.
#[derive(Debug)]
pub(super) struct Appender {
    pub(super) folder: Folder,
    open: Open,
    /// A file is not appended to beyond this length, in bytes.
    pub(super) max_bytes: u64,
    /// How long entries are kept.
    pub(super) keep: Duration,
    /// How it was left; another process may have appended since.
    known: Option<Known>,
    /// Files that go once that is noted.
    outdated: Vec<u64>,
}

/// How the trail was left.
#[derive(Debug, Clone, Copy)]
struct Known {
    file: Newest,
    head: Head,
}

impl Appender {
    pub(super) fn new(folder: Folder, max_bytes: u64, keep: Duration) -> Self {
        Self {
            folder,
            open: Open::default(),
            max_bytes,
            keep,
            known: None,
            outdated: Vec::new(),
        }
    }

    /// Whether the trail can be appended to, as far as that is known without writing an entry.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        let _turn = self.folder.lock(&mut self.open)?;
        let (known, notes) = self.current()?;
        self.write(known, &notes)
    }

    /// Appends entries, all or none of them.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn append(&mut self, entries: &[Dated]) -> io::Result<()> {
        let _turn = self.folder.lock(&mut self.open)?;
        let (known, mut notes) = self.current()?;
        if notes.is_empty() {
            return self.write(known, entries);
        }
        notes.extend_from_slice(entries);
        self.write(known, &notes)
    }

    /// The number of the file that was appended to last.
    pub(super) fn file(&self) -> Option<u64> {
        self.known.map(|known| known.file.first)
    }

    /// The file to append to, and what has to be said before anything else.
    fn current(&mut self) -> io::Result<(Known, Vec<Dated>)> {
        let mut notes = Vec::new();
        let known = match self.known.take() {
            Some(known) if self.is_as_left(&known)? => known,
            _ => {
                self.open.forget_file();
                let end = tail::find(&self.folder)?;
                notes.extend(end.notes);
                let head = Head {
                    link: end.link,
                    generation: end.generation,
                };
                match end.file {
                    Some(file) => {
                        if self.folder.head_now(&mut self.open)? != Some(head) {
                            self.folder.note(head, &mut self.open)?;
                        }
                        Known { file, head }
                    }
                    None => self.begin(head)?,
                }
            }
        };
        let day = |time: Timestamp| TimeZone::UTC.to_datetime(time).date();
        let is_new = known.file.length == 0;
        let is_full = known.file.length >= self.max_bytes;
        let is_old = day(known.file.begun_at) != day(Timestamp::now());
        let known = match !is_new && (is_full || is_old) {
            true => self.begin(known.head)?,
            false => known,
        };
        if known.file.length == 0 {
            notes.extend(self.find_outdated()?);
        }
        Ok((
            known,
            notes
                .iter()
                .map(|note| Dated::now(&Entry::of_trail(note.clone())))
                .collect(),
        ))
    }

    /// Whether nothing happened to the trail since it was left.
    fn is_as_left(&mut self, known: &Known) -> io::Result<bool> {
        if self.folder.head_now(&mut self.open)? != Some(known.head) {
            return Ok(false);
        }
        match self.folder.append(known.file.first, &mut self.open) {
            Ok(file) => Ok(file.metadata()?.len() == known.file.length),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins a file. The note comes first, so that other processes look for the file.
    fn begin(&mut self, head: Head) -> io::Result<Known> {
        let head = Head {
            generation: head.generation + 1,
            ..head
        };
        self.folder.note(head, &mut self.open)?;
        self.open.forget_file();
        let first = head.link.seq + 1;
        self.folder.make(first)?;
        Ok(Known {
            file: Newest {
                first,
                length: 0,
                begun_at: Timestamp::now(),
            },
            head,
        })
    }

    /// Writes entries; the file is as before if that fails.
    fn write(&mut self, known: Known, entries: &[Dated]) -> io::Result<()> {
        // Some 300 bytes are put around each entry.
        let length = entries.iter().map(|entry| entry.json.len() + 320).sum();
        let mut lines = Vec::with_capacity(length);
        let mut link = known.head.link;
        for entry in entries {
            link = link.append(entry.at, &entry.json, &mut lines);
        }
        let file = self.folder.append(known.file.first, &mut self.open)?;
        if let Err(error) = write_whole(&file, known.file.length, &lines) {
            // A new file without an entry would be in the way of another with its number.
            if known.file.length == 0 {
                let _ = std::fs::remove_file(self.folder.file(known.file.first));
            }
            return Err(error);
        }
        let head = Head { link, ..known.head };
        if !entries.is_empty() {
            // The entries are there: without the note, the next process reads the file's end.
            let _ = self.folder.note(head, &mut self.open);
        }
        let length = known.file.length + lines.len() as u64;
        let file = Newest {
            length,
            ..known.file
        };
        self.known = Some(Known { file, head });
        if !entries.is_empty() {
            self.remove_outdated();
        }
        Ok(())
    }

    /// Finds the files whose entries are all older than is kept; gives what is to be noted of them.
    fn find_outdated(&mut self) -> io::Result<Option<TrailNote>> {
        self.outdated.clear();
        let Some((files, last)) = self.old_files()? else {
            return Ok(None);
        };
        let note = TrailNote::RemovedByAge {
            first: files[0],
            last: last.seq,
            last_hash: last.hash.to_string(),
        };
        self.outdated = files;
        Ok(Some(note))
    }

    fn remove_outdated(&mut self) {
        for first in self.outdated.drain(..) {
            if let Err(error) = std::fs::remove_file(self.folder.file(first)) {
                tracing::warn!(%error, "an old file of the audit trail cannot be removed");
                return;
            }
        }
    }

    /// The files whose entries are all older than is kept, and the last of these entries. A file is as
    /// old as the beginning of the next.
    fn old_files(&self) -> io::Result<Option<(Vec<u64>, Link)>> {
        let files = self.folder.files()?;
        let Ok(oldest) = Timestamp::now().checked_sub(self.keep) else {
            return Ok(None);
        };
        let mut old = None;
        for (index, pair) in files.windows(2).enumerate() {
            match tail::first_line(&self.folder, pair[1])? {
                Some(next) if next.at < oldest => {
                    let last = Link {
                        seq: next.link.seq.saturating_sub(1),
                        hash: next.prev,
                    };
                    old = Some((files[..=index].to_vec(), last));
                }
                _ => break,
            }
        }
        Ok(old)
    }
}

/// Appends bytes to a file of this length, all or none.
fn write_whole(mut file: &File, length: u64, bytes: &[u8]) -> io::Result<()> {
    let written = file.write_all(bytes);
    if written.is_err() {
        // Removes half a line; if that fails too, the next process does it.
        let _ = file.set_len(length);
    }
    written
}

//! Checks that the trail is whole and unchanged.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::chain::{Hash, Link, Linked};
use super::entry::TrailNote;
use super::error::ReadError;
use super::snapshot::{Place, Snapshot};

/// The most problems that are told. One change makes one or two.
const MAX_PROBLEMS: usize = 100;
/// How often the trail is read again, if old files are removed meanwhile.
const ATTEMPTS: usize = 3;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; absent if the file's end or the whole trail is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether nothing was changed, removed or put in another order.
    pub intact: bool,
    /// How many entries there are.
    pub entries: u64,
    /// How many files there are.
    pub files: usize,
    /// The number of the first entry.
    pub first: Option<u64>,
    /// When the first entry was written.
    pub first_at: Option<Timestamp>,
    /// The number of the last entry.
    pub last: Option<u64>,
    /// When the last entry was written.
    pub last_at: Option<Timestamp>,
    /// The hash of the last entry. Kept elsewhere, it proves later that the trail up to here is the same.
    pub last_hash: Option<String>,
    /// What is wrong, the first 100.
    pub problems: Vec<Problem>,
    /// How many problems there are beyond those.
    pub problems_more: u64,
    /// What the trail says of its own files: removals by age, half lines that were cut, entries that
    /// could not be kept.
    pub notes: Vec<String>,
}

/// Reads the whole trail and checks each line. Its memory does not depend on the trail's size.
///
/// With `expected`, an entry must have this hash.
///
/// # Errors
/// [`ReadError`], if there is no trail or it cannot be read.
pub fn verify(directory: &Path, expected: Option<&str>) -> Result<Verdict, ReadError> {
    for _ in 1..ATTEMPTS {
        let (verdict, gone) = attempt(directory, expected)?;
        if gone == 0 {
            return Ok(verdict);
        }
    }
    attempt(directory, expected).map(|(verdict, _)| verdict)
}

fn attempt(directory: &Path, expected: Option<&str>) -> Result<(Verdict, u64), ReadError> {
    let snapshot = Snapshot::take(directory)?;
    let mut check = Check::new(expected.map(str::to_owned));
    let gone = snapshot.read(|place| {
        check.line(&place);
        ControlFlow::Continue(())
    })?;
    Ok((check.end(&snapshot), gone))
}

struct Check {
    verdict: Verdict,
    /// The line before.
    last: Option<Link>,
    /// What the first line follows.
    start: Option<Link>,
    /// Up to where the trail says that it removed entries by age.
    removed: Vec<(u64, String)>,
    expected: Option<String>,
    file: Option<u64>,
}

impl Check {
    fn new(expected: Option<String>) -> Self {
        Self {
            verdict: Verdict {
                intact: true,
                entries: 0,
                files: 0,
                first: None,
                first_at: None,
                last: None,
                last_at: None,
                last_hash: None,
                problems: Vec::new(),
                problems_more: 0,
                notes: Vec::new(),
            },
            last: None,
            start: None,
            removed: Vec::new(),
            expected,
            file: None,
        }
    }

    fn problem(&mut self, file: &Path, line: Option<u64>, what: impl Into<String>) {
        self.verdict.intact = false;
        if self.verdict.problems.len() < MAX_PROBLEMS {
            self.verdict.problems.push(Problem {
                file: file.to_owned(),
                line,
                what: what.into(),
            });
        } else {
            self.verdict.problems_more += 1;
        }
    }

    fn note(&mut self, note: impl Into<String>) {
        if self.verdict.notes.len() < MAX_PROBLEMS {
            self.verdict.notes.push(note.into());
        }
    }

    fn line(&mut self, place: &Place<'_>) {
        let at = Some(place.number);
        let is_first_of_file = self.file != Some(place.first);
        self.file = Some(place.first);
        if !place.is_whole && place.is_in_last_file {
            // Never confirmed: if it had been, the end would be noted behind it.
            self.note("the last line is half written; the next entry cuts it off");
            return;
        }
        let found = Linked::read(place.line).filter(|_| place.is_whole);
        let Some(found) = found else {
            self.problem(place.file, at, "this is no line of the trail");
            if let Some(last) = &mut self.last {
                last.seq += 1;
            }
            return;
        };
        let (link, prev) = (found.link, found.prev);
        self.verdict.entries += 1;
        let follows = self.last.unwrap_or(Link {
            seq: link.seq.wrapping_sub(1),
            hash: prev,
        });
        let next = follows.seq.wrapping_add(1);
        if !found.is_unchanged {
            self.problem(
                place.file,
                at,
                format!("entry {} was changed: its hash does not fit", link.seq),
            );
        } else if link.seq > next {
            let missing = format!("entries {next} to {} are missing before it", link.seq - 1);
            self.problem(place.file, at, missing);
        } else if link.seq < next {
            let what = format!("entry {} stands where {next} belongs", link.seq);
            self.problem(place.file, at, what);
        } else if prev != follows.hash {
            let what = format!("entry {} does not follow the line before it", link.seq);
            self.problem(place.file, at, what);
        } else if is_first_of_file && link.seq != place.first {
            let what = format!(
                "entry {} is not the one that the file is named for",
                link.seq
            );
            self.problem(place.file, at, what);
        }
        if self.start.is_none() {
            self.start = Some(follows);
            self.verdict.first = Some(link.seq);
            self.verdict.first_at = Some(found.at);
        }
        self.verdict.last = Some(link.seq);
        self.verdict.last_at = Some(found.at);
        self.last = Some(link);
        if self
            .expected
            .as_ref()
            .is_some_and(|hash| *hash == link.hash.to_string())
        {
            self.expected = None;
        }
        if let Some(note) = found.note {
            self.told(place, found.at, note);
        }
    }

    /// What the trail says of itself.
    fn told(&mut self, place: &Place<'_>, at: Timestamp, note: TrailNote) {
        let line = Some(place.number);
        match note {
            TrailNote::RemovedByAge {
                first,
                last,
                last_hash,
            } => {
                self.note(format!(
                    "{at:.0}: entries {first} to {last} were removed by age"
                ));
                self.removed.push((last, last_hash));
            }
            TrailNote::HalfLineCut { bytes } => {
                self.note(format!("{at:.0}: half a line of {bytes} bytes was cut off"));
            }
            TrailNote::EntriesDropped { count } => self.note(format!(
                "{at:.0}: {count} entries could not be kept while the trail could not be written"
            )),
            // The gap itself is found, too.
            TrailNote::EntriesLost { first, last } => self.note(format!(
                "{at:.0}: a server found that entries {first} to {last} had gone"
            )),
            TrailNote::LastLineChanged => {
                self.problem(place.file, line, "the line before it had been changed");
            }
            TrailNote::HeadMissing => self.problem(
                place.file,
                line,
                "the note of where the trail ends had gone: entries before it may be missing",
            ),
        }
    }

    fn end(mut self, snapshot: &Snapshot) -> Verdict {
        let directory = snapshot.directory();
        self.verdict.files = snapshot.files();
        self.verdict.last_hash = self.last.map(|last| last.hash.to_string());
        if let Some(start) = self.start
            && start != Link::START
        {
            let is_removed = |(last, hash): &(u64, String)| {
                *last == start.seq && *hash == start.hash.to_string()
            };
            if !self.removed.iter().any(is_removed) {
                let what = match start.seq {
                    0 => "the first entry does not begin a trail".to_owned(),
                    last => format!(
                        "entries 1 to {last} are missing at the beginning, and no entry says that they \
                         were removed by age"
                    ),
                };
                self.problem(&directory, None, what);
            }
        }
        let last = self.last.unwrap_or(Link {
            seq: 0,
            hash: Hash::NONE,
        });
        match snapshot.head.map(|head| head.link) {
            None if self.last.is_none() => {}
            None => self.problem(
                &directory,
                None,
                "the note of where the trail ends (`head`) is missing: entries at the end may be missing",
            ),
            Some(noted) if last.seq < noted.seq => {
                let first = last.seq + 1;
                let what = format!("entries {first} to {} are missing at the end", noted.seq);
                self.problem(&directory, None, what);
            }
            Some(noted) if last.seq == noted.seq && last.hash != noted.hash => {
                self.problem(&directory, None, "the last entry is not the one that was written");
            }
            Some(_) => {}
        }
        if let Some(hash) = self.expected.take() {
            self.problem(&directory, None, format!("no entry has the hash {hash}"));
        }
        self.verdict
    }
}

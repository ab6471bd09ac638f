//! The report of a migration. Nothing counts as migrated that the backend did not accept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::memory::model::{MemoryKind, Place};
use crate::sources::Problem;

/// The most problems that a report lists one by one; the rest is counted.
pub const MAX_LISTED: usize = 10_000;

/// The most types that records are counted by; those of more are `other`.
const MAX_TYPES: usize = 50;

/// What a migration did. Names ids, fields and positions, never content.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where the memories come from: `mem0`.
    pub source_system: String,
    /// Where they went: `zep` (Zep Cloud) or `local` (the embedded store: a rehearsal).
    pub target_system: String,
    /// The run in the ledger; none without a ledger and in a dry run.
    pub run: Option<String>,
    /// When the run began.
    pub timestamp: Timestamp,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Whether everything that was selected is in the target now.
    pub success: bool,
    /// Whether the source has no record that is in force, among those that were asked for.
    #[serde(skip)]
    pub source_is_empty: bool,
    /// Whether the run was stopped before its end.
    pub cancelled: bool,
    /// Users that were made, or were there and have what the source says of them.
    pub users_migrated: u64,
    /// Those of them that were there before. They keep what they have.
    pub users_existing: u64,
    /// Records that this run stored. In a dry run: that it would store.
    pub memories_migrated: u64,
    /// Records that were there already, by their record id.
    pub already_there: u64,
    /// Records that were replaced, since the source had changed.
    pub updated: u64,
    /// Sessions that hold the records.
    pub sessions: u64,
    /// Messages that were written, all parts of long ones counted.
    pub messages: u64,
    /// Episodes that were written, all parts of long ones counted.
    pub episodes: u64,
    /// How many of the stored records are of each type: their memory type, or `messages` and `texts`.
    pub by_type: BTreeMap<String, u64>,
    /// Records that were split, since they are longer than Zep takes at once.
    pub split: u64,
    /// Records to which the source gives no time.
    pub undated: u64,
    /// Records that are expired, replaced, archived or paused, and were left out.
    pub expired: u64,
    /// Records that the source marks as deleted, and that are never migrated.
    pub deleted: u64,
    /// Records that were left out: they are in the source twice, or not selected.
    pub skipped: u64,
    /// Records that could not be migrated.
    pub failed: u64,
    /// Records that were not tried, since the run was stopped before.
    pub not_reached: u64,
    /// Doubles that late writes had left, and that were deleted again.
    pub doubles_removed: u64,
    /// HTTP requests to Zep; 0 on the embedded store.
    pub requests: u64,
    /// The fewest requests that the same writes could have taken.
    pub least_requests: u64,
    /// Seconds spent waiting for rate limits and before repeating requests.
    pub wait_secs: f64,
    /// Seconds that the whole run took.
    pub duration_secs: f64,
    /// What went wrong, one entry for each.
    pub errors: Vec<Trouble>,
    /// How many more went wrong than are listed.
    pub errors_not_listed: u64,
    /// What is not as it should be, and was migrated all the same; one entry for each.
    pub warnings: Vec<Trouble>,
    /// How many more warnings there are than are listed.
    pub warnings_not_listed: u64,
    /// What is good to know, and no error.
    pub notes: Vec<String>,
    /// How many more notes there are than are listed.
    pub notes_not_listed: u64,
}

/// How many characters of a record's id are shown: more than an id may have.
const ID_CHARS: usize = 500;

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Its position in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// The record's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The user or agent graph it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The session it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Trouble {
    /// Something about the run as a whole.
    pub(super) fn of_run(reason: impl Into<String>) -> Self {
        Self {
            position: None,
            record: None,
            owner: None,
            session: None,
            reason: reason.into(),
        }
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self {
            position: Some(problem.position.0),
            record: problem
                .record
                .map(|record| match record.char_indices().nth(ID_CHARS) {
                    Some((end, _)) => format!("{}…", &record[..end]),
                    None => record,
                }),
            ..Self::of_run(problem.defect.to_string())
        }
    }
}

impl Report {
    /// The report of a run that has done nothing yet.
    pub(super) fn new(source: &str, target: &str, dry_run: bool, timestamp: Timestamp) -> Self {
        Self {
            source_system: source.into(),
            target_system: target.into(),
            run: None,
            timestamp,
            dry_run,
            success: false,
            source_is_empty: false,
            cancelled: false,
            users_migrated: 0,
            users_existing: 0,
            memories_migrated: 0,
            already_there: 0,
            updated: 0,
            sessions: 0,
            messages: 0,
            episodes: 0,
            by_type: BTreeMap::new(),
            split: 0,
            undated: 0,
            expired: 0,
            deleted: 0,
            skipped: 0,
            failed: 0,
            not_reached: 0,
            doubles_removed: 0,
            requests: 0,
            least_requests: 0,
            wait_secs: 0.0,
            duration_secs: 0.0,
            errors: Vec::new(),
            errors_not_listed: 0,
            warnings: Vec::new(),
            warnings_not_listed: 0,
            notes: Vec::new(),
            notes_not_listed: 0,
        }
    }

    /// Counts a record that was written.
    pub(super) fn written(&mut self, place: &Place, parts: u64, kind: Option<&MemoryKind>) {
        self.memories_migrated += 1;
        self.split += u64::from(parts > 1);
        let (of_them, usual) = match place {
            Place::Session(..) => (&mut self.messages, "messages"),
            Place::Graph(_) => (&mut self.episodes, "texts"),
        };
        *of_them += parts;
        self.stored_as(kind.map_or(usual, MemoryKind::as_str));
    }

    /// Counts a stored record of this type.
    fn stored_as(&mut self, kind: &str) {
        let is_word = |c: char| c.is_alphanumeric() || "_-".contains(c);
        // A type comes from the source: what is not a word may be content.
        let is_fit = kind.chars().count() <= 40 && kind.chars().all(is_word);
        let has_room = self.by_type.len() < MAX_TYPES || self.by_type.contains_key(kind);
        let kind = if is_fit && has_room { kind } else { "other" };
        *self.by_type.entry(kind.to_owned()).or_default() += 1;
    }

    /// Adds something that went wrong.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        if self.errors.len() < MAX_LISTED {
            self.errors.push(trouble);
        } else {
            self.errors_not_listed += 1;
        }
    }

    /// Adds something that was migrated although it is not as it should be.
    pub(super) fn warning(&mut self, trouble: Trouble) {
        if self.warnings.len() < MAX_LISTED {
            self.warnings.push(trouble);
        } else {
            self.warnings_not_listed += 1;
        }
    }

    /// Adds something that is good to know.
    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < MAX_LISTED {
            self.notes.push(note);
        } else {
            self.notes_not_listed += 1;
        }
    }

    /// Adds the report of another run to this sum.
    pub(super) fn add(&mut self, other: &Self) {
        self.success &= other.success;
        self.cancelled |= other.cancelled;
        for (sum, more) in [
            (&mut self.users_migrated, other.users_migrated),
            (&mut self.users_existing, other.users_existing),
            (&mut self.memories_migrated, other.memories_migrated),
            (&mut self.already_there, other.already_there),
            (&mut self.updated, other.updated),
            (&mut self.sessions, other.sessions),
            (&mut self.messages, other.messages),
            (&mut self.episodes, other.episodes),
            (&mut self.split, other.split),
            (&mut self.undated, other.undated),
            (&mut self.expired, other.expired),
            (&mut self.deleted, other.deleted),
            (&mut self.skipped, other.skipped),
            (&mut self.failed, other.failed),
            (&mut self.not_reached, other.not_reached),
            (&mut self.notes_not_listed, other.notes_not_listed),
            (&mut self.doubles_removed, other.doubles_removed),
            (&mut self.requests, other.requests),
            (&mut self.least_requests, other.least_requests),
            (&mut self.errors_not_listed, other.errors_not_listed),
            (&mut self.warnings_not_listed, other.warnings_not_listed),
        ] {
            *sum += more;
        }
        for (kind, count) in &other.by_type {
            *self.by_type.entry(kind.clone()).or_default() += count;
        }
        self.wait_secs += other.wait_secs;
        self.duration_secs += other.duration_secs;
        for trouble in &other.errors {
            self.trouble(trouble.clone());
        }
        for trouble in &other.warnings {
            self.warning(trouble.clone());
        }
        for note in &other.notes {
            self.note(note.clone());
        }
    }
}

//! What undoing a run removed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most kept records and failures that a receipt names each. The rest is counted.
const MAX_NAMED: usize = 2_000;

/// What was removed, what is left and why. Names ids, never content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The run that was undone.
    pub run: String,
    /// Where its records were.
    pub target: String,
    /// The only user of whom something was removed; `null`: of all.
    pub user: Option<String>,
    /// When it was undone.
    pub timestamp: Timestamp,
    /// Whether nothing was removed: this is what would be.
    pub dry_run: bool,
    /// Whether nothing of the run is left to remove.
    pub complete: bool,
    /// Whether it was stopped before its end.
    pub cancelled: bool,
    /// Whether the run was undone before, and this is the receipt of that.
    pub undone_before: bool,
    /// Users that the run had made, and that are gone with everything of theirs.
    pub users_removed: u64,
    /// Agents' graphs that the run had made, and that are gone.
    pub graphs_removed: u64,
    /// Sessions that are gone, those of removed users included.
    pub sessions_removed: u64,
    /// Records that are gone.
    pub records_removed: u64,
    /// Messages of them, each part of a long one counted.
    pub messages_removed: u64,
    /// Texts of them, each part of a long one counted.
    pub texts_removed: u64,
    /// Messages of them whose words Zep keeps in their session: their facts are gone, and they are
    /// hidden from all reads. Deleting the session removes them.
    pub messages_hidden: u64,
    /// Records that the ledger knows as stored, and that somebody had deleted before. They stay deleted
    /// when the same is migrated again.
    pub deleted_before: u64,
    /// Records that stay, since they were changed after the run.
    pub kept: Vec<KeptRecord>,
    /// How many more stay.
    pub kept_not_listed: u64,
    /// What could not be removed.
    pub failures: Vec<UndoFailure>,
    /// How many more could not.
    pub failures_not_listed: u64,
    /// What is good to know.
    pub notes: Vec<String>,
    /// HTTP requests to Zep; 0 on the embedded store.
    pub requests: u64,
    /// Seconds that it took.
    pub duration_secs: f64,
}

/// A record that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRecord {
    /// Whose it is.
    pub owner: String,
    /// Its session.
    pub session: Option<String>,
    /// Its id.
    pub record: String,
    /// Why it stays.
    pub reason: String,
}

/// Something that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoFailure {
    /// Whose it is.
    pub owner: String,
    /// Its session.
    pub session: Option<String>,
    /// Why.
    pub reason: String,
}

impl Receipt {
    pub(super) fn new(run: &str, target: &str, user: Option<String>, dry_run: bool) -> Self {
        Self {
            run: run.to_owned(),
            target: target.to_owned(),
            user,
            timestamp: Timestamp::now(),
            dry_run,
            complete: false,
            cancelled: false,
            undone_before: false,
            users_removed: 0,
            graphs_removed: 0,
            sessions_removed: 0,
            records_removed: 0,
            messages_removed: 0,
            texts_removed: 0,
            messages_hidden: 0,
            deleted_before: 0,
            kept: Vec::new(),
            kept_not_listed: 0,
            failures: Vec::new(),
            failures_not_listed: 0,
            notes: Vec::new(),
            requests: 0,
            duration_secs: 0.0,
        }
    }

    pub(super) fn kept(&mut self, record: KeptRecord) {
        if self.kept.contains(&record) {
            return;
        }
        if self.kept.len() < MAX_NAMED {
            self.kept.push(record);
        } else {
            self.kept_not_listed += 1;
        }
    }

    pub(super) fn failed(&mut self, failure: UndoFailure) {
        if self.failures.len() < MAX_NAMED {
            self.failures.push(failure);
        } else {
            self.failures_not_listed += 1;
        }
    }

    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NAMED {
            self.notes.push(note);
        }
    }

    /// Adds what an earlier attempt removed that did not come to its end.
    pub(super) fn continues(&mut self, earlier: &Self) {
        for (sum, more) in [
            (&mut self.users_removed, earlier.users_removed),
            (&mut self.graphs_removed, earlier.graphs_removed),
            (&mut self.sessions_removed, earlier.sessions_removed),
            (&mut self.records_removed, earlier.records_removed),
            (&mut self.messages_removed, earlier.messages_removed),
            (&mut self.texts_removed, earlier.texts_removed),
            (&mut self.requests, earlier.requests),
        ] {
            *sum += more;
        }
        self.duration_secs += earlier.duration_secs;
    }
}

//! Migrating memories, and proving that they arrived.
//!
//! A run goes `source → plan → write → validate → report`:
//!
//! - [`Source`]: where the memories come from; a migration knows a source by this trait only.
//! - `plan`: everything that the source yields, on disk: each record with its owner, its session, its
//!   place in the order and its permanent id. What cannot be migrated is known before anything is
//!   written.
//! - `write`: owners and sessions side by side, each session in order. What is there already is
//!   recognised by its record id; nothing counts as migrated that the backend did not accept.
//! - `validate`: compares what is stored with the plan, record by record.
//! - [`Report`], [`Validation`]: what happened, in ids, fields and counts, never in content.
//!
//! The plan and the comparison block, and so run on threads that may block.

// The example of the library, tested as part of the documentation.
#![cfg_attr(any(doc, doctest), doc = include_str!("../../docs/library.md"))]

mod begun;
mod context;
mod migrator;
mod plan;
mod profile;
mod progress;
mod report;
mod retry;
mod validate;
mod waits;
mod write;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::memory::model::{Owner, Place, SessionId, UserId};
#[cfg(doc)]
use crate::sources::Source;
use crate::sources::SourceUser;

pub use migrator::{Error, Migrator, Outcome};
pub use plan::{PlanError, SpoolError};
pub use progress::{Phase, Progress, Unwatched, Wait, Waiting, Watch};
pub use report::{MAX_LISTED, Report, Trouble};
pub use validate::{
    Check, CheckName, Difference, MAX_VERDICTS, Named, RecordTally, Sampled, SessionVerdict,
    UserCheck, UserVerdict, Validation,
};

/// A part of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these users; empty: everybody. Where it is one user, records that name no user count as
    /// theirs if the source names no other.
    pub users: BTreeSet<UserId>,
    /// Only these sessions; empty: all records.
    pub sessions: Vec<SessionId>,
}

impl Selection {
    /// All records of this user.
    pub fn of_user(user: UserId) -> Self {
        Self {
            users: BTreeSet::from([user]),
            sessions: Vec::new(),
        }
    }

    /// The user, if it is a single one that is selected.
    pub fn only_user(&self) -> Option<&UserId> {
        match self.users.len() {
            1 => self.users.first(),
            _ => None,
        }
    }

    /// Whether it includes a place.
    fn includes(&self, place: &Place) -> bool {
        let owner = match place.owner() {
            _ if self.users.is_empty() => true,
            Owner::User(user) => self.users.contains(&user),
            Owner::Graph(_) => false,
        };
        let session = match place.session() {
            _ if self.sessions.is_empty() => true,
            Some(session) => self.sessions.contains(session),
            None => false,
        };
        owner && session
    }
}

/// A part of a source's records, chosen at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many of all records.
    pub records: usize,
    /// What chooses them: the same seed chooses the same records.
    pub seed: u64,
}

/// What to do with a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// Which part of it.
    pub selection: Selection,
    /// A description of the user that completes the source's own.
    pub profile: Option<SourceUser>,
    /// Compare only a part of the records.
    pub sample: Option<Sample>,
    /// Write nothing.
    pub dry_run: bool,
    /// Include expired and replaced memories.
    pub include_expired: bool,
    /// Put older turns behind newer ones in sessions that are in use, instead of refusing.
    pub append: bool,
    /// Write nothing at all if anything in the source cannot be migrated, and stop at the first
    /// refusal.
    pub strict: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

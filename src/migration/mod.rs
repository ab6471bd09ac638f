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

mod book;
mod consult;
mod context;
mod error;
#[doc(hidden)]
pub mod history;
pub mod ledger;
mod migrator;
mod plan;
mod profile;
mod progress;
mod report;
mod retry;
mod sampler;
mod selection;
mod undo;
mod validate;
mod waits;
mod write;

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(doc)]
use crate::sources::Source;
use crate::sources::SourceUser;

pub use error::Error;
pub use migrator::{Migrator, Outcome, Repaired};
pub use plan::{PlanError, SpoolError};
pub use progress::{Phase, Progress, Unwatched, Wait, Waiting, Watch};
pub use report::{MAX_LISTED, Report, Trouble};
pub use selection::Selection;
pub use undo::{KeptRecord, Receipt, Rollback, UndoFailure};
pub use validate::{
    Check, CheckName, Difference, MAX_VERDICTS, Named, RecordTally, Sampled, SessionVerdict,
    UserCheck, UserVerdict, Validation,
};

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
    /// Only the first so many owners that were not migrated yet.
    pub limit: Option<NonZeroU64>,
    /// Compare only a part of the records.
    pub sample: Option<Sample>,
    /// Write nothing.
    pub dry_run: bool,
    /// Include expired and replaced memories.
    pub include_expired: bool,
    /// Put older turns behind newer ones in sessions that are in use, instead of refusing.
    pub append: bool,
    /// Replace records whose source changed since they were migrated, instead of reporting them.
    pub update: bool,
    /// Forget what the ledger knows of the selected records, and look them up in Zep.
    pub rebuild_ledger: bool,
    /// How to write.
    pub method: Method,
    /// How many places are written at a time; `None`: as many as hide the latency of Zep.
    pub concurrency: Option<NonZeroUsize>,
    /// Write nothing at all if anything in the source cannot be migrated, and stop at the first
    /// refusal.
    pub strict: bool,
}

impl Request {
    /// Whether it is for everything that its users have: only then they can be moved over.
    pub fn is_whole(&self) -> bool {
        self.selection.sessions.is_empty()
            && self.selection.since.is_none()
            && self.sample.is_none()
            && self.limit.is_none()
            && !self.dry_run
    }
}

/// How records are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// By batch where that takes fewer requests, else directly.
    #[default]
    Auto,
    /// With Zep's Batch API.
    Batch,
    /// Call by call.
    Direct,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
#[doc(hidden)]
pub mod ledger;
mod migrator;
mod plan;
mod profile;
mod progress;
mod report;
mod retry;
mod selection;
mod validate;
mod write;

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(doc)]
use crate::sources::Source;
use crate::sources::SourceUser;

pub use migrator::{Error, Migrator, Outcome};
pub use plan::{PlanError, SpoolError};
pub use progress::{Phase, Progress, Unwatched, Watch};
pub use report::{MAX_LISTED, Report, Trouble};
pub use selection::Selection;
pub use validate::{Check, CheckName, Difference, Named, Validation};

/// What to do with a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// Which part of it.
    pub selection: Selection,
    /// A description of the user that completes the source's own.
    pub profile: Option<SourceUser>,
    /// Only the first so many owners that were not migrated yet.
    pub limit: Option<NonZeroU64>,
    /// Write nothing.
    pub dry_run: bool,
    /// Include expired and replaced memories.
    pub include_expired: bool,
    /// Put older turns behind newer ones in sessions that are in use, instead of refusing.
    pub append: bool,
    /// Replace records whose source changed since they were migrated, instead of reporting them.
    pub update: bool,
    /// How to write.
    pub method: Method,
    /// How many places are written at a time; `None`: as many as hide the latency of Zep.
    pub concurrency: Option<NonZeroUsize>,
    /// Write nothing at all if anything in the source cannot be migrated, and stop at the first
    /// refusal.
    pub strict: bool,
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

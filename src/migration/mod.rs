//! Moving memories over, and proving that they arrived.
//!
//! A run goes `source → plan → write → validate → report`:
//!
//! - [`Source`]: a stream of JSON in any shape that [`crate::mem0`] reads.
//! - `plan`: everything of it on disk, each record with its owner, its session, its place in the
//!   order and its id for ever. What cannot be migrated is known before anything is written.
//! - `write`: owners and sessions side by side, each session in order. What is there already is
//!   recognised by its record id; nothing counts as migrated that the backend did not accept.
//! - `validate`: what is stored beside the plan, record by record.
//! - [`Report`], [`Validation`]: what happened, in ids, fields and counts, never in content.

// The example of the library, tested as part of the documentation.
#![cfg_attr(any(doc, doctest), doc = include_str!("../../docs/library.md"))]

mod compare;
mod described;
mod identity;
mod import_dir;
mod loading;
mod migrator;
mod patience;
mod place;
mod placing;
mod plan;
mod profiles;
mod progress;
mod report;
mod sorting;
mod source;
mod spool;
mod sweep;
mod task;
mod validate;
mod verdict;
mod walk;
mod write;

pub use import_dir::ImportDir;
pub use migrator::{Error, Migrator, Outcome};
pub use plan::PlanError;
pub use progress::{Phase, Progress, Unwatched, Watch};
pub use report::{MAX_LISTED, Report, Trouble};
pub use source::Source;
pub use spool::SpoolError;
pub use verdict::{Check, CheckName, Difference, Named, Validation};

use crate::mem0::SourceUser;
use crate::memory::model::{Owner, Place, SessionId, UserId};

/// Which part of a source is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only this user. Records that name no user are taken for theirs if the source names no other
    /// user.
    pub user: Option<UserId>,
    /// Only these sessions; none: everything.
    pub sessions: Vec<SessionId>,
}

impl Selection {
    /// Everything of this user.
    pub fn of_user(user: UserId) -> Self {
        Self {
            user: Some(user),
            sessions: Vec::new(),
        }
    }

    /// Whether it includes a place.
    fn takes(&self, place: &Place) -> bool {
        let owner = match &self.user {
            Some(user) => place.owner() == Owner::User(user.clone()),
            None => true,
        };
        let session = match place.session() {
            _ if self.sessions.is_empty() => true,
            Some(session) => self.sessions.contains(session),
            None => false,
        };
        owner && session
    }
}

/// What is to be done with a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// Which part of it.
    pub selection: Selection,
    /// What is known of the user beside the source; it adds to what the source says.
    pub profile: Option<SourceUser>,
    /// Look, and write nothing.
    pub dry_run: bool,
    /// Also what is expired or was replaced.
    pub include_expired: bool,
    /// Put older turns behind newer ones in sessions that are in use.
    pub append: bool,
    /// Write nothing at all if anything in the source cannot be migrated, and stop at the first
    /// refusal.
    pub strict: bool,
}

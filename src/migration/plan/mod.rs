//! A source as a plan on disk: what to write, where, in which order, under which id.
//!
//! `collect` takes in everything that the source yields, `resolve` finds owner, place and id of each
//! record (`identity`), `order` numbers equal records and sorts sessions. `records` and `pages` read the
//! plan back, `states` keeps how far it is done, `amounts` counts the requests that are left, `problems`
//! what is wrong with the source. All of it is in one temporary file (`spool`).

mod amounts;
mod changes;
mod collect;
mod explained;
mod identity;
mod known;
mod limit;
mod named;
mod order;
mod pages;
mod problems;
mod records;
mod resolve;
mod sample;
mod seen;
mod spool;
mod states;
mod users;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use tokio_util::sync::CancellationToken;

use self::spool::Spool;
use super::Request;
use super::progress::Watch;
use crate::memory::model::UserId;
use crate::sources::Source;

pub(super) use amounts::Amounts;
pub(super) use identity::{key_of, owner_key, owner_of, place_of};
pub(super) use known::Tally;
pub(super) use pages::{named, owners, places};
pub(super) use records::{Order, PlannedOwner, PlannedPlace, PlannedRecord};
pub use spool::SpoolError;
pub(super) use spool::{Result, blocking};

/// Why a source was not planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Read(io::Error),
    /// The temporary file cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The run was cancelled.
    #[error("stopped before anything was written")]
    Cancelled,
}

impl From<rusqlite::Error> for PlanError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Spool(error.into())
    }
}

/// What was counted of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Records to write.
    pub(super) records: u64,
    /// Records that are in the source twice.
    pub(super) duplicates: u64,
    /// Records that are expired, replaced or retired otherwise, and left out.
    pub(super) expired: u64,
    /// Records that the source marks as deleted, and that are never migrated.
    pub(super) deleted: u64,
    /// Records that are not selected.
    pub(super) not_selected: u64,
    /// Records without a time of their own.
    pub(super) undated: u64,
    /// Problems that keep something from being migrated.
    pub(super) problems: u64,
    /// Those of them that cost a record.
    pub(super) failed: u64,
    /// Problems of what is migrated all the same.
    pub(super) warnings: u64,
    /// Records that are left out because they name no user and the source names others than the
    /// selected one.
    pub(super) nameless: u64,
}

/// Whether a source names other users than the selected one. Only if it does not, records without a
/// user count as the selected user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// The source was not read to its end yet.
    Unknown,
    /// It does.
    Named,
    /// It does not.
    None,
}

/// A record's state in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum State {
    /// Neither found nor written yet.
    Planned = 0,
    /// Found in the target.
    There = 1,
    /// Written by this run.
    Written = 2,
    /// Could not be written.
    Failed = 3,
    /// The same as another one.
    Duplicate = 4,
    /// Has the id of another one, with different content.
    Conflict = 5,
    /// Left out, since only a sample is compared.
    NotSampled = 6,
    /// In a batch of this run that is not settled.
    InBatch = 7,
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let all = [
            Self::Planned,
            Self::There,
            Self::Written,
            Self::Failed,
            Self::Duplicate,
            Self::Conflict,
            Self::NotSampled,
            Self::InBatch,
        ];
        let number = value.as_i64()?;
        all.into_iter()
            .find(|state| *state as i64 == number)
            .ok_or(FromSqlError::OutOfRange(number))
    }
}

/// What to migrate, on disk. Its methods block: async code calls them through [`Plan::step`].
#[derive(Debug)]
pub(super) struct Plan {
    spool: Spool,
    pub(super) counts: Counts,
    /// The system that the records come from: [`Source::system`].
    pub(super) system: &'static str,
    /// The time of undated records that nothing else dates.
    pub(super) now: Timestamp,
    /// Whether owners count that have no records: not if only sessions were selected, and no user.
    empty_owners: bool,
    /// Fields of the source that have no place in Zep, by name.
    pub(super) unplaced: Vec<String>,
    /// How many owners are left for later, if only the next ones were asked for.
    pub(super) left_for_later: Option<u64>,
    /// What is in the source and is no memory, and how much of it.
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

impl Plan {
    /// Reads a source to its end and plans what it yields. Blocks.
    ///
    /// # Errors
    /// [`PlanError`]. Broken records are no error: see [`Plan::problems`].
    pub(super) fn read(
        source: Box<dyn Source>,
        request: &Request,
        default_user: &UserId,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> std::result::Result<Self, PlanError> {
        let mut plan = Self {
            spool: Spool::new()?,
            counts: Counts::default(),
            system: source.system(),
            now: Timestamp::now(),
            empty_owners: request.selection.sessions.is_empty()
                || !request.selection.users.is_empty(),
            unplaced: Vec::new(),
            left_for_later: None,
            left_out: BTreeMap::new(),
        };
        let collected = collect::collect(&plan.spool.db(), source, watch, cancelled)?;
        (plan.unplaced, plan.left_out) = (collected.unplaced, collected.left_out);
        plan.resolve_items(request, default_user, watch, cancelled)?;
        plan.find_repeated()?;
        plan.number_equal_ones()?;
        plan.find_conflicts()?;
        plan.order()?;
        plan.count()?;
        Ok(plan)
    }

    /// Runs a step on a thread that may block: SQLite and JSON must not keep an async thread from
    /// answering.
    pub(super) async fn step<T: Send + 'static>(
        self: &Arc<Self>,
        step: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let plan = self.clone();
        blocking(move || step(&plan)).await
    }

    /// Runs a step for a place on a thread that may block.
    pub(super) async fn step_at<T: Send + 'static>(
        self: &Arc<Self>,
        place: &PlannedPlace,
        step: impl FnOnce(&Self, &PlannedPlace) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = place.clone();
        self.step(move |plan| step(plan, &place)).await
    }
}

//! From a source to a plan: what is to be written, where, in which order, under which id.

use std::io::{self, Read};
use std::ops::ControlFlow;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::progress::{Phase, Progress, Watch};
use super::spool::{Spool, SpoolError, to_keep};
use super::{Request, Source};
use crate::mem0::{Event, Frame, Position, Problem, Stopped, read_export};
use crate::memory::model::UserId;

/// How often a watch is told: every so many items.
pub(super) const TELL_EVERY: u64 = 256;

/// How many fields without a place are named.
const MAX_UNPLACED: usize = 100;

/// Why a source was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Read(io::Error),
    /// The temporary file cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Whoever asked for it gave up.
    #[error("stopped before anything was written")]
    Cancelled,
}

impl From<io::Error> for PlanError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<rusqlite::Error> for PlanError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Spool(error.into())
    }
}

/// What was counted of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Records to be written.
    pub(super) records: u64,
    /// The same record again.
    pub(super) duplicates: u64,
    /// Expired or replaced, and left out.
    pub(super) expired: u64,
    /// Not among what was asked for.
    pub(super) not_selected: u64,
    /// Without a time of their own.
    pub(super) undated: u64,
    /// Cannot be migrated.
    pub(super) problems: u64,
    /// Records among them: things that would have become one.
    pub(super) broken: u64,
    /// Not as they should be, and migrated all the same.
    pub(super) minor: u64,
    /// Left out, since they name no user and the source names several.
    pub(super) nameless: u64,
}

/// Whether a source names other users than the one who was asked for. What names nobody is theirs
/// only if it names no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// It was not read to its end yet.
    NotKnown,
    /// It does.
    Named,
    /// It does not.
    None,
}

/// A record's state in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum State {
    /// To be written, or to be compared.
    Planned = 0,
    /// Was there before.
    There = 1,
    /// Written by this run.
    Written = 2,
    /// Could not be written.
    Failed = 3,
    /// The same as another one.
    Duplicate = 4,
    /// Its id is that of another one, with different content.
    Conflict = 5,
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
        ];
        let number = value.as_i64()?;
        all.into_iter()
            .find(|state| *state as i64 == number)
            .ok_or(FromSqlError::OutOfRange(number))
    }
}

/// What is to be migrated, on disk.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spool: Spool,
    pub(super) counts: Counts,
    /// The moment that undated records are dated with where nothing else dates them.
    pub(super) now: Timestamp,
    /// What is known of the users that the source names.
    pub(super) others: Others,
    /// Whether owners count of whom there is nothing but themselves: not where only some sessions
    /// were asked for, and nobody in particular.
    pub(super) empty_owners: bool,
    /// Fields of the source that have no place in Zep, by name.
    pub(super) unplaced: Vec<String>,
}

impl Plan {
    /// Reads a source to its end and puts what it holds in order. Blocks.
    ///
    /// # Errors
    /// [`PlanError`]. What is wrong with the data is none: it is among [`Plan::problems`].
    pub(super) fn read(
        source: Source,
        request: &Request,
        default_user: &UserId,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<Self, PlanError> {
        let mut plan = Self {
            spool: Spool::new()?,
            counts: Counts::default(),
            now: Timestamp::now(),
            others: Others::NotKnown,
            empty_owners: request.selection.sessions.is_empty() || request.selection.user.is_some(),
            unplaced: Vec::new(),
        };
        plan.spool_items(source, watch, cancelled)?;
        plan.place_items(request, default_user, watch, cancelled)?;
        plan.add_turns(request, default_user)?;
        plan.number_equal_ones()?;
        plan.find_conflicts()?;
        plan.order()?;
        plan.count()?;
        Ok(plan)
    }

    /// First pass: everything goes to disk as it stands in the source, since what an object names
    /// may come after what it holds.
    fn spool_items(
        &mut self,
        source: Source,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<(), PlanError> {
        let total = source.bytes();
        let read = std::cell::Cell::new(0);
        let reader = Counting {
            inner: source.into_reader(),
            read: &read,
        };
        let db = self.spool.db();
        db.execute_batch("BEGIN")?;
        let mut items = 0;
        let mut failed = None;
        let mut beside = Beside::default();
        let mut take = |event| {
            items += 1;
            if items % TELL_EVERY == 0 {
                watch.at(Progress {
                    phase: Phase::Reading,
                    done: read.get(),
                    total,
                });
            }
            if cancelled.is_cancelled() {
                return ControlFlow::Break(());
            }
            match keep(&db, event, &mut beside) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let outcome = read_export(reader, &mut take);
        if let Some(error) = failed {
            return Err(error.into());
        }
        match outcome {
            Ok(()) => {}
            Err(Stopped::Io(error)) => return Err(error.into()),
            Err(Stopped::Asked) => return Err(PlanError::Cancelled),
        }
        if beside.goes_on {
            let problem = Problem {
                position: Position("next".into()),
                record: None,
                reason: "the last page of the list says that there are more: what is not in this \
                         source is not migrated. Export all pages"
                    .into(),
            };
            note(&db, &problem, Weight::Minor)?;
        }
        self.unplaced = beside.unplaced;
        db.execute_batch("COMMIT")?;
        watch.at(Progress {
            phase: Phase::Reading,
            done: read.get(),
            total,
        });
        Ok(())
    }
}

/// What is learnt of a source beside its items.
#[derive(Debug, Default)]
struct Beside {
    /// Fields without a place, by name.
    unplaced: Vec<String>,
    /// Whether the last page of a list says that there are more.
    goes_on: bool,
}

/// Puts an event on disk.
fn keep(db: &Connection, event: Event, beside: &mut Beside) -> rusqlite::Result<()> {
    match event {
        Event::Item(item) => {
            let json = to_keep(&item)?;
            db.prepare_cached("INSERT INTO item (json) VALUES (?1)")?
                .execute([json])?;
        }
        Event::Frame(Frame {
            id,
            parent,
            named,
            exported_at,
            goes_on,
            unplaced: fields,
        }) => {
            beside.goes_on = goes_on.unwrap_or(beside.goes_on);
            db.prepare_cached("INSERT INTO frame VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    id,
                    parent,
                    to_keep(&named)?,
                    exported_at.map(|time| time.to_string()),
                ])?;
            for field in fields {
                if beside.unplaced.len() < MAX_UNPLACED && !beside.unplaced.contains(&field) {
                    beside.unplaced.push(field);
                }
            }
        }
        Event::Problem(problem) => keep_problem(db, &problem)?,
    }
    Ok(())
}

pub(super) fn keep_problem(db: &Connection, problem: &Problem) -> rusqlite::Result<()> {
    note(db, problem, Weight::Problem)
}

/// How much something matters that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It is not migrated.
    Problem = 0,
    /// It is migrated all the same.
    Minor = 1,
}

pub(super) fn note(db: &Connection, problem: &Problem, weight: Weight) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO problem (position, record, reason, minor) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        problem.position.0,
        problem.record,
        problem.reason,
        weight as i64
    ])?;
    Ok(())
}

/// Counts what is read.
struct Counting<'a, R> {
    inner: R,
    read: &'a std::cell::Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

//! The first pass: everything that the source yields goes to the plan's file, since what a container
//! names may come after the items in it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::PlanError;
use super::problems::keep_problem;
use super::spool::to_keep;
use crate::migration::progress::{Phase, Progress, Watch};
use crate::sources::{ReadError, Sink, Source, SourceItem};

/// How many fields without a place are named.
const MAX_UNPLACED: usize = 100;

/// What was collected beside the items.
pub(super) struct Collected {
    /// The names of fields that have no place in a migration.
    pub(super) unplaced: Vec<String>,
    /// What is no memory, and how much of it there is.
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

/// Reads a source to its end.
pub(super) fn collect(
    db: &Connection,
    source: Box<dyn Source>,
    watch: &dyn Watch,
    cancelled: &CancellationToken,
) -> Result<Collected, PlanError> {
    let mut collector = Collector {
        db,
        watch,
        cancelled,
        collected: Collected {
            unplaced: Vec::new(),
            left_out: BTreeMap::new(),
        },
        failed: None,
    };
    let read = source.read(&mut collector, cancelled);
    if let Some(error) = collector.failed {
        return Err(error.into());
    }
    match read {
        Ok(()) => Ok(collector.collected),
        Err(ReadError::Io(error)) => Err(PlanError::Read(error)),
        Err(ReadError::Stopped) => Err(PlanError::Cancelled),
    }
}

struct Collector<'a> {
    db: &'a Connection,
    watch: &'a dyn Watch,
    cancelled: &'a CancellationToken,
    collected: Collected,
    /// Why the file could not take an item.
    failed: Option<rusqlite::Error>,
}

impl Collector<'_> {
    fn keep(&mut self, item: SourceItem) -> rusqlite::Result<()> {
        match item {
            SourceItem::Entry(entry) => {
                self.db
                    .prepare_cached("INSERT INTO item (json) VALUES (?1)")?
                    .execute([to_keep(&entry)?])?;
            }
            SourceItem::Container(container) => {
                self.db
                    .prepare_cached("INSERT INTO container VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                    .execute(params![
                        container.id,
                        container.parent,
                        to_keep(&container.names)?,
                        container.exported_at.map(Timestamp::as_microsecond),
                        container.unsure,
                        container.user_of_rest,
                        container.gone.map(|gone| gone as i64),
                    ])?;
            }
            SourceItem::Problem(problem) => keep_problem(self.db, &problem)?,
            SourceItem::UnplacedField(field) => {
                let unplaced = &mut self.collected.unplaced;
                if unplaced.len() < MAX_UNPLACED && !unplaced.contains(&field) {
                    unplaced.push(field);
                }
            }
            SourceItem::LeftOut(what) => *self.collected.left_out.entry(what).or_default() += 1,
            SourceItem::Explained(explained) => {
                self.db
                    .prepare_cached("INSERT OR IGNORE INTO explained VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![
                        explained.container,
                        explained.kind as i64,
                        explained.id,
                        explained.name,
                    ])?;
            }
        }
        Ok(())
    }
}

impl Sink for Collector<'_> {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        if self.cancelled.is_cancelled() {
            return ControlFlow::Break(());
        }
        match self.keep(item) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.watch.at(Progress {
            phase: Phase::Reading,
            done,
            total,
        });
    }
}

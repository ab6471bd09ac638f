//! The next owners of a source that were not migrated yet.

use std::num::NonZeroU64;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use super::records::PlannedOwner;
use super::{Plan, PlanError};
use crate::memory::model::Place;
use crate::migration::Error;
use crate::migration::ledger::{self, Known, PlannedEntry};

impl Plan {
    /// Leaves out all but the first `limit` owners with a record that is not known to be stored.
    ///
    /// # Errors
    /// If the plan or the ledger cannot be used, or the run was cancelled.
    pub(in crate::migration) fn limit(
        &mut self,
        limit: NonZeroU64,
        mut ask: impl FnMut(&Place, &[PlannedEntry]) -> ledger::Result<Vec<Known>>,
        cancelled: &CancellationToken,
    ) -> Result<(), Error> {
        let (mut chosen, mut later, mut after) = (0, 0, 0);
        self.change("CREATE TABLE chosen (owner INTEGER PRIMARY KEY)", [])?;
        loop {
            let owners = self.owners_after(after).map_err(PlanError::from)?;
            let Some(last) = owners.last() else { break };
            after = last.n;
            for owner in &owners {
                if cancelled.is_cancelled() {
                    return Err(PlanError::Cancelled.into());
                }
                if !self.has_open(owner, &mut ask)? {
                    continue;
                }
                if chosen == limit.get() {
                    later += 1;
                    continue;
                }
                chosen += 1;
                self.change("INSERT INTO chosen VALUES (?1)", [owner.n])?;
            }
        }
        let left_out = self.change(
            "DELETE FROM record WHERE owner NOT IN (SELECT owner FROM chosen)",
            [],
        )?;
        for table in [
            "DELETE FROM place WHERE owner NOT IN (SELECT owner FROM chosen)",
            "DELETE FROM owner WHERE n NOT IN (SELECT owner FROM chosen)",
        ] {
            self.change(table, [])?;
        }
        self.count().map_err(PlanError::from)?;
        self.counts.not_selected += left_out;
        self.left_for_later = Some(later);
        Ok(())
    }

    /// Whether a record of an owner is not known to be stored.
    fn has_open(
        &self,
        owner: &PlannedOwner,
        ask: &mut impl FnMut(&Place, &[PlannedEntry]) -> ledger::Result<Vec<Known>>,
    ) -> Result<bool, Error> {
        let is_stored = |known: &Known| matches!(known, Known::Stored | Known::Changed);
        let looked = self.each_page(owner, |place, _, entries| {
            Ok(match ask(place, &entries)?.iter().all(is_stored) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        Ok(looked.is_break())
    }

    fn change(&self, sql: &str, values: impl rusqlite::Params) -> Result<u64, PlanError> {
        Ok(self.spool.db().execute(sql, values)? as u64)
    }
}

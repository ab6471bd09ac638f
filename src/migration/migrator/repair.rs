//! Repairing a migration: what is missing is sent, and everything is compared again.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Migrator;
use crate::memory::model::SessionId;
use crate::migration::ledger::{Ledger, LedgerError, RecordState};
use crate::migration::plan::{self, Order, Plan, PlanError, State, blocking};
use crate::migration::progress::Watch;
use crate::migration::report::{Report, Trouble};
use crate::migration::validate::Validation;
use crate::migration::waits::Teller;
use crate::migration::{Error, MAX_LISTED, Request};
use crate::sources::Source;

/// How many records are asked of the ledger at a time.
const PAGE: usize = 1_024;

/// What a repair found, sent, and found then.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repaired {
    /// What was found first.
    pub before: Validation,
    /// What was sent; `null` if nothing was missing.
    pub report: Option<Report>,
    /// Missing records that a rollback had removed: they stay removed.
    pub left_undone: u64,
    /// Missing records that were migrated and are gone since: they stay so unless asked for.
    pub left_deleted: u64,
    /// What was found last; the first one again if nothing was sent, and, never valid, if what was sent
    /// could not be compared.
    pub validation: Validation,
}

impl Migrator {
    /// Compares what is stored with a source, sends what is missing, and compares again. What differs
    /// stays as it is. What a rollback removed stays removed, and what was migrated and is gone since is
    /// sent only if `restore_deleted`.
    ///
    /// # Errors
    /// As [`Migrator::run`] and [`Migrator::validate`]. What the backend refuses is in the report.
    pub async fn repair(
        &self,
        source: Box<dyn Source>,
        request: &Request,
        restore_deleted: bool,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Repaired, Error> {
        let since = (Instant::now(), self.service.stats());
        let _teller = Teller::new(&self.service, &watch);
        let (name, system) = (source.name(), source.system());
        let start = self.start(name, system, request, cancelled).await?;
        let plan = self.plan(source, request, watch.clone(), cancelled).await?;
        let before = self.compare(&plan, None, &watch, cancelled).await?;
        let unchanged = |before: Validation| Repaired {
            validation: before.clone(),
            before,
            report: None,
            left_undone: 0,
            left_deleted: 0,
        };
        let missing = plan.step(|plan| plan.not_reached()).await;
        let is_complete = missing.map_err(PlanError::from)? == 0;
        if is_complete && start.is_none() {
            return Ok(unchanged(before));
        }
        let mut left = Left::default();
        let mut troubles = Vec::new();
        if let Some((data_dir, start)) = &start {
            left = leave_out(
                &plan,
                data_dir,
                &start.target,
                restore_deleted,
                &mut troubles,
            )
            .await?;
            // The ledger tells what is stored, as in any run: so what a killed one has left in it is
            // settled, too.
            plan.step(Plan::forget_found)
                .await
                .map_err(PlanError::from)?;
        }
        let report = Report::new(system, self.service.backend(), false, plan.now);
        let mut report = self
            .write_plan(&plan, start, request, report, since, (&watch, cancelled))
            .await?;
        if is_complete && report.success && report.memories_migrated + report.doubles_removed == 0 {
            return Ok(unchanged(before));
        }
        for trouble in troubles {
            report.warning(trouble);
        }
        plan.step(Plan::forget_states)
            .await
            .map_err(PlanError::from)?;
        let validation = match self.compare(&plan, None, &watch, cancelled).await {
            Ok(validation) => validation,
            Err(error) if cancelled.is_cancelled() => return Err(error),
            // What was sent must be reported even if the comparison fails.
            Err(error) => {
                let trouble = format!("what was sent could not be compared: {error}");
                report.trouble(Trouble::of_run(trouble));
                report.success = false;
                Validation {
                    valid: false,
                    ..before.clone()
                }
            }
        };
        Ok(Repaired {
            before,
            report: Some(report),
            left_undone: left.undone,
            left_deleted: left.deleted,
            validation,
        })
    }
}

/// How many missing records are not sent.
#[derive(Debug, Default)]
struct Left {
    undone: u64,
    deleted: u64,
}

/// Leaves out the missing records that are gone on purpose, and names them.
async fn leave_out(
    plan: &Arc<Plan>,
    data_dir: &Path,
    target: &str,
    restore_deleted: bool,
    troubles: &mut Vec<Trouble>,
) -> Result<Left, Error> {
    let mut left = Left::default();
    let data_dir = data_dir.to_owned();
    let ledger = blocking(move || Ledger::open_existing(&data_dir)).await?;
    let Some(ledger) = ledger.map(Arc::new) else {
        return Ok(left);
    };
    let owners: Vec<_> = plan::owners(plan)
        .map_ok(|owner| owner.n)
        .try_collect()
        .await
        .map_err(PlanError::from)?;
    for owner in owners {
        let mut places = std::pin::pin!(plan::places(plan, owner));
        while let Some(place) = places.try_next().await.map_err(PlanError::from)? {
            let mut after = Order::START;
            loop {
                let page = plan
                    .step_at(&place, move |plan, place| {
                        plan.planned_after(place, after, PAGE)
                    })
                    .await
                    .map_err(PlanError::from)?;
                let Some(last) = page.last() else { break };
                after = last.order;
                let ids: Vec<_> = page.iter().map(|one| one.record.id.to_string()).collect();
                let (book, here, target) = (ledger.clone(), place.place.clone(), target.to_owned());
                let states = blocking(move || -> Result<_, LedgerError> {
                    let states = book.states_of(&target, &here, &ids)?;
                    if restore_deleted {
                        book.may_be_stored(&target, &here, &ids)?;
                    }
                    Ok(states)
                })
                .await?;
                let mut out = Vec::new();
                for (record, state) in page.iter().zip(states) {
                    let reason = match state {
                        Some(RecordState::Undone) => {
                            left.undone += 1;
                            "was removed by a rollback, and stays removed; `migrate` writes it again"
                        }
                        Some(RecordState::Confirmed | RecordState::Deleted) if !restore_deleted => {
                            left.deleted += 1;
                            "was migrated and is gone since: somebody may have deleted it on purpose; \
                             --restore-deleted sends it again"
                        }
                        _ => continue,
                    };
                    out.push(record.n);
                    if troubles.len() < MAX_LISTED {
                        troubles.push(Trouble {
                            position: Some(record.position.to_string()),
                            record: Some(record.record.id.to_string()),
                            owner: Some(place.place.owner().to_string()),
                            session: place.place.session().map(SessionId::to_string),
                            ..Trouble::of_run(reason)
                        });
                    }
                }
                plan.step(move |plan| plan.set_states(&out, State::Failed))
                    .await
                    .map_err(PlanError::from)?;
            }
        }
    }
    Ok(left)
}

//! Moving users from mem0 to Zep, where that is done one after the other: what is written meanwhile waits,
//! and the users of whom everything arrived are Zep's from then on.

use std::collections::HashSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Migrator, Outcome};
use crate::memory::model::Owner;
use crate::migration::progress::Watch;
use crate::migration::{Error, Request};
use crate::sources::Source;

impl Migrator {
    /// Migrates what these owners have in mem0, and validates it. Where users are moved one after the other,
    /// those who arrived whole are Zep's afterwards, and the others mem0's as before.
    ///
    /// A part of their memories (some sessions, those since a time, a dry run) moves nobody.
    ///
    /// # Errors
    /// As [`Migrator::run`]; also if an owner is being moved already, or writes to mem0 do not end.
    pub async fn move_over(
        &self,
        source: Box<dyn Source>,
        request: &Request,
        owners: Vec<Owner>,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Outcome, Error> {
        let owners = self.service.in_mem0(owners).await?;
        let Some(hold) = self.service.hold(&self.caller, owners).await? else {
            return self.run(source, request, true, watch, cancelled).await;
        };
        let run = self.run(source, request, true, watch, cancelled);
        let mut outcome = match run.await {
            Ok(outcome) => outcome,
            Err(error) => {
                hold.give_back().await?;
                return Err(error);
            }
        };
        let arrived = arrived(&outcome, hold.owners());
        let held = hold.owners().len();
        let lost = hold.moved(&arrived).await?;
        let moved = arrived.len() - lost.len();
        let report = &mut outcome.report;
        report.note(format!(
            "{moved} of {held} users and agents are Zep's from now on"
        ));
        if moved < held {
            report.note(
                "the others are still mem0's, since not all of theirs arrived; run this again to move \
                 them"
                    .into(),
            );
        }
        Ok(outcome)
    }
}

/// Those of whom everything arrived. Nobody's, if it is not known whose something is that did not.
fn arrived(outcome: &Outcome, owners: &[Owner]) -> Vec<Owner> {
    let Outcome { report, validation } = outcome;
    let Some(found) = validation else {
        return Vec::new();
    };
    if report.success && found.valid {
        return owners.to_vec();
    }
    let is_attributed = report.errors.iter().all(|error| error.owner.is_some())
        && report.errors_not_listed == 0
        && report.not_reached == 0
        && !report.cancelled
        && found.source_problems.is_empty()
        && found.source_problems_not_listed == 0
        && found.users_not_listed == 0;
    if !is_attributed {
        return Vec::new();
    }
    let failed = report
        .errors
        .iter()
        .filter_map(|error| error.owner.as_deref());
    let differing = found.users.iter().filter(|user| !user.ok);
    let left: HashSet<&str> = failed
        .chain(differing.map(|user| user.owner.as_str()))
        .collect();
    let is_left = |owner: &&Owner| left.contains(owner.to_string().as_str());
    owners
        .iter()
        .filter(|owner| !is_left(owner))
        .cloned()
        .collect()
}

//! Listing the agents and apps that records name beside their owners: each by an empty graph.

use futures::TryStreamExt;

use super::Run;
use super::error::Unfinished;
use crate::memory::model::{GraphId, Owner};
use crate::migration::ledger::{LedgerRun, Mark};
use crate::migration::plan::{self, Plan, SpoolError, owner_key};
use crate::migration::report::Trouble;
use crate::migration::retry::with_retries;

impl Run<'_> {
    /// Makes the graphs that are not known to be there. One that cannot be made is reported, and the
    /// memories that name it are migrated all the same.
    pub(super) async fn list_named(&self) -> Result<(), SpoolError> {
        if self.request.dry_run {
            return Ok(());
        }
        self.context.plan.step(Plan::collect_named).await?;
        plan::named(self.context.plan)
            .try_for_each_concurrent(self.at_once, async |named| {
                if self.stop.is_cancelled() {
                    return Ok(());
                }
                if let Err(error) = self.list(&named.graph).await
                    && !self.was_stopped(&error)
                {
                    self.report().trouble(Trouble {
                        owner: Some(Owner::Graph(named.graph).to_string()),
                        ..Trouble::of_run(format!("is not listed yet: {error}"))
                    });
                    self.stop_after(&error);
                }
                Ok(())
            })
            .await
    }

    async fn list(&self, graph: &GraphId) -> Result<(), Unfinished> {
        let owner = Owner::Graph(graph.clone());
        let key = owner_key(&owner);
        if self
            .context
            .plan
            .step(move |plan| plan.has_owner(&key))
            .await?
        {
            // It has memories of its own, and is made as their owner.
            return Ok(());
        }
        let look = self.book.with(move |run| run.owner_status(&owner)).await?;
        if look.as_ref().is_some_and(|known| known.profile.is_some()) {
            return Ok(());
        }
        let made = with_retries(&self.stop, || {
            self.context.service.list_named(self.context.caller, graph)
        })
        .await?;
        self.report().least_requests += u64::from(made);
        if let Some(known) = look {
            let describe = move |run: &LedgerRun| {
                run.note([Mark::Described {
                    owner: known.n,
                    profile: run.digest(&[]),
                }])
            };
            self.book.with(describe).await?;
        }
        Ok(())
    }
}

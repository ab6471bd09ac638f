//! Making owners, or finding out what they have.

use std::sync::Arc;

use futures::TryStreamExt;

use super::error::{Unfinished, in_a_report};
use super::hold::Held;
use super::{Ready, Run};
use crate::memory;
use crate::memory::model::{Owner, UserId};
use crate::memory::profile::UserState;
use crate::migration::ledger::Mark;
use crate::migration::plan::{self, Plan, PlannedOwner, SpoolError};
use crate::migration::profile::{MIGRATION_RUN, NOT_COMPARED, profile};
use crate::migration::report::Trouble;
use crate::migration::retry::with_retries;

impl Run<'_> {
    /// Creates an owner, or finds out what it has.
    pub(super) async fn prepare_owner(
        &self,
        owner: &PlannedOwner,
        held: &Arc<Held>,
    ) -> Result<Ready, Unfinished> {
        let existed = match self.request.dry_run {
            true => self.is_there(&owner.owner).await?,
            false => self.ensure(owner, held).await?,
        };
        let sessions = match &owner.owner {
            Owner::User(user) if existed => {
                with_retries(&self.stop, || {
                    self.context.service.sessions_of(self.context.caller, user)
                })
                .await?
            }
            _ => None,
        };
        let mut report = self.report();
        if matches!(owner.owner, Owner::User(_)) {
            report.users_migrated += 1;
            report.users_existing += u64::from(existed);
        }
        report.least_requests += u64::from(!existed);
        if owner.stands_in {
            let note = format!(
                "the source names no user for some records; they went to the {} made for them",
                owner.owner
            );
            report.note(note);
        }
        Ok(Ready {
            existed,
            sessions,
            held: held.clone(),
        })
    }

    async fn is_there(&self, owner: &Owner) -> memory::Result<bool> {
        match owner {
            Owner::Graph(graph) => {
                with_retries(&self.stop, || {
                    self.context.service.has_graph(self.context.caller, graph)
                })
                .await
            }
            Owner::User(user) => {
                let user = with_retries(&self.stop, || {
                    self.context.service.user(self.context.caller, user)
                });
                Ok(user.await?.is_some())
            }
        }
    }

    /// Makes an owner, or completes the one that is there. Answers whether it was there.
    async fn ensure(&self, owner: &PlannedOwner, held: &Held) -> Result<bool, Unfinished> {
        if let Some(known) = &held.known
            && (known.is_described() || known.status.has_records)
        {
            let is_there = self.is_there(&owner.owner).await?;
            if !is_there && known.status.has_records {
                return Err(Unfinished::Gone);
            }
            if is_there && known.is_described() {
                return Ok(true);
            }
        }
        let existed = match &owner.owner {
            Owner::Graph(graph) => {
                !with_retries(&self.stop, || {
                    self.context
                        .service
                        .ensure_graph(self.context.caller, graph)
                })
                .await?
            }
            Owner::User(user) => self.ensure_user(owner, user).await?,
        };
        if let Some(known) = &held.known {
            let owner = known.status.n;
            let profile = known.profile.clone();
            let mut marks = vec![Mark::Described { owner, profile }];
            marks.extend((!existed).then_some(Mark::MadeOwner(owner)));
            self.book.note(marks).await?;
        }
        Ok(existed)
    }

    async fn ensure_user(&self, owner: &PlannedOwner, user: &UserId) -> memory::Result<bool> {
        let profile = profile(self.context.plan, owner, user, self.context.roles);
        let maker = self.book.run_id().map(|run| (MIGRATION_RUN, run));
        let state = with_retries(&self.stop, || {
            self.context.service.ensure_user(
                self.context.caller,
                user,
                &profile,
                NOT_COMPARED,
                maker,
            )
        })
        .await?;
        if let UserState::Completed(diff) = &state
            && !diff.different.is_empty()
        {
            self.note(format!(
                "user {user} was there before and keeps other values of: {}",
                diff.different.join(", ")
            ));
        }
        Ok(state != UserState::Made)
    }

    /// Marks all records of an owner as failed that cannot be prepared.
    pub(super) async fn fail_owner(
        &self,
        owner: &PlannedOwner,
        error: &Unfinished,
    ) -> Result<(), SpoolError> {
        if self.was_stopped(error) {
            return Ok(());
        }
        let plan = self.context.plan;
        plan::places(plan, owner.n)
            .try_for_each(async |place| {
                let failed = plan.step_at(&place, Plan::give_up).await?;
                self.report().failed += failed;
                Ok(())
            })
            .await?;
        let problem = match error {
            Unfinished::Memory(error) => in_a_report(error),
            error => error.to_string(),
        };
        self.report().trouble(Trouble {
            owner: Some(owner.owner.to_string()),
            ..Trouble::of_run(problem)
        });
        self.stop_after(error);
        Ok(())
    }
}

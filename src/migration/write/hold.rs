//! One run at a time works on an owner: what the ledger knows of it is true while it is held.

use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::json;

use super::Run;
use crate::memory::import::ImportTurn;
use crate::memory::model::{Owner, Place};
use crate::migration::ledger::{self, Claim, Digest, LedgerRun, OwnerNo, OwnerStatus};
use crate::migration::plan::{self, Plan, PlannedOwner, SpoolError};
use crate::migration::profile::{NOT_COMPARED, profile};
use futures::TryStreamExt;

/// How often it is looked whether another process has done with an owner. Ours: a migration takes
/// seconds at least.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An owner that this run works on.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The turn to write for the owner; none in a dry run.
    pub(super) turn: Option<ImportTurn>,
    /// What the ledger knows of it.
    pub(super) known: Option<Noted>,
}

/// What the ledger knows of an owner, and what the source says of it now.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) status: OwnerStatus,
    pub(super) profile: Digest,
}

impl Noted {
    /// Whether a run made the owner or found it there, with what the source says of it.
    pub(super) fn is_described(&self) -> bool {
        self.status.profile.as_ref() == Some(&self.profile)
    }
}

impl Run<'_> {
    /// Waits until no other run works on an owner, also of another process; `None` if it was cancelled
    /// before.
    pub(super) async fn hold(&self, owner: &PlannedOwner) -> ledger::Result<Option<Held>> {
        if self.request.dry_run {
            return Ok(Some(Held::default()));
        }
        let turn = self
            .context
            .service
            .import_turn(self.context.caller, &owner.owner);
        let turn = match self.stop.run_until_cancelled(turn).await {
            None => return Ok(None),
            // The first request answers the refusal.
            Some(turn) => turn.ok(),
        };
        let mut held = Held { turn, known: None };
        let named = owner.owner.clone();
        let Some(n) = self.book.with(move |run| run.owner(&named)).await? else {
            return Ok(Some(held));
        };
        if !self.claim(owner, n).await? {
            return Ok(None);
        }
        let (named, says) = (owner.owner.clone(), self.what_it_says(owner));
        let noted = move |run: &LedgerRun| {
            Ok(Noted {
                status: run.owner_status(&named)?,
                profile: run.digest(&says),
            })
        };
        held.known = self.book.with(noted).await?;
        Ok(Some(held))
    }

    /// Claims an owner for this run; `false` if it was cancelled before.
    async fn claim(&self, owner: &PlannedOwner, n: OwnerNo) -> ledger::Result<bool> {
        let mut told = false;
        loop {
            match self.book.with(move |run| run.claim(n)).await? {
                Some(Claim::Held { by }) => {
                    if !told {
                        told = true;
                        tracing::info!(run = by, "waiting for a migration of the same user");
                        self.note(format!(
                            "waited for run {by}, which another process had under way for {}",
                            owner.owner
                        ));
                    }
                    let pause = tokio::time::sleep(LOOK_EVERY);
                    if self.stop.run_until_cancelled(pause).await.is_none() {
                        return Ok(false);
                    }
                }
                Some(Claim::Taken { .. }) if self.request.rebuild_ledger => {
                    self.book.with(move |run| run.forget(n)).await?;
                    self.ask_again(owner).await?;
                    return Ok(true);
                }
                Some(Claim::Taken { outdated: true }) => {
                    self.ask_again(owner).await?;
                    return Ok(true);
                }
                Some(Claim::Taken { outdated: false }) | None => return Ok(true),
            }
        }
    }

    /// Another run has written for the owner since this one was planned.
    async fn ask_again(&self, owner: &PlannedOwner) -> ledger::Result<()> {
        let (plan, owner) = (self.context.plan.clone(), owner.clone());
        let asked = self
            .book
            .with(move |run| {
                let mut ask = |place: &Place, entries: &[_]| run.plan(place, entries);
                Ok(plan.meet_owner(&owner, &mut ask, &mut |_| true))
            })
            .await?;
        match asked {
            Some(Ok(tally)) => {
                self.report().already_there += tally.stored;
                self.progress(tally.stored);
            }
            Some(Err(crate::migration::Error::Ledger(error))) => return Err(error),
            // The plan is read again before anything is written, and fails then.
            Some(Err(_)) | None => {}
        }
        Ok(())
    }

    /// Gives up an owner if nothing else of the run needs it.
    pub(super) async fn release_if_last(&self, held: Arc<Held>) {
        let Some(held) = Arc::into_inner(held) else {
            return;
        };
        if let Err(error) = self.release(&held).await {
            self.ledger_failed(&error);
        }
    }

    /// Gives up an owner.
    async fn release(&self, held: &Held) -> ledger::Result<()> {
        let Some(known) = &held.known else {
            return Ok(());
        };
        let owner = known.status.n;
        self.book
            .with(move |run| run.release(owner))
            .await
            .map(drop)
    }

    /// Whether the ledger knows all of an owner as stored.
    pub(super) async fn is_settled(
        &self,
        owner: &PlannedOwner,
        held: &Held,
    ) -> Result<bool, SpoolError> {
        let Some(known) = &held.known else {
            return Ok(false);
        };
        if !known.is_described() || known.status.is_late {
            return Ok(false);
        }
        let (owner, n, update) = (owner.owner.clone(), owner.n, self.request.update);
        let open = move |plan: &Plan| Ok(plan.is_planned(&owner)? || plan.has_changed(n, !update)?);
        Ok(!self.context.plan.step(open).await?)
    }

    /// Counts an owner that is settled.
    pub(super) async fn settled(&self, owner: &PlannedOwner) -> Result<(), SpoolError> {
        let has_changed = {
            let n = owner.n;
            let changed = move |plan: &Plan| plan.has_changed(n, false);
            self.context.plan.step(changed).await?
        };
        plan::places(self.context.plan, owner.n)
            .try_for_each(async |place| {
                let is_session = matches!(place.place, Place::Session(..));
                self.report().sessions += u64::from(is_session);
                if has_changed {
                    self.tell_changed(&place).await?;
                }
                Ok(())
            })
            .await?;
        let mut report = self.report();
        if matches!(owner.owner, Owner::User(_)) {
            report.users_migrated += 1;
            report.users_existing += 1;
        }
        Ok(())
    }

    /// What the source says of an owner, as bytes that differ if anything does.
    fn what_it_says(&self, owner: &PlannedOwner) -> Vec<u8> {
        let Owner::User(user) = &owner.owner else {
            return Vec::new();
        };
        let mut profile = profile(self.context.plan, owner, user, self.context.roles);
        profile
            .marks
            .retain(|key, _| !NOT_COMPARED.contains(&key.as_str()));
        let all = json!([profile.name, profile.email, profile.marks, profile.metadata]);
        digest(&SHA256, all.to_string().as_bytes())
            .as_ref()
            .to_vec()
    }
}

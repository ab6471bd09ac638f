//! Writing a plan: owners side by side, their places side by side, the records of each in order.

mod doubles;
mod error;
mod place;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::doubles::Doubts;
use self::error::{Unfinished, in_a_report};
use super::begun::Begun;
use super::context::Context;
use super::plan::{
    self, Plan, PlannedOwner, PlannedPlace, PlannedRecord, SpoolError, State, blocking,
};
use super::profile::{NOT_COMPARED, profile};
use super::progress::{Phase, Progress};
use super::report::{Report, Trouble};
use super::retry::with_retries;
use super::{Request, lock};
use crate::memory;
use crate::memory::import::{ImportTurn, UserSessions};
use crate::memory::model::{Owner, Place, SessionId};
use crate::memory::profile::UserState;
use crate::zep;

/// How many owners, and how many places of all of them, are written at a time. Ours: enough to hide the
/// latency of Zep; its rate limits are the transport's business.
const OWNERS_AT_ONCE: usize = 8;
const PLACES_AT_ONCE: usize = 8;

/// A run that writes.
pub(super) struct Run<'a> {
    context: Context<'a>,
    request: &'a Request,
    /// Nothing more is begun once this is cancelled: by the caller, or by an error that repeats.
    stop: CancellationToken,
    report: Mutex<Report>,
    doubts: Mutex<Doubts>,
    /// Whether a write is given up that may still be carried out.
    in_doubt: AtomicBool,
    places: Semaphore,
    done: AtomicU64,
}

/// An owner whose places can be written.
struct Ready {
    /// Whether the owner was there before.
    existed: bool,
    /// The owner's sessions, if it was.
    sessions: Option<UserSessions>,
    /// The turn to write for the owner; none in a dry run.
    turn: Option<ImportTurn>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        context: Context<'a>,
        request: &'a Request,
        cancelled: &CancellationToken,
        report: Report,
    ) -> Self {
        Self {
            context,
            request,
            stop: cancelled.child_token(),
            report: Mutex::new(report),
            doubts: Mutex::default(),
            in_doubt: AtomicBool::new(false),
            places: Semaphore::new(PLACES_AT_ONCE),
            done: AtomicU64::new(0),
        }
    }

    /// Writes everything, and deletes doubles that late writes left. In `data_dir` it is noted while
    /// the run is under way.
    ///
    /// # Errors
    /// If the plan cannot be read. What the backend refuses is in the report.
    pub(super) async fn write(self, data_dir: Option<&Path>) -> Result<Report, SpoolError> {
        self.progress(0);
        let begun = self.begin(data_dir).await;
        plan::owners(self.context.plan)
            .try_for_each_concurrent(OWNERS_AT_ONCE, |owner| self.owner(owner))
            .await?;
        doubles::delete_doubles(&self).await?;
        if let Some(begun) = begun {
            self.end(begun).await;
        }
        let not_reached = self.context.plan.step(|plan| plan.not_reached()).await?;
        let mut report = self
            .report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        report.not_reached = not_reached;
        Ok(report)
    }

    /// Notes that this run has begun, if its writes can be late.
    async fn begin(&self, data_dir: Option<&Path>) -> Option<Begun> {
        let arrived = self.late_until()?;
        if self.request.dry_run {
            return None;
        }
        let data_dir = data_dir?.to_owned();
        let note = {
            let data_dir = data_dir.clone();
            blocking(move || Begun::note(&data_dir)).await
        };
        match note {
            Ok(begun) => {
                if begun.follows_unended() {
                    lock(&self.doubts).after_unended(Some(arrived));
                }
                Some(begun)
            }
            Err(error) => {
                self.note(format!(
                    "{} cannot be written ({error}): if this run is killed, only a second run after                      it finds what arrives late",
                    data_dir.display()
                ));
                None
            }
        }
    }

    /// Forgets this run and those before it, unless something of them may still arrive.
    async fn end(&self, mut begun: Begun) {
        let is_settled = !self.in_doubt.load(Ordering::Relaxed);
        let was_stopped = self.stop.is_cancelled();
        blocking(move || {
            if !was_stopped {
                begun.forget_unended();
            }
            if is_settled {
                begun.end();
            }
        })
        .await;
    }

    /// When what is sent now has arrived, however late it is; `None` if nothing is late.
    fn late_until(&self) -> Option<Instant> {
        let late = self.context.service.late_limit()?;
        Some(Instant::now() + late)
    }

    /// Notes that something may arrive after this run.
    fn in_doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Notes that this error leaves open what is stored, if it does.
    fn doubt_after(&self, error: &memory::Error) {
        let is_open = |cause: &zep::Error| cause.outcome() == zep::Outcome::Unknown;
        if error.cause().is_some_and(is_open) {
            self.in_doubt();
        }
    }

    /// One owner, with all its places.
    async fn owner(&self, owner: PlannedOwner) -> Result<(), SpoolError> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let ready = match self.prepare_owner(&owner).await {
            Ok(ready) => ready,
            Err(error) => return self.fail_owner(&owner, &error).await,
        };
        plan::places(self.context.plan, owner.n)
            .try_for_each_concurrent(PLACES_AT_ONCE, |place| {
                let ready = &ready;
                async move {
                    self.place(&place, ready).await;
                    Ok(())
                }
            })
            .await
    }

    /// Creates an owner, or finds out what it has.
    async fn prepare_owner(&self, owner: &PlannedOwner) -> memory::Result<Ready> {
        let turn = match self.request.dry_run {
            true => None,
            false => {
                let turn = self
                    .context
                    .service
                    .import_turn(self.context.caller, &owner.owner);
                let turn = self.stop.run_until_cancelled(turn).await;
                Some(turn.unwrap_or_else(|| Err(zep::Error::Cancelled.into()))?)
            }
        };
        let existed = match &owner.owner {
            Owner::Graph(graph) if self.request.dry_run => {
                with_retries(&self.stop, || {
                    self.context.service.has_graph(self.context.caller, graph)
                })
                .await?
            }
            Owner::Graph(graph) => {
                !with_retries(&self.stop, || {
                    self.context
                        .service
                        .ensure_graph(self.context.caller, graph)
                })
                .await?
            }
            Owner::User(user) => {
                let profile = profile(self.context.plan, owner, user, self.context.roles);
                if self.request.dry_run {
                    with_retries(&self.stop, || {
                        self.context.service.user(self.context.caller, user)
                    })
                    .await?
                    .is_some()
                } else {
                    let state = with_retries(&self.stop, || {
                        self.context.service.ensure_user(
                            self.context.caller,
                            user,
                            &profile,
                            NOT_COMPARED,
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
                    state != UserState::Made
                }
            }
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
            turn,
        })
    }

    async fn place(&self, place: &PlannedPlace, ready: &Ready) {
        // The semaphore is never closed.
        let _permit = self.places.acquire().await;
        if self.stop.is_cancelled() {
            return;
        }
        let resent = self.resent();
        let outcome = self.write_place(place, ready).await;
        // The count is of all places at work: a place too many is read once more, which is harmless.
        if self.resent() != resent {
            self.sent_again(place);
        }
        if let Err(error) = outcome {
            if let Unfinished::Memory(error) = &error {
                self.doubt_after(error);
            }
            self.fail_place(place, &error).await;
        }
    }

    /// Marks all records of an owner as failed that cannot be prepared.
    async fn fail_owner(
        &self,
        owner: &PlannedOwner,
        error: &memory::Error,
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
        self.report().trouble(Trouble {
            owner: Some(owner.owner.to_string()),
            ..Trouble::of_run(in_a_report(error))
        });
        self.stop_if_hopeless(error);
        Ok(())
    }

    async fn fail_place(&self, place: &PlannedPlace, error: &Unfinished) {
        if let Unfinished::Memory(error) = error
            && self.was_stopped(error)
        {
            return;
        }
        let given_up = self.context.plan.step_at(place, Plan::give_up).await;
        let failed = given_up.unwrap_or(0);
        let mut report = self.report();
        report.failed += failed;
        report.trouble(Trouble {
            owner: Some(place.place.owner().to_string()),
            session: place.place.session().map(SessionId::to_string),
            ..Trouble::of_run(format!("{error} ({failed} records are not migrated)"))
        });
        drop(report);
        if let Unfinished::Memory(error) = error {
            self.stop_if_hopeless(error);
        }
    }

    /// Whether this is only the cancellation.
    fn was_stopped(&self, error: &memory::Error) -> bool {
        self.stop.is_cancelled() && matches!(error, memory::Error::Zep(zep::Error::Cancelled))
    }

    /// Stops the run after an error that every place would meet.
    fn stop_if_hopeless(&self, error: &memory::Error) {
        let hopeless = matches!(
            error.cause(),
            Some(zep::Error::Unauthorized { .. } | zep::Error::Storage { .. })
        );
        if hopeless || self.request.strict {
            self.stop.cancel();
        }
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        lock(&self.report)
    }

    fn note(&self, note: String) {
        self.report().note(note);
    }

    /// Reports that this many more records are done.
    fn progress(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        self.context.watch.at(Progress {
            phase: Phase::Writing,
            done,
            total: Some(self.context.plan.counts.records),
        });
    }

    /// Notes that something is stored twice at a place.
    fn stored_twice(&self, place: &PlannedPlace) {
        if !self.request.dry_run {
            lock(&self.doubts).stored_twice(place);
        }
    }

    /// Notes that something was sent again to a place.
    fn sent_again(&self, place: &PlannedPlace) {
        let arrives = self.late_until();
        lock(&self.doubts).sent_again(place, arrives);
    }

    /// How many writes with an unknown outcome were sent again so far.
    fn resent(&self) -> u64 {
        self.context.service.stats().map_or(0, |stats| stats.resent)
    }

    /// Notes that records are stored by this run.
    async fn written(&self, place: &Place, records: &[PlannedRecord]) -> Result<(), SpoolError> {
        let numbers: Vec<_> = records.iter().map(|record| record.n).collect();
        let written = move |plan: &Plan| plan.set_states(&numbers, State::Written);
        self.context.plan.step(written).await?;
        let parts: usize = records.iter().map(|record| record.parts).sum();
        let split = records.iter().filter(|record| record.parts > 1).count();
        {
            let mut report = self.report();
            report.memories_migrated += records.len() as u64;
            report.split += split as u64;
            match place {
                Place::Session(..) => report.messages += parts as u64,
                Place::Graph(_) => report.episodes += parts as u64,
            }
        }
        self.progress(records.len() as u64);
        Ok(())
    }
}

//! Writing a plan: owners side by side, their sessions side by side, each session in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::loading::{PlannedOwner, PlannedPlace};
use super::patience::{Hindrance, patiently};
use super::plan::State;
use super::profiles::{COMPARED_NOT, profile};
use super::progress::{Phase, Progress};
use super::report::{Report, Trouble};
use super::spool::SpoolError;
use super::task::Task;
use super::{Request, sweep, walk};
use crate::memory;
use crate::memory::import::{ImportTurn, UserSessions};
use crate::memory::model::{Owner, Place, SessionId};
use crate::memory::profile::UserState;
use crate::zep;

/// How many owners are at work at a time, and how many places of all of them. Ours: enough to hide
/// the way to Zep and back; what its limits allow is the transport's to keep.
const OWNERS_AT_ONCE: usize = 8;
const PLACES_AT_ONCE: usize = 8;

/// A run that writes.
pub(super) struct Run<'a> {
    pub(super) task: Task<'a>,
    pub(super) request: &'a Request,
    /// Nothing more is begun: whoever asked gave up, or going on makes no sense.
    pub(super) stop: CancellationToken,
    pub(super) report: Mutex<Report>,
    /// Places in which something may be stored twice, by their number.
    pub(super) doubtful: Mutex<HashMap<i64, PlannedPlace>>,
    places: Semaphore,
    done: AtomicU64,
}

/// Why a place was not finished.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Unfinished {
    #[error("{}", in_a_report(.0))]
    Memory(#[from] memory::Error),
    /// The plan cannot be read.
    #[error("{0}")]
    Spool(String),
    /// It is in use: what would come is older than what is there.
    #[error(
        "is in use: it holds a message of {newest}, and {remaining} to be written begin at \
         {oldest}; older turns would stand behind newer ones. Migrate before agents write, or \
         give --append (`append`) to put them behind"
    )]
    InUse {
        newest: Timestamp,
        oldest: Timestamp,
        remaining: u64,
    },
}

impl From<SpoolError> for Unfinished {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error.to_string())
    }
}

impl Hindrance for Unfinished {
    fn cause(&self) -> Option<&zep::Error> {
        match self {
            Self::Memory(error) => error.cause(),
            Self::Spool(_) | Self::InUse { .. } => None,
        }
    }
}

/// What stopped a write, in words for whoever runs a migration: they have no key to go on with, and
/// need none.
pub(super) fn in_a_report(error: &memory::Error) -> String {
    match error {
        memory::Error::PartlyStored(stopped) if stopped.in_doubt => format!(
            "{}. Run it again: what is stored is recognised",
            stopped.cause
        ),
        memory::Error::PartlyStored(stopped) => stopped.cause.to_string(),
        memory::Error::Invalid { field, .. } if field == "idempotency_key" => {
            "is stored under its record id with other content; `validate` names it".into()
        }
        error => error.to_string(),
    }
}

/// What was found of an owner.
pub(super) struct Found {
    /// Whether they were there before.
    pub(super) existed: bool,
    /// Their sessions, where they were.
    pub(super) sessions: Option<UserSessions>,
    /// Our turn to write for them; none in a dry run.
    pub(super) turn: Option<ImportTurn>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        task: Task<'a>,
        request: &'a Request,
        cancelled: &CancellationToken,
        report: Report,
    ) -> Self {
        Self {
            task,
            request,
            stop: cancelled.child_token(),
            report: Mutex::new(report),
            doubtful: Mutex::default(),
            places: Semaphore::new(PLACES_AT_ONCE),
            done: AtomicU64::new(0),
        }
    }

    /// Writes everything, and deletes the doubles that late writes left.
    ///
    /// # Errors
    /// If the plan cannot be read. What the backend refuses is in the report.
    pub(super) async fn write(self) -> Result<Report, SpoolError> {
        self.tell(0);
        walk::owners(self.task.plan)
            .try_for_each_concurrent(OWNERS_AT_ONCE, |owner| self.owner(owner))
            .await?;
        sweep::sweep(&self).await;
        let not_reached = self.task.plan.not_reached()?;
        let mut report = self
            .report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        report.not_reached = not_reached;
        Ok(report)
    }

    /// One owner, and everything of theirs.
    async fn owner(&self, owner: PlannedOwner) -> Result<(), SpoolError> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let found = match self.make_owner(&owner).await {
            Ok(found) => found,
            Err(error) => return self.fail_owner(&owner, &error).await,
        };
        walk::places(self.task.plan, owner.n)
            .try_for_each_concurrent(PLACES_AT_ONCE, |place| {
                let found = &found;
                async move {
                    self.place(&place, found).await;
                    Ok(())
                }
            })
            .await
    }

    /// Makes an owner, or looks what there is of them.
    async fn make_owner(&self, owner: &PlannedOwner) -> memory::Result<Found> {
        let turn = match self.request.dry_run {
            true => None,
            false => {
                let turn = self
                    .task
                    .service
                    .import_turn(self.task.caller, &owner.owner);
                let turn = self.stop.run_until_cancelled(turn).await;
                Some(turn.unwrap_or_else(|| Err(zep::Error::Cancelled.into()))?)
            }
        };
        let existed = match &owner.owner {
            Owner::Graph(graph) if self.request.dry_run => {
                patiently(&self.stop, || {
                    self.task.service.has_graph(self.task.caller, graph)
                })
                .await?
            }
            Owner::Graph(graph) => {
                !patiently(&self.stop, || {
                    self.task.service.ensure_graph(self.task.caller, graph)
                })
                .await?
            }
            Owner::User(user) => {
                let profile = profile(owner, user, self.task.roles, self.task.plan.now);
                if self.request.dry_run {
                    patiently(&self.stop, || {
                        self.task.service.user(self.task.caller, user)
                    })
                    .await?
                    .is_some()
                } else {
                    let state = patiently(&self.stop, || {
                        self.task.service.ensure_user(
                            self.task.caller,
                            user,
                            &profile,
                            COMPARED_NOT,
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
                patiently(&self.stop, || {
                    self.task.service.sessions_of(self.task.caller, user)
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
        Ok(Found {
            existed,
            sessions,
            turn,
        })
    }

    async fn place(&self, place: &PlannedPlace, found: &Found) {
        // Never closed.
        let _permit = self.places.acquire().await;
        if self.stop.is_cancelled() {
            return;
        }
        let resent = self.resent();
        let outcome = self.write_place(place, found).await;
        // What was sent again while others were at work, too, may have been theirs: reading once too
        // often harms nobody.
        if self.resent() != resent {
            self.doubt(place);
        }
        if let Err(error) = outcome {
            self.fail_place(place, &error);
        }
    }

    /// Everything of an owner who cannot be made failed.
    async fn fail_owner(
        &self,
        owner: &PlannedOwner,
        error: &memory::Error,
    ) -> Result<(), SpoolError> {
        if self.was_stopped(error) {
            return Ok(());
        }
        walk::places(self.task.plan, owner.n)
            .try_for_each(async |place| {
                let failed = self.task.plan.give_up(&place)?;
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

    fn fail_place(&self, place: &PlannedPlace, error: &Unfinished) {
        if let Unfinished::Memory(error) = error
            && self.was_stopped(error)
        {
            return;
        }
        let failed = self.task.plan.give_up(place).unwrap_or(0);
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

    /// Whether this is only the end that was asked for.
    fn was_stopped(&self, error: &memory::Error) -> bool {
        self.stop.is_cancelled() && matches!(error, memory::Error::Zep(zep::Error::Cancelled))
    }

    /// A key that is refused is refused everywhere.
    fn stop_if_hopeless(&self, error: &memory::Error) {
        let hopeless = matches!(
            error.cause(),
            Some(zep::Error::Unauthorized { .. } | zep::Error::Storage { .. })
        );
        if hopeless || self.request.strict {
            self.stop.cancel();
        }
    }

    pub(super) fn report(&self) -> MutexGuard<'_, Report> {
        lock(&self.report)
    }

    pub(super) fn note(&self, note: String) {
        self.report().note(note);
    }

    /// Tells the watch that so many more records are done.
    pub(super) fn tell(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        self.task.watch.at(Progress {
            phase: Phase::Writing,
            done,
            total: Some(self.task.plan.counts.records),
        });
    }

    /// Notes that something may be stored twice at a place.
    pub(super) fn doubt(&self, place: &PlannedPlace) {
        if !self.request.dry_run {
            lock(&self.doubtful).insert(place.n, place.clone());
        }
    }

    /// How often a write in doubt was sent again so far.
    fn resent(&self) -> u64 {
        self.task.service.stats().map_or(0, |stats| stats.resent)
    }

    /// Notes that records are stored by this run, in so many requests at least.
    pub(super) fn written(
        &self,
        place: &Place,
        records: &[(i64, usize)],
    ) -> Result<(), SpoolError> {
        for (record, _) in records {
            self.task.plan.set_state(*record, State::Written)?;
        }
        let parts: usize = records.iter().map(|(_, parts)| parts).sum();
        let split = records.iter().filter(|(_, parts)| *parts > 1).count();
        {
            let mut report = self.report();
            report.memories_migrated += records.len() as u64;
            report.split += split as u64;
            match place {
                Place::Session(..) => report.messages += parts as u64,
                Place::Graph(_) => report.episodes += parts as u64,
            }
        }
        self.tell(records.len() as u64);
        Ok(())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

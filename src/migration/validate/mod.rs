//! Comparing what is stored with the source, record by record.

mod batches;
mod compare;
mod findings;
mod place;
mod result;
mod verdict;

use std::sync::Arc;

use futures::TryStreamExt;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use self::findings::{Findings, of_owner, of_place};
use self::place::PlaceComparison;
use self::verdict::Tally;
use super::context::Context;
use super::plan::{self, Order, Plan, PlannedOwner, PlannedPlace, SpoolError, blocking};
use super::profile::{NOT_COMPARED, profile};
use super::retry::with_retries;
use crate::memory;
use crate::memory::import::{Scan, UserSessions};
use crate::memory::model::{Owner, Place};
use crate::zep;
use crate::zep::limits::PAGE_ITEMS;

pub(super) use batches::await_processed;
pub use result::{Check, CheckName, Difference, Named, Sampled, Validation};
pub use verdict::{MAX_VERDICTS, SessionVerdict, Tally as RecordTally, UserCheck, UserVerdict};

/// How many owners are compared at a time.
const OWNERS_AT_ONCE: usize = 4;

/// How many messages one request reads of a thread.
const MESSAGES_PER_READ: u64 = 1_000;

/// How many records of a sample are read from the plan at a time.
const SAMPLE_PAGE: usize = 64;

/// A run that compares.
pub(super) struct Comparison<'a> {
    context: Context<'a>,
    cancelled: &'a CancellationToken,
    findings: Arc<Findings>,
}

/// Why the comparison did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Memory(#[from] memory::Error),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        context: Context<'a>,
        cancelled: &'a CancellationToken,
        validation: Validation,
    ) -> Self {
        let (plan, watch) = (context.plan.clone(), context.watch.clone());
        Self {
            context,
            cancelled,
            findings: Arc::new(Findings::new(plan, watch, validation)),
        }
    }

    /// Compares everything in the plan.
    pub(super) async fn run(self) -> Result<Validation, Stopped> {
        let Context {
            service,
            caller,
            watch,
            ..
        } = self.context;
        let notes = await_processed(service, caller, watch.as_ref(), self.cancelled).await?;
        self.findings.progress(0);
        plan::owners(self.context.plan)
            .map_err(Stopped::from)
            .try_for_each_concurrent(OWNERS_AT_ONCE, |owner| self.owner(owner))
            .await?;
        let mut validation = self.findings.found().result();
        validation.notes.extend(notes);
        Ok(validation)
    }

    /// Compares an owner, with all its places.
    async fn owner(&self, owner: PlannedOwner) -> Result<(), Stopped> {
        let number = owner.n;
        let planned = self
            .context
            .plan
            .step(move |plan| plan.load_of(number))
            .await?;
        let is_sample = self.findings.found().is_sample();
        if is_sample && planned.planned == 0 {
            return Ok(());
        }
        // A record that is found proves that its owner exists.
        let there = is_sample || self.owner_itself(&owner).await?;
        // Read when the first session needs it.
        let sessions = OnceCell::new();
        let parts = planned.parts;
        plan::places(self.context.plan, owner.n)
            .map_err(Stopped::from)
            .try_for_each(|place| {
                let sessions = &sessions;
                async move { self.place(&place, there, sessions, parts).await }
            })
            .await?;
        self.findings.found().end_owner(&owner.owner);
        Ok(())
    }

    /// Compares what is stored of the owner itself. Answers whether it exists.
    async fn owner_itself(&self, owner: &PlannedOwner) -> Result<bool, Stopped> {
        Ok(match &owner.owner {
            Owner::User(user) => {
                let found = with_retries(self.cancelled, || {
                    self.context.service.user(self.context.caller, user)
                })
                .await?;
                let wanted = profile(self.context.plan, owner, user, self.context.roles);
                let fields = found
                    .as_ref()
                    .map(|user| wanted.compare(user, NOT_COMPARED));
                let mut findings = self.findings.found();
                let alike = fields
                    .as_ref()
                    .is_some_and(|diff| diff.absent.is_empty() && diff.different.is_empty());
                findings.count(&owner.owner, CheckName::UserExists, 1, u64::from(alike));
                match fields {
                    None => findings.differs(of_owner(&owner.owner, "user", "does not exist")),
                    Some(diff) => {
                        for field in diff.absent {
                            findings.differs(of_owner(&owner.owner, &field, "is absent"));
                        }
                        for field in diff.different {
                            findings.differs(of_owner(&owner.owner, &field, "has another value"));
                        }
                    }
                }
                found.is_some()
            }
            Owner::Graph(graph) => {
                let there = with_retries(self.cancelled, || {
                    self.context.service.has_graph(self.context.caller, graph)
                })
                .await?;
                let mut findings = self.findings.found();
                findings.count(&owner.owner, CheckName::UserExists, 1, u64::from(there));
                if !there {
                    findings.differs(of_owner(&owner.owner, "graph", "does not exist"));
                }
                there
            }
        })
    }

    async fn place(
        &self,
        place: &PlannedPlace,
        there: bool,
        sessions: &OnceCell<Option<UserSessions>>,
        parts_of_owner: u64,
    ) -> Result<(), Stopped> {
        let expected = place.planned;
        if expected == 0 {
            return Ok(());
        }
        let Context {
            service, caller, ..
        } = self.context;
        let owner = place.place.owner();
        self.findings
            .found()
            .count(&owner, CheckName::MessageCount, expected, 0);
        let mut comparison = PlaceComparison::new(self.findings.clone(), place.clone());
        // What reading the whole place takes. Zep lists the messages of sessions among a user's episodes.
        let reads = match &place.place {
            Place::Session(..) => 1 + place.parts.div_ceil(MESSAGES_PER_READ),
            Place::Graph(_) => parts_of_owner.div_ceil(u64::from(PAGE_ITEMS)),
        };
        if self.findings.found().is_sample() && expected < reads {
            comparison = self.look_up(place, comparison.without_order()).await?;
            let left = self.context.plan.step_at(place, Plan::planned_at).await?;
            if left == 0 {
                return Ok(blocking(move || comparison.finish()).await?);
            }
            // Zep calls the filter by metadata experimental: what it did not find is looked for in all.
        }
        match &place.place {
            Place::Session(user, session) => {
                let read = || with_retries(self.cancelled, || service.sessions_of(caller, user));
                let sessions = match there {
                    true => sessions.get_or_try_init(read).await?.as_ref(),
                    false => None,
                };
                let thread =
                    sessions.and_then(|sessions| service.thread_among(user, session, sessions));
                let is_there = u64::from(thread.is_some());
                self.findings
                    .found()
                    .count(&owner, CheckName::SessionLoads, 1, is_there);
                match thread {
                    Some(thread) => {
                        let scan = service.scan_thread(caller, user, &thread)?;
                        self.read(comparison, scan).await
                    }
                    // Of a sample, each record is named.
                    None if self.findings.found().is_sample() => {
                        Ok(blocking(move || comparison.finish()).await?)
                    }
                    None => {
                        self.no_session(place);
                        Ok(())
                    }
                }
            }
            Place::Graph(owner) if there => {
                let scan = service.scan_graph(caller, owner)?;
                self.read(comparison, scan).await
            }
            Place::Graph(_) => Ok(blocking(move || comparison.finish()).await?),
        }
    }

    fn no_session(&self, place: &PlannedPlace) {
        let mut findings = self.findings.found();
        let check = CheckName::SessionLoads;
        findings.differs(of_place(check, place, "session", "does not exist"));
        let all = format!("are missing, all {} of the session", place.planned);
        findings.differs(of_place(CheckName::MessageCount, place, "records", all));
        let missing = Tally {
            expected: place.planned,
            missing: place.planned,
            ..Tally::default()
        };
        findings.end_place(place, missing, false);
        drop(findings);
        self.findings.progress(place.planned);
    }

    /// Reads all that is stored at a place, and compares it.
    async fn read(&self, mut comparison: PlaceComparison, scan: Scan<'_>) -> Result<(), Stopped> {
        let scan = Mutex::new(scan);
        loop {
            self.go_on()?;
            let next = || async { scan.lock().await.next().await };
            let parts = match with_retries(self.cancelled, next).await {
                // It was deleted meanwhile, or a sample's owner does not exist.
                Err(error) if error.cause().is_some_and(zep::Error::is_not_found) => break,
                parts => parts?,
            };
            let Some(parts) = parts else { break };
            let page = move || comparison.page(parts).map(|()| comparison);
            comparison = blocking(page).await?;
        }
        Ok(blocking(move || comparison.finish()).await?)
    }

    /// Looks up the sampled records of a place, one request each.
    async fn look_up(
        &self,
        place: &PlannedPlace,
        mut comparison: PlaceComparison,
    ) -> Result<PlaceComparison, Stopped> {
        let mut after = Order::START;
        loop {
            let next = move |plan: &Plan, place: &_| plan.planned_after(place, after, SAMPLE_PAGE);
            let page = self.context.plan.step_at(place, next).await?;
            let Some(last) = page.last() else {
                return Ok(comparison.again());
            };
            after = last.order;
            for record in page {
                self.go_on()?;
                let id = &record.record.id;
                let parts = with_retries(self.cancelled, || {
                    let Context {
                        service, caller, ..
                    } = self.context;
                    service.stored_parts(caller, &place.place, id)
                })
                .await?;
                let found = move || comparison.page(parts).map(|()| comparison);
                comparison = blocking(found).await?;
            }
        }
    }

    fn go_on(&self) -> Result<(), Stopped> {
        match self.cancelled.is_cancelled() {
            true => Err(memory::Error::from(zep::Error::Cancelled).into()),
            false => Ok(()),
        }
    }
}

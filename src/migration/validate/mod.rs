//! Comparing what is stored with the source, record by record.

mod compare;
mod findings;
mod place;
mod result;

use std::sync::Arc;

use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use self::findings::{Findings, of_owner, of_place};
use self::place::PlaceComparison;
use super::context::Context;
use super::plan::{self, PlannedOwner, PlannedPlace, SpoolError, blocking};
use super::profile::{NOT_COMPARED, profile};
use super::retry::with_retries;
use crate::memory;
use crate::memory::import::{Scan, UserSessions};
use crate::memory::model::{Owner, Place};
use crate::zep;

pub use result::{Check, CheckName, Difference, Named, Validation};

/// How many owners are compared at a time.
const OWNERS_AT_ONCE: usize = 4;

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
        self.findings.progress(0);
        plan::owners(self.context.plan)
            .map_err(Stopped::from)
            .try_for_each_concurrent(OWNERS_AT_ONCE, |owner| self.owner(owner))
            .await?;
        Ok(self.findings.validation().clone())
    }

    /// Compares an owner, with all its places.
    async fn owner(&self, owner: PlannedOwner) -> Result<(), Stopped> {
        let there = match &owner.owner {
            Owner::User(user) => {
                let found = with_retries(self.cancelled, || {
                    self.context.service.user(self.context.caller, user)
                })
                .await?;
                let wanted = profile(self.context.plan, &owner, user, self.context.roles);
                let fields = found
                    .as_ref()
                    .map(|user| wanted.compare(user, NOT_COMPARED));
                let mut validation = self.findings.validation();
                let alike = fields
                    .as_ref()
                    .is_some_and(|diff| diff.absent.is_empty() && diff.different.is_empty());
                validation.count(CheckName::UserExists, 1, u64::from(alike));
                match fields {
                    None => validation.differs(of_owner(&owner.owner, "user", "does not exist")),
                    Some(diff) => {
                        for field in diff.absent {
                            validation.differs(of_owner(&owner.owner, &field, "is absent"));
                        }
                        for field in diff.different {
                            validation.differs(of_owner(&owner.owner, &field, "has another value"));
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
                let mut validation = self.findings.validation();
                validation.count(CheckName::UserExists, 1, u64::from(there));
                if !there {
                    validation.differs(of_owner(&owner.owner, "graph", "does not exist"));
                }
                there
            }
        };
        let sessions = match &owner.owner {
            Owner::User(user) if there => {
                with_retries(self.cancelled, || {
                    self.context.service.sessions_of(self.context.caller, user)
                })
                .await?
            }
            _ => None,
        };
        plan::places(self.context.plan, owner.n)
            .map_err(Stopped::from)
            .try_for_each(|place| {
                let sessions = sessions.as_ref();
                async move { self.place(&place, there, sessions).await }
            })
            .await
    }

    async fn place(
        &self,
        place: &PlannedPlace,
        there: bool,
        sessions: Option<&UserSessions>,
    ) -> Result<(), Stopped> {
        let expected = place.planned;
        if expected == 0 {
            return Ok(());
        }
        let Context {
            service, caller, ..
        } = self.context;
        self.findings
            .validation()
            .count(CheckName::MessageCount, expected, 0);
        match &place.place {
            Place::Session(user, session) => {
                let thread =
                    sessions.and_then(|sessions| service.thread_among(user, session, sessions));
                self.findings.validation().count(
                    CheckName::SessionLoads,
                    1,
                    u64::from(thread.is_some()),
                );
                match thread {
                    Some(thread) => {
                        self.read(place, Some(service.scan_thread(caller, user, &thread)?))
                            .await
                    }
                    None => {
                        self.no_session(place);
                        Ok(())
                    }
                }
            }
            Place::Graph(owner) if there => {
                self.read(place, Some(service.scan_graph(caller, owner)?))
                    .await
            }
            Place::Graph(_) => self.read(place, None).await,
        }
    }

    fn no_session(&self, place: &PlannedPlace) {
        let mut validation = self.findings.validation();
        let check = CheckName::SessionLoads;
        validation.differs(of_place(check, place, "session", "does not exist"));
        let all = format!("are missing, all {} of the session", place.planned);
        validation.differs(of_place(CheckName::MessageCount, place, "records", all));
        drop(validation);
        self.findings.progress(place.planned);
    }

    /// Reads what is stored at a place, if anything can be, and compares it.
    async fn read(&self, place: &PlannedPlace, scan: Option<Scan<'_>>) -> Result<(), Stopped> {
        let mut comparison = PlaceComparison::new(self.findings.clone(), place.clone());
        if let Some(mut scan) = scan {
            loop {
                if self.cancelled.is_cancelled() {
                    return Err(memory::Error::from(zep::Error::Cancelled).into());
                }
                let Some(parts) = scan.next().await? else {
                    break;
                };
                let page = move || comparison.page(parts).map(|()| comparison);
                comparison = blocking(page).await?;
            }
        }
        Ok(blocking(move || comparison.finish()).await?)
    }
}

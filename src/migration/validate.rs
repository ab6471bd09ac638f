//! Comparing what is stored with the source, record by record.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::compare::compare;
use super::loading::{Order, PlannedOwner, PlannedPlace};
use super::patience::patiently;
use super::plan::State;
use super::profiles::{COMPARED_NOT, profile};
use super::progress::{Phase, Progress};
use super::spool::SpoolError;
use super::task::Task;
use super::verdict::{CheckName, Difference, Validation};
use super::walk;
use super::write::lock;
use crate::memory;
use crate::memory::import::{PartOf, Scan, UserSessions, part_of};
use crate::memory::model::{Owner, Place, SessionId};
use crate::memory::records::{Assembled, StoredPart, assemble};
use crate::zep::{self, PartNo};

/// How many owners are compared at a time.
const OWNERS_AT_ONCE: usize = 4;

/// A run that compares.
pub(super) struct Comparison<'a> {
    pub(super) task: Task<'a>,
    pub(super) cancelled: &'a CancellationToken,
    pub(super) verdict: Mutex<Validation>,
    pub(super) done: AtomicU64,
}

/// Why the comparison did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Memory(#[from] memory::Error),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A place while it is read.
struct Reading<'a> {
    place: &'a PlannedPlace,
    /// Parts of records of which others were not read yet.
    pending: HashMap<String, Vec<(PartNo, StoredPart)>>,
    /// The last record in the order of the source that was read; none where that does not matter.
    last: Option<Order>,
}

impl Comparison<'_> {
    /// Compares everything of the plan.
    pub(super) async fn run(self) -> Result<Validation, Stopped> {
        self.tell(0);
        walk::owners(self.task.plan)
            .map_err(Stopped::from)
            .try_for_each_concurrent(OWNERS_AT_ONCE, |owner| self.owner(owner))
            .await?;
        Ok(self
            .verdict
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    async fn owner(&self, owner: PlannedOwner) -> Result<(), Stopped> {
        let there = match &owner.owner {
            Owner::User(user) => {
                let found = patiently(self.cancelled, || {
                    self.task.service.user(self.task.caller, user)
                })
                .await?;
                let wanted = profile(&owner, user, self.task.roles, self.task.plan.now);
                let fields = found
                    .as_ref()
                    .map(|user| wanted.compare(user, COMPARED_NOT));
                let mut verdict = lock(&self.verdict);
                let alike = fields
                    .as_ref()
                    .is_some_and(|diff| diff.absent.is_empty() && diff.different.is_empty());
                verdict.count(CheckName::UserExists, 1, u64::from(alike));
                match fields {
                    None => verdict.differs(self.of_owner(&owner, "user", "does not exist")),
                    Some(diff) => {
                        for field in diff.absent {
                            verdict.differs(self.of_owner(&owner, &field, "is absent"));
                        }
                        for field in diff.different {
                            verdict.differs(self.of_owner(&owner, &field, "has another value"));
                        }
                    }
                }
                found.is_some()
            }
            Owner::Graph(graph) => {
                let there = patiently(self.cancelled, || {
                    self.task.service.has_graph(self.task.caller, graph)
                })
                .await?;
                let mut verdict = lock(&self.verdict);
                verdict.count(CheckName::UserExists, 1, u64::from(there));
                if !there {
                    verdict.differs(self.of_owner(&owner, "graph", "does not exist"));
                }
                there
            }
        };
        let sessions = match &owner.owner {
            Owner::User(user) if there => {
                patiently(self.cancelled, || {
                    self.task.service.sessions_of(self.task.caller, user)
                })
                .await?
            }
            _ => None,
        };
        walk::places(self.task.plan, owner.n)
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
        let expected = self.task.plan.count_of(place, State::Planned)?;
        if expected == 0 {
            return Ok(());
        }
        lock(&self.verdict).count(CheckName::MessageCount, expected, 0);
        match &place.place {
            Place::Session(user, session) => {
                let thread = sessions
                    .and_then(|sessions| self.task.service.thread_among(user, session, sessions));
                {
                    let mut verdict = lock(&self.verdict);
                    verdict.count(CheckName::SessionLoads, 1, u64::from(thread.is_some()));
                    if thread.is_none() {
                        let none = "does not exist".to_owned();
                        let check = CheckName::SessionLoads;
                        verdict.differs(self.of_place(check, place, "session", none));
                        let all = format!("are missing, all {expected} of the session");
                        let check = CheckName::MessageCount;
                        verdict.differs(self.of_place(check, place, "records", all));
                        drop(verdict);
                        self.tell(expected);
                        return Ok(());
                    }
                }
                if let Some(thread) = &thread {
                    let scan = || {
                        self.task
                            .service
                            .scan_thread(self.task.caller, user, thread)
                    };
                    self.read(place, scan).await?;
                }
            }
            Place::Graph(owner) if there => {
                self.read(place, || {
                    self.task.service.scan_graph(self.task.caller, owner)
                })
                .await?;
            }
            Place::Graph(_) => {}
        }
        self.missing(place)
    }

    /// Reads a place and compares what is there.
    async fn read<'s>(
        &self,
        place: &PlannedPlace,
        scan: impl Fn() -> memory::Result<Scan<'s>>,
    ) -> Result<(), Stopped> {
        let mut reading = Reading {
            place,
            pending: HashMap::new(),
            last: matches!(place.place, Place::Session(..)).then_some(Order::START),
        };
        let mut scan = scan()?;
        loop {
            if self.cancelled.is_cancelled() {
                return Err(memory::Error::from(zep::Error::Cancelled).into());
            }
            let Some(parts) = scan.next().await? else {
                break;
            };
            for part in parts {
                self.part(&mut reading, part)?;
            }
        }
        // What is left lacks a part, and where it stands was passed.
        reading.last = None;
        for (_, parts) in std::mem::take(&mut reading.pending) {
            self.record(
                &mut reading,
                parts.into_iter().map(|(_, part)| part).collect(),
            )?;
        }
        Ok(())
    }

    fn part(&self, reading: &mut Reading<'_>, part: StoredPart) -> Result<(), Stopped> {
        let Some(PartOf {
            record: id, number, ..
        }) = part_of(&part)
        else {
            return self.record(reading, vec![part]);
        };
        match self.task.plan.state_of(reading.place, &id)? {
            // A part of a record that was read whole before.
            Some((_, State::There)) => {
                self.doubled(reading.place, &id);
                return Ok(());
            }
            _ if number.total == 1 => return self.record(reading, vec![part]),
            _ => {}
        }
        let parts = reading.pending.entry(id.clone()).or_default();
        if parts.iter().any(|(noted, _)| *noted == number) {
            self.doubled(reading.place, &id);
            return Ok(());
        }
        parts.push((number, part));
        let of_this_split = parts
            .iter()
            .filter(|(noted, _)| noted.total == number.total);
        if of_this_split.count() == number.total as usize {
            let parts = reading.pending.remove(&id).unwrap_or_default();
            return self.record(reading, parts.into_iter().map(|(_, part)| part).collect());
        }
        Ok(())
    }

    fn doubled(&self, place: &PlannedPlace, id: &str) {
        let doubled = Difference {
            record: Some(id.to_owned()),
            ..self.of_place(
                CheckName::MessageCount,
                place,
                "record",
                "is stored twice".into(),
            )
        };
        lock(&self.verdict).differs(doubled);
    }

    /// Compares one record, all of whose parts were read.
    fn record(&self, reading: &mut Reading<'_>, parts: Vec<StoredPart>) -> Result<(), Stopped> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        let place = reading.place;
        let uuid = first.uuid.as_ref().map(ToString::to_string);
        let id = part_of(first).map(|part| part.instead_of.unwrap_or(part.record));
        let found = assemble(parts).records.pop();
        let mut verdict = lock(&self.verdict);
        if let Some(Assembled { record, .. }) = &found {
            verdict.found(record);
        }
        let planned = match &id {
            Some(id) => self.task.plan.record_of(place, id)?,
            None => None,
        };
        let Some(planned) = planned else {
            let unexpected = Difference {
                record: id.or(uuid),
                ..self.of_place(
                    CheckName::MessageCount,
                    place,
                    "record",
                    "is there, and not in the source".into(),
                )
            };
            verdict.differs(unexpected);
            return Ok(());
        };
        self.task.plan.set_state(planned.n, State::There)?;
        let differs = |check, field: &str, detail: &str| Difference {
            record: id.clone(),
            position: Some(planned.position.to_string()),
            ..self.of_place(check, place, field, detail.to_owned())
        };
        let Some(found) = found else {
            verdict.differs(differs(
                CheckName::Content,
                "content",
                "is marked as deleted, or lacks its beginning",
            ));
            return Ok(());
        };
        let is_session = matches!(place.place, Place::Session(..));
        let differences = compare(&planned.record, &found, is_session);
        for check in [
            CheckName::Content,
            CheckName::Timestamps,
            CheckName::Metadata,
        ] {
            let alike = differences.iter().all(|(of, ..)| *of != check);
            verdict.count(check, 1, u64::from(alike));
        }
        for (check, field, detail) in differences {
            verdict.differs(differs(check, field, detail));
        }
        if let Some(last) = reading.last {
            let in_order = planned.order >= last;
            verdict.count(CheckName::Order, 1, u64::from(in_order));
            if in_order {
                reading.last = Some(planned.order);
            } else {
                verdict.differs(differs(
                    CheckName::Order,
                    "order",
                    "stands behind a record that comes after it in the source",
                ));
            }
        }
        drop(verdict);
        self.tell(1);
        Ok(())
    }

    /// Names the records of a place that were not found.
    fn missing(&self, place: &PlannedPlace) -> Result<(), Stopped> {
        let mut after = Order::START;
        loop {
            let page = self
                .task
                .plan
                .records_after(place, State::Planned, after, 256)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.order;
            let missing = page.len() as u64;
            {
                let mut verdict = lock(&self.verdict);
                for record in page {
                    verdict.differs(Difference {
                        record: Some(record.record.id.to_string()),
                        position: Some(record.position.to_string()),
                        ..self.of_place(
                            CheckName::MessageCount,
                            place,
                            "record",
                            "is missing".into(),
                        )
                    });
                }
            }
            self.tell(missing);
        }
    }

    fn of_owner(&self, owner: &PlannedOwner, field: &str, detail: &str) -> Difference {
        Difference {
            check: CheckName::UserExists,
            owner: owner.owner.to_string(),
            session: None,
            record: None,
            position: None,
            field: field.to_owned(),
            detail: detail.to_owned(),
        }
    }

    fn of_place(
        &self,
        check: CheckName,
        place: &PlannedPlace,
        field: &str,
        detail: String,
    ) -> Difference {
        Difference {
            check,
            owner: place.place.owner().to_string(),
            session: place.place.session().map(SessionId::to_string),
            record: None,
            position: None,
            field: field.to_owned(),
            detail,
        }
    }

    fn tell(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        self.task.watch.at(Progress {
            phase: Phase::Validating,
            done,
            total: Some(self.task.plan.counts.records),
        });
    }
}

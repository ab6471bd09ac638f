//! Writing what belongs to one place: what is there is recognised, the rest follows in order.

use jiff::Timestamp;

use super::loading::{Order, PlannedPlace, PlannedRecord};
use super::patience::patiently;
use super::plan::State;
use super::report::Trouble;
use super::spool::SpoolError;
use super::write::{Found, Run, Unfinished};
use crate::memory::import::{PartOf, Scan, StoredParts, part_of};
use crate::memory::model::{Owner, Place, SessionId, TimeOrigin, Uuid};
use crate::memory::{self, Error};
use crate::zep::{self, ThreadId, limits::MESSAGES_PER_CALL};

/// How many records are read from the plan at a time.
const PAGE: usize = 4 * MESSAGES_PER_CALL;

impl Run<'_> {
    /// Brings everything of a place to where it belongs.
    pub(super) async fn write_place(
        &self,
        place: &PlannedPlace,
        found: &Found,
    ) -> Result<(), Unfinished> {
        let mut newest = None;
        let mut thread = None;
        match &place.place {
            Place::Session(user, session) => {
                if let Some(sessions) = &found.sessions {
                    thread = self.service.thread_among(user, session, sessions);
                }
                if let Some(thread) = &thread {
                    newest = self.look_in_thread(place, thread).await?;
                }
            }
            Place::Graph(owner) if found.existed => {
                self.look(place, || self.service.scan_graph(self.caller, owner))
                    .await?;
            }
            Place::Graph(_) => {}
        }
        if let Place::Session(user, session) = &place.place {
            let planned = self.plan.count_of(place, State::Planned)?;
            if thread.is_none() && planned > 0 && !self.request.dry_run {
                let (made, was_there) = patiently(&self.stop, || {
                    self.service.make_session(self.caller, user, session)
                })
                .await?;
                self.report().least_requests += u64::from(!was_there);
                if was_there {
                    newest = self.look_in_thread(place, &made).await?;
                }
            }
            self.report().sessions += 1;
            self.refuse_if_in_use(place, newest)?;
        }
        self.write_records(place).await
    }

    async fn look_in_thread(
        &self,
        place: &PlannedPlace,
        thread: &ThreadId,
    ) -> Result<Option<Timestamp>, Unfinished> {
        let Owner::User(user) = place.place.owner() else {
            return Ok(None);
        };
        self.look(place, || {
            self.service.scan_thread(self.caller, &user, thread)
        })
        .await
    }

    /// Recognises what is stored, by record id. Answers the time of the newest thing there.
    async fn look<'s>(
        &self,
        place: &PlannedPlace,
        scan: impl Fn() -> memory::Result<Scan<'s>>,
    ) -> Result<Option<Timestamp>, Unfinished> {
        let scan = &scan;
        let newest = patiently(&self.stop, || async move {
            let mut newest = None;
            let mut scan = scan()?;
            while let Some(parts) = scan.next().await? {
                for part in parts {
                    let ours = part_of(&part);
                    // An inferred time is no reason to take something for new.
                    if ours
                        .as_ref()
                        .is_none_or(|ours| ours.time == TimeOrigin::Given)
                    {
                        newest = newest.max(part.created_at);
                    }
                    let Some(ours) = ours else {
                        continue;
                    };
                    let noted = self.note_stored(place, &ours, part.uuid.as_ref());
                    noted.map_err(|error| {
                        Error::from(zep::Error::Storage {
                            path: "(temporary)".into(),
                            message: error.to_string(),
                        })
                    })?;
                }
            }
            Ok(newest)
        })
        .await?;
        Ok(newest)
    }

    fn note_stored(
        &self,
        place: &PlannedPlace,
        part: &PartOf,
        uuid: Option<&Uuid>,
    ) -> Result<(), SpoolError> {
        let Some((record, state)) = self.plan.state_of(place, &part.record)? else {
            return Ok(());
        };
        if state == State::Planned as i64
            && (part.number.total == 1 || self.plan.note_part(record, part.number, uuid)?)
        {
            self.plan.set_state(record, State::There)?;
            self.report().already_there += 1;
            self.tell(1);
        }
        Ok(())
    }

    /// Older turns are not put behind newer ones.
    fn refuse_if_in_use(
        &self,
        place: &PlannedPlace,
        newest: Option<Timestamp>,
    ) -> Result<(), Unfinished> {
        let Some(newest) = newest.filter(|_| !self.request.append) else {
            return Ok(());
        };
        let first = self
            .plan
            .records_after(place, State::Planned, Order::START, 1)?
            .pop();
        match first {
            Some(first)
                if first.record.created_at < newest
                    && (first.record.time == TimeOrigin::Given
                        || first.order.0 != Order::START.0) =>
            {
                Err(Unfinished::InUse {
                    newest,
                    oldest: first.record.created_at,
                    remaining: self.plan.count_of(place, State::Planned)?,
                })
            }
            _ => Ok(()),
        }
    }

    /// Writes what is not there, in order, in as few requests as its limits make necessary.
    async fn write_records(&self, place: &PlannedPlace) -> Result<(), Unfinished> {
        let mut after = Order::START;
        let mut waiting: Vec<PlannedRecord> = Vec::new();
        let mut parts = 0;
        let mut in_all = 0;
        loop {
            let page = self
                .plan
                .records_after(place, State::Planned, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.order;
            for record in page {
                if parts + record.parts > MESSAGES_PER_CALL && !waiting.is_empty() {
                    self.send(place, std::mem::take(&mut waiting)).await?;
                    parts = 0;
                }
                parts += record.parts;
                in_all += record.parts;
                waiting.push(record);
            }
        }
        if !waiting.is_empty() {
            self.send(place, waiting).await?;
        }
        let least = match place.place {
            Place::Session(..) => in_all.div_ceil(MESSAGES_PER_CALL),
            Place::Graph(_) => in_all,
        };
        self.report().least_requests += least as u64;
        Ok(())
    }

    /// Writes these records. One that Zep refuses is found and left out; the others go on.
    async fn send(
        &self,
        place: &PlannedPlace,
        records: Vec<PlannedRecord>,
    ) -> Result<(), Unfinished> {
        let mut to_send = vec![records];
        while let Some(mut records) = to_send.pop() {
            if self.stop.is_cancelled() {
                return Err(Error::from(zep::Error::Cancelled).into());
            }
            let error = match self.import(place, &records).await {
                Ok(()) => {
                    self.written(&place.place, &numbers(&records))?;
                    continue;
                }
                Err(error) => error,
            };
            let stored = match &error {
                Error::PartlyStored(stopped) => stopped.stored.len().min(records.len()),
                _ => 0,
            };
            let mut rest = records.split_off(stored);
            self.written(&place.place, &numbers(&records))?;
            match rest.len() {
                0 => {}
                _ if !is_refused(&error) => return Err(error.into()),
                1 => self.refused(place, &rest[0], &error)?,
                several => {
                    let second = rest.split_off(several / 2);
                    to_send.push(second);
                    to_send.push(rest);
                }
            }
        }
        Ok(())
    }

    async fn import(&self, place: &PlannedPlace, records: &[PlannedRecord]) -> memory::Result<()> {
        if self.request.dry_run {
            return Ok(());
        }
        let mut stored = StoredParts::default();
        for record in records {
            let parts = self.plan.parts_of(record.n).unwrap_or_default();
            if !parts.is_empty() {
                stored.0.insert(record.record.id.to_string(), parts);
            }
        }
        let mut known = Some(stored);
        patiently(&self.stop, || {
            let known = known.take();
            if known.is_none() {
                // After a failure what is stored is looked up, not believed, and what is sent again
                // may have been on its way.
                self.doubt(place);
            }
            let records = records.iter().map(|one| one.record.clone()).collect();
            self.service
                .import(self.caller, &place.place, records, known)
        })
        .await
    }

    fn refused(
        &self,
        place: &PlannedPlace,
        record: &PlannedRecord,
        error: &Error,
    ) -> Result<(), Unfinished> {
        self.plan.set_state(record.n, State::Failed)?;
        let mut report = self.report();
        report.failed += 1;
        report.trouble(Trouble {
            position: Some(record.position.to_string()),
            record: Some(record.record.id.to_string()),
            owner: Some(place.place.owner().to_string()),
            session: place.place.session().map(SessionId::to_string),
            ..Trouble::of_run(error.to_string())
        });
        drop(report);
        if self.request.strict {
            self.stop.cancel();
        }
        Ok(())
    }
}

fn numbers(records: &[PlannedRecord]) -> Vec<(i64, usize)> {
    records.iter().map(|one| (one.n, one.parts)).collect()
}

/// Whether the backend said no to what was sent, and not to us or for the moment.
fn is_refused(error: &Error) -> bool {
    let cause = match error {
        Error::Invalid { .. } => return true,
        Error::Zep(cause) => cause,
        Error::PartlyStored(stopped) => &stopped.cause,
        Error::NotYours { .. } | Error::NoSession { .. } => return false,
    };
    matches!(cause, zep::Error::Invalid { .. })
}

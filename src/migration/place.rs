//! Writing what belongs to one place: what is there is recognised, the rest follows in order.

use std::collections::HashSet;

use jiff::Timestamp;

use super::loading::{Order, PlannedPlace, PlannedRecord};
use super::patience::patiently;
use super::plan::State;
use super::report::Trouble;
use super::spool::SpoolError;
use super::write::{Found, Run, Unfinished, in_a_report};
use crate::memory;
use crate::memory::import::{ImportTurn, PartOf, Scan, StoredParts, part_of};
use crate::memory::model::{Owner, Place, SessionId, TimeOrigin, Uuid};
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
                    thread = self.task.service.thread_among(user, session, sessions);
                }
                if let Some(thread) = &thread {
                    newest = self.look_in_thread(place, thread).await?;
                }
            }
            Place::Graph(owner) if found.existed => {
                self.look(place, || {
                    self.task.service.scan_graph(self.task.caller, owner)
                })
                .await?;
            }
            Place::Graph(_) => {}
        }
        if let Place::Session(user, session) = &place.place {
            let planned = self.task.plan.count_of(place, State::Planned)?;
            if thread.is_none() && planned > 0 && !self.request.dry_run {
                let (made, was_there) = patiently(&self.stop, || {
                    self.task
                        .service
                        .make_session(self.task.caller, user, session)
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
        self.write_records(place, found.turn.as_ref()).await
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
            self.task
                .service
                .scan_thread(self.task.caller, &user, thread)
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
        patiently(&self.stop, || async move {
            let mut newest = None;
            let mut seen = HashSet::new();
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
                    if let Some(ours) = ours
                        && let Some(record) = self.note_stored(place, &ours, part.uuid.as_ref())?
                        && !seen.insert((record, ours.number))
                    {
                        // Another run at the same time, or a late write of an earlier one.
                        self.doubt(place);
                    }
                }
            }
            Ok(newest)
        })
        .await
    }

    /// Notes a stored part. Answers which of the planned records it is of.
    fn note_stored(
        &self,
        place: &PlannedPlace,
        part: &PartOf,
        uuid: Option<&Uuid>,
    ) -> Result<Option<i64>, SpoolError> {
        let plan = self.task.plan;
        if let Some(changed) = &part.instead_of
            && let Some((record, State::Planned)) = plan.state_of(place, changed)?
        {
            // It was changed since it was migrated: it is there as it is now.
            plan.set_state(record, State::There)?;
            self.report().already_there += 1;
            self.tell(1);
        }
        let Some((record, state)) = plan.state_of(place, &part.record)? else {
            return Ok(None);
        };
        if state == State::Planned
            && (part.number.total == 1 || plan.note_part(record, part.number, uuid)?)
        {
            plan.set_state(record, State::There)?;
            self.report().already_there += 1;
            self.tell(1);
        }
        Ok(Some(record))
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
            .task
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
                    remaining: self.task.plan.count_of(place, State::Planned)?,
                })
            }
            _ => Ok(()),
        }
    }

    /// Writes what is not there, in order, in as few requests as its limits make necessary.
    async fn write_records(
        &self,
        place: &PlannedPlace,
        turn: Option<&ImportTurn>,
    ) -> Result<(), Unfinished> {
        let mut after = Order::START;
        let mut waiting: Vec<PlannedRecord> = Vec::new();
        let mut parts = 0;
        let mut in_all = 0;
        loop {
            let page = self
                .task
                .plan
                .records_after(place, State::Planned, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.order;
            for record in page {
                if parts + record.parts > MESSAGES_PER_CALL && !waiting.is_empty() {
                    self.send(place, turn, std::mem::take(&mut waiting)).await?;
                    parts = 0;
                }
                parts += record.parts;
                in_all += record.parts;
                waiting.push(record);
            }
        }
        if !waiting.is_empty() {
            self.send(place, turn, waiting).await?;
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
        turn: Option<&ImportTurn>,
        records: Vec<PlannedRecord>,
    ) -> Result<(), Unfinished> {
        let mut to_send = vec![records];
        while let Some(mut records) = to_send.pop() {
            if self.stop.is_cancelled() {
                return Err(memory::Error::from(zep::Error::Cancelled).into());
            }
            let error = match self.import(place, turn, &records).await {
                Ok(()) => {
                    self.written(&place.place, &numbers(&records))?;
                    continue;
                }
                Err(Unfinished::Memory(error)) => error,
                Err(error) => return Err(error),
            };
            let stored = match &error {
                memory::Error::PartlyStored(stopped) => stopped.stored.len().min(records.len()),
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

    async fn import(
        &self,
        place: &PlannedPlace,
        turn: Option<&ImportTurn>,
        records: &[PlannedRecord],
    ) -> Result<(), Unfinished> {
        // A dry run writes nothing, and so has no turn.
        let Some(turn) = turn else {
            return Ok(());
        };
        let mut stored = StoredParts::default();
        for record in records {
            let parts = self.task.plan.parts_of(record.n)?;
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
            self.task
                .service
                .import(self.task.caller, turn, &place.place, records, known)
        })
        .await
        .map_err(Unfinished::Memory)
    }

    fn refused(
        &self,
        place: &PlannedPlace,
        record: &PlannedRecord,
        error: &memory::Error,
    ) -> Result<(), Unfinished> {
        self.task.plan.set_state(record.n, State::Failed)?;
        let mut report = self.report();
        report.failed += 1;
        report.trouble(Trouble {
            position: Some(record.position.to_string()),
            record: Some(record.record.id.to_string()),
            owner: Some(place.place.owner().to_string()),
            session: place.place.session().map(SessionId::to_string),
            ..Trouble::of_run(in_a_report(error))
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
fn is_refused(error: &memory::Error) -> bool {
    matches!(error, memory::Error::Invalid { .. })
        || matches!(error.cause(), Some(zep::Error::Invalid { .. }))
}

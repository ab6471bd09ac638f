//! Writing one place: what is there is recognised, the rest is written in order.

use std::collections::HashSet;

use jiff::Timestamp;

use super::batch::BatchPlace;
use super::error::{Unfinished, in_a_report};
use super::{Ready, Run, Target, ids};
use crate::memory;
use crate::memory::import::{Imported, Scan, StoredParts, part_of};
use crate::memory::model::{Owner, Place, SessionId, TimeOrigin};
use crate::migration::book;
use crate::migration::ledger::{Mark, PlaceNo, PlaceStatus, RecordState};
use crate::migration::lock;
use crate::migration::plan::{Order, Plan, PlannedPlace, PlannedRecord, State};
use crate::migration::report::Trouble;
use crate::migration::retry::with_retries;
use crate::zep::{self, ThreadId, limits::MESSAGES_PER_CALL};

/// How many records are read from the plan at a time.
const PAGE: usize = 4 * MESSAGES_PER_CALL;

impl Run<'_> {
    /// Writes all records of a place that are not there yet.
    pub(super) async fn write_place(
        &self,
        place: &PlannedPlace,
        ready: &Ready,
    ) -> Result<(), Unfinished> {
        let named = place.place.clone();
        let known = self.book.with(move |run| run.place_status(&named)).await?;
        let at = known.map(|known| known.n);
        if let Some(known) = known {
            self.may_be_late(place, &known).await?;
            self.replace_changed(place, known.n, ready.held.turn.as_ref())
                .await?;
            if place.planned == 0 {
                let is_session = matches!(place.place, Place::Session(..));
                self.report().sessions += u64::from(is_session);
                return Ok(());
            }
        }
        let mut newest = None;
        let mut thread = None;
        // Whether it is known what is stored there.
        let mut seen = true;
        match &place.place {
            Place::Session(user, session) => {
                if let Some(sessions) = &ready.sessions {
                    thread = self.context.service.thread_among(user, session, sessions);
                }
                if let Some(thread) = &thread {
                    newest = self.look_in_thread(place, at, thread).await?;
                } else if known.is_some_and(|known| known.has_records) {
                    return Err(Unfinished::Gone);
                }
            }
            Place::Graph(_) if known.is_some_and(|known| known.seen) => seen = false,
            Place::Graph(owner) if ready.existed => {
                self.look(place, at, || {
                    self.context.service.scan_graph(self.context.caller, owner)
                })
                .await?;
            }
            Place::Graph(_) => {}
        }
        if let Place::Session(user, session) = &place.place {
            if thread.is_none() && place.planned > 0 && !self.request.dry_run {
                // Before the request, since its answer may be lost: the user is known not to have it.
                if let Some(at) = at {
                    self.book.note(vec![Mark::MadePlace(at)]).await?;
                }
                let (made, was_there) = with_retries(&self.stop, || {
                    self.context
                        .service
                        .make_session(self.context.caller, user, session)
                })
                .await?;
                self.report().least_requests += u64::from(!was_there);
                thread = Some(made.clone());
                if was_there {
                    newest = self.look_in_thread(place, at, &made).await?;
                }
            }
            self.report().sessions += 1;
            self.refuse_if_in_use(place, newest).await?;
        } else if let Some(at) = at.filter(|_| seen) {
            self.book.note(vec![Mark::Seen(at)]).await?;
        }
        let turn = ready.held.turn.as_ref();
        match self.batches.as_ref().filter(|_| turn.is_some()) {
            Some(batches) => {
                let place = BatchPlace {
                    place: place.clone(),
                    at,
                    turn: turn.cloned(),
                    thread,
                    seen,
                    held: ready.held.clone(),
                };
                self.fill(batches, place).await
            }
            None => {
                let to = Target {
                    place,
                    at,
                    turn,
                    seen,
                };
                self.write_records(&to).await
            }
        }
    }

    /// Notes what an earlier process sent that may still arrive.
    async fn may_be_late(
        &self,
        place: &PlannedPlace,
        known: &PlaceStatus,
    ) -> Result<(), Unfinished> {
        if let Some(until) = known.late_until {
            lock(&self.doubts).sent_again(place, Some(until));
        }
        let Some(sent_at) = known.sent_at else {
            return Ok(());
        };
        let Some(until) = self.late_after(sent_at) else {
            return Ok(());
        };
        if until <= Timestamp::now() || !self.context.plan.step_at(place, Plan::was_sent).await? {
            return Ok(());
        }
        lock(&self.doubts).sent_again(place, Some(until));
        let place = known.n;
        self.book.note(vec![Mark::Late { place, until }]).await?;
        Ok(())
    }

    async fn look_in_thread(
        &self,
        place: &PlannedPlace,
        at: Option<PlaceNo>,
        thread: &ThreadId,
    ) -> Result<Option<Timestamp>, Unfinished> {
        let Owner::User(user) = place.place.owner() else {
            return Ok(None);
        };
        self.look(place, at, || {
            self.context
                .service
                .scan_thread(self.context.caller, &user, thread)
        })
        .await
    }

    /// Recognises what is stored, by record id. Answers the time of the newest message there.
    async fn look<'s>(
        &self,
        place: &PlannedPlace,
        at: Option<PlaceNo>,
        scan: impl Fn() -> memory::Result<Scan<'s>>,
    ) -> Result<Option<Timestamp>, Unfinished> {
        let scan = &scan;
        with_retries(&self.stop, || async move {
            let mut newest = None;
            let mut seen = HashSet::new();
            let mut scan = scan()?;
            while let Some(parts) = scan.next().await? {
                let mut ours = Vec::new();
                for part in parts {
                    let of = part_of(&part);
                    // An inferred time does not make a message new.
                    if of.as_ref().is_none_or(|of| of.time == TimeOrigin::Given) {
                        newest = newest.max(part.created_at);
                    }
                    ours.extend(of.map(|of| (of, part.uuid)));
                }
                let recognise = move |plan: &Plan, place: &_| plan.recognise(place, &ours);
                let found = self.context.plan.step_at(place, recognise).await?;
                self.report().already_there += found.records;
                self.progress(found.records);
                if let Some(place) = at {
                    let marks = found.stored.into_iter();
                    let marks = marks.map(|(id, run)| Mark::Found { place, id, run });
                    self.book.note(marks.collect()).await?;
                }
                for part in found.parts {
                    if !seen.insert(part) {
                        // Another run at the same time, or a late write of an earlier one.
                        self.stored_twice(place);
                    }
                }
            }
            Ok(newest)
        })
        .await
    }

    /// Refuses to put older turns behind newer ones.
    async fn refuse_if_in_use(
        &self,
        place: &PlannedPlace,
        newest: Option<Timestamp>,
    ) -> Result<(), Unfinished> {
        let Some(newest) = newest.filter(|_| !self.request.append) else {
            return Ok(());
        };
        let first = move |plan: &Plan, place: &_| {
            Ok((
                plan.planned_after(place, Order::START, 1)?.pop(),
                plan.planned_at(place)?,
            ))
        };
        let (first, remaining) = self.context.plan.step_at(place, first).await?;
        match first {
            Some(first)
                if first.record.created_at < newest
                    && (first.record.time == TimeOrigin::Given || first.order.is_dated()) =>
            {
                Err(Unfinished::InUse {
                    newest,
                    oldest: first.record.created_at,
                    remaining,
                })
            }
            _ => Ok(()),
        }
    }

    /// Writes what is not there, in order, in as few requests as Zep's limits allow.
    pub(super) async fn write_records(&self, to: &Target<'_>) -> Result<(), Unfinished> {
        let mut after = Order::START;
        let mut waiting: Vec<PlannedRecord> = Vec::new();
        let mut parts = 0;
        let mut in_all = 0;
        loop {
            let next = move |plan: &Plan, place: &_| plan.planned_after(place, after, PAGE);
            let page = self.context.plan.step_at(to.place, next).await?;
            let Some(last) = page.last() else { break };
            after = last.order;
            let is_last = page.len() < PAGE;
            for record in page {
                let is_full = parts + record.parts > MESSAGES_PER_CALL;
                // What may be stored is looked up, what was never sent is not.
                let is_other = !to.seen && waiting.last().is_some_and(|it| it.sent != record.sent);
                if (is_full || is_other) && !waiting.is_empty() {
                    self.send(to, std::mem::take(&mut waiting)).await?;
                    parts = 0;
                }
                parts += record.parts;
                in_all += record.parts;
                waiting.push(record);
            }
            if is_last {
                break;
            }
        }
        if !waiting.is_empty() {
            self.send(to, waiting).await?;
        }
        let least = match to.place.place {
            Place::Session(..) => in_all.div_ceil(MESSAGES_PER_CALL),
            Place::Graph(_) => in_all,
        };
        // A batch takes what is not written here, too.
        let counted = self.batches.as_ref().is_some_and(|them| !them.are_absent());
        self.report().least_requests += if counted { 0 } else { least as u64 };
        Ok(())
    }

    /// Writes these records. One that Zep refuses is found and left out; the others go on.
    pub(super) async fn send(
        &self,
        to: &Target<'_>,
        records: Vec<PlannedRecord>,
    ) -> Result<(), Unfinished> {
        let place = to.place;
        if let Some(at) = to.at {
            let sent = book::records(at, ids(&records), RecordState::Sent);
            self.book.note(vec![sent]).await?;
        }
        let mut to_send = vec![records];
        while let Some(mut records) = to_send.pop() {
            if self.stop.is_cancelled() {
                return Err(memory::Error::from(zep::Error::Cancelled).into());
            }
            let resent = self.resent();
            let sent = self.import(to, &records).await;
            let was_resent = self.resent() != resent || lock(&self.doubts).has(place);
            let late = self.late_until().filter(|_| was_resent);
            let error = match sent {
                Ok(()) => {
                    self.written(place, to.at, &records, late).await?;
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
            self.written(place, to.at, &records, late).await?;
            match rest.len() {
                0 => {}
                _ if !is_refused(&error) => return Err(error.into()),
                1 => self.refused(to, &rest[0], &error).await?,
                several => {
                    let second = rest.split_off(several / 2);
                    to_send.push(second);
                    to_send.push(rest);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn import(
        &self,
        to: &Target<'_>,
        records: &[PlannedRecord],
    ) -> Result<(), Unfinished> {
        // A dry run has no turn: it writes nothing.
        let Some(turn) = to.turn else {
            return Ok(());
        };
        let mut stored = StoredParts::default();
        for record in records {
            if !record.stored.is_empty() {
                let id = record.record.id.to_string();
                stored.0.insert(id, record.stored.clone());
            }
        }
        let may_be_there = !to.seen && records.iter().any(|record| record.sent);
        let mut known = (!may_be_there).then_some(stored);
        let mut is_first = true;
        let run = self.book.run_id();
        with_retries(&self.stop, || {
            let known = known.take();
            if !std::mem::take(&mut is_first) {
                // After a failure what is stored must be looked up, and what is sent again may have
                // been on its way.
                self.sent_again(to.place);
            }
            let records = records
                .iter()
                .map(|one| Imported {
                    run: run.map(ToOwned::to_owned),
                    ..one.record.clone()
                })
                .collect();
            self.context
                .service
                .import(self.context.caller, turn, &to.place.place, records, known)
        })
        .await
        .map_err(Unfinished::Memory)
    }

    async fn refused(
        &self,
        to: &Target<'_>,
        record: &PlannedRecord,
        error: &memory::Error,
    ) -> Result<(), Unfinished> {
        let place = to.place;
        if let Some(at) = to.at {
            let ids = vec![record.record.id.to_string()];
            let failed = book::records(at, ids, RecordState::Failed);
            self.book.note(vec![failed]).await?;
        }
        let number = record.n;
        let failed = move |plan: &Plan| plan.set_states(&[number], State::Failed);
        self.context.plan.step(failed).await?;
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

/// Whether the backend refused the records themselves.
fn is_refused(error: &memory::Error) -> bool {
    matches!(error, memory::Error::Invalid { .. })
        || matches!(error.cause(), Some(zep::Error::Invalid { .. }))
}

//! A plan beside the ledger: what is stored already, what may be, and what has changed.

use std::ops::ControlFlow;

use rusqlite::{OptionalExtension, params};
use tokio_util::sync::CancellationToken;

use super::identity::{key_of, owner_key};
use super::records::{Order, PlannedOwner, PlannedPlace, PlannedRecord};
use super::spool;
use super::{Plan, PlanError, State};
use crate::memory::model::{Owner, Place};
use crate::migration::Error;
use crate::migration::ledger::{self, Known, PlannedEntry};
use crate::migration::progress::{Phase, Progress, Watch};

/// How many records of a place are compared with the ledger at a time.
const PAGE: usize = 4_096;

/// How many changed records of a place are read at a time.
const CHANGED: usize = 64;

/// How much of a plan the ledger knows, in records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::migration) struct Tally {
    /// Not stored, as far as it knows.
    pub(in crate::migration) open: u64,
    /// Sent, and not known to be stored.
    pub(in crate::migration) sent: u64,
    /// Stored.
    pub(in crate::migration) stored: u64,
    /// Those of them that have changed in the source since.
    pub(in crate::migration) changed: u64,
}

impl Tally {
    fn count(&mut self, known: Known) {
        match known {
            Known::New | Known::Open => self.open += 1,
            Known::Sent => self.sent += 1,
            Known::Stored => self.stored += 1,
            Known::Changed | Known::Replacing => {
                self.stored += 1;
                self.changed += 1;
            }
        }
    }
}

impl Plan {
    /// Asks what is known of each planned record, and notes it.
    pub(in crate::migration) fn meet(
        &self,
        mut ask: impl FnMut(&Place, &[PlannedEntry]) -> ledger::Result<Vec<Known>>,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let mut done = 0;
        let mut after_owner = 0;
        loop {
            let owners = self.owners_after(after_owner).map_err(PlanError::from)?;
            let Some(last) = owners.last() else {
                return Ok(tally);
            };
            after_owner = last.n;
            for owner in &owners {
                let met = self.meet_owner(owner, &mut ask, &mut |records| {
                    done += records;
                    watch.at(Progress {
                        phase: Phase::Planning,
                        done,
                        total: Some(self.counts.records),
                    });
                    !cancelled.is_cancelled()
                })?;
                if cancelled.is_cancelled() {
                    return Err(PlanError::Cancelled.into());
                }
                tally.open += met.open;
                tally.sent += met.sent;
                tally.stored += met.stored;
                tally.changed += met.changed;
            }
        }
    }

    /// Asks what is known of each planned record of an owner, and notes it. `go_on` is told how many
    /// were asked for.
    pub(in crate::migration) fn meet_owner(
        &self,
        owner: &PlannedOwner,
        ask: &mut impl FnMut(&Place, &[PlannedEntry]) -> ledger::Result<Vec<Known>>,
        go_on: &mut impl FnMut(u64) -> bool,
    ) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        self.each_page(owner, |place, numbers, entries| {
            let known = ask(place, &entries)?;
            for known in &known {
                tally.count(*known);
            }
            let known: Vec<_> = numbers.into_iter().zip(known).collect();
            self.note_known(&known).map_err(PlanError::from)?;
            Ok(match go_on(known.len() as u64) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })
        .map(|_| tally)
    }

    /// Hands over the planned records of an owner in pages, each of one place, as the ledger takes them,
    /// with their numbers; until `each` breaks it off.
    pub(super) fn each_page(
        &self,
        owner: &PlannedOwner,
        mut each: impl FnMut(&Place, Vec<i64>, Vec<PlannedEntry>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut after_place = 0;
        loop {
            let places = self.places_after(owner.n, after_place);
            let places = places.map_err(PlanError::from)?;
            let Some(last) = places.last() else {
                return Ok(ControlFlow::Continue(()));
            };
            after_place = last.n;
            for place in &places {
                let mut after = Order::START;
                loop {
                    let page = self.entries_after(place, after).map_err(PlanError::from)?;
                    let Some((_, last, _)) = page.last() else {
                        break;
                    };
                    after = *last;
                    let (numbers, entries) =
                        page.into_iter().map(|(n, _, entry)| (n, entry)).unzip();
                    if each(&place.place, numbers, entries)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
    }

    /// The next planned records of a place, as the ledger takes them, with their numbers.
    fn entries_after(
        &self,
        place: &PlannedPlace,
        after: Order,
    ) -> spool::Result<Vec<(i64, Order, PlannedEntry)>> {
        let db = self.spool.db();
        let mut entries = db.prepare_cached(
            "SELECT n, carried, rank, id, parts, digest FROM record
             WHERE place = ?1 AND state = ?2 AND (carried, rank) > (?3, ?4)
             ORDER BY carried, rank LIMIT ?5",
        )?;
        let planned = State::Planned as i64;
        let rows = entries.query_map(params![place.n, planned, after.0, after.1, PAGE], |row| {
            let entry = PlannedEntry {
                id: row.get(3)?,
                parts: row.get(4)?,
                digest: row.get(5)?,
            };
            Ok((row.get(0)?, Order(row.get(1)?, row.get(2)?), entry))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn note_known(&self, records: &[(i64, Known)]) -> spool::Result<()> {
        let db = self.spool.db();
        let mut there = db.prepare_cached("UPDATE record SET state = ?2 WHERE n = ?1")?;
        let mut sent = db.prepare_cached("INSERT OR IGNORE INTO sent VALUES (?1)")?;
        let mut changed = db.prepare_cached("INSERT OR IGNORE INTO changed VALUES (?1, ?2)")?;
        for (n, known) in records {
            match known {
                Known::New | Known::Open => {}
                Known::Sent => {
                    sent.execute([n])?;
                }
                Known::Stored | Known::Changed | Known::Replacing => {
                    there.execute(params![n, State::There as i64])?;
                    if *known != Known::Stored {
                        changed.execute(params![n, *known == Known::Replacing])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next records of a place after this one that have changed in the source since they were stored,
    /// each with whether a run has begun to replace it.
    pub(in crate::migration) fn changed_after(
        &self,
        place: &PlannedPlace,
        after: i64,
    ) -> spool::Result<Vec<(PlannedRecord, bool)>> {
        let db = self.spool.db();
        let mut changed = db.prepare_cached(
            "SELECT record.id, changed.begun FROM record
             JOIN changed ON changed.record = record.n
             WHERE record.place = ?1 AND record.n > ?2 ORDER BY record.n LIMIT ?3",
        )?;
        let page = changed
            .query_map(params![place.n, after, CHANGED], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<Vec<(String, bool)>, _>>()?;
        drop(changed);
        drop(db);
        let mut records = Vec::new();
        for (id, begun) in page {
            records.extend(self.record_of(place, &id)?.map(|record| (record, begun)));
        }
        Ok(records)
    }

    /// Whether an owner has records that have changed since they were stored; if `begun`, only such as a
    /// run has begun to replace.
    pub(in crate::migration) fn has_changed(&self, owner: i64, begun: bool) -> spool::Result<bool> {
        let db = self.spool.db();
        Ok(db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM changed JOIN record ON record.n = changed.record
                    WHERE record.owner = ?1 AND changed.begun >= ?2)",
            )?
            .query_row(params![owner, begun], |row| row.get(0))?)
    }

    /// The digest of a record, as the ledger takes it.
    pub(in crate::migration) fn digest_of(&self, record: i64) -> spool::Result<Vec<u8>> {
        let db = self.spool.db();
        Ok(db
            .prepare_cached("SELECT digest FROM record WHERE n = ?1")?
            .query_row([record], |row| row.get(0))?)
    }

    /// Whether the source has a record of this id at a place, in whatever state.
    pub(in crate::migration) fn has(&self, place: &Place, id: &str) -> spool::Result<bool> {
        let (owner, session) = key_of(place);
        let db = self.spool.db();
        let has = db
            .prepare_cached(
                "SELECT 1 FROM record WHERE id = ?3
                 AND owner = (SELECT n FROM owner WHERE key = ?1)
                 AND place = (SELECT n FROM place WHERE session = ?2
                    AND owner = (SELECT n FROM owner WHERE key = ?1))",
            )?
            .query_row([owner.as_str(), session.as_str(), id], |_| Ok(()))
            .optional()?;
        Ok(has.is_some())
    }

    /// Whether an earlier process sent something to a place that may be stored.
    pub(in crate::migration) fn was_sent(&self, place: &PlannedPlace) -> spool::Result<bool> {
        let db = self.spool.db();
        Ok(db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM sent JOIN record ON record.n = sent.record
                    WHERE record.place = ?1)",
            )?
            .query_row([place.n], |row| row.get(0))?)
    }

    /// Whether anything of an owner is still planned.
    pub(in crate::migration) fn is_planned(&self, owner: &Owner) -> spool::Result<bool> {
        let db = self.spool.db();
        Ok(db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM owner JOIN place ON place.owner = owner.n
                    JOIN record ON record.place = place.n
                    WHERE owner.key = ?1 AND record.state = ?2)",
            )?
            .query_row(params![owner_key(owner), State::Planned as i64], |row| {
                row.get(0)
            })?)
    }
}

//! What the ledger knows of the records of a plan, and noting those that it does not know.

use std::sync::MutexGuard;

use ring::hmac;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::{LedgerError, Result};
use super::run::{LedgerRun, find_place, place_no};
use super::values::{Digest, RecordKey, RecordState};
use super::writer::Committing;
use super::{Ledger, locked};
use crate::memory::model::Place;

/// How many records are noted in one commit: enough that commits cost little, few enough that another
/// process waits only for a moment.
const COMMIT_EVERY: usize = 20_000;

/// A record of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedEntry {
    /// Its id.
    pub id: String,
    /// How many messages or episodes it takes.
    pub parts: u64,
    /// Differs if anything of the record does.
    pub digest: Vec<u8>,
}

/// What the ledger knows of a planned record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing: no run has planned it.
    New,
    /// It is not stored: it was planned, refused or undone.
    Open,
    /// It was sent, and may be stored.
    Sent,
    /// It was stored, as the source has it.
    Stored,
    /// It was stored, and the source has changed since.
    Changed,
}

impl Known {
    fn of(state: RecordState, known: Option<&Digest>, now: &Digest) -> Self {
        match state {
            RecordState::Planned | RecordState::Failed | RecordState::Undone => Self::Open,
            RecordState::Sent => Self::Sent,
            RecordState::Confirmed if known.is_some_and(|known| known.differs(now)) => {
                Self::Changed
            }
            RecordState::Confirmed => Self::Stored,
        }
    }
}

/// A row of a record: its number, state and digest.
type Found = (i64, RecordState, Option<Digest>);

fn find(db: &Connection, place: i64, id: &str) -> rusqlite::Result<Option<Found>> {
    db.prepare_cached("SELECT n, state, digest FROM record WHERE place = ?1 AND id = ?2")?
        .query_row(params![place, RecordKey(id)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
}

/// Notes the plan of a run. Others wait for what is noted in one commit.
#[derive(Debug)]
pub struct Planning<'a> {
    run: &'a LedgerRun,
    committing: MutexGuard<'a, Committing>,
    /// How many records are not committed yet.
    open: usize,
    in_transaction: bool,
}

impl LedgerRun {
    /// Notes what this run plans.
    pub fn planning(&self) -> Planning<'_> {
        Planning {
            run: self,
            committing: locked(&self.writer.committing),
            open: 0,
            in_transaction: false,
        }
    }

    /// Plans records of one place. Answers what was known of each before.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn plan(&self, place: &Place, records: &[PlannedEntry]) -> Result<Vec<Known>> {
        let mut planning = self.planning();
        let known = planning.records(place, records)?;
        planning.finish()?;
        Ok(known)
    }
}

impl Planning<'_> {
    /// Plans records of a place. Answers what was known of each before.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn records(&mut self, place: &Place, records: &[PlannedEntry]) -> Result<Vec<Known>> {
        let known = self.note(place, records);
        known.map_err(|error| LedgerError::of(&self.run.path, error))
    }

    fn note(&mut self, place: &Place, records: &[PlannedEntry]) -> rusqlite::Result<Vec<Known>> {
        let db = &self.committing.db;
        if !self.in_transaction {
            db.execute_batch("BEGIN IMMEDIATE")?;
            self.in_transaction = true;
        }
        let known = plan(db, self.run, place, records)?;
        self.open += records.len();
        if self.open >= COMMIT_EVERY {
            self.commit()?;
        }
        Ok(known)
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        if self.in_transaction {
            self.committing.db.execute_batch("COMMIT")?;
            self.in_transaction = false;
            self.open = 0;
        }
        Ok(())
    }

    /// Commits the rest.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn finish(mut self) -> Result<()> {
        let committed = self.commit();
        committed.map_err(|error| LedgerError::of(&self.run.path, error))
    }
}

impl Drop for Planning<'_> {
    fn drop(&mut self) {
        if self.in_transaction
            && let Err(error) = self.committing.db.execute_batch("ROLLBACK")
        {
            tracing::debug!(code = ?error.sqlite_error_code(), "nothing to roll back");
        }
    }
}

fn plan(
    db: &Connection,
    run: &LedgerRun,
    place: &Place,
    records: &[PlannedEntry],
) -> rusqlite::Result<Vec<Known>> {
    let place = place_no(db, &run.target, place)?;
    db.prepare_cached("INSERT OR IGNORE INTO visit VALUES (?1, ?2)")?
        .execute([run.n, place.0])?;
    let mut add = db.prepare_cached(
        "INSERT OR IGNORE INTO record (place, id, run, source_run, state, parts, digest)
         VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)",
    )?;
    let mut plan_again = db.prepare_cached(
        "UPDATE record SET run = ?2, source_run = ?2, state = ?3, parts = ?4, digest = ?5
         WHERE n = ?1",
    )?;
    let mut complete = db.prepare_cached(
        "UPDATE record SET source_run = coalesce(source_run, ?2), parts = ?3, digest = ?4
         WHERE n = ?1",
    )?;
    let planned = RecordState::Planned;
    let mut before = Vec::with_capacity(records.len());
    for record in records {
        let digest = run.digest(&record.digest);
        let id = RecordKey(&record.id);
        let added = add.execute(params![place.0, id, run.n, planned, record.parts, digest])?;
        let found = match added {
            0 => find(db, place.0, &record.id)?,
            _ => None,
        };
        let Some((n, state, there)) = found else {
            before.push(Known::New);
            continue;
        };
        let known = Known::of(state, there.as_ref(), &digest);
        match known {
            Known::Open => {
                plan_again.execute(params![n, run.n, planned, record.parts, digest])?;
            }
            // Found in Zep before a source was read.
            Known::Stored if there.is_none_or(|there| there.differs_in_version(&digest)) => {
                complete.execute(params![n, run.n, record.parts, digest])?;
            }
            Known::New | Known::Sent | Known::Stored | Known::Changed => {}
        }
        before.push(known);
    }
    Ok(before)
}

/// What is known of records of a target, without noting anything.
#[derive(Debug)]
pub struct Peek<'a> {
    ledger: &'a Ledger,
    target: &'a str,
    key: hmac::Key,
}

impl Ledger {
    /// Looks what is known of records of a target.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn peek<'a>(&'a self, target: &'a str) -> Result<Peek<'a>> {
        Ok(Peek {
            ledger: self,
            target,
            key: self.key()?,
        })
    }
}

impl Peek<'_> {
    /// What is known of these records of a place.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn records(&self, place: &Place, records: &[PlannedEntry]) -> Result<Vec<Known>> {
        let db = self.ledger.db();
        let look = || -> rusqlite::Result<Vec<Known>> {
            let Some(place) = find_place(&db, self.target, place)? else {
                return Ok(vec![Known::New; records.len()]);
            };
            records
                .iter()
                .map(|record| {
                    let digest = Digest::new(&self.key, &record.digest);
                    Ok(match find(&db, place.0, &record.id)? {
                        Some((_, state, there)) => Known::of(state, there.as_ref(), &digest),
                        None => Known::New,
                    })
                })
                .collect()
        };
        look().map_err(|error| self.ledger.failed(error))
    }
}

//! Reading the ledger: runs, and what each made and wrote.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::Ledger;
use super::error::Result;
use super::lock::is_alive;
use super::values::{KeptOwner, OwnerNo, PlaceNo, RecordName, RecordState, RunState, kept_place};
use crate::memory::model::{Owner, Place};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEntry {
    /// Its id: a UUID of version 7.
    pub id: String,
    /// The source's name; empty if the run is only known from what it wrote.
    pub source: String,
    /// The system that the memories come from.
    pub system: String,
    /// The account or store that they went to.
    pub target: String,
    /// What was selected and how.
    pub request: Value,
    /// How far it is. A run that was killed is stopped.
    pub state: RunState,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its last report.
    pub report: Option<Value>,
}

/// An owner in which a run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerEntry {
    /// Its number, which pages continue after.
    pub n: OwnerNo,
    /// The owner.
    pub owner: Owner,
    /// Whether the run made it in Zep.
    pub made: bool,
}

/// A place in which a run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceEntry {
    /// Its number, which pages continue after.
    pub n: PlaceNo,
    /// The place.
    pub place: Place,
    /// Whether the run made it in Zep; not said of graphs, which come with their owners.
    pub made: bool,
    /// How far its records are.
    pub counts: PlaceCounts,
}

/// How far the records of a run at a place are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PlaceCounts {
    /// Not sent yet.
    pub planned: u64,
    /// Sent, and not known to be stored.
    pub sent: u64,
    /// Stored.
    pub confirmed: u64,
    /// Refused.
    pub failed: u64,
    /// Stored and removed again.
    pub undone: u64,
    /// Those of the stored ones that were split.
    pub split: u64,
    /// The messages or episodes of the stored ones.
    pub parts: u64,
}

/// A record of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEntry {
    /// Its number, which pages continue after. Records of a session are numbered in its order.
    pub n: i64,
    /// The number of its place.
    pub place_no: PlaceNo,
    /// Where it is.
    pub place: Place,
    /// Its record id.
    pub id: String,
    /// How far it is.
    pub state: RecordState,
    /// How many messages or episodes it takes.
    pub parts: u64,
}

const RUN: &str =
    "SELECT id, source, system, target, request, state, begun_at, ended_at, report FROM run";

impl Ledger {
    /// All runs, the newest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn runs(&self) -> Result<Vec<RunEntry>> {
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            db.prepare_cached(&format!("{RUN} ORDER BY begun_at DESC, n DESC"))?
                .query_map([], |row| self.run_entry(row))?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// The run of this id.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn run(&self, id: &str) -> Result<Option<RunEntry>> {
        let db = self.db();
        let read = || {
            db.prepare_cached(&format!("{RUN} WHERE id = ?1"))?
                .query_row([id], |row| self.run_entry(row))
                .optional()
        };
        read().map_err(|error| self.failed(error))
    }

    fn run_entry(&self, row: &Row<'_>) -> rusqlite::Result<RunEntry> {
        let id: String = row.get(0)?;
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        let state = match row.get(5)? {
            RunState::Running if !is_alive(&self.locks(), &id) => RunState::Stopped,
            state => state,
        };
        let time = |micros| Timestamp::from_microsecond(micros).unwrap_or_default();
        Ok(RunEntry {
            id,
            source: row.get(1)?,
            system: row.get(2)?,
            target: row.get(3)?,
            request: json(row.get(4)?).unwrap_or_default(),
            state,
            begun_at: time(row.get(6)?),
            ended_at: row.get::<_, Option<i64>>(7)?.map(time),
            report: json(row.get(8)?),
        })
    }

    /// The next owners after this one in which a run wrote or planned to.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn owners(
        &self,
        run: &str,
        after: Option<OwnerNo>,
        limit: usize,
    ) -> Result<Vec<OwnerEntry>> {
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT owner.n, owner.key, owner.made_by IS run.n FROM run, owner
                 WHERE run.id = ?1 AND owner.n > ?2 AND (owner.made_by = run.n OR EXISTS (
                    SELECT 1 FROM place JOIN visit ON visit.place = place.n
                    WHERE place.owner = owner.n AND visit.run = run.n))
                 ORDER BY owner.n LIMIT ?3",
            )?
            .query_map(params![run, after.map_or(0, |n| n.0), limit], |row| {
                let KeptOwner(owner) = row.get(1)?;
                Ok(OwnerEntry {
                    n: OwnerNo(row.get(0)?),
                    owner,
                    made: row.get(2)?,
                })
            })?
            .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// The next places after this one in which a run wrote or planned to, with how far they are.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn places(
        &self,
        run: &str,
        after: Option<PlaceNo>,
        limit: usize,
    ) -> Result<Vec<PlaceEntry>> {
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            let mut places = db.prepare_cached(
                "SELECT place.n, owner.key, place.session, place.made_by IS run.n, run.n
                 FROM run JOIN visit ON visit.run = run.n JOIN place ON place.n = visit.place
                 JOIN owner ON owner.n = place.owner
                 WHERE run.id = ?1 AND visit.place > ?2 ORDER BY visit.place LIMIT ?3",
            )?;
            let mut counts = db.prepare_cached(
                "SELECT state, count(*), total(parts > 1), total(parts) FROM record
                 WHERE place = ?1 AND run = ?2 GROUP BY state",
            )?;
            let mut rows = places.query(params![run, after.map_or(0, |n| n.0), limit])?;
            let mut page = Vec::new();
            while let Some(row) = rows.next()? {
                let (owner, session): (String, String) = (row.get(1)?, row.get(2)?);
                let (n, run): (i64, i64) = (row.get(0)?, row.get(4)?);
                let mut entry = PlaceEntry {
                    n: PlaceNo(n),
                    place: kept_place(&owner, &session)?,
                    made: row.get(3)?,
                    counts: PlaceCounts::default(),
                };
                let mut states = counts.query([n, run])?;
                while let Some(row) = states.next()? {
                    let count: u64 = row.get(1)?;
                    let counts = &mut entry.counts;
                    match row.get(0)? {
                        RecordState::Planned => counts.planned = count,
                        RecordState::Sent => counts.sent = count,
                        RecordState::Failed => counts.failed = count,
                        RecordState::Undone => counts.undone = count,
                        RecordState::Confirmed => {
                            counts.confirmed = count;
                            counts.split = row.get::<_, f64>(2)? as u64;
                            counts.parts = row.get::<_, f64>(3)? as u64;
                        }
                    }
                }
                page.push(entry);
            }
            Ok(page)
        };
        read().map_err(|error| self.failed(error))
    }

    /// The next records of a run after this number. Those of a place follow each other.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn records(&self, run: &str, after: i64, limit: usize) -> Result<Vec<RecordEntry>> {
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT record.n, record.place, owner.key, place.session, record.id, record.state,
                        record.parts
                 FROM record JOIN place ON place.n = record.place
                 JOIN owner ON owner.n = place.owner
                 WHERE record.run = (SELECT n FROM run WHERE id = ?1) AND record.n > ?2
                 ORDER BY record.n LIMIT ?3",
            )?
            .query_map(params![run, after, limit], |row| {
                let (owner, session): (String, String) = (row.get(2)?, row.get(3)?);
                let RecordName(id) = row.get(4)?;
                Ok(RecordEntry {
                    n: row.get(0)?,
                    place_no: PlaceNo(row.get(1)?),
                    place: kept_place(&owner, &session)?,
                    id,
                    state: row.get(5)?,
                    parts: row.get(6)?,
                })
            })?
            .collect()
        };
        read().map_err(|error| self.failed(error))
    }
}

//! What the ledger keeps of a run beside its records: samples of its progress, and what came after it,
//! its validation and its undoing.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;

use super::Ledger;
use super::entries::OwnerEntry;
use super::error::Result;
use super::run::{LedgerRun, RunStart};
use super::values::{KeptOwner, OwnerNo, PlaceNo, RecordKey, RecordState, RunState, kept_place};
use crate::memory::model::Place;
use crate::migration::plan::key_of;

/// The most samples that are kept of a run: as many as a chart can show. When there are more, every
/// second one is dropped.
const MAX_SAMPLES: u64 = 240;

/// How far a run was at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunSample {
    /// When.
    pub at: Timestamp,
    /// Records that were done: written, or there already.
    pub records: u64,
    /// Requests of the process so far.
    pub requests: u64,
    /// Milliseconds that calls of the process have waited so far.
    pub waited_ms: u64,
}

impl LedgerRun {
    /// Keeps a sample of the progress. Answers whether samples became too many and were thinned.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn sample(&self, sample: RunSample) -> Result<bool> {
        self.writer.step(|tx| {
            tx.prepare_cached("INSERT OR REPLACE INTO sample VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    self.n,
                    sample.at.as_microsecond(),
                    sample.records,
                    sample.requests,
                    sample.waited_ms
                ])?;
            let count: u64 = tx
                .prepare_cached("SELECT count(*) FROM sample WHERE run = ?1")?
                .query_row([self.n], |row| row.get(0))?;
            if count <= MAX_SAMPLES {
                return Ok(false);
            }
            tx.execute(
                "DELETE FROM sample WHERE run = ?1 AND at IN (
                    SELECT at FROM (SELECT at, row_number() OVER (ORDER BY at) AS nth
                    FROM sample WHERE run = ?1) WHERE nth % 2 = 0)",
                [self.n],
            )?;
            Ok(true)
        })
    }

    /// From now on the run is not complete: something of it is being removed.
    ///
    /// # Errors
    /// If the ledger cannot be written; then nothing must be removed.
    pub fn begin_undo(&self) -> Result<()> {
        self.set_state(RunState::Stopped)
    }

    fn set_state(&self, state: RunState) -> Result<()> {
        self.writer.step(|tx| {
            tx.execute(
                "UPDATE run SET state = ?2 WHERE n = ?1",
                params![self.n, state],
            )
        })?;
        Ok(())
    }

    /// What was noted as sent of a place is removed.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn removed(&self, place: PlaceNo) -> Result<()> {
        self.writer.step(|tx| {
            tx.prepare_cached(
                "UPDATE record SET state = ?3 WHERE place = ?1 AND run = ?2 AND state = ?4",
            )?
            .execute(params![
                place.0,
                self.n,
                RecordState::Undone,
                RecordState::Sent
            ])
        })?;
        Ok(())
    }

    /// A session is gone, with its thread.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn place_is_gone(&self, place: PlaceNo) -> Result<()> {
        self.writer.step(|tx| {
            tx.prepare_cached(
                "UPDATE place SET made_by = NULL, seen_by = NULL, late_until = NULL WHERE n = ?1",
            )?
            .execute([place.0])
        })?;
        Ok(())
    }

    /// An owner is gone, with everything of theirs: what was noted as sent is removed.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn owner_is_gone(&self, owner: OwnerNo) -> Result<()> {
        self.writer.step(|tx| {
            tx.execute(
                "UPDATE record SET state = ?3 WHERE run = ?2 AND state = ?4
                 AND place IN (SELECT n FROM place WHERE owner = ?1)",
                params![owner.0, self.n, RecordState::Undone, RecordState::Sent],
            )?;
            tx.execute(
                "UPDATE place SET made_by = NULL, seen_by = NULL, late_until = NULL
                 WHERE owner = ?1",
                [owner.0],
            )?;
            tx.execute(
                "UPDATE owner SET made_by = NULL, profile = NULL WHERE n = ?1",
                [owner.0],
            )
        })?;
        Ok(())
    }

    /// Everything of a place that this ledger knows as stored is deleted already: what was still there
    /// is noted as sent. It is to stay deleted. Answers how many records that are.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn rest_is_deleted(&self, place: PlaceNo) -> Result<u64> {
        let count = self.writer.step(|tx| {
            tx.prepare_cached("UPDATE record SET state = ?2 WHERE place = ?1 AND state = ?3")?
                .execute(params![
                    place.0,
                    RecordState::Deleted,
                    RecordState::Confirmed
                ])
        })?;
        Ok(count as u64)
    }

    /// How many records of this run at a place are stored as far as the ledger knows.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn confirmed_at(&self, place: PlaceNo) -> Result<u64> {
        self.writer.step(|tx| {
            tx.prepare_cached(
                "SELECT count(*) FROM record WHERE place = ?1 AND run = ?2 AND state = ?3",
            )?
            .query_row(params![place.0, self.n, RecordState::Confirmed], |row| {
                row.get(0)
            })
        })
    }

    /// Whether this run wrote a record of a place.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn wrote(&self, place: PlaceNo, id: &str) -> Result<bool> {
        self.writer.step(|tx| {
            tx.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM record WHERE place = ?1 AND id = ?2 AND run = ?3)",
            )?
            .query_row(params![place.0, RecordKey(id), self.n], |row| row.get(0))
        })
    }
}

/// A place in which a run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPlace {
    /// Its number.
    pub n: PlaceNo,
    /// The place.
    pub place: Place,
    /// Whether the run made it in Zep; not said of graphs, which come with their owners.
    pub made: bool,
}

/// Whether a run has records at a place, or planned to.
const WRITES_AT: &str =
    "(EXISTS (SELECT 1 FROM visit WHERE visit.run = run.n AND visit.place = place.n)
    OR EXISTS (SELECT 1 FROM record WHERE record.place = place.n AND record.run = run.n))";

/// The number of a place, by the target, the owner and the session.
const PLACE: &str = "(SELECT place.n FROM place JOIN owner ON owner.n = place.owner
    WHERE owner.target = ?1 AND owner.key = ?2 AND place.session = ?3)";

impl Ledger {
    /// The next owners after this one that a run made, or of whom it wrote records, also if that is
    /// only known from Zep.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn written_owners(
        &self,
        run: &str,
        after: Option<OwnerNo>,
        limit: usize,
    ) -> Result<Vec<OwnerEntry>> {
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            db.prepare_cached(&format!(
                "SELECT owner.n, owner.key, owner.made_by IS run.n FROM run, owner
                 WHERE run.id = ?1 AND owner.n > ?2 AND (owner.made_by = run.n OR EXISTS (
                    SELECT 1 FROM place WHERE place.owner = owner.n AND {WRITES_AT}))
                 ORDER BY owner.n LIMIT ?3"
            ))?
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

    /// The places of an owner in which a run wrote records, also if that is only known from Zep.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn written_places(&self, run: &str, owner: OwnerNo) -> Result<Vec<WrittenPlace>> {
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            db.prepare_cached(&format!(
                "SELECT place.n, owner.key, place.session, place.made_by IS run.n
                 FROM run, place JOIN owner ON owner.n = place.owner
                 WHERE run.id = ?1 AND place.owner = ?2 AND {WRITES_AT} ORDER BY place.n"
            ))?
            .query_map(params![run, owner.0], |row| {
                let (owner, session): (String, String) = (row.get(1)?, row.get(2)?);
                Ok(WrittenPlace {
                    n: PlaceNo(row.get(0)?),
                    place: kept_place(&owner, &session)?,
                    made: row.get(3)?,
                })
            })?
            .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// The states of these records of a place, as far as they are known.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn states_of(
        &self,
        target: &str,
        place: &Place,
        ids: &[String],
    ) -> Result<Vec<Option<RecordState>>> {
        let (owner, session) = key_of(place);
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            let mut state = db.prepare_cached(&format!(
                "SELECT state FROM record WHERE id = ?4 AND place = {PLACE}"
            ))?;
            ids.iter()
                .map(|id| {
                    state
                        .query_row(params![target, owner, session, RecordKey(id)], |row| {
                            row.get(0)
                        })
                        .optional()
                })
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Of these records of a place, those that are known as stored or deleted may be stored: a run looks
    /// for them, and sends them if they are not.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn may_be_stored(&self, target: &str, place: &Place, ids: &[String]) -> Result<()> {
        let (owner, session) = key_of(place);
        let mut db = self.db();
        let mut write = || -> rusqlite::Result<_> {
            let tx = db.transaction()?;
            let mut set = tx.prepare_cached(&format!(
                "UPDATE record SET state = ?5 WHERE id = ?4 AND place = {PLACE} AND state IN (?6, ?7)"
            ))?;
            for id in ids {
                set.execute(params![
                    target,
                    owner,
                    session,
                    RecordKey(id),
                    RecordState::Sent,
                    RecordState::Confirmed,
                    RecordState::Deleted
                ])?;
            }
            drop(set);
            tx.commit()
        };
        write().map_err(|error| self.failed(error))
    }

    /// The last run of the same source, target and request.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn last_run_of(&self, start: &RunStart) -> Result<Option<String>> {
        let db = self.db();
        db.query_row(
            "SELECT id FROM run WHERE source = ?1 AND target = ?2 AND request = ?3
             ORDER BY n DESC LIMIT 1",
            params![start.source, start.target, start.request.to_string()],
            |row| row.get(0),
        )
        .optional()
        .map_err(|error| self.failed(error))
    }

    /// How many records of a run are in this state.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn count(&self, run: &str, state: RecordState) -> Result<u64> {
        let db = self.db();
        db.query_row(
            "SELECT count(*) FROM record
             WHERE run = (SELECT n FROM run WHERE id = ?1) AND state = ?2",
            params![run, state],
            |row| row.get(0),
        )
        .map_err(|error| self.failed(error))
    }

    /// The samples of a run's progress, in order.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn samples(&self, run: &str) -> Result<Vec<RunSample>> {
        let db = self.db();
        let read = || -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT at, records, requests, waited_ms FROM sample
                 WHERE run = (SELECT n FROM run WHERE id = ?1) ORDER BY at",
            )?
            .query_map([run], |row| {
                Ok(RunSample {
                    at: Timestamp::from_microsecond(row.get(0)?).unwrap_or_default(),
                    records: row.get(1)?,
                    requests: row.get(2)?,
                    waited_ms: row.get(3)?,
                })
            })?
            .collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Adds a field to the report of a run: what came after it.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn add_to_report(&self, run: &str, field: &str, value: &Value) -> Result<()> {
        let db = self.db();
        db.execute(
            "UPDATE run SET report = json_set(coalesce(report, '{}'), '$.' || ?2, json(?3))
             WHERE id = ?1",
            params![run, field, value.to_string()],
        )
        .map_err(|error| self.failed(error))?;
        Ok(())
    }
}

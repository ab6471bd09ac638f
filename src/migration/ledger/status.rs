//! What the ledger knows of an owner and of a place, before a run writes there.

use jiff::Timestamp;
use rusqlite::params;

use super::Ledger;
use super::error::Result;
use super::run::{LedgerRun, RunStart, owner_no, place_no};
use super::values::{Digest, OwnerNo, PlaceNo, RecordName, RecordState, RunState, kept_place};
use crate::memory::model::{Owner, Place};
use crate::migration::plan::owner_key;

/// What is known of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerStatus {
    /// Its number.
    pub n: OwnerNo,
    /// The digest of what the source said of it when a run made it or found it there.
    pub profile: Option<Digest>,
    /// Whether something of it is known to be stored.
    pub has_records: bool,
    /// Whether a write to one of its places may be late.
    pub is_late: bool,
}

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceStatus {
    /// Its number.
    pub n: PlaceNo,
    /// Whether this run has seen all that is stored there, or made it.
    pub seen: bool,
    /// Whether something is known to be stored there.
    pub has_records: bool,
    /// When something was sent there last.
    pub sent_at: Option<Timestamp>,
    /// Until when a write may arrive that was sent a second time.
    pub late_until: Option<Timestamp>,
}

impl LedgerRun {
    /// What is known of an owner.
    ///
    /// # Errors
    /// If the ledger cannot be used.
    pub fn owner_status(&self, owner: &Owner) -> Result<OwnerStatus> {
        self.writer.step(|tx| {
            let n = owner_no(tx, &self.target, &owner_key(owner))?;
            tx.prepare_cached(
                "SELECT profile,
                    EXISTS (SELECT 1 FROM place JOIN record ON record.place = place.n
                        WHERE place.owner = owner.n AND record.state = ?2),
                    EXISTS (SELECT 1 FROM place
                        WHERE place.owner = owner.n AND late_until IS NOT NULL)
                 FROM owner WHERE n = ?1",
            )?
            .query_row(params![n.0, RecordState::Confirmed], |row| {
                Ok(OwnerStatus {
                    n,
                    profile: row.get(0)?,
                    has_records: row.get(1)?,
                    is_late: row.get(2)?,
                })
            })
        })
    }

    /// What is known of a place.
    ///
    /// # Errors
    /// If the ledger cannot be used.
    pub fn place_status(&self, place: &Place) -> Result<PlaceStatus> {
        self.writer.step(|tx| {
            let n = place_no(tx, &self.target, place)?;
            tx.prepare_cached(
                "SELECT seen_by IS ?2, sent_at, late_until,
                    EXISTS (SELECT 1 FROM record WHERE place = ?1 AND state = ?3)
                 FROM place WHERE n = ?1",
            )?
            .query_row(params![n.0, self.n, RecordState::Confirmed], |row| {
                let time = |micros: Option<i64>| {
                    micros.and_then(|micros| Timestamp::from_microsecond(micros).ok())
                };
                Ok(PlaceStatus {
                    n,
                    seen: row.get(0)?,
                    sent_at: time(row.get(1)?),
                    late_until: time(row.get(2)?),
                    has_records: row.get(3)?,
                })
            })
        })
    }

    /// The next stored records after this number that runs found in a source of this name: their number,
    /// place and id.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn stored_from(
        &self,
        source: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Place, String)>> {
        self.writer.step(|tx| {
            tx.prepare_cached(
                "SELECT record.n, owner.key, place.session, record.id FROM record
                 JOIN run ON run.n = record.source_run
                 JOIN place ON place.n = record.place JOIN owner ON owner.n = place.owner
                 WHERE run.source = ?1 AND owner.target = ?2 AND record.state = ?3
                   AND record.n > ?4
                 ORDER BY record.n LIMIT ?5",
            )?
            .query_map(
                params![source, self.target, RecordState::Confirmed, after, limit],
                |row| {
                    let (owner, session): (String, String) = (row.get(1)?, row.get(2)?);
                    let RecordName(id) = row.get(3)?;
                    Ok((row.get(0)?, kept_place(&owner, &session)?, id))
                },
            )?
            .collect()
        })
    }
}

impl Ledger {
    /// The id and the end of the run that migrated this last, and came to a good end.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn done(&self, start: &RunStart) -> Result<Option<(String, Timestamp)>> {
        let runs = self.runs()?;
        let done = runs
            .into_iter()
            .filter(|run| run.state == RunState::Done && run.target == start.target);
        // Best the same command, else whichever came last.
        let mut of_target: Option<(String, Timestamp)> = None;
        for run in done {
            let ended = (run.id, run.ended_at.unwrap_or(run.begun_at));
            if run.source == start.source && run.request == start.request {
                return Ok(Some(ended));
            }
            of_target.get_or_insert(ended);
        }
        Ok(of_target)
    }
}

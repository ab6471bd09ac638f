//! A run that is under way: what it plans, and what it notes before and after each request.

use std::path::PathBuf;

use jiff::Timestamp;
use ring::hmac;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::Value;
use uuid::Uuid;

use super::error::{Cause, LedgerError, Result};
use super::lock::RunLock;
use super::values::{Digest, OwnerNo, PlaceNo, RecordKey, RecordState, RunState};
use super::writer::{Mark, Writer};
use super::{Ledger, file};
use crate::memory::model::{Owner, Place};
use crate::migration::plan::{key_of, owner_key};

/// What identifies a run: the same command has the same.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStart {
    /// The source's name.
    pub source: String,
    /// The system that the memories come from.
    pub system: String,
    /// The account or store that they go to.
    pub target: String,
    /// What is selected and how, without content.
    pub request: Value,
}

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
    pub(super) fn of(state: RecordState, known: Option<&Digest>, now: &Digest) -> Self {
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

/// A run that is under way. It is alive until it ends or is dropped; dropped without an end it counts
/// as killed, and the same command continues it.
#[derive(Debug)]
pub struct LedgerRun {
    pub(super) path: PathBuf,
    pub(super) n: i64,
    id: String,
    pub(super) target: String,
    /// Microseconds since 1970.
    pub(super) begun_at: i64,
    continued: bool,
    key: hmac::Key,
    pub(super) writer: Writer,
    lock: RunLock,
}

/// The states in which the same command continues a run.
const CONTINUED: &str = "(0, 1, 3)";

impl Ledger {
    /// Begins a run, or continues the one of the same command that was killed, stopped or incomplete.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn begin(&self, start: &RunStart) -> Result<LedgerRun> {
        let now = Timestamp::now().as_microsecond();
        let (id, n, continued, lock) = match self.continued(start)? {
            Some((id, n, lock)) => (id, n, true, lock),
            None => {
                let id = Uuid::now_v7().to_string();
                // Nobody else knows the id.
                let lock = RunLock::take(&self.locks(), &id)
                    .map_err(|error| self.failed(format!("its locks: {error}")))?
                    .ok_or_else(|| self.failed("its locks are not free"))?;
                let db = self.db();
                db.execute(
                    "INSERT INTO run (id, source, system, target, request, state, begun_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        id,
                        start.source,
                        start.system,
                        start.target,
                        start.request.to_string(),
                        RunState::Running,
                        now
                    ],
                )
                .map_err(|error| self.failed(error))?;
                (id, db.last_insert_rowid(), false, lock)
            }
        };
        self.under_way(id, n, start.target.clone(), continued, lock)
    }

    /// Takes up a run that is over, to undo it.
    ///
    /// # Errors
    /// If there is no such run, if it is alive or being undone, or if the ledger cannot be written.
    pub fn take_up(&self, id: &str) -> Result<LedgerRun> {
        let found = self
            .db()
            .query_row("SELECT n, target FROM run WHERE id = ?1", [id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(|error| self.failed(error))?;
        let (n, target) = found.ok_or_else(|| self.failed(format!("it has no run {id}")))?;
        let lock = RunLock::take(&self.locks(), id)
            .map_err(|error| self.failed(format!("its locks: {error}")))?
            .ok_or_else(|| self.failed(format!("run {id} is under way in another process")))?;
        self.under_way(id.to_owned(), n, target, true, lock)
    }

    fn under_way(
        &self,
        id: String,
        n: i64,
        target: String,
        continued: bool,
        lock: RunLock,
    ) -> Result<LedgerRun> {
        let db = file::open_existing(&self.path)?;
        let key = self.key()?;
        Ok(LedgerRun {
            path: self.path.clone(),
            n,
            id,
            target,
            begun_at: Timestamp::now().as_microsecond(),
            continued,
            key,
            writer: Writer::new(self.path.clone(), db, n),
            lock,
        })
    }

    /// The key of the ledger's digests.
    pub(super) fn key(&self) -> Result<hmac::Key> {
        let key: Vec<u8> = self
            .db()
            .query_row("SELECT key FROM ledger", [], |row| row.get(0))
            .map_err(|error| self.failed(error))?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The run of the same command that did not come to a good end and is not alive, taken up.
    fn continued(&self, start: &RunStart) -> Result<Option<(String, i64, RunLock)>> {
        let taken = || -> std::result::Result<_, Cause> {
            let mut db = self.db();
            let candidates: Vec<(i64, String)> = db
                .prepare(&format!(
                    "SELECT n, id FROM run WHERE source = ?1 AND target = ?2 AND request = ?3
                     AND state IN {CONTINUED} ORDER BY n DESC"
                ))?
                .query_map(
                    params![start.source, start.target, start.request.to_string()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?
                .collect::<rusqlite::Result<_>>()?;
            for (n, id) in candidates {
                let Some(lock) = RunLock::take(&self.locks(), &id)? else {
                    continue;
                };
                let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                // It may have ended before its lock was free.
                let taken = tx.execute(
                    &format!(
                        "UPDATE run SET state = ?2, ended_at = NULL
                         WHERE n = ?1 AND state IN {CONTINUED}"
                    ),
                    params![n, RunState::Running],
                )?;
                tx.commit()?;
                if taken == 1 {
                    return Ok(Some((id, n, lock)));
                }
            }
            Ok(None)
        };
        taken().map_err(|cause| self.failed(cause))
    }
}

impl LedgerRun {
    /// Its id: a UUID of version 7.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it was begun by an earlier process.
    pub fn is_continued(&self) -> bool {
        self.continued
    }

    /// The digest of these bytes, as the ledger keeps it.
    pub fn digest(&self, bytes: &[u8]) -> Digest {
        Digest::new(&self.key, bytes)
    }

    /// The number of an owner.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn owner(&self, owner: &Owner) -> Result<OwnerNo> {
        self.writer
            .step(|tx| owner_no(tx, &self.target, &owner_key(owner)))
    }

    /// The number of a place.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn place(&self, place: &Place) -> Result<PlaceNo> {
        self.writer.step(|tx| place_no(tx, &self.target, place))
    }

    /// Plans records of a place. Answers what was known of each before.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn plan(&self, place: &Place, records: &[PlannedEntry]) -> Result<Vec<Known>> {
        self.writer.step(|tx| {
            let place = place_no(tx, &self.target, place)?;
            tx.prepare_cached("INSERT OR IGNORE INTO visit VALUES (?1, ?2)")?
                .execute([self.n, place.0])?;
            let mut add = tx.prepare_cached(
                "INSERT OR IGNORE INTO record (place, id, run, source_run, state, parts, digest)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)",
            )?;
            let mut known = tx.prepare_cached(
                "SELECT n, state, digest FROM record WHERE place = ?1 AND id = ?2",
            )?;
            let mut plan_again = tx.prepare_cached(
                "UPDATE record SET run = ?2, source_run = ?2, state = ?3, parts = ?4, digest = ?5
                 WHERE n = ?1",
            )?;
            let mut complete = tx.prepare_cached(
                "UPDATE record SET source_run = coalesce(source_run, ?2), parts = ?3, digest = ?4
                 WHERE n = ?1",
            )?;
            let planned = RecordState::Planned;
            let mut before = Vec::with_capacity(records.len());
            for record in records {
                let (id, digest) = (RecordKey(&record.id), self.digest(&record.digest));
                let is_new =
                    add.execute(params![place.0, id, self.n, planned, record.parts, digest])?;
                if is_new == 1 {
                    before.push(Known::New);
                    continue;
                }
                let (n, state, there): (i64, _, Option<Digest>) = known
                    .query_row(params![place.0, id], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })?;
                let was = Known::of(state, there.as_ref(), &digest);
                match was {
                    Known::Open => {
                        plan_again.execute(params![n, self.n, planned, record.parts, digest])?;
                    }
                    // Found in Zep before a source was read.
                    Known::Stored
                        if there.is_none_or(|there| there.differs_in_version(&digest)) =>
                    {
                        complete.execute(params![n, self.n, record.parts, digest])?;
                    }
                    Known::New | Known::Sent | Known::Stored | Known::Changed => {}
                }
                before.push(was);
            }
            Ok(before)
        })
    }

    /// Notes these marks; they survive a power cut when it returns.
    ///
    /// # Errors
    /// If the ledger cannot be written; then nothing more must be sent.
    pub fn note(&self, marks: impl IntoIterator<Item = Mark>) -> Result<()> {
        self.writer.note(marks)
    }

    /// Notes that records of a place are about to be sent.
    ///
    /// # Errors
    /// As [`LedgerRun::note`].
    pub fn sent(&self, place: PlaceNo, ids: Vec<String>) -> Result<()> {
        self.set(place, ids, RecordState::Sent)
    }

    /// Notes that records of a place are stored.
    ///
    /// # Errors
    /// As [`LedgerRun::note`].
    pub fn confirmed(&self, place: PlaceNo, ids: Vec<String>) -> Result<()> {
        self.set(place, ids, RecordState::Confirmed)
    }

    /// Notes that records of a place were refused.
    ///
    /// # Errors
    /// As [`LedgerRun::note`].
    pub fn failed(&self, place: PlaceNo, ids: Vec<String>) -> Result<()> {
        self.set(place, ids, RecordState::Failed)
    }

    /// Notes that records of a place were removed again.
    ///
    /// # Errors
    /// As [`LedgerRun::note`].
    pub fn undone(&self, place: PlaceNo, ids: Vec<String>) -> Result<()> {
        self.set(place, ids, RecordState::Undone)
    }

    /// Notes that this run made an owner in Zep.
    ///
    /// # Errors
    /// As [`LedgerRun::note`].
    pub fn made_owner(&self, owner: OwnerNo) -> Result<()> {
        self.note([Mark::MadeOwner(owner)])
    }

    /// Notes that this run made a session in Zep.
    ///
    /// # Errors
    /// As [`LedgerRun::note`].
    pub fn made_place(&self, place: PlaceNo) -> Result<()> {
        self.note([Mark::MadePlace(place)])
    }

    fn set(&self, place: PlaceNo, ids: Vec<String>, state: RecordState) -> Result<()> {
        self.note([Mark::Records { place, ids, state }])
    }

    /// Ends the run, and keeps its report.
    ///
    /// # Errors
    /// If the ledger cannot be written; the run counts as killed then.
    pub fn end(self, state: RunState, report: &Value) -> Result<()> {
        self.writer.step(|tx| {
            tx.execute(
                "UPDATE run SET state = ?2, ended_at = ?3, report = ?4 WHERE n = ?1",
                params![
                    self.n,
                    state,
                    Timestamp::now().as_microsecond(),
                    report.to_string()
                ],
            )?;
            tx.execute(
                "UPDATE owner SET held_by = NULL WHERE held_by = ?1",
                [self.n],
            )
        })?;
        self.lock.remove();
        Ok(())
    }
}

pub(super) fn owner_no(tx: &Connection, target: &str, key: &str) -> rusqlite::Result<OwnerNo> {
    let known = tx
        .prepare_cached("SELECT n FROM owner WHERE target = ?1 AND key = ?2")?
        .query_row([target, key], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(OwnerNo(known));
    }
    tx.prepare_cached("INSERT INTO owner (target, key) VALUES (?1, ?2)")?
        .execute([target, key])?;
    Ok(OwnerNo(tx.last_insert_rowid()))
}

pub(super) fn place_no(tx: &Connection, target: &str, place: &Place) -> rusqlite::Result<PlaceNo> {
    let (owner, session) = key_of(place);
    let owner = owner_no(tx, target, &owner)?;
    let known = tx
        .prepare_cached("SELECT n FROM place WHERE owner = ?1 AND session = ?2")?
        .query_row(params![owner.0, session], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(PlaceNo(known));
    }
    tx.prepare_cached("INSERT INTO place (owner, session) VALUES (?1, ?2)")?
        .execute(params![owner.0, session])?;
    Ok(PlaceNo(tx.last_insert_rowid()))
}

impl From<LedgerError> for crate::migration::Error {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

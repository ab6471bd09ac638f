//! A run that is under way: what it plans, and what it notes before and after each request.

use std::path::PathBuf;

use jiff::Timestamp;
use ring::hmac;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::Value;
use uuid::Uuid;

use super::error::{Cause, LedgerError, Result};
use super::lock::RunLock;
use super::values::{Digest, OwnerNo, PlaceNo, RecordState, RunState};
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

    /// Forgets what is known of an owner: it is looked up in Zep again.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn forget(&self, owner: OwnerNo) -> Result<()> {
        self.writer.step(|tx| {
            tx.execute(
                "DELETE FROM record WHERE place IN (SELECT n FROM place WHERE owner = ?1)",
                [owner.0],
            )?;
            tx.execute(
                "UPDATE place SET seen_by = NULL WHERE owner = ?1",
                [owner.0],
            )?;
            tx.execute("UPDATE owner SET profile = NULL WHERE n = ?1", [owner.0])
        })?;
        Ok(())
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

    /// Notes that this run makes a session in Zep.
    ///
    /// # Errors
    /// As [`LedgerRun::note`].
    pub fn made_place(&self, place: PlaceNo) -> Result<()> {
        self.note([Mark::MadePlace(place)])
    }

    fn set(&self, place: PlaceNo, ids: Vec<String>, state: RecordState) -> Result<()> {
        self.note([Mark::Records { place, ids, state }])
    }

    /// Forgets a run that had nothing to do, and that no earlier process began.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn withdraw(self) -> Result<()> {
        self.writer.step(|tx| {
            tx.execute("DELETE FROM visit WHERE run = ?1", [self.n])?;
            tx.execute(
                "UPDATE owner SET held_by = NULL WHERE held_by = ?1",
                [self.n],
            )?;
            tx.execute(
                "UPDATE record SET source_run = NULL WHERE source_run = ?1",
                [self.n],
            )?;
            tx.execute("DELETE FROM run WHERE n = ?1", [self.n])
        })?;
        self.lock.remove();
        Ok(())
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

/// The number of a place that the ledger knows.
pub(super) fn find_place(
    db: &Connection,
    target: &str,
    place: &Place,
) -> rusqlite::Result<Option<PlaceNo>> {
    let (owner, session) = key_of(place);
    db.prepare_cached(
        "SELECT place.n FROM place JOIN owner ON owner.n = place.owner
         WHERE owner.target = ?1 AND owner.key = ?2 AND place.session = ?3",
    )?
    .query_row([target, &owner, &session], |row| row.get(0).map(PlaceNo))
    .optional()
}

pub(super) fn place_no(tx: &Connection, target: &str, place: &Place) -> rusqlite::Result<PlaceNo> {
    if let Some(known) = find_place(tx, target, place)? {
        return Ok(known);
    }
    let (owner, session) = key_of(place);
    let owner = owner_no(tx, target, &owner)?;
    tx.prepare_cached("INSERT INTO place (owner, session) VALUES (?1, ?2)")?
        .execute(params![owner.0, session])?;
    Ok(PlaceNo(tx.last_insert_rowid()))
}

impl From<LedgerError> for crate::migration::Error {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

//! Commits notes. What several places note at the same time is one commit: each commit waits for the
//! disk.

use std::path::PathBuf;
use std::sync::Mutex;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::batches::{self, BatchNo};
use super::error::{LedgerError, Result};
use super::locked;
use super::values::{Digest, OwnerNo, PlaceNo, RecordKey, RecordState, RunState};

/// Something to note.
#[derive(Debug, Clone)]
pub enum Mark {
    /// Records of a place are in this state, by this run.
    Records {
        /// The place.
        place: PlaceNo,
        /// Their ids.
        ids: Vec<String>,
        /// The state.
        state: RecordState,
    },
    /// These records of a place are about to be added to a batch: ids, and how many items each takes.
    Batched {
        /// The batch.
        batch: BatchNo,
        /// The place of the first item in the batch.
        first: u64,
        /// Where the records belong.
        place: PlaceNo,
        /// The records, in the order of the batch.
        records: Vec<(String, u64)>,
    },
    /// Zep refused what was to be added to a batch from this place on.
    NotBatched {
        /// The batch.
        batch: BatchNo,
        /// The place of the first item in the batch.
        first: u64,
    },
    /// A record was found stored.
    Found {
        /// The place.
        place: PlaceNo,
        /// Its id.
        id: String,
        /// The run that its metadata names.
        run: Option<String>,
    },
    /// A record is stored with what the source says now.
    Updated {
        /// The place.
        place: PlaceNo,
        /// Its id.
        id: String,
        /// Its digest now.
        digest: Digest,
    },
    /// This run has seen all that is stored at a place, or made it: what the ledger does not know of it
    /// is not there.
    Seen(PlaceNo),
    /// This run made an owner in Zep.
    MadeOwner(OwnerNo),
    /// This run made a session in Zep.
    MadePlace(PlaceNo),
    /// An owner is there, and has what the source says of it.
    Described {
        /// The owner.
        owner: OwnerNo,
        /// The digest of what the source says.
        profile: Digest,
    },
    /// Something was sent to a place a second time; the first write may arrive until then.
    Late {
        /// The place.
        place: PlaceNo,
        /// Until when.
        until: Timestamp,
    },
    /// Nothing that was sent to a place is on its way any more, and nothing is stored twice.
    Settled(PlaceNo),
}

/// Writes what a run notes.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    run: i64,
    waiting: Mutex<Waiting>,
    pub(super) committing: Mutex<Committing>,
}

/// What is not committed yet.
#[derive(Debug, Default)]
struct Waiting {
    marks: Vec<Mark>,
    /// How many calls have added to it so far.
    calls: u64,
}

#[derive(Debug)]
pub(super) struct Committing {
    pub(super) db: Connection,
    /// How many calls are committed.
    done: u64,
    /// Why a commit failed. Nothing is noted after it: a run whose notes have a gap must not go on.
    failed: Option<LedgerError>,
}

impl Writer {
    pub(super) fn new(path: PathBuf, db: Connection, run: i64) -> Self {
        Self {
            path,
            run,
            waiting: Mutex::default(),
            committing: Mutex::new(Committing {
                db,
                done: 0,
                failed: None,
            }),
        }
    }

    /// Notes these marks. They survive a power cut when it returns.
    pub(super) fn note(&self, marks: impl IntoIterator<Item = Mark>) -> Result<()> {
        let call = {
            let mut waiting = locked(&self.waiting);
            waiting.marks.extend(marks);
            waiting.calls += 1;
            waiting.calls
        };
        let mut committing = locked(&self.committing);
        // Another call has committed it with its own.
        if committing.done >= call {
            return Ok(());
        }
        if let Some(failed) = &committing.failed {
            return Err(failed.clone());
        }
        let (marks, calls) = {
            let mut waiting = locked(&self.waiting);
            (std::mem::take(&mut waiting.marks), waiting.calls)
        };
        match self.commit(&mut committing.db, &marks) {
            Ok(()) => {
                committing.done = calls;
                Ok(())
            }
            Err(error) => {
                let failed = LedgerError::of(&self.path, error);
                committing.failed = Some(failed.clone());
                Err(failed)
            }
        }
    }

    fn commit(&self, db: &mut Connection, marks: &[Mark]) -> rusqlite::Result<()> {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for mark in marks {
            self.apply(&tx, mark)?;
        }
        tx.commit()
    }

    /// A step of its own, in one transaction.
    pub(super) fn step<T>(
        &self,
        step: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let mut committing = locked(&self.committing);
        let step = || {
            let tx = committing
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = step(&tx)?;
            tx.commit()?;
            Ok(done)
        };
        step().map_err(|error: rusqlite::Error| LedgerError::of(&self.path, error))
    }

    fn apply(&self, tx: &Transaction<'_>, mark: &Mark) -> rusqlite::Result<()> {
        match mark {
            Mark::Records { place, ids, state } => {
                let mut set = tx.prepare_cached(
                    "INSERT INTO record (place, id, run, state) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET run = excluded.run, state = excluded.state",
                )?;
                for id in ids {
                    set.execute(params![place.0, RecordKey(id), self.run, state])?;
                }
                if *state == RecordState::Sent {
                    tx.prepare_cached("UPDATE place SET sent_at = ?2 WHERE n = ?1")?
                        .execute([place.0, Timestamp::now().as_microsecond()])?;
                }
            }
            Mark::Batched {
                batch,
                first,
                place,
                records,
            } => batches::add(tx, self.run, *batch, *first, *place, records)?,
            Mark::NotBatched { batch, first } => batches::take_back(tx, *batch, *first)?,
            Mark::Found { place, id, run } => {
                let run = match run {
                    Some(run) => Some(self.run_of(tx, run)?),
                    None => None,
                };
                tx.prepare_cached(
                    "INSERT INTO record (place, id, run, state) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET run = excluded.run, state = excluded.state",
                )?
                .execute(params![
                    place.0,
                    RecordKey(id),
                    run,
                    RecordState::Confirmed
                ])?;
            }
            Mark::Updated { place, id, digest } => {
                tx.prepare_cached(
                    "UPDATE record SET run = ?3, state = ?4, digest = ?5
                     WHERE place = ?1 AND id = ?2",
                )?
                .execute(params![
                    place.0,
                    RecordKey(id),
                    self.run,
                    RecordState::Confirmed,
                    digest
                ])?;
            }
            Mark::Seen(place) => {
                tx.prepare_cached("UPDATE place SET seen_by = ?2 WHERE n = ?1")?
                    .execute([place.0, self.run])?;
            }
            Mark::MadeOwner(owner) => {
                tx.prepare_cached("UPDATE owner SET made_by = ?2 WHERE n = ?1")?
                    .execute([owner.0, self.run])?;
            }
            Mark::MadePlace(place) => {
                tx.prepare_cached("UPDATE place SET made_by = ?2, seen_by = ?2 WHERE n = ?1")?
                    .execute([place.0, self.run])?;
            }
            Mark::Described { owner, profile } => {
                tx.prepare_cached("UPDATE owner SET profile = ?2 WHERE n = ?1")?
                    .execute(params![owner.0, profile])?;
            }
            Mark::Late { place, until } => {
                tx.prepare_cached(
                    "UPDATE place SET late_until = max(coalesce(late_until, 0), ?2) WHERE n = ?1",
                )?
                .execute([place.0, until.as_microsecond()])?;
            }
            Mark::Settled(place) => {
                tx.prepare_cached("UPDATE place SET late_until = NULL WHERE n = ?1")?
                    .execute([place.0])?;
            }
        }
        Ok(())
    }

    /// The number of a run that a record in Zep names; one that the ledger does not know is noted.
    fn run_of(&self, tx: &Transaction<'_>, id: &str) -> rusqlite::Result<i64> {
        let known = tx
            .prepare_cached("SELECT n FROM run WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        // A UUID of version 7 begins with its time.
        let begun = uuid::Uuid::try_parse(id)
            .ok()
            .and_then(|id| id.get_timestamp())
            .map_or((0, 0), |time| time.to_unix());
        let begun =
            i64::try_from(begun.0).unwrap_or_default() * 1_000_000 + i64::from(begun.1 / 1_000);
        tx.execute(
            "INSERT INTO run (id, source, system, target, request, state, begun_at, ended_at)
             SELECT ?1, '', system, target, '{}', ?2, ?3, ?3 FROM run WHERE n = ?4",
            params![id, RunState::Done, begun, self.run],
        )?;
        Ok(tx.last_insert_rowid())
    }
}

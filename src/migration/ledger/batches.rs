//! Batches that are under way, and which records are in them: a killed run's are settled by the next run
//! without reading the sessions again.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::Ledger;
use super::error::Result;
use super::lock::is_alive;
use super::run::LedgerRun;
use super::values::{PlaceNo, RecordKey, RecordState};

/// The number of a batch in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNo(pub(in crate::migration) i64);

/// A batch that a run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBatch {
    /// Its number.
    pub n: BatchNo,
    /// The run's id.
    pub run: String,
    /// Zep's id; `None` if its creation was not answered.
    pub id: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was processed.
    Processed {
        /// How many items it had.
        items: u64,
        /// The places in it of the items that are not stored.
        missing: HashSet<u64>,
    },
    /// It was deleted before it was processed.
    Deleted,
    /// It is not known what is stored of it.
    Unknown,
}

impl Settled {
    /// Whether the items of a record are stored; `None` if some are, or if it is not known.
    pub fn is_stored(&self, first: u64, items: u64) -> Option<bool> {
        match self {
            Self::Deleted => Some(false),
            Self::Unknown => None,
            Self::Processed {
                items: all,
                missing,
            } => {
                let stored = (first..first + items)
                    .filter(|item| item < all && !missing.contains(item))
                    .count() as u64;
                match stored {
                    0 => Some(false),
                    stored if stored == items => Some(true),
                    _ => None,
                }
            }
        }
    }
}

impl LedgerRun {
    /// The number of a new batch of this run, before it is created in Zep.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn new_batch(&self) -> Result<BatchNo> {
        self.writer.step(|tx| {
            tx.prepare_cached("INSERT INTO batch (run) VALUES (?1)")?
                .execute([self.n])?;
            Ok(BatchNo(tx.last_insert_rowid()))
        })
    }

    /// Notes Zep's id of a batch, before anything is added to it.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn batch_created(&self, batch: BatchNo, id: &str) -> Result<()> {
        self.writer.step(|tx| {
            tx.prepare_cached("UPDATE batch SET id = ?2 WHERE n = ?1")?
                .execute(params![batch.0, id])
        })?;
        Ok(())
    }

    /// Notes what became of a batch and of the records in it.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn settle_batch(&self, batch: BatchNo, settled: &Settled) -> Result<()> {
        self.writer.step(|tx| settle(tx, batch, settled))
    }
}

impl Ledger {
    /// The batches that runs to a target left behind, which are not alive any more.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn open_batches(&self, target: &str) -> Result<Vec<OpenBatch>> {
        let db = self.db();
        let read = || -> rusqlite::Result<Vec<OpenBatch>> {
            db.prepare_cached(
                "SELECT batch.n, run.id, batch.id FROM batch JOIN run ON run.n = batch.run
                 WHERE run.target = ?1 ORDER BY batch.n",
            )?
            .query_map([target], |row| {
                Ok(OpenBatch {
                    n: BatchNo(row.get(0)?),
                    run: row.get(1)?,
                    id: row.get(2)?,
                })
            })?
            .collect()
        };
        let mut batches = read().map_err(|error| self.failed(error))?;
        batches.retain(|batch| !is_alive(&self.locks(), &batch.run));
        Ok(batches)
    }

    /// Whether a run of this id is known, and not alive.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn is_over(&self, run: &str) -> Result<bool> {
        Ok(self.run(run)?.is_some() && !is_alive(&self.locks(), run))
    }

    /// Notes what became of a batch that a run left behind. Does nothing if it is settled.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn settle_batch(&self, batch: BatchNo, settled: &Settled) -> Result<()> {
        let mut db = self.db();
        let mut step = || -> rusqlite::Result<()> {
            let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            settle(&tx, batch, settled)?;
            tx.commit()
        };
        step().map_err(|error| self.failed(error))
    }
}

pub(super) fn add(
    tx: &Connection,
    run: i64,
    batch: BatchNo,
    first: u64,
    place: PlaceNo,
    records: &[(String, u64)],
) -> rusqlite::Result<()> {
    let mut sent = tx.prepare_cached(
        "INSERT INTO record (place, id, run, state) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET run = excluded.run, state = excluded.state RETURNING n",
    )?;
    let mut add =
        tx.prepare_cached("INSERT OR REPLACE INTO batch_record VALUES (?1, ?2, ?3, ?4)")?;
    let mut next = first;
    for (id, items) in records {
        let values = params![place.0, RecordKey(id), run, RecordState::Sent];
        let record: i64 = sent.query_row(values, |row| row.get(0))?;
        add.execute(params![batch.0, next, items, record])?;
        next += items;
    }
    Ok(())
}

pub(super) fn take_back(tx: &Connection, batch: BatchNo, first: u64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE record SET state = ?3 WHERE state = ?4 AND n IN (
            SELECT record FROM batch_record WHERE batch = ?1 AND first >= ?2)",
    )?
    .execute(params![
        batch.0,
        first,
        RecordState::Planned,
        RecordState::Sent
    ])?;
    tx.prepare_cached("DELETE FROM batch_record WHERE batch = ?1 AND first >= ?2")?
        .execute(params![batch.0, first])?;
    Ok(())
}

fn settle(tx: &Connection, batch: BatchNo, settled: &Settled) -> rusqlite::Result<()> {
    let mut records =
        tx.prepare_cached("SELECT first, items, record FROM batch_record WHERE batch = ?1")?;
    let mut set = tx.prepare_cached("UPDATE record SET state = ?2 WHERE n = ?1 AND state = ?3")?;
    let mut rows = records.query([batch.0])?;
    while let Some(row) = rows.next()? {
        let (first, items, record): (u64, u64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // What is not known is looked up by the run that writes there next.
        let state = match settled.is_stored(first, items) {
            Some(true) => RecordState::Confirmed,
            Some(false) => RecordState::Planned,
            None => continue,
        };
        set.execute(params![record, state, RecordState::Sent])?;
    }
    drop(rows);
    tx.prepare_cached("DELETE FROM batch_record WHERE batch = ?1")?
        .execute([batch.0])?;
    tx.prepare_cached("DELETE FROM batch WHERE n = ?1")?
        .execute([batch.0])?;
    Ok(())
}

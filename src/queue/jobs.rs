//! The queue of writes: one SQLite file for all processes of a machine, with a bound for each owner
//! and for all.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::columns::{millis, now, owner_columns};
use super::file;
use super::rows::{ANYBODY, Rows, time};
use super::seal::{self, Sealed};
use crate::memory::queue::{
    CLAIM, Cancelled, Counts, Job, LONGEST_WAIT, NewJob, Put, Queue, QueueError, Queued, Result,
};
use crate::seal::SealKey;
use crate::zep::{Owner, Uuid};

/// The file in the data directory.
const FILE: &str = "queue.db";

/// The queue of a data directory.
#[derive(Debug, Clone)]
pub struct WriteQueue(Arc<Rows>);

impl WriteQueue {
    /// The queue in this directory, for this account's writes. Opens and makes nothing yet.
    pub fn new(data_dir: &Path, account: String, patience: Duration) -> Self {
        Self(Arc::new(Rows {
            path: data_dir.join(FILE),
            account,
            process: uuid::Uuid::now_v7().to_string(),
            patience,
            key: None,
            db: Mutex::new(None),
        }))
    }

    /// The same, whose contents are encrypted with this key.
    #[must_use]
    pub fn sealing(mut self, key: Option<Arc<SealKey>>) -> Self {
        if let Some(rows) = Arc::get_mut(&mut self.0) {
            rows.key = key;
        }
        self
    }

    /// Encrypts everything in the file with another key, or with the first one: `from` is the present one.
    /// `None` if there is no file.
    ///
    /// # Errors
    /// [`QueueError::Unusable`], also if a process uses the file; nothing is changed then.
    pub async fn seal_anew(
        &self,
        from: Option<Arc<SealKey>>,
        to: Arc<SealKey>,
    ) -> Result<Option<Sealed>> {
        if !self.is_used() {
            return Ok(None);
        }
        let path = self.0.path.clone();
        let done =
            tokio::task::spawn_blocking(move || seal::anew(&path, from.as_deref(), &to).map(Some));
        done.await
            .unwrap_or_else(|_| Err(file::unusable(&self.0.path, "the program ends")))
    }

    /// Lets everything be tried at once that waits for its next attempt.
    ///
    /// # Errors
    /// [`QueueError::Unusable`].
    pub async fn hurry(&self) -> Result<()> {
        self.step(false, |queue, db| {
            db.execute(
                "UPDATE waiting SET due = min(due, ?2) WHERE account = ?1",
                params![queue.account, now()],
            )
            .map(drop)
        })
        .await
    }

    /// Does a step on a thread that may block. Where there is no file it is made, or the answer is
    /// `T::default()`.
    pub(super) async fn step<T: Default + Send + 'static>(
        &self,
        make: bool,
        work: impl FnOnce(&Rows, &mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        // In the ordinary case there is no file, and a look for it is all that a read costs.
        if !make && !self.0.path.exists() {
            return Ok(T::default());
        }
        let queue = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut db = queue.db.lock().unwrap_or_else(PoisonError::into_inner);
            let open = match db.take() {
                Some(open) => db.insert(open),
                None => {
                    let opened = match make {
                        true => file::open(&queue.path)?,
                        false => file::open_existing(&queue.path)?,
                    };
                    seal::check(&opened, &queue.path, queue.key.as_deref(), false)?;
                    db.insert(opened)
                }
            };
            work(&queue, open).map_err(|error| file::failed(&queue.path, &error))
        });
        done.await
            .unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The process ends.
                Err(_) => Err(file::unusable(&self.0.path, "the program ends")),
            })
    }
}

#[async_trait]
impl Queue for WriteQueue {
    fn patience(&self) -> Duration {
        self.0.patience
    }

    async fn counts(&self) -> Result<Counts> {
        self.step(false, |queue, db| {
            db.query_row(
                "SELECT count(*) FILTER (WHERE parked IS NULL),
                   count(*) FILTER (WHERE parked IS NOT NULL), min(queued_at)
                 FROM waiting WHERE account = ?1",
                [&queue.account],
                |row| {
                    Ok(Counts {
                        waiting: row.get(0)?,
                        refused: row.get(1)?,
                        oldest: row.get::<_, Option<i64>>(2)?.map(time),
                    })
                },
            )
        })
        .await
    }

    fn is_used(&self) -> bool {
        self.0.path.exists()
    }

    async fn put(&self, new: NewJob, claim: bool) -> Result<Put> {
        let put = self
            .step(true, move |queue, db| queue.put(db, &new, claim).map(Some))
            .await?;
        match put {
            Some(Ok(put)) => Ok(put),
            Some(Err(what)) => Err(QueueError::Full { what: what.into() }),
            None => Err(file::unusable(&self.0.path, "it is gone")),
        }
    }

    async fn harden(&self) -> Result<()> {
        self.step(true, |queue, db| queue.harden(db)).await
    }

    async fn claim(&self) -> Result<Option<Job>> {
        self.step(false, |queue, db| queue.claim(db)).await
    }

    async fn until_next(&self) -> Result<Option<Duration>> {
        self.step(false, |queue, db| queue.until_next(db)).await
    }

    async fn renew(&self, number: i64) -> Result<bool> {
        let until = now() + millis(CLAIM);
        self.step(false, move |queue, db| {
            let changed = db.execute(
                "UPDATE waiting SET claimed_until = ?3 WHERE number = ?1 AND claimed_by = ?2",
                params![number, queue.process, until],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    async fn delivered(
        &self,
        job: &Job,
        ids: Vec<(usize, Uuid)>,
        follow: Vec<NewJob>,
    ) -> Result<bool> {
        let job = job.clone();
        self.step(false, move |queue, db| {
            // If a power cut takes this back, the job is found done when it is sent again.
            db.pragma_update(None, "synchronous", "normal")?;
            queue.delivered(db, &job, &ids, &follow)
        })
        .await
    }

    async fn moved(&self, old: &Uuid, new: &Uuid) -> Result<()> {
        let (old, new) = (old.to_string(), new.to_string());
        self.step(false, move |queue, db| {
            db.execute(
                "UPDATE ids SET zep = ?3, number = NULL
                 WHERE account = ?1 AND (zep = ?2 OR (id = ?2 AND zep IS NULL))",
                params![queue.account, old, new],
            )
            .map(drop)
        })
        .await
    }

    async fn renamed(&self, owner: &Owner, old: &Uuid, new: &Uuid) -> Result<()> {
        self.moved(old, new).await?;
        let (owner, old, new) = (owner.clone(), old.to_string(), new.to_string());
        self.step(false, move |queue, db| {
            let (kind, owner) = owner_columns(&owner);
            db.execute(
                "INSERT INTO ids (account, id, position, kind, owner, zep)
                 VALUES (?1, ?2, 0, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET zep = excluded.zep",
                params![queue.account, old, kind, owner, new],
            )
            .map(drop)
        })
        .await
    }

    async fn later(&self, number: i64, after: Duration, in_doubt: bool) -> Result<()> {
        let due = now() + millis(after.min(LONGEST_WAIT));
        self.step(false, move |queue, db| {
            db.execute(
                "UPDATE waiting SET due = ?3, in_doubt = ?4, claimed_by = NULL, claimed_until = 0
                 WHERE number = ?1 AND claimed_by = ?2",
                params![number, queue.process, due, in_doubt],
            )
            .map(drop)
        })
        .await
    }

    async fn park(&self, number: i64, why: &str) -> Result<()> {
        let why = why.to_owned();
        self.step(false, move |queue, db| {
            db.execute(
                "UPDATE waiting SET parked = ?3, claimed_by = NULL, claimed_until = 0
                 WHERE number = ?1 AND claimed_by = ?2",
                params![number, queue.process, why],
            )
            .map(drop)
        })
        .await
    }

    async fn replace(&self, job: &Job, body: &str, gone: Option<usize>) -> Result<bool> {
        let (job, body) = (job.clone(), body.to_owned());
        self.step(false, move |queue, db| queue.replace(db, &job, &body, gone))
            .await
    }

    async fn holds(&self, number: i64) -> Result<bool> {
        self.step(false, move |queue, db| {
            db.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM waiting WHERE number = ?1 AND claimed_by = ?2)",
            )?
            .query_row(params![number, queue.process], |row| row.get(0))
        })
        .await
    }

    async fn cancel(&self, number: i64) -> Result<Cancelled> {
        let done = self.step(false, move |queue, db| {
            queue.forget(db, number, false).map(Some)
        });
        Ok(done.await?.unwrap_or(Cancelled::NotThere))
    }

    async fn remove(&self, number: i64) -> Result<()> {
        let done = self.step(false, move |queue, db| {
            queue.forget(db, number, true).map(Some)
        });
        done.await.map(drop)
    }

    async fn outdate(&self) -> Result<()> {
        // Other processes may know something although nothing was ever put in.
        self.step(true, |queue, db| {
            db.pragma_update(None, "synchronous", "normal")?;
            db.execute(
                "REPLACE INTO written (account, kind, owner, at) VALUES (?1, ?2, '', ?3)",
                params![queue.account, ANYBODY, now()],
            )
            .map(drop)
        })
        .await
    }

    async fn outdated(&self) -> Result<Option<Timestamp>> {
        self.step(false, |queue, db| queue.written(db, (ANYBODY, "")))
            .await
    }

    async fn forget_ids(&self, owner: &Owner) -> Result<()> {
        let owner = owner.clone();
        self.step(false, move |queue, db| {
            let (kind, owner) = owner_columns(&owner);
            db.execute(
                "DELETE FROM ids WHERE account = ?1 AND kind = ?2 AND owner = ?3 AND zep IS NOT NULL",
                params![queue.account, kind, owner],
            )
            .map(drop)
        })
        .await
    }

    async fn written(&self, owner: &Owner) -> Result<Option<Timestamp>> {
        let owner = owner.clone();
        self.step(false, move |queue, db| {
            queue.written(db, owner_columns(&owner))
        })
        .await
    }

    async fn find(&self, id: &Uuid) -> Result<Option<Queued>> {
        let id = id.as_str().to_owned();
        self.step(false, move |queue, db| queue.find(db, &id)).await
    }

    async fn after(&self, owner: Option<&Owner>, number: i64) -> Result<Option<Job>> {
        let owner = owner.cloned();
        self.step(false, move |queue, db| {
            queue.after(db, owner.as_ref(), number)
        })
        .await
    }
}

//! The queue of writes: one SQLite file for all processes of a machine, with a bound for each owner
//! and for all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::params;

use super::columns::{millis, now, owner_columns};
use super::connection::{Kept, Rows};
use super::file;
use super::rows::{ANYBODY, time};
use super::seal::{self, Sealed};
use crate::memory::queue::{
    CLAIM, Cancelled, Counts, Delivered, Job, LONGEST_WAIT, NewJob, Put, Queue, QueueError, Queued,
    Result,
};
use crate::seal::SealKey;
use crate::zep::{Owner, Uuid};

/// The file in the data directory.
const FILE: &str = "queue.db";

/// The queue of a data directory.
#[derive(Debug, Clone)]
pub struct WriteQueue(pub(super) Arc<Rows>);

impl WriteQueue {
    /// The queue in this directory, for this account's writes. Opens and makes nothing yet.
    pub fn new(data_dir: &Path, account: String, patience: Duration) -> Self {
        let path = data_dir.join(FILE);
        Self(Arc::new(Rows::new(path, account, patience)))
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
        self.0
            .change(Kept::InProcess, |queue, db| {
                db.execute(
                    "UPDATE waiting SET due = min(due, ?2) WHERE account = ?1",
                    params![queue.account, now()],
                )
                .map(drop)
            })
            .await
    }
}

#[async_trait]
impl Queue for WriteQueue {
    fn patience(&self) -> Duration {
        self.0.patience
    }

    async fn counts(&self) -> Result<Counts> {
        self.0
            .read(|queue, db| {
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
        // What is promised must survive a power cut; what is tried first is not promised yet.
        let kept = if claim { Kept::InProcess } else { Kept::OnDisk };
        let put = self
            .0
            .write(kept, move |queue, db| queue.put(db, &new, claim));
        put.await?
            .map_err(|what| QueueError::Full { what: what.into() })
    }

    async fn harden(&self) -> Result<()> {
        // A commit writes everything to the disk that came before it.
        self.0
            .write(Kept::OnDisk, |queue, db| queue.hardened(db))
            .await
    }

    async fn claim(&self) -> Result<Option<Job>> {
        // It is sent next: if a power cut took back that it was claimed, it would be sent again unseen.
        self.0
            .change(Kept::OnDisk, |queue, db| queue.claim(db))
            .await
    }

    async fn until_next(&self) -> Result<Option<Duration>> {
        self.0.read(|queue, db| queue.until_next(db)).await
    }

    async fn renew(&self, number: i64) -> Result<bool> {
        let until = now() + millis(CLAIM);
        self.0
            .change(Kept::InProcess, move |queue, db| {
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
    ) -> Result<Delivered> {
        let job = job.clone();
        // If a power cut takes this back, the job is found done when it is sent again.
        self.0
            .change(Kept::InProcess, move |queue, db| {
                queue.delivered(db, &job, &ids, &follow)
            })
            .await
    }

    async fn moved(&self, old: &Uuid, new: &Uuid) -> Result<()> {
        let (old, new) = (old.to_string(), new.to_string());
        self.0
            .change(Kept::OnDisk, move |queue, db| {
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
        self.0
            .change(Kept::OnDisk, move |queue, db| {
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
        self.0
            .change(Kept::InProcess, move |queue, db| {
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
        self.0
            .change(Kept::InProcess, move |queue, db| {
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
        self.0
            .change(Kept::OnDisk, move |queue, db| {
                queue.replace(db, &job, &body, gone)
            })
            .await
    }

    async fn holds(&self, number: i64) -> Result<bool> {
        self.0
            .read(move |queue, db| {
                db.prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM waiting WHERE number = ?1 AND claimed_by = ?2)",
                )?
                .query_row(params![number, queue.process], |row| row.get(0))
            })
            .await
    }

    async fn cancel(&self, number: i64) -> Result<Cancelled> {
        // What is deleted must not come back by a power cut.
        let done = self.0.change(Kept::OnDisk, move |queue, db| {
            queue.forget(db, number, false).map(Some)
        });
        Ok(done.await?.unwrap_or(Cancelled::NotThere))
    }

    async fn remove(&self, number: i64) -> Result<()> {
        let done = self.0.change(Kept::OnDisk, move |queue, db| {
            queue.forget(db, number, true).map(Some)
        });
        done.await.map(drop)
    }

    async fn outdate(&self) -> Result<()> {
        // Other processes may know something although nothing was ever put in.
        self.0
            .write(Kept::InProcess, |queue, db| {
                db.execute(
                    "REPLACE INTO written (account, kind, owner, at) VALUES (?1, ?2, '', ?3)",
                    params![queue.account, ANYBODY, now()],
                )
                .map(drop)
            })
            .await
    }

    async fn outdated(&self) -> Result<Option<Timestamp>> {
        self.0
            .read(|queue, db| queue.written(db, (ANYBODY, "")))
            .await
    }

    async fn forget_ids(&self, owner: &Owner) -> Result<()> {
        let owner = owner.clone();
        self.0.change(Kept::OnDisk, move |queue, db| {
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
        self.0
            .read(move |queue, db| queue.written(db, owner_columns(&owner)))
            .await
    }

    async fn find(&self, id: &Uuid) -> Result<Option<Queued>> {
        let id = id.as_str().to_owned();
        self.0.read(move |queue, db| queue.find(db, &id)).await
    }

    async fn after(&self, owner: Option<&Owner>, number: i64) -> Result<Option<Job>> {
        let owner = owner.cloned();
        self.0
            .read(move |queue, db| queue.after(db, owner.as_ref(), number))
            .await
    }
}

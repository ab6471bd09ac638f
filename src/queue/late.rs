//! Records that were sent again: each is looked at after some times, so that a double is removed
//! whenever the first write arrives.
//!
//! The list is a file of ids and times, made when the first record is sent again. Processes that share
//! it claim what they look at. A claim expires, so that nothing is left undone by a process that died.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};
use tokio::sync::Notify;

use super::columns::{THREAD, millis, now, owner_columns, owner_of};
use crate::local::make_private;
use crate::zep::{Resends, SentAgain, SentTo, ThreadId};

/// The file in the data directory.
const FILE: &str = "late_writes.db";
/// How long a claim holds that is not renewed. Ours: a process that died holds up others no longer.
const CLAIM: Duration = Duration::from_secs(60);
/// How often a process that looks renews its claim: reading a long thread takes minutes.
const RENEW: Duration = Duration::from_secs(15);
/// After this time a look that failed is tried again. Ours: Zep's rate limits count minutes.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// A record that cannot be looked at is given up after this time: its thread or its key may be gone.
const GIVE_UP: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often the list is looked at for what other processes left. Ours.
const LOOK_AROUND: Duration = Duration::from_secs(600);
/// How long a process waits for another one that writes to the list.
const BUSY_WAIT: Duration = Duration::from_secs(5);

const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS sent_again (
  account TEXT NOT NULL,
  kind INTEGER NOT NULL,
  place TEXT NOT NULL,
  record TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  due INTEGER NOT NULL,
  looks INTEGER NOT NULL DEFAULT 0,
  claimed_until INTEGER NOT NULL DEFAULT 0,
  deleted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (account, kind, place, record)
) STRICT, WITHOUT ROWID";

/// The list of records that were sent again.
#[derive(Debug)]
pub struct LateWrites {
    path: PathBuf,
    /// Of several accounts in one data directory, only one's records can be looked at with its key.
    account: String,
    /// When a record is looked at, counted from its repeat, ascending.
    looks: Vec<Duration>,
    noted: Notify,
}

/// A claimed record.
#[derive(Clone)]
struct Due {
    sent: SentAgain,
    sent_at: i64,
    looks: usize,
}

impl LateWrites {
    /// The list in this directory, for this account's records. Opens and makes nothing yet.
    pub fn new(data_dir: &Path, account: String, mut looks: Vec<Duration>) -> Self {
        looks.sort_unstable();
        Self {
            path: data_dir.join(FILE),
            account,
            looks,
            noted: Notify::new(),
        }
    }

    /// Looks at each record when it is due, for as long as it is polled. `look` removes the doubles of
    /// a record, and answers whether it could look.
    pub async fn watch<F>(self: Arc<Self>, look: impl Fn(SentAgain) -> F)
    where
        F: Future<Output = bool>,
    {
        loop {
            // In the ordinary case there is no file, and a look for it is all that this costs.
            let exists = self.path.exists();
            let list = self.clone();
            let due = match exists {
                true => blocking(move || list.claim()).await.flatten(),
                false => None,
            };
            let Some(due) = due else {
                let list = self.clone();
                let wait = match exists {
                    true => blocking(move || list.until_next()).await.flatten(),
                    false => None,
                };
                tokio::select! {
                    () = self.noted.notified() => {}
                    () = tokio::time::sleep(wait.unwrap_or(LOOK_AROUND).min(LOOK_AROUND)) => {}
                }
                continue;
            };
            let looked = self.claimed_while(&due, look(due.sent.clone())).await;
            let list = self.clone();
            blocking(move || list.looked(&due, looked)).await;
        }
    }

    /// Waits for a look, and keeps its claim meanwhile.
    async fn claimed_while(self: &Arc<Self>, due: &Due, look: impl Future<Output = bool>) -> bool {
        let mut look = pin!(look);
        loop {
            if let Ok(looked) = tokio::time::timeout(RENEW, &mut look).await {
                return looked;
            }
            let (list, due) = (self.clone(), due.clone());
            blocking(move || list.open_if_made(|db| list.set_claim(db, &due, now()))).await;
        }
    }

    /// The record that is due longest, claimed; `None` if there is none.
    fn claim(&self) -> Option<Due> {
        self.open_if_made(|list| {
            let now = now();
            let change = list.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let due = change
                .query_row(
                    "SELECT kind, place, record, sent_at, looks, deleted FROM sent_again
                     WHERE account = ?1 AND max(due, claimed_until) <= ?2 ORDER BY due LIMIT 1",
                    params![self.account, now],
                    due,
                )
                .optional()?;
            if let Some(due) = &due {
                self.set_claim(&change, due, now)?;
            }
            change.commit()?;
            Ok(due)
        })
        .flatten()
    }

    /// Claims a record from now on, unless it was noted again meanwhile.
    fn set_claim(&self, db: &Connection, due: &Due, now: i64) -> rusqlite::Result<usize> {
        let (kind, place) = columns(&due.sent.to);
        db.execute(
            "UPDATE sent_again SET claimed_until = ?6 WHERE account = ?1
             AND kind = ?2 AND place = ?3 AND record = ?4 AND sent_at = ?5",
            params![
                self.account,
                kind,
                place,
                due.sent.record,
                due.sent_at,
                now + millis(CLAIM)
            ],
        )
    }

    /// How long until a record is due; `None` if the list is empty.
    fn until_next(&self) -> Option<Duration> {
        let next: i64 = self
            .open_if_made(|list| {
                list.query_row(
                    "SELECT min(max(due, claimed_until)) FROM sent_again WHERE account = ?1",
                    [&self.account],
                    |row| row.get::<_, Option<i64>>(0),
                )
            })
            .flatten()?;
        let wait = next - now();
        // What is due and was not claimed cannot be written to now.
        Some(match u64::try_from(wait) {
            Ok(wait) if wait > 0 => Duration::from_millis(wait),
            _ => BUSY_WAIT,
        })
    }

    /// Sets a record's next look, or forgets it after its last one. One that was noted again meanwhile
    /// keeps its new times.
    fn looked(&self, due: &Due, looked: bool) {
        let looks = due.looks + usize::from(looked);
        let next = match self.looks.get(looks) {
            Some(after) if looked => Some(due.sent_at + millis(*after)),
            Some(_) if now() - due.sent_at < millis(GIVE_UP) => Some(now() + millis(TRY_AGAIN)),
            _ => None,
        };
        let (kind, place) = columns(&due.sent.to);
        let (record, sent_at) = (&due.sent.record, due.sent_at);
        self.open_if_made(|list| match next {
            Some(next) => list.execute(
                "UPDATE sent_again SET due = ?6, looks = ?7, claimed_until = 0 WHERE account = ?1
                 AND kind = ?2 AND place = ?3 AND record = ?4 AND sent_at = ?5",
                params![
                    self.account,
                    kind,
                    place,
                    record,
                    sent_at,
                    next,
                    looks as i64
                ],
            ),
            None => list.execute(
                "DELETE FROM sent_again WHERE account = ?1 AND kind = ?2 AND place = ?3
                 AND record = ?4 AND sent_at = ?5",
                params![self.account, kind, place, record, sent_at],
            ),
        });
    }

    fn insert(&self, sent: &SentAgain) {
        let Some(first) = self.looks.first() else {
            return;
        };
        let (kind, place) = columns(&sent.to);
        let now = now();
        if let Err(message) = make_private(&self.path) {
            tracing::warn!("a write was sent again and cannot be noted: {message}");
            return;
        }
        self.open_if_made(|list| {
            list.execute(
                "INSERT INTO sent_again (account, kind, place, record, sent_at, due)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
                 SET sent_at = excluded.sent_at, due = excluded.due, looks = 0, claimed_until = 0,
                   deleted = 0",
                params![
                    self.account,
                    kind,
                    place,
                    sent.record,
                    now,
                    now + millis(*first)
                ],
            )
        });
    }

    /// Notes that a record was deleted, which is then looked at anew, or that it is stored again.
    fn mark(&self, sent: &SentAgain) {
        let Some(first) = self.looks.first() else {
            return;
        };
        let (kind, place) = columns(&sent.to);
        let now = now();
        self.open_if_made(|list| {
            list.execute(
                "UPDATE sent_again SET deleted = ?5, sent_at = ?6, due = ?7, looks = 0
                 WHERE account = ?1 AND kind = ?2 AND place = ?3 AND record = ?4
                 AND deleted <> ?5",
                params![
                    self.account,
                    kind,
                    place,
                    sent.record,
                    sent.deleted,
                    now,
                    now + millis(*first)
                ],
            )
        });
    }

    /// Does something with the list; `None` if it does not exist or cannot be used, which is logged.
    /// It is seldom used, so it is not kept open.
    fn open_if_made<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Option<T> {
        if !self.path.exists() {
            return None;
        }
        let done = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let mut list = Connection::open_with_flags(&self.path, flags)?;
            list.busy_timeout(BUSY_WAIT)?;
            list.execute_batch(LAYOUT)?;
            work(&mut list)
        };
        done()
            .inspect_err(|error| {
                tracing::warn!(code = ?error.sqlite_error_code(), "{FILE} cannot be used");
            })
            .ok()
    }
}

#[async_trait]
impl Resends for Arc<LateWrites> {
    async fn note(&self, sent: SentAgain) {
        let list = self.clone();
        blocking(move || list.insert(&sent)).await;
        self.noted.notify_one();
    }

    async fn set_deleted(&self, sent: SentAgain) {
        // Mostly nothing was ever sent again, and a look for the file is all that this costs.
        if !self.path.exists() {
            return;
        }
        let list = self.clone();
        blocking(move || list.mark(&sent)).await;
        self.noted.notify_one();
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

fn due(row: &Row<'_>) -> rusqlite::Result<Due> {
    let place: String = row.get(1)?;
    let to = match row.get(0)? {
        THREAD => SentTo::Thread(ThreadId::new(&place).map_err(|_| rusqlite::Error::InvalidQuery)?),
        kind => SentTo::Graph(owner_of(kind, &place)?),
    };
    let record = row.get(2)?;
    Ok(Due {
        sent: SentAgain {
            to,
            record,
            deleted: row.get(5)?,
        },
        sent_at: row.get(3)?,
        looks: usize::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
    })
}

fn columns(to: &SentTo) -> (i64, &str) {
    match to {
        SentTo::Thread(thread) => (THREAD, thread.as_str()),
        SentTo::Graph(owner) => owner_columns(owner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(dir: &Path, looks: &[u64]) -> LateWrites {
        let looks = looks.iter().copied().map(Duration::from_millis).collect();
        LateWrites::new(dir, "a".into(), looks)
    }

    fn sent(record: &str) -> SentAgain {
        SentAgain {
            to: SentTo::Thread(ThreadId::new("t").unwrap()),
            record: record.into(),
            deleted: false,
        }
    }

    #[test]
    fn a_record_is_claimed_once_and_looked_at_as_often_as_it_should() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (list(dir.path(), &[0, 0]), list(dir.path(), &[0, 0]));
        assert!(one.claim().is_none() && !one.path.exists());
        one.insert(&sent("r"));
        let due = one.claim().unwrap();
        assert_eq!(due.sent, sent("r"));
        assert!(other.claim().is_none(), "it is claimed");
        one.looked(&due, true);
        let due = other.claim().unwrap();
        // Noted again while it is looked at: it begins anew.
        std::thread::sleep(Duration::from_millis(2));
        one.insert(&sent("r"));
        other.looked(&due, true);
        for _ in 0..2 {
            let due = one.claim().unwrap();
            one.looked(&due, true);
        }
        assert!(one.claim().is_none());
        assert_eq!(one.until_next(), None);
    }

    #[test]
    fn a_deleted_record_is_looked_at_anew_and_as_deleted_until_it_is_stored_again() {
        let dir = tempfile::tempdir().unwrap();
        let one = list(dir.path(), &[0]);
        let gone = SentAgain {
            deleted: true,
            ..sent("r")
        };
        one.mark(&gone);
        assert!(!one.path.exists(), "it was not sent again");
        one.insert(&sent("r"));
        one.mark(&gone);
        let due = one.claim().unwrap();
        assert!(due.sent.deleted);
        std::thread::sleep(Duration::from_millis(2));
        one.mark(&sent("r"));
        // The look was at what is not so any more, and does not end it.
        one.looked(&due, true);
        one.open_if_made(|list| list.execute("UPDATE sent_again SET claimed_until = 0", []));
        assert!(!one.claim().unwrap().sent.deleted);
    }

    #[test]
    fn a_look_that_failed_is_tried_again_and_other_accounts_are_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let one = list(dir.path(), &[0]);
        one.insert(&sent("r"));
        let stranger = LateWrites::new(dir.path(), "b".into(), vec![Duration::ZERO]);
        assert!(stranger.claim().is_none());
        let due = one.claim().unwrap();
        one.looked(&due, false);
        let wait = one.until_next().unwrap();
        assert!(wait <= TRY_AGAIN && wait > TRY_AGAIN / 2, "{wait:?}");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let one = list(&dir.path().join("made"), &[0]);
        one.insert(&sent("r"));
        let mode = std::fs::metadata(&one.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

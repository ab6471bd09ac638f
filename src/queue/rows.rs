//! The rows of the queue: what is read and written in each step. What is written is all in one transaction.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{millis, now, owner_columns, owner_of};
use super::connection::Rows;
use super::seal;
use crate::memory::model::SessionId;
use crate::memory::queue::{
    CLAIM, Cancelled, Delivered, Job, LONGEST_WAIT, Lane, NewJob, Put, Queued,
};
use crate::zep::{Owner, Uuid};

/// Bounds of what waits (the numbers): records and bytes of one owner, bytes in all.
const OWNER_RECORDS: i64 = 10_000;
const OWNER_BYTES: i64 = 256 << 20;
const ALL_BYTES: i64 = 1 << 30;

const COLUMNS: &str =
    "number, kind, owner, session, body, attempts, in_doubt, queued_at, parked, version";

/// In the column `kind` of `written`: when everything was made durable.
const DURABLE: i64 = -2;
/// In the column `kind` of `written`: when anybody's memories were deleted or changed.
pub(super) const ANYBODY: i64 = -1;

impl Rows {
    /// Keeps a job, claimed if it is the first of its lane; `Err` names the bound that is reached.
    pub(super) fn put(
        &self,
        db: &Connection,
        job: &NewJob,
        claim: bool,
    ) -> rusqlite::Result<Result<Put, &'static str>> {
        if let Some(bound) = self.reached(db, job)? {
            return Ok(Err(bound));
        }
        let now = now();
        let claim = claim && !self.is_waiting(db, &job.lane)?;
        let number = self.insert(db, job, now, claim)?;
        if !claim {
            return Ok(Ok(Put::Waits(number)));
        }
        Ok(Ok(Put::Claimed(Job {
            number,
            lane: job.lane.clone(),
            body: job.body.clone(),
            version: 0,
            attempts: 1,
            is_new: true,
            in_doubt: job.in_doubt,
            queued_at: time(now),
            parked: None,
        })))
    }

    /// Whether a job of this lane is there.
    fn is_waiting(&self, db: &Connection, lane: &Lane) -> rusqlite::Result<bool> {
        let (kind, owner) = owner_columns(&lane.owner);
        db.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM waiting WHERE account = ?1 AND kind = ?2 AND owner = ?3
               AND session = ?4 AND parked IS NULL)",
        )?
        .query_row(
            params![self.account, kind, owner, session_column(lane)],
            |row| row.get(0),
        )
    }

    /// Notes that everything is on the disk.
    pub(super) fn hardened(&self, db: &Connection) -> rusqlite::Result<()> {
        db.execute(
            "REPLACE INTO written (account, kind, owner, at) VALUES (?1, ?2, '', ?3)",
            params![self.account, DURABLE, now()],
        )
        .map(drop)
    }

    /// The bound that a job would exceed.
    fn reached(&self, db: &Connection, job: &NewJob) -> rusqlite::Result<Option<&'static str>> {
        let sums =
            "SELECT records, bytes FROM sums WHERE account = ?1 AND kind = ?2 AND owner = ?3";
        let of = |account: &str, kind, owner: &str| {
            let mut sums = db.prepare_cached(sums)?;
            let found = sums.query_row(params![account, kind, owner], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            });
            Ok::<_, rusqlite::Error>(found.optional()?.unwrap_or_default())
        };
        let (kind, owner) = owner_columns(&job.lane.owner);
        let (records, bytes) = (job.ids.len() as i64, job.body.len() as i64);
        let ((_, all), (own, own_bytes)) = (of("", -1, "")?, of(&self.account, kind, owner)?);
        Ok(match () {
            () if own + records > OWNER_RECORDS => Some("10,000 memories of this user or agent"),
            () if own_bytes + bytes > OWNER_BYTES => {
                Some("256 MB of memories of this user or agent")
            }
            () if all + bytes > ALL_BYTES => Some("1 GB of memories"),
            () => None,
        })
    }

    /// Keeps a job, claimed if that is wanted: if this process ends before it is done, it may have been sent.
    fn insert(
        &self,
        db: &Connection,
        job: &NewJob,
        now: i64,
        claim: bool,
    ) -> rusqlite::Result<i64> {
        let (kind, owner) = owner_columns(&job.lane.owner);
        let (records, bytes) = (job.ids.len() as i64, job.body.len() as i64);
        let session = session_column(&job.lane);
        db.prepare_cached(
            "INSERT INTO waiting (account, kind, owner, session, body, records, bytes, queued_at, due,
               in_doubt, attempts, claimed_by, claimed_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(
            params![
                self.account,
                kind,
                owner,
                session,
                seal::sealed(self.key.as_deref(), &job.body),
                records,
                bytes,
                now,
                job.in_doubt || claim,
                i64::from(claim),
                claim.then_some(self.process.as_str()),
                if claim { now + millis(CLAIM) } else { 0 },
            ],
        )?;
        let number = db.last_insert_rowid();
        db.prepare_cached(
            "REPLACE INTO written (account, kind, owner, at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![self.account, kind, owner, now])?;
        let mut keep = db.prepare_cached(
            "INSERT INTO ids (account, id, number, position, kind, owner)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET number = excluded.number, position = excluded.position
               WHERE zep IS NULL",
        )?;
        for (position, id) in job.ids.iter().enumerate() {
            keep.execute(params![
                self.account,
                id.as_str(),
                number,
                position as i64,
                kind,
                owner
            ])?;
        }
        Ok(number)
    }

    /// Claims a job. If this process ends before it is done, the job may have been sent.
    fn mark_claimed(&self, db: &Connection, number: i64, now: i64) -> rusqlite::Result<()> {
        db.prepare_cached(
            "UPDATE waiting SET claimed_by = ?2, claimed_until = ?3, attempts = attempts + 1,
               in_doubt = 1 WHERE number = ?1",
        )?
        .execute(params![number, self.process, now + millis(CLAIM)])
        .map(drop)
    }

    /// Claims the first job of a lane, of those that are due and not claimed.
    pub(super) fn claim(&self, db: &Connection) -> rusqlite::Result<Option<Job>> {
        // Only now: waiting for other processes takes its time, in which they claim.
        let now = now();
        // Mostly the oldest job is the first of its lane, so that few are looked at. Times too far ahead
        // are those of a clock that went wrong.
        let mut first = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM waiting AS one
                 WHERE account = ?1 AND parked IS NULL
                   AND (due <= ?2 OR due > ?3) AND (claimed_until <= ?2 OR claimed_until > ?4)
                   AND NOT EXISTS (SELECT 1 FROM waiting AS other
                     WHERE other.account = one.account AND other.kind = one.kind
                       AND other.owner = one.owner AND other.session = one.session
                       AND other.number < one.number AND other.parked IS NULL)
                 ORDER BY number LIMIT 1"
        ))?;
        let far = [LONGEST_WAIT, CLAIM].map(|longest| now + 2 * millis(longest));
        let values = params![self.account, now, far[0], far[1]];
        let found = first.query_row(values, |row| self.job(row));
        let Some(mut job) = found.optional()? else {
            return Ok(None);
        };
        self.mark_claimed(db, job.number, now)?;
        job.attempts += 1;
        Ok(Some(job))
    }

    /// How long until a job may be claimed, if none may now: then the first one of each lane was tried, or
    /// is being.
    pub(super) fn until_next(&self, db: &Connection) -> rusqlite::Result<Option<Duration>> {
        let mut first = db.prepare_cached(
            "SELECT min(max(due, claimed_until)) FROM waiting
             WHERE account = ?1 AND attempts > 0 AND parked IS NULL",
        )?;
        let next: Option<i64> = first.query_row([&self.account], |row| row.get(0))?;
        Ok(next.map(|next| Duration::from_millis(u64::try_from(next - now()).unwrap_or(0))))
    }

    pub(super) fn delivered(
        &self,
        db: &Connection,
        job: &Job,
        ids: &[(usize, Uuid)],
        follow: &[NewJob],
    ) -> rusqlite::Result<Delivered> {
        let gone = db
            .prepare_cached(
                "DELETE FROM waiting WHERE number = ?1 AND version = ?2 AND claimed_by = ?3",
            )?
            .execute(params![job.number, job.version, self.process])?;
        if gone == 0 {
            return Ok(Delivered::Stays);
        }
        for (position, id) in ids {
            db.execute(
                "UPDATE ids SET zep = ?3, number = NULL WHERE number = ?1 AND position = ?2",
                params![job.number, *position as i64, id.as_str()],
            )?;
        }
        // Those of a text that was replaced lead to the new one.
        db.prepare_cached("DELETE FROM ids WHERE number = ?1 AND zep IS NULL")?
            .execute([job.number])?;
        for job in follow {
            self.insert(db, job, now(), false)?;
        }
        // Looking for what may be carried out now takes longer than this.
        Ok(
            match follow.is_empty() && !self.is_waiting(db, &job.lane)? {
                true => Delivered::Last,
                false => Delivered::Followed,
            },
        )
    }

    pub(super) fn replace(
        &self,
        db: &Connection,
        job: &Job,
        body: &str,
        gone: Option<usize>,
    ) -> rusqlite::Result<bool> {
        let changed = db.execute(
            "UPDATE waiting SET body = ?3, bytes = ?4, version = version + 1, due = min(due, ?5),
               parked = NULL
             WHERE number = ?1 AND version = ?2 AND in_doubt = ?6",
            params![
                job.number,
                job.version,
                seal::sealed(self.key.as_deref(), body),
                body.len() as i64,
                now(),
                job.in_doubt
            ],
        )?;
        if let Some(position) = gone.filter(|_| changed > 0) {
            db.execute(
                "DELETE FROM ids WHERE number = ?1 AND position = ?2",
                params![job.number, position as i64],
            )?;
        }
        Ok(changed > 0)
    }

    /// Forgets a job; with `claimed`, also one that somebody carries out.
    pub(super) fn forget(
        &self,
        db: &Connection,
        number: i64,
        claimed: bool,
    ) -> rusqlite::Result<Cancelled> {
        let until = db.query_row(
            "SELECT claimed_until FROM waiting WHERE number = ?1",
            [number],
            |row| row.get::<_, i64>(0),
        );
        match until.optional()? {
            None => return Ok(Cancelled::NotThere),
            Some(until) if is_claimed(until) && !claimed => return Ok(Cancelled::Claimed),
            Some(_) => {}
        }
        db.execute("DELETE FROM ids WHERE number = ?1", [number])?;
        db.execute("DELETE FROM waiting WHERE number = ?1", [number])?;
        Ok(Cancelled::Done)
    }

    /// When something of this owner was put in last.
    pub(super) fn written(
        &self,
        db: &Connection,
        (kind, owner): (i64, &str),
    ) -> rusqlite::Result<Option<Timestamp>> {
        let at = db.query_row(
            "SELECT at FROM written WHERE account = ?1 AND kind = ?2 AND owner = ?3",
            params![self.account, kind, owner],
            |row| Ok(time(row.get(0)?)),
        );
        at.optional()
    }

    pub(super) fn find(&self, db: &Connection, id: &str) -> rusqlite::Result<Option<Queued>> {
        let found = db
            .query_row(
                "SELECT number, position, kind, owner, zep FROM ids WHERE account = ?1 AND id = ?2",
                params![self.account, id],
                |row| {
                    let number: Option<i64> = row.get(0)?;
                    let position: i64 = row.get(1)?;
                    let zep: Option<String> = row.get(4)?;
                    Ok((
                        number,
                        position,
                        owner_of(row.get(2)?, &row.get::<_, String>(3)?)?,
                        zep,
                    ))
                },
            )
            .optional()?;
        Ok(match found {
            Some((_, _, owner, Some(zep))) => Some(Queued::Delivered(owner, Uuid(zep))),
            Some((Some(number), position, _, None)) => db
                .query_row(
                    &format!("SELECT {COLUMNS} FROM waiting WHERE number = ?1"),
                    [number],
                    |row| self.job(row),
                )
                .optional()?
                .map(|job| Queued::Waiting(Box::new(job), usize::try_from(position).unwrap_or(0))),
            _ => None,
        })
    }

    pub(super) fn after(
        &self,
        db: &Connection,
        owner: Option<&Owner>,
        number: i64,
    ) -> rusqlite::Result<Option<Job>> {
        let (kind, owner) = owner.map(owner_columns).unzip();
        let condition = match kind {
            Some(_) => "kind = ?3 AND owner = ?4",
            None => "?3 IS NULL AND ?4 IS NULL",
        };
        let mut found = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM waiting WHERE account = ?1 AND number > ?2 AND {condition}
             ORDER BY number LIMIT 1"
        ))?;
        let values = params![self.account, number, kind, owner];
        found.query_row(values, |row| self.job(row)).optional()
    }
}

/// Whether a claim until then holds: one of a clock that went wrong does not.
fn is_claimed(until: i64) -> bool {
    let now = now();
    until > now && until <= now + 2 * millis(CLAIM)
}

fn session_column(lane: &Lane) -> &str {
    lane.session.as_ref().map_or("", SessionId::as_str)
}

impl Rows {
    fn job(&self, row: &Row<'_>) -> rusqlite::Result<Job> {
        let body = seal::opened(self.key.as_deref(), row.get(4)?)?;
        job(row, body)
    }
}

fn job(row: &Row<'_>, body: String) -> rusqlite::Result<Job> {
    let session: String = row.get(3)?;
    Ok(Job {
        number: row.get(0)?,
        lane: Lane {
            owner: owner_of(row.get(1)?, &row.get::<_, String>(2)?)?,
            session: match session.as_str() {
                "" => None,
                session => {
                    Some(SessionId::new(session).map_err(|_| rusqlite::Error::InvalidQuery)?)
                }
            },
        },
        body,
        attempts: row.get(5)?,
        is_new: false,
        in_doubt: row.get(6)?,
        queued_at: time(row.get(7)?),
        parked: row.get(8)?,
        version: row.get(9)?,
    })
}

pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

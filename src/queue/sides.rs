//! On which side owners are, in the queue's file: a hold and a claimed write exclude each other there.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::WriteQueue;
use super::columns::{millis, now, owner_columns, owner_of};
use super::connection::Kept;
use crate::memory::beside::sides::{HOLD, Side, Sides};
use crate::memory::queue::Result;
use crate::zep::Owner;

/// In the column `side`.
const ZEP: i64 = 1;
const MOVING: i64 = 2;

/// How long it is kept what mem0 was told to process, in milliseconds. Ours: it takes seconds to minutes.
const EVENTS_KEPT: i64 = 60 * 60 * 1_000;

/// The side of an owner: what is decided, or a hold that has not run out.
fn side(db: &Connection, account: &str, owner: &Owner) -> rusqlite::Result<Option<Side>> {
    let (kind, name) = owner_columns(owner);
    let found = db
        .prepare_cached(
            "SELECT side FROM sides WHERE account = ?1 AND kind = ?2 AND owner = ?3
               AND (side = ?4 OR until > ?5)",
        )?
        .query_row(params![account, kind, name, ZEP, now()], |row| {
            row.get::<_, i64>(0)
        })
        .optional()?;
    Ok(found.map(|side| match side {
        ZEP => Side::Zep,
        _ => Side::Moving,
    }))
}

#[async_trait]
impl Sides for WriteQueue {
    async fn of(&self, owner: &Owner) -> Result<Option<Side>> {
        let owner = owner.clone();
        self.0
            .read(move |queue, db| side(db, &queue.account, &owner))
            .await
    }

    async fn decide(&self, owner: &Owner) -> Result<Side> {
        let owner = owner.clone();
        self.0
            .write(Kept::OnDisk, move |queue, db| {
                if let Some(side) = side(db, &queue.account, &owner)? {
                    return Ok(side);
                }
                let (kind, name) = owner_columns(&owner);
                db.execute(
                    "REPLACE INTO sides (account, kind, owner, side, token, until)
                 VALUES (?1, ?2, ?3, ?4, '', 0)",
                    params![queue.account, kind, name, ZEP],
                )?;
                Ok(Side::Zep)
            })
            .await
    }

    async fn hold(&self, owners: &[Owner], token: &str) -> Result<u64> {
        let (owners, token) = (owners.to_vec(), token.to_owned());
        // A write that is claimed after this must see it, also after a power cut.
        self.0
            .write(Kept::OnDisk, move |queue, db| {
                let mut held = 0;
                for owner in &owners {
                    if side(db, &queue.account, owner)?.is_some() {
                        continue;
                    }
                    let (kind, name) = owner_columns(owner);
                    db.execute(
                        "REPLACE INTO sides (account, kind, owner, side, token, until)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        params![
                            queue.account,
                            kind,
                            name,
                            MOVING,
                            token,
                            now() + millis(HOLD)
                        ],
                    )?;
                    held += 1;
                }
                Ok(held)
            })
            .await
    }

    async fn renew(&self, token: &str) -> Result<u64> {
        let token = token.to_owned();
        self.0
            .change(Kept::InProcess, move |queue, db| {
                let renewed = db.execute(
                    "UPDATE sides SET until = ?3 WHERE account = ?1 AND token = ?2 AND until > ?4",
                    params![queue.account, token, now() + millis(HOLD), now()],
                )?;
                Ok(renewed as u64)
            })
            .await
    }

    async fn moved(&self, owners: &[Owner], token: &str) -> Result<Vec<Owner>> {
        let (owners, token) = (owners.to_vec(), token.to_owned());
        self.0
            .change(Kept::OnDisk, move |queue, db| {
                let mut lost = Vec::new();
                for owner in owners {
                    let (kind, name) = owner_columns(&owner);
                    let moved = db.execute(
                        "UPDATE sides SET side = ?5, token = '', until = 0
                     WHERE account = ?1 AND kind = ?2 AND owner = ?3 AND token = ?4 AND until > ?6",
                        params![queue.account, kind, name, token, ZEP, now()],
                    )?;
                    if moved == 0 {
                        lost.push(owner);
                    }
                }
                Ok(lost)
            })
            .await
    }

    async fn release(&self, token: &str) -> Result<()> {
        let token = token.to_owned();
        self.0
            .change(Kept::InProcess, move |queue, db| {
                db.execute(
                    "DELETE FROM sides WHERE account = ?1 AND token = ?2 AND side = ?3",
                    params![queue.account, token, MOVING],
                )
                .map(drop)
            })
            .await
    }

    async fn forget(&self, owner: &Owner) -> Result<()> {
        let owner = owner.clone();
        self.0
            .change(Kept::OnDisk, move |queue, db| {
                let (kind, name) = owner_columns(&owner);
                db.execute(
                    "DELETE FROM sides WHERE account = ?1 AND kind = ?2 AND owner = ?3",
                    params![queue.account, kind, name],
                )
                .map(drop)
            })
            .await
    }

    async fn is_writing(&self, owner: &Owner) -> Result<bool> {
        let owner = owner.clone();
        self.0
            .read(move |queue, db| {
                let (kind, name) = owner_columns(&owner);
                db.query_row(
                    "SELECT EXISTS (SELECT 1 FROM waiting WHERE account = ?1 AND kind = ?2
                   AND owner = ?3 AND claimed_until > ?4)",
                    params![queue.account, kind, name, now()],
                    |row| row.get(0),
                )
            })
            .await
    }

    async fn sent(&self, owner: &Owner, event: &str) -> Result<()> {
        let (owner, event) = (owner.clone(), event.to_owned());
        self.0
            .write(Kept::OnDisk, move |queue, db| {
                let (kind, name) = owner_columns(&owner);
                db.execute("DELETE FROM sent WHERE at < ?1", [now() - EVENTS_KEPT])?;
                db.execute(
                "INSERT INTO sent (account, kind, owner, event, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![queue.account, kind, name, event, now()],
            )
            .map(drop)
            })
            .await
    }

    async fn events(&self, owner: &Owner) -> Result<Vec<String>> {
        let owner = owner.clone();
        self.0.read(move |queue, db| {
            let (kind, name) = owner_columns(&owner);
            let mut events = db.prepare_cached(
                "SELECT event FROM sent WHERE account = ?1 AND kind = ?2 AND owner = ?3 AND at > ?4",
            )?;
            let since = now() - EVENTS_KEPT;
            let events = events.query_map(params![queue.account, kind, name, since], |row| {
                row.get(0)
            })?;
            events.collect()
        })
        .await
    }

    async fn counts(&self) -> Result<(u64, u64)> {
        self.0.read(|queue, db| {
            db.query_row(
                "SELECT count(*) FILTER (WHERE side = ?2), count(*) FILTER (WHERE side = ?3 AND until > ?4)
                 FROM sides WHERE account = ?1",
                params![queue.account, ZEP, MOVING, now()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }

    async fn in_zep(&self) -> Result<Vec<Owner>> {
        self.0
            .read(|queue, db| {
                let mut owners =
                    db.prepare("SELECT kind, owner FROM sides WHERE account = ?1 AND side = ?2")?;
                let owners = owners.query_map(params![queue.account, ZEP], |row| {
                    owner_of(row.get(0)?, &row.get::<_, String>(1)?)
                })?;
                owners.collect()
            })
            .await
    }
}

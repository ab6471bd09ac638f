//! Threads.

use rusqlite::{OptionalExtension, Row};

use super::columns::uuid;
use super::paging::{count, sql_direction, window};
use super::{entities, index, owners};
use crate::local::query::{Direction, NumberedPage, PageNumber};
use crate::local::sqlite::{Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{Error, Owner, Thread, ThreadId, UserId};

/// The order of a listing of threads (zep-cloud 3.30.0, `thread.list_all`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThreadOrder {
    /// By creation time.
    #[default]
    CreatedAt,
    /// By the arrival of the newest message.
    UpdatedAt,
    /// By the user's id.
    UserId,
    /// By id.
    ThreadId,
}

/// A thread, as other rows refer to it.
#[derive(Debug)]
pub(crate) struct ThreadRow {
    pub(crate) id: i64,
    pub(crate) owner: i64,
    /// The user's id.
    pub(super) user: String,
    /// In microseconds.
    pub(super) created_at: i64,
}

/// The thread, or 404.
pub(crate) fn find(w: &Work<'_>, thread: &ThreadId) -> Step<ThreadRow> {
    lookup(w, thread)?.ok_or_else(|| check::not_found("thread").into())
}

fn lookup(w: &Work<'_>, thread: &ThreadId) -> Step<Option<ThreadRow>> {
    Ok(w.tx
        .prepare_cached(
            "SELECT t.id, t.owner, o.name, t.created_at FROM thread t
             JOIN owner o ON o.id = t.owner WHERE t.name = ?1",
        )?
        .query_row([thread.as_str()], |row| {
            Ok(ThreadRow {
                id: row.get(0)?,
                owner: row.get(1)?,
                user: row.get(2)?,
                created_at: row.get(3)?,
            })
        })
        .optional()?)
}

/// The query of [`is_of`], answered from the index of the user's own threads: other users' threads are
/// not looked at, so that nobody can measure whether they exist.
pub(crate) const IS_OF: &str = "SELECT EXISTS (SELECT 1 FROM thread
    INDEXED BY thread_owner WHERE owner = (SELECT id FROM owner WHERE kind = 0 AND name = ?2) AND name = ?1)";

/// Whether a thread is this user's.
pub(crate) fn is_of(w: &Work<'_>, thread: &ThreadId, user: &UserId) -> Step<bool> {
    Ok(w.tx
        .prepare_cached(IS_OF)?
        .query_row((thread.as_str(), user.as_str()), |row| row.get(0))?)
}

pub(crate) fn create(w: &Work<'_>, thread: &ThreadId, user: &UserId) -> Step<Thread> {
    if lookup(w, thread)?.is_some() {
        let status = w.behavior.existing_thread.status();
        return Err(check::conflict(status, "thread already exists with thread_id").into());
    }
    let owner = owners::find(w, &Owner::User(user.clone()))?;
    let id = uuids::fresh();
    w.tx.prepare_cached(
        "INSERT INTO thread (name, uuid, owner, created_at) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((thread.as_str(), id.as_bytes(), owner.id, w.clock.now))?;
    Ok(Thread {
        uuid: Some(uuids::to_zep(id)),
        thread_id: Some(thread.as_str().to_owned()),
        user_id: Some(user.as_str().to_owned()),
        created_at: timestamps::from_micros(w.clock.now),
    })
}

const THREADS: &str = "SELECT t.uuid, t.name, o.name, t.created_at FROM thread t
    JOIN owner o ON o.id = t.owner";

fn read(row: &Row<'_>) -> rusqlite::Result<Thread> {
    Ok(Thread {
        uuid: Some(uuids::to_zep(uuid(row, 0)?)),
        thread_id: row.get(1)?,
        user_id: row.get(2)?,
        created_at: timestamps::from_micros(row.get(3)?),
    })
}

pub(crate) fn of_user(w: &Work<'_>, user: &UserId) -> Step<Vec<Thread>> {
    let owner = owners::find(w, &Owner::User(user.clone()))?;
    Ok(w.tx
        .prepare_cached(&format!("{THREADS} WHERE t.owner = ?1 ORDER BY t.id"))?
        .query_map([owner.id], read)?
        .collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn list(
    w: &Work<'_>,
    page: PageNumber,
    order: ThreadOrder,
    direction: Direction,
) -> Step<NumberedPage<Thread>> {
    let keyword = sql_direction(direction);
    let key = match order {
        ThreadOrder::CreatedAt => "t.id",
        ThreadOrder::UpdatedAt => {
            "coalesce((SELECT e.ingested_at FROM episode e WHERE e.thread = t.id
             ORDER BY e.id DESC LIMIT 1), t.created_at)"
        }
        ThreadOrder::UserId => "o.name",
        ThreadOrder::ThreadId => "t.name",
    };
    let items =
        w.tx.prepare_cached(&format!(
            "{THREADS} ORDER BY {key} {keyword}, t.id {keyword} LIMIT ?1 OFFSET ?2"
        ))?
        .query_map(window(page), read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(NumberedPage {
        items,
        total_count: count(w, "SELECT count(*) FROM thread")?,
    })
}

pub(crate) fn delete(w: &Work<'_>, thread: &ThreadId) -> Step<()> {
    let found = find(w, thread)?;
    index::remove_thread(w, found.id)?;
    entities::release_thread(w, found.id)?;
    for statement in [
        "DELETE FROM episode WHERE thread = ?1",
        "UPDATE batch_item SET payload = NULL, status = 4, error = 'the thread was deleted'
         WHERE thread = ?1 AND payload IS NOT NULL",
        "DELETE FROM thread WHERE id = ?1",
    ] {
        w.tx.execute(statement, [found.id])?;
    }
    Ok(())
}

/// The owner of a thread: its user.
pub(crate) fn owner_of(thread: &ThreadRow) -> Step<Owner> {
    UserId::new(&thread.user).map(Owner::User).map_err(|_| {
        Error::BadAnswer {
            message: "the id of the thread's user is not valid".into(),
        }
        .into()
    })
}

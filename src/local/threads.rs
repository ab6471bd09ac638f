//! Threads and their messages. A message is the episode of the same id in its user's graph; the
//! order of a thread is the order in which its messages arrived.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Params, Row as SqlRow};
use uuid::Uuid as Raw;

use super::behavior::CursorMeaning;
use super::check;
use super::draft;
use super::episodes;
use super::ids;
use super::owners::{self, count, fresh, window};
use super::query::{Direction, NumberedPage, PageNumber};
use super::rows::{COLUMNS, Row, TABLES, uuid};
use super::store::{Step, Work};
use super::time;
use super::users::sql_direction;
use super::{entities, index};
use crate::zep::{
    AddedMessages, Error, Message, MessagePage, Metadata, NewMessage, Owner, Role, Thread,
    ThreadId, UserId, Uuid, Window,
};

/// By what a listing of threads is ordered (zep-cloud 3.30.0, `thread.list_all`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThreadOrder {
    /// By the time they were made.
    #[default]
    CreatedAt,
    /// By the arrival of the newest message.
    UpdatedAt,
    /// By the user's id.
    UserId,
    /// By id.
    ThreadId,
}

/// How many messages are answered where neither `limit` nor `lastn` says so. Ours: Zep documents
/// none.
pub const DEFAULT_MESSAGES: u32 = 100;

/// A thread, as the rest of the file refers to it.
#[derive(Debug)]
pub(super) struct ThreadRow {
    pub id: i64,
    pub owner: i64,
    user: String,
    created_at: i64,
}

/// The thread, or 404.
pub(super) fn find(w: &Work<'_>, thread: &ThreadId) -> Step<ThreadRow> {
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

pub(super) fn create(w: &Work<'_>, thread: &ThreadId, user: &UserId) -> Step<Thread> {
    if lookup(w, thread)?.is_some() {
        let status = w.behavior.existing_thread.status();
        return Err(check::conflict(status, "thread already exists with thread_id").into());
    }
    let owner = owners::find(w, &Owner::User(user.clone()))?;
    let id = fresh();
    w.tx.prepare_cached(
        "INSERT INTO thread (name, uuid, owner, created_at) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((thread.as_str(), id, owner.id, w.clock.now))?;
    Ok(Thread {
        uuid: Some(ids::shown(Raw::from_bytes(id))),
        thread_id: Some(thread.as_str().to_owned()),
        user_id: Some(user.as_str().to_owned()),
        created_at: time::at(w.clock.now),
    })
}

const THREADS: &str = "SELECT t.uuid, t.name, o.name, t.created_at FROM thread t
    JOIN owner o ON o.id = t.owner";

fn read(row: &SqlRow<'_>) -> rusqlite::Result<Thread> {
    Ok(Thread {
        uuid: Some(ids::shown(uuid(row, 0)?)),
        thread_id: row.get(1)?,
        user_id: row.get(2)?,
        created_at: time::at(row.get(3)?),
    })
}

pub(super) fn of_user(w: &Work<'_>, user: &UserId) -> Step<Vec<Thread>> {
    let owner = owners::find(w, &Owner::User(user.clone()))?;
    Ok(w.tx
        .prepare_cached(&format!("{THREADS} WHERE t.owner = ?1 ORDER BY t.id"))?
        .query_map([owner.id], read)?
        .collect::<rusqlite::Result<_>>()?)
}

pub(super) fn list(
    w: &Work<'_>,
    page: PageNumber,
    order: ThreadOrder,
    direction: Direction,
) -> Step<NumberedPage<Thread>> {
    let way = sql_direction(direction);
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
            "{THREADS} ORDER BY {key} {way}, t.id {way} LIMIT ?1 OFFSET ?2"
        ))?
        .query_map(window(page), read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(NumberedPage {
        items,
        total_count: count(w, "SELECT count(*) FROM thread")?,
    })
}

pub(super) fn delete(w: &Work<'_>, thread: &ThreadId) -> Step<()> {
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

pub(super) fn add_messages(
    w: &Work<'_>,
    thread: &ThreadId,
    messages: &[NewMessage],
    ignored: &[Role],
) -> Step<AddedMessages> {
    check::messages(messages, w.behavior.length_counts)?;
    let found = find(w, thread)?;
    let first = owners::allocate(w, found.owner, messages.len())?;
    let mut message_uuids = Vec::with_capacity(messages.len());
    for (id, message) in (first..).zip(messages) {
        let uuid = ids::fresh();
        let incoming = draft::incoming(message, ignored);
        let arrived = Some(w.clock.now);
        episodes::insert(w, found.owner, Some(found.id), id, uuid, &incoming, arrived)?;
        message_uuids.push(ids::shown(uuid));
    }
    Ok(AddedMessages {
        message_uuids,
        context: None,
        task_id: None,
    })
}

/// The messages of a thread by `limit` and `cursor`, or the last ones, which overrides both.
pub(super) fn messages_raw(
    w: &Work<'_>,
    thread: &ThreadId,
    limit: Option<u32>,
    cursor: Option<u64>,
    last: Option<u32>,
) -> Step<MessagePage> {
    let found = find(w, thread)?;
    if let Some(last) = last {
        return newest(w, &found, last);
    }
    let limit = limit.unwrap_or(DEFAULT_MESSAGES);
    let offset = match w.behavior.cursor {
        CursorMeaning::Offset => cursor.unwrap_or(0),
        CursorMeaning::Page => (cursor.unwrap_or(1).max(1) - 1).saturating_mul(u64::from(limit)),
    };
    from_offset(w, &found, offset, limit)
}

pub(super) fn messages(w: &Work<'_>, thread: &ThreadId, window: &Window) -> Step<MessagePage> {
    let found = find(w, thread)?;
    match window {
        Window::First { limit } => from_offset(w, &found, 0, *limit),
        Window::Last { limit } => newest(w, &found, *limit),
        Window::After {
            offset,
            last,
            limit,
        } => {
            let before = id_at(w, &found, offset.checked_sub(1))?;
            let known = id_of(w, &found, last)?.ok_or_else(|| Error::BadAnswer {
                message: "the message before the window is no longer in the thread".into(),
            })?;
            // Messages before the window may have been deleted since: its place is where the known
            // message stands, not how many stood before it.
            match before {
                Some(id) if id == known => from_offset(w, &found, *offset, *limit),
                _ => behind(w, &found, known, *limit),
            }
        }
    }
}

/// The whole thread as it is at one moment.
pub(super) fn all_messages(w: &Work<'_>, thread: &ThreadId) -> Step<MessagePage> {
    let found = find(w, thread)?;
    from_offset(w, &found, 0, u32::MAX)
}

const IDS: &str = "SELECT id FROM episode WHERE thread = ?1";

fn id_at(w: &Work<'_>, thread: &ThreadRow, place: Option<u64>) -> Step<Option<i64>> {
    let Some(place) = place.and_then(|place| i64::try_from(place).ok()) else {
        return Ok(None);
    };
    Ok(w.tx
        .prepare_cached(&format!("{IDS} ORDER BY id LIMIT 1 OFFSET ?2"))?
        .query_row((thread.id, place), |row| row.get(0))
        .optional()?)
}

fn id_of(w: &Work<'_>, thread: &ThreadRow, message: &Uuid) -> Step<Option<i64>> {
    let Some(uuid) = ids::parse(message) else {
        return Ok(None);
    };
    Ok(w.tx
        .prepare_cached(&format!("{IDS} AND uuid = ?2"))?
        .query_row((thread.id, uuid.as_bytes()), |row| row.get(0))
        .optional()?)
}

fn from_offset(w: &Work<'_>, thread: &ThreadRow, offset: u64, limit: u32) -> Step<MessagePage> {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    page(
        w,
        thread,
        "WHERE e.thread = ?1 ORDER BY e.id LIMIT ?2 OFFSET ?3",
        (thread.id, limit, offset),
    )
}

fn behind(w: &Work<'_>, thread: &ThreadRow, id: i64, limit: u32) -> Step<MessagePage> {
    page(
        w,
        thread,
        "WHERE e.thread = ?1 AND e.id > ?3 ORDER BY e.id LIMIT ?2",
        (thread.id, limit, id),
    )
}

fn newest(w: &Work<'_>, thread: &ThreadRow, limit: u32) -> Step<MessagePage> {
    let mut page = page(
        w,
        thread,
        "WHERE e.thread = ?1 ORDER BY e.id DESC LIMIT ?2",
        (thread.id, limit),
    )?;
    page.messages.reverse();
    Ok(page)
}

fn page(
    w: &Work<'_>,
    thread: &ThreadRow,
    condition: &str,
    values: impl Params,
) -> Step<MessagePage> {
    let total: i64 =
        w.tx.prepare_cached("SELECT count(*) FROM episode WHERE thread = ?1")?
            .query_row([thread.id], |row| row.get(0))?;
    Ok(MessagePage {
        messages: select(w, condition, values)?,
        total_count: Some(total.unsigned_abs()),
        user_id: Some(thread.user.clone()),
        thread_created_at: time::at(thread.created_at),
    })
}

fn select(w: &Work<'_>, condition: &str, values: impl Params) -> Step<Vec<Message>> {
    Ok(w.tx
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} {condition}"))?
        .query_map(values, |row| Ok(Row::read(row)?.into_message(w.clock)))?
        .collect::<rusqlite::Result<_>>()?)
}

/// The messages of these records, by the index of record ids.
pub(super) fn find_records(
    w: &Work<'_>,
    thread: &ThreadId,
    records: &HashSet<String>,
) -> Step<Vec<Message>> {
    let found = find(w, thread)?;
    let mut rows = Vec::new();
    for record in records {
        rows.extend(episodes::of_record(w, found.owner, record)?);
    }
    rows.retain(|row| row.thread() == Some(thread.as_str()));
    rows.sort_unstable_by_key(|row| row.id);
    Ok(rows
        .into_iter()
        .map(|row| row.into_message(w.clock))
        .collect())
}

/// Puts this whole set in the place of a message's metadata.
pub(super) fn set_metadata(w: &Work<'_>, message: &Uuid, metadata: &Metadata) -> Step<Message> {
    let row = find_message(w, message)?;
    let row = episodes::store_metadata(w, row.uuid, metadata)?;
    Ok(row.into_message(w.clock))
}

/// Changes a message's metadata as PATCH does.
pub(super) fn patch_metadata(w: &Work<'_>, message: &Uuid, patch: &Metadata) -> Step<Message> {
    let row = find_message(w, message)?;
    let metadata = episodes::patched(w, row.metadata, patch);
    let row = episodes::store_metadata(w, row.uuid, &metadata)?;
    Ok(row.into_message(w.clock))
}

fn find_message(w: &Work<'_>, message: &Uuid) -> Step<Row> {
    episodes::find(w, message)?
        .filter(|row| row.thread().is_some())
        .ok_or_else(|| check::not_found("message").into())
}

/// What the newest messages of a thread are about, newest first, for the context block.
pub(super) fn latest_texts(w: &Work<'_>, thread: &ThreadRow, messages: u32) -> Step<Vec<String>> {
    Ok(w.tx
        .prepare_cached(
            "SELECT content FROM episode WHERE thread = ?1 AND ingested_at IS NOT NULL
             ORDER BY id DESC LIMIT ?2",
        )?
        .query_map((thread.id, messages), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}

/// The thread's user, as an owner.
pub(super) fn owner_of(thread: &ThreadRow) -> Step<Owner> {
    UserId::new(&thread.user).map(Owner::User).map_err(|_| {
        Error::BadAnswer {
            message: "the thread's user has an id that is none".into(),
        }
        .into()
    })
}

/// When a message or an episode happened: now, where nothing says so.
pub(super) fn happened(w: &Work<'_>, created_at: Option<Timestamp>) -> (i64, i64) {
    created_at.map_or((w.clock.now, 0), time::split)
}

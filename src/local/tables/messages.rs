//! Messages. A message is the episode of the same id in its user's graph; a thread is ordered by
//! the arrival of its messages.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Params, Row};

use super::columns::{json_object, role_of, uuid};
use super::episode_row::EpisodeRow;
use super::episodes::{self, Incoming};
use super::owners;
use super::threads::{self, ThreadRow};
use crate::local::behavior::CursorMeaning;
use crate::local::sqlite::{Clock, Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{
    AddedMessages, Error, Message, MessagePage, Metadata, NewMessage, Role, ThreadId, Uuid, Window,
};

/// How many messages are returned if neither `limit` nor `lastn` is given. Ours: Zep documents no
/// default.
pub const DEFAULT_MESSAGES: u32 = 100;

pub(crate) fn add(
    w: &Work<'_>,
    thread: &ThreadId,
    messages: &[NewMessage],
    ignored: &[Role],
) -> Step<AddedMessages> {
    check::messages(messages, w.behavior.length_counts)?;
    let found = threads::find(w, thread)?;
    let first = owners::allocate(w, found.owner, messages.len())?;
    let mut message_uuids = Vec::with_capacity(messages.len());
    for (id, message) in (first..).zip(messages) {
        let uuid = uuids::fresh();
        let incoming = Incoming::message(message, ignored);
        let arrived = Some(w.clock.now);
        episodes::insert(w, found.owner, Some(found.id), id, uuid, &incoming, arrived)?;
        message_uuids.push(uuids::to_zep(uuid));
    }
    Ok(AddedMessages {
        message_uuids,
        context: None,
        task_id: None,
    })
}

/// Messages by `limit` and `cursor`, or the `last` newest, which overrides both.
pub(crate) fn list_raw(
    w: &Work<'_>,
    thread: &ThreadId,
    limit: Option<u32>,
    cursor: Option<u64>,
    last: Option<u32>,
) -> Step<MessagePage> {
    let found = threads::find(w, thread)?;
    if let Some(last) = last {
        return newest_of(w, &found, last, 0);
    }
    let limit = limit.unwrap_or(DEFAULT_MESSAGES);
    let offset = match w.behavior.cursor {
        CursorMeaning::Offset => cursor.unwrap_or(0),
        CursorMeaning::Page => (cursor.unwrap_or(1).max(1) - 1).saturating_mul(u64::from(limit)),
    };
    from_offset(w, &found, offset, limit)
}

pub(crate) fn list(w: &Work<'_>, thread: &ThreadId, window: &Window) -> Step<MessagePage> {
    let found = threads::find(w, thread)?;
    match window {
        Window::First { limit } => from_offset(w, &found, 0, *limit),
        Window::Last { limit } => newest_of(w, &found, *limit, 0),
        Window::After { last, limit, .. } => {
            // By the known message, not by the offset: messages before it may have been deleted.
            let known = id_of(w, &found, last)?.ok_or_else(|| Error::BadAnswer {
                message: "the message before the window is no longer in the thread".into(),
            })?;
            after(w, &found, known, *limit)
        }
    }
}

/// All messages of a thread, from one snapshot.
pub(crate) fn all(w: &Work<'_>, thread: &ThreadId) -> Step<MessagePage> {
    let found = threads::find(w, thread)?;
    from_offset(w, &found, 0, u32::MAX)
}

fn id_of(w: &Work<'_>, thread: &ThreadRow, message: &Uuid) -> Step<Option<i64>> {
    let Some(uuid) = uuids::parse(message) else {
        return Ok(None);
    };
    Ok(w.tx
        .prepare_cached("SELECT id FROM episode WHERE thread = ?1 AND uuid = ?2")?
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

fn after(w: &Work<'_>, thread: &ThreadRow, id: i64, limit: u32) -> Step<MessagePage> {
    page(
        w,
        thread,
        "WHERE e.thread = ?1 AND e.id > ?3 ORDER BY e.id LIMIT ?2",
        (thread.id, limit, id),
    )
}

/// The newest messages, with `ahead` more in front of them if one of them may repeat an earlier one.
pub(crate) fn newest(w: &Work<'_>, thread: &ThreadId, limit: u32, ahead: u32) -> Step<MessagePage> {
    newest_of(w, &threads::find(w, thread)?, limit, ahead)
}

fn newest_of(w: &Work<'_>, thread: &ThreadRow, limit: u32, ahead: u32) -> Step<MessagePage> {
    const NEWEST: &str = "WHERE e.thread = ?1 ORDER BY e.id DESC LIMIT ?2 OFFSET ?3";
    let mut page = page(w, thread, NEWEST, (thread.id, limit, 0))?;
    if ahead > 0 && !page.is_single {
        let (in_front, _) = select(w, NEWEST, (thread.id, ahead, limit))?;
        page.messages.extend(in_front);
    }
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
    let (messages, is_single) = select(w, condition, values)?;
    Ok(MessagePage {
        messages,
        total_count: Some(total.unsigned_abs()),
        user_id: Some(thread.user.clone()),
        thread_created_at: timestamps::from_micros(thread.created_at),
        is_single,
    })
}

/// The messages, and whether each is known to repeat no earlier one: it has no mark, or is stored
/// [`once`](episodes::insert).
fn select(w: &Work<'_>, condition: &str, values: impl Params) -> Step<(Vec<Message>, bool)> {
    // Read for every page of every session: only what a message shows.
    let mut statement = w.tx.prepare_cached(&format!(
        "SELECT e.uuid, e.role, e.created_at, e.created_ns, e.ingested_at, e.content, e.metadata, \
         e.once, s.name FROM episode e LEFT JOIN entity s ON s.id = e.speaker {condition}"
    ))?;
    let mut rows = statement.query(values)?;
    let (mut messages, mut is_single) = (Vec::new(), true);
    while let Some(row) = rows.next()? {
        let message = read(row, w.clock)?;
        is_single &= row.get(7)? || message.mark().is_none();
        messages.push(message);
    }
    Ok((messages, is_single))
}

fn read(row: &Row<'_>, clock: Clock) -> rusqlite::Result<Message> {
    let role: Option<i64> = row.get(1)?;
    let arrived: Option<i64> = row.get(4)?;
    Ok(Message {
        uuid: Some(uuids::to_zep(uuid(row, 0)?)),
        role: role.map_or(Role::NoRole, role_of),
        created_at: timestamps::join(row.get(2)?, row.get(3)?),
        processed: Some(arrived.is_some_and(|arrived| clock.has_processed(arrived))),
        content: row.get(5)?,
        metadata: json_object(row, 6)?,
        name: row.get(8)?,
    })
}

/// The messages of these records, looked up by the index of record ids.
pub(crate) fn find_records(
    w: &Work<'_>,
    thread: &ThreadId,
    records: &HashSet<String>,
) -> Step<Vec<Message>> {
    let found = threads::find(w, thread)?;
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

/// Replaces a message's metadata.
pub(crate) fn set_metadata(w: &Work<'_>, message: &Uuid, metadata: &Metadata) -> Step<Message> {
    let row = find_message(w, message)?;
    let row = episodes::store_metadata(w, row.uuid, metadata)?;
    Ok(row.into_message(w.clock))
}

/// Changes a message's metadata as configured for PATCH.
pub(crate) fn patch_metadata(w: &Work<'_>, message: &Uuid, patch: &Metadata) -> Step<Message> {
    let row = find_message(w, message)?;
    let metadata = episodes::patched(w, row.metadata, patch);
    let row = episodes::store_metadata(w, row.uuid, &metadata)?;
    Ok(row.into_message(w.clock))
}

fn find_message(w: &Work<'_>, message: &Uuid) -> Step<EpisodeRow> {
    episodes::find(w, message)?
        .filter(|row| row.thread().is_some())
        .ok_or_else(|| check::not_found("message").into())
}

/// The content of a thread's newest processed messages, newest first.
pub(crate) fn latest_texts(w: &Work<'_>, thread: &ThreadRow, messages: u32) -> Step<Vec<String>> {
    Ok(w.tx
        .prepare_cached(
            "SELECT content FROM episode WHERE thread = ?1 AND ingested_at IS NOT NULL
             ORDER BY id DESC LIMIT ?2",
        )?
        .query_map((thread.id, messages), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}

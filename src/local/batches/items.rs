//! The items of a batch: adding and listing them.

use serde_json::{Map, json};

use super::payload::{self, Payload};
use super::row::{BatchRow, ITEM, PENDING, SUCCEEDED, number, status_of};
use crate::local::behavior::DraftMessages;
use crate::local::query::CursorPage;
use crate::local::sqlite::{Step, Work};
use crate::local::tables::{owners, threads, uuid};
use crate::local::{check, uuids};
use crate::zep::{BatchItem, BatchItemKind, BatchItemState, BatchItemStatus, Error, limits};

/// Checks how many items one call adds.
pub(super) fn check_count(items: &[BatchItem]) -> Result<(), Error> {
    if items.is_empty() || items.len() > limits::BATCH_ITEMS_PER_CALL {
        return Err(check::invalid(format!(
            "items: between 1 and {} items are allowed, got {}",
            limits::BATCH_ITEMS_PER_CALL,
            items.len()
        )));
    }
    Ok(())
}

/// Appends items to a draft.
pub(super) fn append(
    w: &Work<'_>,
    draft: &BatchRow,
    items: &[BatchItem],
) -> Step<Vec<BatchItemState>> {
    let first: i64 =
        w.tx.prepare_cached("SELECT coalesce(max(seq) + 1, 0) FROM batch_item WHERE batch = ?1")?
            .query_row([draft.id], |row| row.get(0))?;
    if first as usize + items.len() > limits::BATCH_ITEMS {
        return Err(check::invalid(format!(
            "items: a batch may have at most {} items",
            limits::BATCH_ITEMS
        ))
        .into());
    }
    for (place, (seq, item)) in (first..).zip(items).enumerate() {
        add(w, draft, seq, place, item)?;
    }
    let end = first + items.len() as i64;
    select(w, draft, "seq >= ?2 AND seq < ?3", (draft.id, first, end))
}

fn add(w: &Work<'_>, batch: &BatchRow, seq: i64, place: usize, item: &BatchItem) -> Step<()> {
    let counts = w.behavior.length_counts;
    let uuid = uuids::fresh();
    let (owner, kind, name, thread, payload) = match item {
        BatchItem::Message(thread, message) => {
            check::message(&format!("items[{place}]"), message, counts)?;
            let found = threads::find(w, thread)?;
            let payload = match w.behavior.draft_messages {
                DraftMessages::Hidden => Payload::Message(message.clone()),
                DraftMessages::Visible => {
                    payload::show(w, &found, uuid, message, &batch.ignored)?;
                    Payload::Stored
                }
            };
            let thread = Some((found.id, thread.as_str()));
            (found.owner, owners::USER, "", thread, payload)
        }
        BatchItem::Episode(owner, episode) => {
            check::episode(episode, counts)?;
            let found = owners::find(w, owner)?;
            let (kind, name) = owners::key(owner);
            (found.id, kind, name, None, Payload::episode(episode))
        }
    };
    w.tx.prepare_cached(
        "INSERT INTO batch_item (batch, seq, uuid, status, owner, owner_kind, owner_name, thread,
         thread_name, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        batch.id,
        seq,
        uuid.as_bytes(),
        PENDING,
        owner,
        kind,
        name,
        thread.map(|(id, _)| id),
        thread.map(|(_, name)| name),
        payload.to_text(),
    ))?;
    Ok(())
}

/// A page of items, beginning with this place in the batch.
pub(super) fn page(
    w: &Work<'_>,
    batch: &BatchRow,
    status: Option<BatchItemStatus>,
    size: usize,
    from: i64,
) -> Step<CursorPage<BatchItemState, u64>> {
    let more = size as i64 + 1;
    let mut items = match status {
        None => select(
            w,
            batch,
            "seq >= ?2 ORDER BY seq LIMIT ?3",
            (batch.id, from, more),
        )?,
        Some(wanted) => {
            let stored_as = if wanted == batch.pending_as(w.clock) {
                Some(PENDING)
            } else {
                number(&ITEM[SUCCEEDED as usize..], &wanted).map(|place| place + SUCCEEDED)
            };
            let values = (batch.id, from, more, stored_as.unwrap_or(-1));
            let condition = "seq >= ?2 AND status = ?4 ORDER BY seq LIMIT ?3";
            select(w, batch, condition, values)?
        }
    };
    let next_cursor = items.get(size).and_then(|item| item.sequence_index);
    items.truncate(size);
    Ok(CursorPage { items, next_cursor })
}

fn select(
    w: &Work<'_>,
    batch: &BatchRow,
    condition: &str,
    values: impl rusqlite::Params,
) -> Step<Vec<BatchItemState>> {
    let pending_as = batch.pending_as(w.clock);
    Ok(w.tx
        .prepare_cached(&format!(
            "SELECT seq, uuid, status, thread_name, owner_kind, owner_name, error, thread
             FROM batch_item WHERE batch = ?1 AND {condition}"
        ))?
        .query_map(values, |row| {
            let seq: i64 = row.get(0)?;
            let name: Option<String> = row
                .get::<_, Option<String>>(5)?
                .filter(|name| !name.is_empty());
            let (user_id, graph_id) = match row.get(4)? {
                owners::USER => (name, None),
                _ => (None, name),
            };
            Ok(BatchItemState {
                item_id: Some(format!("{}:{seq}", batch.uuid)),
                sequence_index: Some(seq.unsigned_abs()),
                kind: Some(match row.get::<_, Option<i64>>(7)? {
                    Some(_) => BatchItemKind::ThreadMessage,
                    None => BatchItemKind::GraphEpisode,
                }),
                status: Some(match row.get(2)? {
                    PENDING => pending_as,
                    status => status_of(&ITEM, status).unwrap_or(BatchItemStatus::Unknown),
                }),
                episode_uuid: Some(uuids::to_zep(uuid(row, 1)?)),
                thread_id: row.get(3)?,
                user_id,
                graph_id,
                error: row
                    .get::<_, Option<String>>(6)?
                    .map(|message| Map::from_iter([("message".to_owned(), json!(message))])),
            })
        })?
        .collect::<rusqlite::Result<_>>()?)
}

//! Batches: drafts that are filled, given to be processed, and then processed item by item.
//!
//! A batch in work knows when its next item is due. Whoever uses the file next carries it out (see
//! [`progress`]).

use rusqlite::{OptionalExtension, Row};
use serde_json::{Map, json};
use uuid::Uuid as Raw;

use super::behavior::DraftMessages;
use super::check;
use super::draft::{self, Payload};
use super::ids;
use super::owners::{self, fresh};
use super::progress::{self, Counts};
use super::query::CursorPage;
use super::rows::{json, json_text, uuid};
use super::store::{Step, Work};
use super::threads;
use super::time::{self, Clock};
use crate::zep::{
    Batch, BatchItem, BatchItemKind, BatchItemState, BatchItemStatus, BatchProgress, BatchStatus,
    Metadata, Role, Uuid, limits,
};

/// How many batches or items a page has that does not say, and at most. Ours: Zep documents none.
const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;
/// The part of its delay that a batch waits before it is in work.
const QUEUED_SHARE: i64 = 4;

/// Statuses in the order of their numbers in the file.
pub(super) const BATCH: [BatchStatus; 8] = [
    BatchStatus::Draft,
    BatchStatus::Invalid,
    BatchStatus::Queued,
    BatchStatus::Processing,
    BatchStatus::Succeeded,
    BatchStatus::Partial,
    BatchStatus::Failed,
    BatchStatus::Canceled,
];
const DRAFT: i64 = 0;
const PROCESSING: i64 = 3;
const ITEM: [BatchItemStatus; 7] = [
    BatchItemStatus::Pending,
    BatchItemStatus::Queued,
    BatchItemStatus::Processing,
    BatchItemStatus::Succeeded,
    BatchItemStatus::Failed,
    BatchItemStatus::Skipped,
    BatchItemStatus::Canceled,
];
pub(super) const PENDING: i64 = 0;
pub(super) const SUCCEEDED: i64 = 3;
pub(super) const FAILED: i64 = 4;

pub(super) fn number<T: PartialEq>(statuses: &[T], status: &T) -> Option<i64> {
    let place = statuses.iter().position(|known| known == status)?;
    i64::try_from(place).ok()
}

/// A batch, as the file keeps it.
pub(super) struct BatchRow {
    pub id: i64,
    uuid: Raw,
    status: i64,
    metadata: Option<Metadata>,
    /// From whose messages no facts are drawn.
    pub ignored: Vec<Role>,
    created_at: i64,
    processed_at: Option<i64>,
    /// When the last item is due.
    ends: Option<i64>,
    completed_at: Option<i64>,
}

/// What [`BatchRow::read`] expects, in its order.
pub(super) const COLUMNS: &str =
    "id, uuid, status, metadata, ignore_roles, created_at, processed_at, ends, completed_at";

impl BatchRow {
    pub fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            uuid: uuid(row, 1)?,
            status: row.get(2)?,
            metadata: json(row, 3)?,
            ignored: row
                .get::<_, Option<String>>(4)?
                .and_then(|roles| serde_json::from_str(&roles).ok())
                .unwrap_or_default(),
            created_at: row.get(5)?,
            processed_at: row.get(6)?,
            ends: row.get(7)?,
            completed_at: row.get(8)?,
        })
    }

    /// When it is in work: from, until.
    pub fn work(&self) -> Option<(i64, i64)> {
        let (given, ends) = self.processed_at.zip(self.ends)?;
        Some((given + (ends - given) / QUEUED_SHARE, ends))
    }

    fn status(&self, clock: Clock) -> BatchStatus {
        match self.work() {
            Some((from, _)) if clock.now < from => BatchStatus::Queued,
            _ => usize::try_from(self.status)
                .ok()
                .and_then(|place| BATCH.get(place).copied())
                .unwrap_or(BatchStatus::Unknown),
        }
    }

    /// Where an item stands that is not carried out yet.
    fn open_item(&self, clock: Clock) -> BatchItemStatus {
        match self.status(clock) {
            BatchStatus::Queued => BatchItemStatus::Queued,
            BatchStatus::Processing => BatchItemStatus::Processing,
            _ => BatchItemStatus::Pending,
        }
    }

    fn shown(self, w: &Work<'_>) -> Step<Batch> {
        let mut counts = [0_u64; ITEM.len()];
        let mut statement = w.tx.prepare_cached(
            "SELECT status, count(*) FROM batch_item WHERE batch = ?1 GROUP BY status",
        )?;
        for row in statement.query_map([self.id], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (status, count): (i64, i64) = row?;
            if let Some(place) = usize::try_from(status).ok().and_then(|s| counts.get_mut(s)) {
                *place = count.unsigned_abs();
            }
        }
        let [open, _, _, succeeded, failed, skipped, canceled] = counts;
        let total = counts.iter().sum::<u64>();
        let status = self.status(w.clock);
        let in_status = |wanted| Some(if status == wanted { open } else { 0 });
        let done = total - open;
        // Before it is processed, a batch has no progress.
        let progress = self.processed_at.map(|_| BatchProgress {
            total_items: Some(total),
            queued_items: in_status(BatchStatus::Queued),
            processing_items: in_status(BatchStatus::Processing),
            succeeded_items: Some(succeeded),
            failed_items: Some(failed),
            skipped_items: Some(skipped),
            canceled_items: Some(canceled),
            percent_complete: Some(100.0 * done as f64 / total.max(1) as f64),
        });
        Ok(Batch {
            batch_id: Some(self.uuid.to_string()),
            status: Some(status),
            item_count: Some(total),
            metadata: self.metadata,
            progress,
            created_at: time::at(self.created_at),
            processed_at: self.processed_at.and_then(time::at),
            completed_at: self.completed_at.and_then(time::at),
        })
    }
}

fn find(w: &Work<'_>, batch: &str) -> Step<BatchRow> {
    let missing = || check::not_found("batch");
    let uuid = ids::parse(&Uuid(batch.to_owned())).ok_or_else(missing)?;
    w.tx.prepare_cached(&format!("SELECT {COLUMNS} FROM batch WHERE uuid = ?1"))?
        .query_row([uuid.as_bytes()], BatchRow::read)
        .optional()?
        .ok_or_else(|| missing().into())
}

fn find_draft(w: &Work<'_>, batch: &str) -> Step<BatchRow> {
    let found = find(w, batch)?;
    if found.status != DRAFT {
        return Err(check::conflict(409, "the batch is not a draft").into());
    }
    Ok(found)
}

pub(super) fn create(w: &Work<'_>, metadata: &Metadata, ignored: &[Role]) -> Step<Batch> {
    let id = fresh();
    let ignored = (!ignored.is_empty()).then(|| json!(ignored).to_string());
    w.tx.execute(
        "INSERT INTO batch (uuid, status, metadata, ignore_roles, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (id, DRAFT, json_text(metadata), ignored, w.clock.now),
    )?;
    get(w, &Raw::from_bytes(id).to_string())
}

pub(super) fn get(w: &Work<'_>, batch: &str) -> Step<Batch> {
    find(w, batch)?.shown(w)
}

/// Newest first.
pub(super) fn list(
    w: &Work<'_>,
    status: Option<BatchStatus>,
    limit: Option<u32>,
    cursor: Option<u64>,
) -> Step<CursorPage<Batch, u64>> {
    let size = page_size(limit);
    let below = cursor.map_or(i64::MAX, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX));
    let mut statement = w.tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM batch WHERE id < ?1 ORDER BY id DESC"
    ))?;
    let mut page = CursorPage {
        items: Vec::new(),
        next_cursor: None,
    };
    let mut last = 0;
    for row in statement.query_map([below], BatchRow::read)? {
        let row = row?;
        if status.is_some_and(|wanted| row.status(w.clock) != wanted) {
            continue;
        }
        if page.items.len() == size {
            page.next_cursor = Some(last);
            break;
        }
        last = row.id.unsigned_abs();
        page.items.push(row.shown(w)?);
    }
    Ok(page)
}

fn page_size(limit: Option<u32>) -> usize {
    limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE) as usize
}

/// Appends items to a draft, all or none.
pub(super) fn add_items(
    w: &Work<'_>,
    batch: &str,
    items: &[BatchItem],
) -> Step<Vec<BatchItemState>> {
    if items.is_empty() || items.len() > limits::BATCH_ITEMS_PER_CALL {
        return Err(check::invalid(format!(
            "items: between 1 and {} items are allowed, got {}",
            limits::BATCH_ITEMS_PER_CALL,
            items.len()
        ))
        .into());
    }
    let found = find_draft(w, batch)?;
    let first: i64 =
        w.tx.prepare_cached("SELECT coalesce(max(seq) + 1, 0) FROM batch_item WHERE batch = ?1")?
            .query_row([found.id], |row| row.get(0))?;
    if first as usize + items.len() > limits::BATCH_ITEMS {
        return Err(check::invalid(format!(
            "items: a batch may have at most {} items",
            limits::BATCH_ITEMS
        ))
        .into());
    }
    for (place, (seq, item)) in (first..).zip(items).enumerate() {
        add_item(w, &found, seq, place, item)?;
    }
    let end = first + items.len() as i64;
    select_items(w, &found, "seq >= ?2 AND seq < ?3", (found.id, first, end))
}

fn add_item(w: &Work<'_>, batch: &BatchRow, seq: i64, place: usize, item: &BatchItem) -> Step<()> {
    let counts = w.behavior.length_counts;
    let uuid = ids::fresh();
    let (owner, kind, name, thread, payload) = match item {
        BatchItem::Message(thread, message) => {
            check::message(&format!("items[{place}]"), message, counts)?;
            let found = threads::find(w, thread)?;
            let payload = match w.behavior.draft_messages {
                DraftMessages::Hidden => Payload::Message(message.clone()),
                DraftMessages::Visible => {
                    draft::show(w, &found, uuid, message, &batch.ignored)?;
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

pub(super) fn items(
    w: &Work<'_>,
    batch: &str,
    status: Option<BatchItemStatus>,
    limit: Option<u32>,
    cursor: Option<u64>,
) -> Step<CursorPage<BatchItemState, u64>> {
    let found = find(w, batch)?;
    let size = page_size(limit);
    let from = cursor.map_or(0, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX));
    let more = size as i64 + 1;
    let mut items = match status {
        None => select_items(
            w,
            &found,
            "seq >= ?2 ORDER BY seq LIMIT ?3",
            (found.id, from, more),
        )?,
        Some(wanted) => {
            let kept = if wanted == found.open_item(w.clock) {
                Some(PENDING)
            } else {
                number(&ITEM[SUCCEEDED as usize..], &wanted).map(|place| place + SUCCEEDED)
            };
            let values = (found.id, from, more, kept.unwrap_or(-1));
            let condition = "seq >= ?2 AND status = ?4 ORDER BY seq LIMIT ?3";
            select_items(w, &found, condition, values)?
        }
    };
    let next_cursor = items.get(size).and_then(|item| item.sequence_index);
    items.truncate(size);
    Ok(CursorPage { items, next_cursor })
}

fn select_items(
    w: &Work<'_>,
    batch: &BatchRow,
    condition: &str,
    values: impl rusqlite::Params,
) -> Step<Vec<BatchItemState>> {
    let open = batch.open_item(w.clock);
    Ok(w.tx
        .prepare_cached(&format!(
            "SELECT seq, uuid, status, thread_name, owner_kind, owner_name, error, thread
             FROM batch_item WHERE batch = ?1 AND {condition}"
        ))?
        .query_map(values, |row| {
            let seq: i64 = row.get(0)?;
            let status: i64 = row.get(2)?;
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
                status: Some(match status {
                    PENDING => open,
                    status => usize::try_from(status)
                        .ok()
                        .and_then(|place| ITEM.get(place).copied())
                        .unwrap_or(BatchItemStatus::Unknown),
                }),
                episode_uuid: Some(ids::shown(uuid(row, 1)?)),
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

/// Gives a draft to be processed.
pub(super) fn process(w: &Work<'_>, batch: &str) -> Step<()> {
    let found = find_draft(w, batch)?;
    let counts = Counts::read(w, found.id)?;
    if counts.all == 0 {
        return Err(check::invalid("the batch has no items").into());
    }
    let delay = i64::try_from(w.behavior.processing_delay.as_micros()).unwrap_or(i64::MAX);
    let given = BatchRow {
        processed_at: Some(w.clock.now),
        ends: Some(w.clock.now.saturating_add(delay)),
        ..found
    };
    w.tx.execute(
        "UPDATE batch SET status = ?2, processed_at = ?3, ends = ?4, due = ?5 WHERE id = ?1",
        (
            given.id,
            PROCESSING,
            given.processed_at,
            given.ends,
            progress::next_due(&given, &counts),
        ),
    )?;
    Ok(())
}

/// Deletes a batch that was never processed (zep-cloud 3.30.0, `batch.delete`).
pub(super) fn delete(w: &Work<'_>, batch: &str) -> Step<()> {
    let found = find_draft(w, batch)?;
    draft::withdraw(w, found.id)?;
    w.tx.execute("DELETE FROM batch_item WHERE batch = ?1", [found.id])?;
    w.tx.execute("DELETE FROM batch WHERE id = ?1", [found.id])?;
    Ok(())
}

//! Batches: drafts that are filled with items, submitted, and then processed item by item.
//!
//! - `row`: a batch, and the statuses.
//! - `items`: adding and listing items; `payload`: what an item holds until it is processed.
//! - `schedule`: when the items of a submitted batch are due.
//! - `processing`: stores the items that are due. Every call on the file does this first.

mod items;
mod payload;
mod processing;
mod row;
mod schedule;

use rusqlite::OptionalExtension;
use serde_json::json;

use super::query::CursorPage;
use super::sqlite::{Step, Work};
use super::tables::object_text;
use super::{check, uuids};
use crate::zep::{
    Batch, BatchItem, BatchItemState, BatchItemStatus, BatchStatus, Metadata, Role, Uuid,
};
pub(super) use processing::settle_due;
use row::{BatchRow, COLUMNS, DRAFT, PROCESSING};
use schedule::Counts;

/// How many batches or items a page has by default, and at most. Ours: Zep documents neither.
const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1_000;

fn find(w: &Work<'_>, batch: &str) -> Step<BatchRow> {
    let missing = || check::not_found("batch");
    let uuid = uuids::parse(&Uuid(batch.to_owned())).ok_or_else(missing)?;
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
    let id = uuids::fresh();
    let ignored = (!ignored.is_empty()).then(|| json!(ignored).to_string());
    w.tx.execute(
        "INSERT INTO batch (uuid, status, metadata, ignore_roles, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            id.as_bytes(),
            DRAFT,
            object_text(metadata),
            ignored,
            w.clock.now,
        ),
    )?;
    get(w, &id.to_string())
}

pub(super) fn get(w: &Work<'_>, batch: &str) -> Step<Batch> {
    find(w, batch)?.into_batch(w)
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
        page.items.push(row.into_batch(w)?);
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
    items::check_count(items)?;
    items::append(w, &find_draft(w, batch)?, items)
}

pub(super) fn items(
    w: &Work<'_>,
    batch: &str,
    status: Option<BatchItemStatus>,
    limit: Option<u32>,
    cursor: Option<u64>,
) -> Step<CursorPage<BatchItemState, u64>> {
    let from = cursor.map_or(0, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX));
    items::page(w, &find(w, batch)?, status, page_size(limit), from)
}

/// Submits a draft for processing.
pub(super) fn process(w: &Work<'_>, batch: &str) -> Step<()> {
    let found = find_draft(w, batch)?;
    let counts = Counts::read(w, found.id)?;
    if counts.all == 0 {
        return Err(check::invalid("the batch has no items").into());
    }
    let delay = i64::try_from(w.behavior.processing_delay.as_micros()).unwrap_or(i64::MAX);
    let submitted = found.submitted(w.clock.now, delay);
    w.tx.execute(
        "UPDATE batch SET status = ?2, processed_at = ?3, ends = ?4, due = ?5 WHERE id = ?1",
        (
            submitted.id,
            PROCESSING,
            submitted.processed_at,
            submitted.ends,
            schedule::next_due(&submitted, &counts),
        ),
    )?;
    Ok(())
}

/// Deletes a draft (zep-cloud 3.30.0, `batch.delete`).
pub(super) fn delete(w: &Work<'_>, batch: &str) -> Step<()> {
    let found = find_draft(w, batch)?;
    payload::withdraw(w, found.id)?;
    w.tx.execute("DELETE FROM batch_item WHERE batch = ?1", [found.id])?;
    w.tx.execute("DELETE FROM batch WHERE id = ?1", [found.id])?;
    Ok(())
}

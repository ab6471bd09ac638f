//! What users and graphs have in common: each owns a range of rows, a node, and entities.

use rusqlite::{OptionalExtension, Row};
use uuid::Uuid as Raw;

use super::check;
use super::ids;
use super::query::PageNumber;
use super::rows::{display_name, uuid};
use super::store::{Step, Work};
use crate::zep::Owner;

/// A user, as the file keeps it.
pub(super) const USER: i64 = 0;
/// A graph, as the file keeps it.
pub(super) const GRAPH: i64 = 1;
/// The rows of one owner are numbered below this.
const ROWS: i64 = 1 << 32;
/// How many users, threads or graphs a page may hold.
const PAGE_SIZE: u32 = 1_000;

/// A user or a graph, as the rest of the file refers to it.
#[derive(Debug)]
pub(super) struct OwnerRow {
    /// Its number.
    pub id: i64,
    /// [`USER`] or [`GRAPH`].
    pub kind: i64,
    /// Its own entity.
    pub node: Raw,
    /// What people call it.
    pub name: String,
    /// When it was made, in microseconds.
    pub created_at: i64,
    /// One above the highest row number that was ever given out.
    pub next_n: i64,
}

impl OwnerRow {
    /// The first and the last row id that can be its.
    pub fn range(&self) -> (i64, i64) {
        (row_id(self.id, 0), row_id(self.id, ROWS - 1))
    }
}

fn row_id(owner: i64, n: i64) -> i64 {
    (owner << 32) | n
}

/// How the file tells users from graphs, and the application's id.
pub(super) fn key(owner: &Owner) -> (i64, &str) {
    match owner {
        Owner::User(id) => (USER, id.as_str()),
        Owner::Graph(id) => (GRAPH, id.as_str()),
    }
}

const OWNERS: &str = "SELECT id, node, created_at, next_n, kind, name, first_name, last_name, title
    FROM owner";

fn read(row: &Row<'_>) -> rusqlite::Result<OwnerRow> {
    Ok(OwnerRow {
        id: row.get(0)?,
        node: uuid(row, 1)?,
        created_at: row.get(2)?,
        next_n: row.get(3)?,
        kind: row.get(4)?,
        name: display_name(row, 4)?,
    })
}

/// The owner, or 404.
pub(super) fn find(w: &Work<'_>, owner: &Owner) -> Step<OwnerRow> {
    w.tx.prepare_cached(&format!("{OWNERS} WHERE kind = ?1 AND name = ?2"))?
        .query_row(key(owner), read)
        .optional()?
        .ok_or_else(|| check::no_owner(owner).into())
}

/// The owner whose own entity this is.
pub(super) fn by_node(w: &Work<'_>, node: Raw) -> Step<Option<OwnerRow>> {
    Ok(w.tx
        .prepare_cached(&format!("{OWNERS} WHERE node = ?1"))?
        .query_row([node.as_bytes()], read)
        .optional()?)
}

/// Gives out row ids, the first of which is answered.
pub(super) fn allocate(w: &Work<'_>, owner: i64, rows: usize) -> Step<i64> {
    let rows = rows as i64;
    let first: i64 =
        w.tx.prepare_cached(
            "UPDATE owner SET next_n = next_n + ?2 WHERE id = ?1 RETURNING next_n - ?2",
        )?
        .query_row((owner, rows), |row| row.get(0))?;
    if first + rows > ROWS {
        return Err(check::invalid("this graph is full").into());
    }
    Ok(row_id(owner, first))
}

/// Deletes an owner with everything of theirs.
pub(super) fn delete(w: &Work<'_>, owner: &Owner) -> Step<()> {
    let found = find(w, owner)?;
    let (first, last) = found.range();
    w.tx.execute(
        "DELETE FROM words WHERE rowid BETWEEN ?1 AND ?2",
        (first, last),
    )?;
    for statement in [
        "DELETE FROM episode WHERE owner = ?1",
        "DELETE FROM entity WHERE owner = ?1",
        "DELETE FROM thread WHERE owner = ?1",
        "UPDATE batch_item SET payload = NULL, status = 4, owner_name = '', thread_name = NULL,
         error = 'the owner was deleted' WHERE owner = ?1 AND payload IS NOT NULL",
        "DELETE FROM owner WHERE id = ?1",
    ] {
        w.tx.execute(statement, [found.id])?;
    }
    Ok(())
}

/// A new id for a user, a graph, a thread or a node.
pub(super) fn fresh() -> [u8; 16] {
    *ids::fresh().as_bytes()
}

/// `LIMIT` and `OFFSET` of a numbered page.
pub(super) fn window(page: PageNumber) -> (i64, i64) {
    let size = i64::from(page.size.clamp(1, PAGE_SIZE));
    (size, i64::from(page.number.max(1) - 1) * size)
}

/// How many rows a counting statement without parameters counts.
pub(super) fn count(w: &Work<'_>, sql: &str) -> Step<u64> {
    let number: i64 = w.tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(number.unsigned_abs())
}

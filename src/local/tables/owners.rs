//! Owners: what users and graphs have in common. Each owns a range of row ids, an entity of its
//! own, and the entities of its speakers.

use rusqlite::{OptionalExtension, Row};
use uuid::Uuid as Raw;

use super::columns::{display_name, uuid};
use crate::local::check;
use crate::local::sqlite::{Step, Work};
use crate::zep::Owner;

/// The file's number for users.
pub(crate) const USER: i64 = 0;
/// The file's number for graphs.
const GRAPH: i64 = 1;
/// One owner's rows are numbered below this.
const ROWS: i64 = 1 << 32;

/// A user or a graph, as other rows refer to it.
#[derive(Debug)]
pub(crate) struct OwnerRow {
    pub(crate) id: i64,
    /// [`USER`] or [`GRAPH`].
    pub(super) kind: i64,
    /// The UUID of its own entity.
    pub(super) node: Raw,
    /// Its display name.
    pub(super) name: String,
    /// In microseconds.
    pub(super) created_at: i64,
    /// One above the highest row number that was ever assigned.
    pub(crate) next_n: i64,
}

impl OwnerRow {
    /// The first and the last row id that can belong to it.
    pub(crate) fn range(&self) -> (i64, i64) {
        (row_id(self.id, 0), row_id(self.id, ROWS - 1))
    }
}

fn row_id(owner: i64, n: i64) -> i64 {
    (owner << 32) | n
}

/// The key of an owner in the file: its kind and the application's id.
pub(crate) fn key(owner: &Owner) -> (i64, &str) {
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
pub(crate) fn find(w: &Work<'_>, owner: &Owner) -> Step<OwnerRow> {
    w.tx.prepare_cached(&format!("{OWNERS} WHERE kind = ?1 AND name = ?2"))?
        .query_row(key(owner), read)
        .optional()?
        .ok_or_else(|| check::no_owner(owner).into())
}

/// The owner that has this entity as its own.
pub(super) fn by_node(w: &Work<'_>, node: Raw) -> Step<Option<OwnerRow>> {
    Ok(w.tx
        .prepare_cached(&format!("{OWNERS} WHERE node = ?1"))?
        .query_row([node.as_bytes()], read)
        .optional()?)
}

/// Assigns this many consecutive row ids and returns the first.
pub(crate) fn allocate(w: &Work<'_>, owner: i64, rows: usize) -> Step<i64> {
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

/// Deletes an owner and all its data.
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

//! Entries of logs: a memory is what the last of its entries says, and a deletion is final.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::spool::{kept, to_keep};
use crate::sources::{Change, Entry, SourceRecord};

/// A memory that a log has entries for.
struct Logged {
    memory: String,
    /// When it was made, in microseconds since 1970.
    created: Option<i64>,
    deletes: bool,
    /// The item of the last entry with a text.
    item: i64,
    entries: u64,
}

/// What became of the memories of a log.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// Memories to migrate, as items of their own.
    pub(super) live: Vec<i64>,
    /// Memories that were deleted.
    pub(super) deleted: u64,
    /// Entries of memories that are in the source themselves.
    pub(super) covered: u64,
}

/// Keeps an entry until all are known.
pub(super) fn keep_change(db: &Connection, item: i64, change: &Change) -> rusqlite::Result<()> {
    let record = &change.record;
    let time = record.updated_at.or(record.created_at);
    db.prepare_cached("INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            item,
            record.id,
            record.created_at.map(Timestamp::as_microsecond),
            time.map(Timestamp::as_microsecond),
            change.deletes,
        ])?;
    Ok(())
}

/// Folds the entries of each memory. What was deleted is removed from the plan.
pub(super) fn fold(db: &Connection) -> rusqlite::Result<Folded> {
    let mut folded = Folded::default();
    let any: bool = db.query_row("SELECT EXISTS (SELECT 1 FROM change)", [], |row| row.get(0))?;
    if !any {
        return Ok(folded);
    }
    db.execute_batch(
        "CREATE INDEX change_record ON record (id);
         CREATE INDEX change_left_out ON left_out (id)",
    )?;
    // SQLite takes the other columns from the row of the greatest time and item.
    let mut memories = db.prepare(
        "SELECT memory, min(created), max(deletes), count(*),
                max(printf('%020d%020d', coalesce(time, 0), item)) AS last
         FROM change GROUP BY memory ORDER BY min(item)",
    )?;
    let rows = memories.query_map([], |row| {
        Ok(Logged {
            memory: row.get(0)?,
            created: row.get(1)?,
            deletes: row.get(2)?,
            entries: row.get(3)?,
            item: row.get::<_, String>(4)?[20..].parse().unwrap_or_default(),
        })
    })?;
    for logged in rows {
        let logged = logged?;
        // An id that is no UUID has its place behind an `@`.
        let of_memory = params![
            logged.memory,
            format!("{}@", logged.memory),
            format!("{}A", logged.memory)
        ];
        if logged.deletes {
            db.prepare_cached("DELETE FROM record WHERE id = ?1 OR (id > ?2 AND id < ?3)")?
                .execute(of_memory)?;
            folded.deleted += 1;
            continue;
        }
        // Also if it is left out: its history must not bring it back.
        let is_there: bool = db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM record WHERE id = ?1 OR (id > ?2 AND id < ?3))
                     OR EXISTS (SELECT 1 FROM left_out WHERE id = ?1 OR (id > ?2 AND id < ?3))",
            )?
            .query_row(of_memory, |row| row.get(0))?;
        if is_there {
            folded.covered += logged.entries;
            continue;
        }
        folded.live.push(keep_memory(db, &logged)?);
    }
    db.execute_batch("DROP INDEX change_record; DROP INDEX change_left_out")?;
    Ok(folded)
}

/// Keeps a memory as an item, as the last entry has it and with the time of the first.
fn keep_memory(db: &Connection, logged: &Logged) -> rusqlite::Result<i64> {
    let change: Entry = db
        .prepare_cached("SELECT json FROM item WHERE n = ?1")?
        .query_row([logged.item], |row| kept(row, 0))?;
    let Entry::Change(change) = change else {
        return Ok(logged.item);
    };
    let created = logged
        .created
        .and_then(|at| Timestamp::from_microsecond(at).ok());
    let last = change.record.updated_at.or(change.record.created_at);
    // Microseconds suffice to tell the entries apart, and the first keeps its own precision.
    let created_at = match (created, change.record.created_at) {
        (Some(first), Some(own)) if own.as_microsecond() == first.as_microsecond() => Some(own),
        (first, own) => first.or(own),
    };
    let record = SourceRecord {
        created_at,
        updated_at: last.filter(|last| Some(*last) != created_at),
        ..change.record
    };
    db.prepare_cached("INSERT INTO item (json) VALUES (?1)")?
        .execute([to_keep(&Entry::Record(Box::new(record)))?])?;
    Ok(db.last_insert_rowid())
}

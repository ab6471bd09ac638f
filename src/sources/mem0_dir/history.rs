//! history.db: what became of memories, and the last turns that they were made from.

use std::path::Path;

use percent_encoding::percent_decode_str;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};

use super::{Reading, unusable, unusable_notes};
use crate::sources::files::MAX_ITEM_BYTES;
use crate::sources::sqlite::{self, failed, json};
use crate::sources::{Defect, Position, ReadError, Severity, SourceItem, interpret_object};

/// How many rows are read at a time, and how many bytes of them at the most.
const ROWS: i64 = 1_000;
const BYTES: usize = 4 * 1024 * 1024;
/// The columns of history that are used.
const HISTORY: [&str; 4] = ["memory_id", "event", "old_memory", "is_deleted"];
/// The columns of messages.
const MESSAGES: [&str; 6] = [
    "id",
    "session_scope",
    "role",
    "content",
    "name",
    "created_at",
];

/// What turns are if they were not asked for.
const NOT_ASKED_FOR: &str = "one of the last turns of a session, which mem0 keeps in history.db beside its memories: --history \
     migrates them";
/// What a turn is that says what a deleted memory said.
const DELETED: &str = "a turn in history.db that says what a deleted memory said";

impl Reading<'_> {
    /// Notes which memories were deleted.
    pub(super) fn deletions(&mut self, file: &Path) -> Result<(), ReadError> {
        let at = "history.db";
        let db = sqlite::open(file).map_err(|error| unusable(at, &error))?;
        if !has(&db, "history", &HISTORY).map_err(|error| unusable(at, &error))? {
            let reason =
                "is of an unknown version: whether memories in it were deleted is not known";
            return self.trouble(at.to_owned(), Severity::Warning, reason);
        }
        let mut last = i64::MIN;
        loop {
            let next = self.deletions_after(&db, last);
            match next.map_err(|error| unusable(at, &failed(error)))? {
                Some(next) => last = next,
                None => return Ok(()),
            }
            self.stopped()?;
        }
    }

    fn deletions_after(&self, db: &Connection, after: i64) -> rusqlite::Result<Option<i64>> {
        let query = "SELECT rowid, CAST(memory_id AS TEXT), event = 'DELETE' OR is_deleted IS 1,
                            CASE WHEN octet_length(old_memory) <= ?3 THEN old_memory END
                     FROM history WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
        let mut query = db.prepare_cached(query)?;
        let mut rows = query.query(params![after, ROWS, MAX_ITEM_BYTES as i64])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            last = Some(row.get(0)?);
            let Ok(Ok(id)) = row.get_ref(1).map(|id| id.as_str()) else {
                continue;
            };
            self.notes.made(id)?;
            if row.get::<_, Option<bool>>(2)? == Some(true) {
                self.notes.deleted(id, row.get_ref(3)?.as_str().ok())?;
            }
        }
        Ok(last)
    }

    /// Hands on the turns, if that is asked for, or counts them.
    pub(super) fn turns(&mut self, file: &Path) -> Result<(), ReadError> {
        let at = "history.db, messages";
        let db = sqlite::open(file).map_err(|error| unusable(at, &error))?;
        let columns = sqlite::columns(&db, "messages").map_err(|error| unusable(at, &error))?;
        if columns.is_empty() {
            // mem0 keeps turns since 2.0.
            return Ok(());
        }
        if !has(&db, "messages", &MESSAGES).map_err(|error| unusable(at, &error))? {
            let reason = "are of an unknown version, and were not read";
            return self.trouble(at.to_owned(), Severity::Other, reason);
        }
        let mut last = i64::MIN;
        loop {
            let page = page(&db, last).map_err(|error| unusable(at, &failed(error)))?;
            let Some((row, _)) = page.last() else {
                return Ok(());
            };
            last = *row;
            for (row, turn) in page {
                match self.history {
                    true => self.turn(Position(format!("{at}, row {row}")), turn)?,
                    false => self.send(SourceItem::LeftOut(NOT_ASKED_FOR))?,
                }
            }
            self.progress()?;
        }
    }

    fn turn(
        &mut self,
        position: Position,
        turn: Result<Map<String, Value>, Defect>,
    ) -> Result<(), ReadError> {
        let mut turn = match turn {
            Ok(turn) => turn,
            Err(defect) => return self.lost(position, None, defect),
        };
        let id = turn.get("id").and_then(Value::as_str).map(str::to_owned);
        let content = turn.get("content").and_then(Value::as_str);
        let is_deleted = content.map(|content| self.notes.is_deleted_text(content));
        let is_deleted = is_deleted
            .transpose()
            .map_err(|error| unusable_notes(&error))?;
        if is_deleted == Some(true) {
            return self.send(SourceItem::LeftOut(DELETED));
        }
        let Some(names) = turn.shift_remove("session_scope").as_ref().and_then(scope) else {
            let reason = "names no user, agent or run as mem0 writes them";
            return self.lost(position, id, Defect::of("session_scope", reason));
        };
        turn.extend(names);
        interpret_object(Value::Object(turn), position, self.sink)
    }
}

/// Whether a table has these columns.
fn has(db: &Connection, table: &str, wanted: &[&str]) -> std::io::Result<bool> {
    let columns = sqlite::columns(db, table)?;
    Ok(wanted
        .iter()
        .all(|wanted| columns.iter().any(|column| column == wanted)))
}

/// The number of a row, and the fields of its turn.
type Turn = (i64, Result<Map<String, Value>, Defect>);

fn page(db: &Connection, after: i64) -> rusqlite::Result<Vec<Turn>> {
    let query = "SELECT rowid, coalesce(octet_length(content) > ?3, 0), id, session_scope, role,
                        CASE WHEN octet_length(content) <= ?3 THEN content END, name, created_at
                 FROM messages WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
    let mut query = db.prepare_cached(query)?;
    let mut rows = query.query(params![after, ROWS, MAX_ITEM_BYTES as i64])?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(row) = rows.next()?
    {
        let mut turn = Ok(Map::new());
        if row.get(1)? {
            turn = Err(Defect::of("content", "is too large"));
        }
        for (index, field) in (2..).zip(MESSAGES) {
            let value = row.get_ref(index)?;
            bytes += value
                .as_bytes_or_null()
                .ok()
                .flatten()
                .map_or(0, <[u8]>::len);
            turn = turn.and_then(|mut turn| {
                turn.insert(field.to_owned(), json(value, field)?);
                Ok(turn)
            });
        }
        page.push((row.get(0)?, turn));
    }
    Ok(page)
}

/// What a scope names: `agent_id=…&run_id=…&user_id=…` (mem0ai, `_build_session_scope`).
fn scope(scope: &Value) -> Option<Map<String, Value>> {
    let mut names = Map::new();
    for part in scope.as_str()?.split('&') {
        let (name, value) = part.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?;
        if !["user_id", "agent_id", "run_id"].contains(&name) {
            return None;
        }
        names.insert(name.to_owned(), value.into());
    }
    Some(names)
}

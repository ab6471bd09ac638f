//! Collections of Qdrant's local mode.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, params};
use serde_json::Value;
use uuid::Uuid;

use super::notes::Notes;
use super::pickle::{self, Point};
use super::{Reading, unusable, unusable_notes};
use crate::sources::files::MAX_ITEM_BYTES;
use crate::sources::sqlite::{self, failed};
use crate::sources::{Defect, Position, ReadError, Severity, interpret_object, payload};

/// How many keys are read at a time.
const KEYS: i64 = 10_000;
/// How many points are read at a time, and how many bytes of them at the most.
const POINTS: i64 = 64;
const BYTES: usize = 4 * 1024 * 1024;
/// The longest key, in bytes: that of a UUID has 72.
const MAX_KEY: usize = 1_000;

/// A row of the table of points.
struct Row {
    number: i64,
    /// `None` where it is larger than an item may be.
    point: Option<Vec<u8>>,
}

impl Reading<'_> {
    /// Hands on the points of a collection in the order in which they were written.
    pub(super) fn collection(
        &mut self,
        number: i64,
        name: &str,
        storage: &Path,
    ) -> Result<(), ReadError> {
        let at = format!("collection {name}");
        let db = sqlite::open(storage).map_err(|error| unusable(&at, &error))?;
        let columns = sqlite::columns(&db, "points").map_err(|error| unusable(&at, &error))?;
        if !["id", "point"]
            .iter()
            .all(|name| columns.iter().any(|column| column == name))
        {
            let reason = "is not a collection that qdrant-client 1.1.7 or newer wrote";
            return self.trouble(at, Severity::Other, reason);
        }
        self.keys(&db, number)
            .map_err(|error| unusable(&at, &error))?;
        let mut last = i64::MIN;
        loop {
            // No statement stays open meanwhile: the library may write.
            let rows = page(&db, last).map_err(|error| unusable(&at, &failed(error)))?;
            let Some(row) = rows.last() else { break };
            last = row.number;
            for row in rows {
                self.point(number, &at, row)?;
            }
            self.progress()?;
        }
        Ok(())
    }

    /// Notes which row of a point is the latest: older versions of Qdrant's client left copies.
    fn keys(&mut self, db: &Connection, collection: i64) -> std::io::Result<()> {
        let mut last = i64::MIN;
        loop {
            let (read, next) = keys(db, &self.notes, collection, last).map_err(failed)?;
            self.total += read;
            let Some(next) = next else { return Ok(()) };
            last = next;
        }
    }

    fn point(&mut self, collection: i64, at: &str, row: Row) -> Result<(), ReadError> {
        let position = Position(format!("{at}, row {}", row.number));
        self.done += 1;
        let Some(bytes) = row.point else {
            let reason = format!(
                "is too large: a point may have {} MiB",
                MAX_ITEM_BYTES >> 20
            );
            return self.lost(position, None, Defect::whole(reason));
        };
        let Point { id, payload } = match pickle::point(&bytes) {
            Ok(point) => point,
            Err(refused) => {
                let reason = format!("is not a point of mem0, and was not read: {refused}");
                return self.lost(position, None, Defect::whole(reason));
            }
        };
        let id = canonical(&id);
        let noted = || {
            let takes = self.notes.takes(&id, collection, row.number)?;
            Ok((takes, self.notes.is_deleted(&id)?))
        };
        let (takes, is_deleted) = noted().map_err(|error| unusable_notes(&error))?;
        if !takes {
            return Ok(());
        }
        let mut memory = payload::memory(id.into(), payload);
        if is_deleted {
            memory.insert("is_deleted".to_owned(), true.into());
        }
        interpret_object(Value::Object(memory), position, self.sink)
    }
}

/// Notes the next keys. Answers how many these are, and the last row.
fn keys(
    db: &Connection,
    notes: &Notes,
    collection: i64,
    after: i64,
) -> rusqlite::Result<(u64, Option<i64>)> {
    let query = "SELECT rowid, CASE WHEN octet_length(id) <= ?3 THEN id END FROM points
                 WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
    let mut query = db.prepare_cached(query)?;
    let mut rows = query.query(params![after, KEYS, MAX_KEY as i64])?;
    let (mut read, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        // What is no key is found out when its point is read.
        let key = row.get_ref(1)?.as_str().ok();
        let key = key.and_then(|key| STANDARD.decode(key).ok());
        if let Some(Ok(id)) = key.map(|key| pickle::key(&key)) {
            notes.point(&canonical(&id), collection, number)?;
        }
        read += 1;
        last = Some(number);
    }
    Ok((read, last))
}

/// The next rows.
fn page(db: &Connection, after: i64) -> rusqlite::Result<Vec<Row>> {
    let query = "SELECT rowid, CASE WHEN octet_length(point) <= ?3 THEN point END FROM points
                 WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
    let mut query = db.prepare_cached(query)?;
    let mut rows = query.query(params![after, POINTS, MAX_ITEM_BYTES as i64])?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(row) = rows.next()?
    {
        let point = row.get_ref(1)?.as_bytes_or_null()?.map(<[u8]>::to_owned);
        bytes += point.as_ref().map_or(0, Vec::len);
        page.push(Row {
            number: row.get(0)?,
            point,
        });
    }
    Ok(page)
}

/// An id in the one way in which mem0 writes it: older versions of Qdrant's client kept other spellings.
fn canonical(id: &Value) -> String {
    match id {
        Value::String(id) => Uuid::try_parse(id).map_or_else(|_| id.clone(), |id| id.to_string()),
        id => id.to_string(),
    }
}

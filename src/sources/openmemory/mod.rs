//! OpenMemory's SQLite database, read like its backup.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::files::MAX_ITEM_BYTES;
use super::sqlite::{self, failed};
use super::{
    Defect, MEM0, Position, Problem, ReadError, Severity, Sink, Source, SourceItem,
    interpret_object,
};

/// How many rows are read at a time, and how many bytes of them at the most.
const ROWS: i64 = 200;
const BYTES: usize = 4 * 1024 * 1024;

/// The tables and columns that are read.
const LAYOUT: [(&str, &[&str]); 5] = [
    (
        "users",
        &["id", "user_id", "name", "email", "metadata", "created_at"],
    ),
    ("apps", &["id", "name"]),
    (
        "memories",
        &[
            "id",
            "user_id",
            "app_id",
            "content",
            "metadata",
            "state",
            "created_at",
            "updated_at",
            "archived_at",
            "deleted_at",
        ],
    ),
    ("categories", &["id", "name"]),
    ("memory_categories", &["memory_id", "category_id"]),
];

/// OpenMemory's database as a source. A running OpenMemory is not disturbed, and nothing is written.
#[derive(Debug)]
pub struct OpenMemory {
    path: PathBuf,
}

impl OpenMemory {
    /// The database in this file; `None` if the file is none, and so may be a backup.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let inside = path.join("openmemory.db");
        let path = match inside.is_file() {
            true => inside,
            false => path.to_owned(),
        };
        File::open(&path)?;
        Ok((path.is_file() && sqlite::is_sqlite(&path)?).then_some(Self { path }))
    }
}

impl Source for OpenMemory {
    fn system(&self) -> &'static str {
        MEM0
    }

    fn name(&self) -> String {
        let path = self.path.canonicalize();
        let path = path.unwrap_or_else(|_| self.path.clone());
        format!("openmemory {}", path.display())
    }

    fn read(
        self: Box<Self>,
        sink: &mut dyn Sink,
        cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        let db = sqlite::open(&self.path)?;
        for (table, wanted) in LAYOUT {
            let columns = sqlite::columns(&db, table)?;
            let mut wanted = wanted.iter();
            if let Some(missing) = wanted.find(|name| !columns.iter().any(|column| column == *name))
            {
                return Err(ReadError::Io(io::Error::other(format!(
                    "it is not a database of OpenMemory, or one of an unknown version: `{table}` has no \
                     `{missing}`"
                ))));
            }
        }
        let total = db.query_row("SELECT count(*) FROM memories", [], |row| row.get(0));
        let mut reading = Reading {
            db,
            sink,
            cancelled,
            done: 0,
            total: total.map_err(failed)?,
        };
        reading.table("users", users)?;
        reading.table("memories", memories)
    }
}

/// A row as an object of an export: its number, and what is wrong with it otherwise.
type Read = (i64, Result<Map<String, Value>, Defect>);

/// Reads the rows after one.
type Page = fn(&Connection, i64) -> rusqlite::Result<Vec<Read>>;

struct Reading<'r> {
    db: Connection,
    sink: &'r mut dyn Sink,
    cancelled: &'r CancellationToken,
    done: u64,
    total: u64,
}

impl Reading<'_> {
    /// Hands on a table, in short steps: OpenMemory could not write otherwise.
    fn table(&mut self, name: &str, page: Page) -> Result<(), ReadError> {
        let mut last = i64::MIN;
        loop {
            let rows = page(&self.db, last).map_err(failed)?;
            let Some((row, _)) = rows.last() else {
                return Ok(());
            };
            last = *row;
            for (row, object) in rows {
                let object = object.map(|object| match name {
                    // One without a name is still a person.
                    "users" => json!({"users": [object]}),
                    _ => Value::Object(object),
                });
                self.row(Position(format!("{name}, row {row}")), object)?;
                self.done += u64::from(name == "memories");
            }
            self.sink
                .progress(self.done, Some(self.total.max(self.done)));
            if self.cancelled.is_cancelled() {
                return Err(ReadError::Stopped);
            }
        }
    }

    fn row(&mut self, position: Position, object: Result<Value, Defect>) -> Result<(), ReadError> {
        let defect = match object {
            Ok(object) => return interpret_object(object, position, self.sink),
            Err(defect) => defect,
        };
        let problem = Problem {
            position,
            record: None,
            severity: Severity::Record,
            defect,
        };
        match self.sink.item(SourceItem::Problem(problem)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReadError::Stopped),
        }
    }
}

fn users(db: &Connection, after: i64) -> rusqlite::Result<Vec<Read>> {
    let query = "SELECT rowid, octet_length(metadata),
                        id, user_id, name, email,
                        CASE WHEN octet_length(metadata) <= ?3 THEN metadata END AS metadata,
                        created_at
                 FROM users WHERE rowid > ?1 AND user_id IS NOT NULL ORDER BY rowid LIMIT ?2";
    page(db, query, after, |_, _| Ok(Ok(())))
}

fn memories(db: &Connection, after: i64) -> rusqlite::Result<Vec<Read>> {
    // The person and the app by name: an internal id is no person.
    let query = "SELECT m.rowid, coalesce(octet_length(m.content), 0)
                                 + coalesce(octet_length(m.metadata), 0),
                        m.id, u.user_id, a.name AS app_id,
                        CASE WHEN octet_length(m.content) <= ?3 THEN m.content END AS content,
                        CASE WHEN octet_length(m.metadata) <= ?3 THEN m.metadata END AS metadata,
                        m.state, m.created_at, m.updated_at, m.archived_at, m.deleted_at
                 FROM memories m
                 LEFT JOIN users u ON u.id = m.user_id LEFT JOIN apps a ON a.id = m.app_id
                 WHERE m.rowid > ?1 ORDER BY m.rowid LIMIT ?2";
    page(db, query, after, |row, memory| {
        let query = "SELECT c.name FROM memory_categories mc JOIN categories c ON c.id = mc.category_id
                     WHERE mc.memory_id = (SELECT id FROM memories WHERE rowid = ?1) ORDER BY mc.rowid";
        let mut query = db.prepare_cached(query)?;
        let names = query.query_map([row], |row| row.get::<_, String>(0))?;
        let names: Vec<_> = names.collect::<Result<_, _>>()?;
        if !names.is_empty() {
            memory.insert("categories".to_owned(), names.into());
        }
        Ok(match memory.contains_key("user_id") {
            true => Ok(()),
            false => {
                let reason = "is not in the table of users: whose memory it is is not known";
                Err(Defect::of("user_id", reason))
            }
        })
    })
}

/// A time as the backup has it: RFC 3339. The database has times in UTC that do not say so.
fn in_utc(time: String) -> String {
    let is_naive = time.parse::<Timestamp>().is_err() && time.parse::<DateTime>().is_ok();
    if !is_naive || !time.contains(':') {
        return time;
    }
    let time = time.trim_end_matches(".000000").replace(' ', "T");
    format!("{time}+00:00")
}

/// Reads a page. The query's first columns are the number of the row and its length, the others have the
/// names of an export.
fn page(
    db: &Connection,
    query: &str,
    after: i64,
    complete: impl Fn(i64, &mut Map<String, Value>) -> rusqlite::Result<Result<(), Defect>>,
) -> rusqlite::Result<Vec<Read>> {
    let mut query = db.prepare_cached(query)?;
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    let mut rows = query.query(params![after, ROWS, MAX_ITEM_BYTES as i64])?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(row) = rows.next()?
    {
        let number = row.get(0)?;
        let length = row.get::<_, Option<usize>>(1)?.unwrap_or_default();
        bytes += length;
        let mut object = match length > MAX_ITEM_BYTES {
            true => Err(Defect::whole("is too large")),
            false => object(row, &names),
        };
        if let Ok(memory) = &mut object
            && let Err(defect) = complete(number, memory)?
        {
            object = Err(defect);
        }
        page.push((number, object));
    }
    Ok(page)
}

/// The columns of a row that say something, as OpenMemory's backup writes them.
fn object(row: &Row<'_>, names: &[String]) -> Result<Map<String, Value>, Defect> {
    let mut object = Map::new();
    for (index, name) in names.iter().enumerate().skip(2) {
        let value = row.get_ref(index).unwrap_or(ValueRef::Null);
        let value = match (name.as_str(), sqlite::json(value, name)?) {
            (_, Value::Null) => continue,
            // SQLAlchemy keeps a UUID as 32 digits.
            ("id", Value::String(id)) => {
                Uuid::try_parse(&id).map_or(id, |id| id.to_string()).into()
            }
            ("metadata", Value::String(text)) => {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            (time, Value::String(text)) if time.ends_with("_at") => in_utc(text).into(),
            (_, value) => value,
        };
        object.insert(name.clone(), value);
    }
    Ok(object)
}

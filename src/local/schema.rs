//! The file's layout and the proof that a file is ours.
//!
//! Rows of `episode` are numbered `(owner << 32) | n`, so that one owner's memories are one range
//! of row ids, in the index of words, too; `n` is never used twice. A fact has no row: it is its
//! episode, with its own text only once it was changed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::ids;
use super::store::{Fault, Step};
use super::time::Clock;
use crate::zep::Error;

/// Marks a file as ours: `ZmcM`.
const APPLICATION_ID: i32 = 0x5A6D_634D;
/// The layout that this program writes.
const VERSION: i32 = 1;

/// Words are indexed without positions and without a copy of the text (`detail=none`,
/// `content=''`): the ranking asks only in which rows a word occurs. `M*` keeps a letter and its
/// marks together, as the program does when it splits text into words.
const V1: &str = "
CREATE TABLE store (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uuid BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE owner (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL,
  name TEXT NOT NULL,
  uuid BLOB NOT NULL,
  node BLOB NOT NULL UNIQUE,
  email TEXT,
  first_name TEXT,
  last_name TEXT,
  metadata TEXT,
  title TEXT,
  description TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  next_n INTEGER NOT NULL DEFAULT 1,
  UNIQUE (kind, name)
) STRICT;

CREATE TABLE thread (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  uuid BLOB NOT NULL,
  owner INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX thread_owner ON thread (owner);

CREATE TABLE entity (
  id INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,
  name TEXT NOT NULL,
  uuid BLOB NOT NULL UNIQUE,
  mentions INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (owner, name)
) STRICT;

CREATE TABLE episode (
  id INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,
  uuid BLOB NOT NULL UNIQUE,
  thread INTEGER,
  role INTEGER,
  speaker INTEGER,
  source INTEGER NOT NULL,
  in_graph INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  ingested_at INTEGER,
  content TEXT NOT NULL,
  source_description TEXT,
  metadata TEXT,
  has_fact INTEGER NOT NULL DEFAULT 1,
  fact TEXT,
  fact_doc INTEGER,
  fact_attributes TEXT,
  fact_invalid_at INTEGER,
  fact_expired_at INTEGER
) STRICT;
CREATE INDEX episode_by_uuid ON episode (owner, uuid);
CREATE INDEX episode_by_time ON episode (owner, created_at);
CREATE INDEX episode_thread ON episode (thread) WHERE thread IS NOT NULL;
CREATE INDEX episode_fact_doc ON episode (fact_doc) WHERE fact_doc IS NOT NULL;
CREATE INDEX zm_id ON episode (metadata ->> '$.zm_id') WHERE metadata ->> '$.zm_id' IS NOT NULL;

CREATE VIRTUAL TABLE words USING fts5 (
  text,
  content = '', contentless_delete = 1, detail = none,
  tokenize = \"porter unicode61 categories 'L* N* Co M*'\"
);

CREATE TABLE batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid BLOB NOT NULL UNIQUE,
  status INTEGER NOT NULL,
  metadata TEXT,
  ignore_roles TEXT,
  created_at INTEGER NOT NULL,
  processed_at INTEGER,
  ends INTEGER,
  due INTEGER,
  completed_at INTEGER
) STRICT;
CREATE INDEX batch_due ON batch (due) WHERE due IS NOT NULL;

CREATE TABLE batch_item (
  batch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  uuid BLOB NOT NULL,
  status INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  thread INTEGER,
  owner_kind INTEGER NOT NULL,
  owner_name TEXT NOT NULL,
  thread_name TEXT,
  payload TEXT,
  error TEXT,
  PRIMARY KEY (batch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_item_open ON batch_item (owner) WHERE payload IS NOT NULL;
";

/// Where the SQLite file format keeps the version and the application's mark (sqlite.org,
/// "Database File Format", 1.3).
const HEADER_BYTES: usize = 100;
const VERSION_OFFSET: usize = 60;
const APPLICATION_ID_OFFSET: usize = 68;

/// Looks at the file's first bytes before SQLite may touch it, since opening a database alone can
/// change it (a log that is left over is written back).
pub(super) fn check_header(path: &Path) -> Result<(), String> {
    let first = header(path)?;
    // Being made by another process just now, or left half made: SQLite's own journal decides.
    if judge(&first).is_ok() || journal(path).exists() {
        return Ok(());
    }
    // Without a journal, what another process was making a moment ago is complete by now.
    judge(&header(path)?)
}

fn header(path: &Path) -> Result<Vec<u8>, String> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header))
        .map_err(|error| format!("it cannot be read ({error}); check its permissions"))?;
    Ok(header)
}

fn judge(header: &[u8]) -> Result<(), String> {
    if header.is_empty() {
        return Ok(());
    }
    let number = |offset: usize| {
        let bytes = header.get(offset..)?.first_chunk()?;
        Some(i32::from_be_bytes(*bytes))
    };
    match (number(APPLICATION_ID_OFFSET), number(VERSION_OFFSET)) {
        (Some(application_id), Some(version)) if header.starts_with(b"SQLite format 3\0") => {
            check_marks(application_id, version)
        }
        _ => Err(NOT_OURS.into()),
    }
}

const NOT_OURS: &str = "it is not a memory file of this program, and was left as it is; \
    set ZEP_MCP_DATA_DIR to another directory, or move the file away";

fn journal(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}

fn check_marks(application_id: i32, version: i32) -> Result<(), String> {
    if application_id != APPLICATION_ID {
        return Err(NOT_OURS.into());
    }
    if version > VERSION {
        return Err(format!(
            "it was written by a newer version of this program (layout {version}, this one knows \
             {VERSION}) and was left as it is; update the program"
        ));
    }
    Ok(())
}

/// Makes the tables in an empty file, brings older layouts up to date, and refuses every file that
/// is neither.
pub(super) fn prepare(connection: &mut Connection, clock: Clock) -> Step<()> {
    if marks(connection)? != (APPLICATION_ID, VERSION) {
        // The lock keeps processes that start at once from making the tables twice. The file is
        // complete, its mark in place, before it is switched to a write-ahead log.
        let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        let (application_id, version) = marks(&tx)?;
        let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        if tables == 0 && application_id == 0 {
            tx.execute_batch(V1)?;
            tx.execute(
                "INSERT INTO store (id, uuid, created_at) VALUES (1, ?1, ?2)",
                (ids::fresh().as_bytes(), clock.now),
            )?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        } else {
            check_marks(application_id, version).map_err(|message| {
                Fault::Answer(Error::Storage {
                    path: String::new(),
                    message,
                })
            })?;
            migrate(&tx, version)?;
        }
        tx.commit()?;
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |r| r.get(0))?;
    // Some file systems cannot share memory between processes; the file still works, with the
    // slower rollback journal.
    tracing::debug!(mode, "memory file opened");
    Ok(())
}

/// Brings an older layout up to date, step by step, within the caller's transaction.
fn migrate(_tx: &Connection, version: i32) -> Step<()> {
    match version {
        // Layouts that a release has written get their step here, each falling to the next.
        VERSION => Ok(()),
        _ => Err(Fault::Answer(Error::Storage {
            path: String::new(),
            message: format!("its layout {version} is none that a release has written"),
        })),
    }
}

fn marks(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    Ok((
        connection.pragma_query_value(None, "application_id", |r| r.get(0))?,
        connection.pragma_query_value(None, "user_version", |r| r.get(0))?,
    ))
}

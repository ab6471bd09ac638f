//! The tables, and the versions of their layout.
//!
//! Rows of `episode` are numbered `(owner << 32) | n`, so that one owner's memories are one range
//! of row ids, also in the index of words; `n` is never reused. A fact has no row: it is its
//! episode, with its own text only after a change.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::{BUSY_WAIT, Fault, Step};
use super::file::{EMPTIED, was_made};
use super::log::write_ahead;
use super::transaction::Clock;
use crate::local::uuids;
use crate::zep::Error;

/// SQLite's application id of our files: `ZmcM`.
const APPLICATION_ID: i32 = 0x5A6D_634D;
/// The version of the layout that this program writes.
const VERSION: i32 = 2;

/// Words are indexed without positions and without a copy of the text (`detail=none`,
/// `content=''`): the ranking only needs the rows in which a word occurs. `M*` keeps a letter and
/// its marks together, as [`words`](crate::local::words::words) does.
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

/// A record is stored once: the parts of what this program writes (`once`) are unique within their
/// owner and place, a thread or (0) the graph itself. A place of its own is another memory, as for all
/// who read records. What arrives through Zep's HTTP API, which keeps doubles, is not `once`.
///
/// The threads of an owner are found by name, without a look at other owners' threads.
///
/// Files of layout 1 may hold doubles, left by processes that wrote the same record at the same time.
/// The earliest of each part counts. A later one is removed if nothing but its id and its time tells
/// them apart; one that differs, or that was changed since, stays beside it as it is.
const V2: &str = "
ALTER TABLE episode ADD COLUMN once INTEGER NOT NULL DEFAULT 0;
CREATE TEMP TABLE part AS
  SELECT id, owner, coalesce(thread, 0) AS place, metadata ->> '$.zm_id' AS record,
    CAST(coalesce(metadata ->> '$.zm_part', '1') AS INTEGER) AS number
  FROM episode
  WHERE typeof(metadata ->> '$.zm_id') = 'text' AND in_graph AND ingested_at IS NOT NULL;
CREATE TEMP TABLE first AS
  SELECT owner, place, record, number, min(id) AS id, count(*) AS rows FROM part
  GROUP BY owner, place, record, number;
UPDATE episode SET once = 1 WHERE id IN (SELECT id FROM temp.first);
CREATE TEMP TABLE double AS
  SELECT later.id, later.speaker FROM temp.first AS f
  JOIN temp.part AS p USING (owner, place, record, number)
  JOIN episode AS kept ON kept.id = f.id
  JOIN episode AS later ON later.id = p.id
  WHERE f.rows > 1 AND later.id > kept.id
    AND (later.content, later.metadata, later.source, later.has_fact)
      = (kept.content, kept.metadata, kept.source, kept.has_fact)
    AND later.role IS kept.role AND later.speaker IS kept.speaker
    AND later.source_description IS kept.source_description
    AND later.fact IS kept.fact AND later.fact_attributes IS kept.fact_attributes
    AND later.fact_invalid_at IS kept.fact_invalid_at
    AND later.fact_expired_at IS kept.fact_expired_at;
UPDATE entity SET mentions = mentions
  - (SELECT count(*) FROM temp.double WHERE double.speaker = entity.id)
  WHERE id IN (SELECT speaker FROM temp.double);
DELETE FROM words WHERE rowid IN (
  SELECT id FROM temp.double
  UNION ALL
  SELECT fact_doc FROM episode
  WHERE id IN (SELECT id FROM temp.double) AND fact_doc IS NOT NULL);
DELETE FROM episode WHERE id IN (SELECT id FROM temp.double);
DROP TABLE temp.double;
DROP TABLE temp.first;
DROP TABLE temp.part;
CREATE UNIQUE INDEX episode_once ON episode (
  owner, coalesce(thread, 0), metadata ->> '$.zm_id',
  CAST(coalesce(metadata ->> '$.zm_part', '1') AS INTEGER)) WHERE once = 1;
DROP INDEX thread_owner;
CREATE INDEX thread_owner ON thread (owner, name);
";

pub(super) const NOT_OURS: &str = "it is not a memory file of this program, and was left as it is; \
    set ZEP_MCP_DATA_DIR to another directory, or move the file away";

/// Whether a file with this application id and version is one that this program can use.
pub(super) fn check_marks(application_id: i32, version: i32) -> Result<(), String> {
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

/// Refuses a file that this program cannot read as it is.
pub(super) fn check_readable(connection: &Connection) -> Step<()> {
    let (application_id, version) = marks(connection)?;
    check_marks(application_id, version)
        .and_then(|()| match version {
            VERSION => Ok(()),
            older => Err(format!(
                "it has an older layout ({older}) and cannot be written; make it writable once, so \
                 that it gets the present one ({VERSION})"
            )),
        })
        .map_err(refused)
}

fn refused(message: String) -> Fault {
    Fault::Refused(Error::Storage {
        path: String::new(),
        message,
    })
}

/// Creates the tables in an empty file, migrates older layouts, and refuses every other file.
pub(super) fn prepare(connection: &mut Connection, path: &Path, clock: Clock) -> Step<()> {
    if marks(connection)? != (APPLICATION_ID, VERSION) {
        // The lock keeps processes that start together from creating the tables twice. The file is
        // complete, application id included, before it is switched to a write-ahead log.
        let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        let (application_id, version) = marks(&tx)?;
        let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        if tables == 0 && application_id == 0 {
            if was_made(path) {
                return Err(refused(EMPTIED.into()));
            }
            tx.execute_batch(V1)?;
            tx.execute(
                "INSERT INTO store (id, uuid, created_at) VALUES (1, ?1, ?2)",
                (uuids::fresh().as_bytes(), clock.now),
            )?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            migrate(&tx, 1)?;
        } else {
            check_marks(application_id, version).map_err(refused)?;
            migrate(&tx, version)?;
        }
        tx.commit()?;
    }
    let mode = write_ahead(connection, BUSY_WAIT)?;
    // Where the file system cannot share memory between processes, SQLite keeps the slower rollback
    // journal.
    tracing::debug!(mode, "memory file opened");
    Ok(())
}

/// Migrates an older layout step by step, within the caller's transaction.
fn migrate(tx: &Connection, version: i32) -> Step<()> {
    match version {
        // Another process was faster.
        VERSION => {}
        // Each layout that a release has written gets its step here.
        1 => tx.execute_batch(V2)?,
        _ => {
            let message = format!("no release has written its layout {version}");
            return Err(refused(message));
        }
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

fn marks(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    Ok((
        connection.pragma_query_value(None, "application_id", |r| r.get(0))?,
        connection.pragma_query_value(None, "user_version", |r| r.get(0))?,
    ))
}

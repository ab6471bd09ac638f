//! The tables of the ledger, and how other files are told apart from it.

use rusqlite::{Connection, TransactionBehavior, params};

use super::error::Cause;

/// SQLite's application id of ledgers: `ZmcL`.
const APPLICATION_ID: i32 = 0x5A6D_634C;
/// The version of the layout.
const VERSION: i32 = 1;

pub(super) const NOT_OURS: &str = "it is not a ledger of this program, and was left as it is; move it away, \
    or set ZEP_MCP_DATA_DIR to another directory";

/// Records are numbered in the order of their sessions, so that what a request writes is side by side.
const LAYOUT: &str = "
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  -- Digests are made with it: they cannot be compared with those of guessed texts without it.
  key BLOB NOT NULL
) STRICT;

CREATE TABLE run (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  -- Empty: known from Zep only.
  source TEXT NOT NULL,
  system TEXT NOT NULL,
  target TEXT NOT NULL,
  -- What was selected and how, without content.
  request TEXT NOT NULL,
  state INTEGER NOT NULL,
  -- Microseconds since 1970.
  begun_at INTEGER NOT NULL,
  ended_at INTEGER,
  report TEXT
) STRICT;

CREATE TABLE owner (
  n INTEGER PRIMARY KEY,
  target TEXT NOT NULL,
  key TEXT NOT NULL,
  -- The run that made it in Zep.
  made_by INTEGER,
  -- What the source said of a user when it was last written.
  profile BLOB,
  -- The run that works on it now; free again if that is not alive.
  held_by INTEGER,
  -- When the last one that did has given it up, in microseconds since 1970.
  released_at INTEGER,
  UNIQUE (target, key)
) STRICT;

CREATE TABLE place (
  n INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,
  -- Empty: the owner's graph.
  session TEXT NOT NULL,
  made_by INTEGER,
  -- The run that has seen all that is stored there.
  seen_by INTEGER,
  -- When something was sent there last.
  sent_at INTEGER,
  -- Until when a write may arrive that was sent a second time.
  late_until INTEGER,
  UNIQUE (owner, session)
) STRICT;
CREATE INDEX place_late ON place (late_until) WHERE late_until IS NOT NULL;

CREATE TABLE record (
  n INTEGER PRIMARY KEY,
  place INTEGER NOT NULL,
  -- A BLOB if it is a UUID.
  id ANY NOT NULL,
  -- The run that wrote it or will; NULL: it was there without a ledger.
  run INTEGER,
  -- The run in whose source it was found last.
  source_run INTEGER,
  state INTEGER NOT NULL,
  parts INTEGER NOT NULL DEFAULT 1,
  -- Differs if anything of the record does; NULL: not known.
  digest BLOB
) STRICT;
CREATE UNIQUE INDEX record_id ON record (place, id);

-- The places where a run writes.
CREATE TABLE visit (
  run INTEGER NOT NULL,
  place INTEGER NOT NULL,
  PRIMARY KEY (run, place)
) STRICT, WITHOUT ROWID;

-- Batches that are not known to be settled. A number is never given twice: it is in the metadata of
-- the batch, by which one is found whose creation was not answered.
CREATE TABLE batch (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL,
  -- Zep's id; NULL: not known, so nothing was added.
  id TEXT
) STRICT;

-- The records in them.
CREATE TABLE batch_record (
  batch INTEGER NOT NULL,
  -- The place of its first item in the batch.
  first INTEGER NOT NULL,
  items INTEGER NOT NULL,
  record INTEGER NOT NULL,
  PRIMARY KEY (batch, first)
) STRICT, WITHOUT ROWID;

-- How far a run was, now and then.
CREATE TABLE sample (
  run INTEGER NOT NULL,
  -- Microseconds since 1970.
  at INTEGER NOT NULL,
  records INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  waited_ms INTEGER NOT NULL,
  PRIMARY KEY (run, at)
) STRICT, WITHOUT ROWID;
";

/// Makes the tables in an empty file, and refuses every file that is not a ledger of this version.
pub(super) fn prepare(db: &mut Connection) -> Result<(), Cause> {
    if marks(db)? == (APPLICATION_ID, VERSION) {
        return Ok(());
    }
    // The lock keeps processes that start together from making the tables twice.
    let tx = db.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let (application_id, version) = marks(&tx)?;
    let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application_id, version) {
        (APPLICATION_ID, VERSION) => {}
        (APPLICATION_ID, other) => {
            return Err(Cause::Refused(format!(
                "it has layout {other}, and this version of the program knows {VERSION}; it was left \
                 as it is: use the version that wrote it"
            )));
        }
        (0, 0) if tables == 0 => {
            tx.execute_batch(LAYOUT)?;
            let key: [u8; 32] = {
                let mut key = [0; 32];
                let (first, second) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
                key[..16].copy_from_slice(first.as_bytes());
                key[16..].copy_from_slice(second.as_bytes());
                key
            };
            tx.execute("INSERT INTO ledger VALUES (1, ?1)", params![key])?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        _ => return Err(NOT_OURS.into()),
    }
    tx.commit()?;
    Ok(())
}

fn marks(db: &Connection) -> rusqlite::Result<(i32, i32)> {
    Ok((
        db.pragma_query_value(None, "application_id", |row| row.get(0))?,
        db.pragma_query_value(None, "user_version", |row| row.get(0))?,
    ))
}

//! The tables of the queue's file.

use rusqlite::{Connection, TransactionBehavior};

/// `zmq1` in ASCII: SQLite keeps it in the file's header.
const APPLICATION_ID: i32 = 0x7a6d_7131;
const VERSION: i32 = 2;

pub(super) const NOT_OURS: &str = "it is another program's file; move it away";
const NEWER: &str = "a newer version of this program made it; use that version";

/// What waits is counted by triggers: a bound is checked at every write, whatever waits.
const LAYOUT: &str = "
CREATE TABLE waiting (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL,
  kind INTEGER NOT NULL,
  owner TEXT NOT NULL,
  session TEXT NOT NULL,
  body TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 0,
  records INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  queued_at INTEGER NOT NULL,
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  in_doubt INTEGER NOT NULL DEFAULT 0,
  claimed_by TEXT,
  claimed_until INTEGER NOT NULL DEFAULT 0,
  parked TEXT
) STRICT;
CREATE INDEX lanes ON waiting (account, kind, owner, session, number);
CREATE INDEX tried ON waiting (account) WHERE attempts > 0 AND parked IS NULL;

CREATE TABLE ids (
  account TEXT NOT NULL,
  id TEXT NOT NULL,
  number INTEGER,
  position INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  owner TEXT NOT NULL,
  zep TEXT,
  PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ids_of ON ids (number) WHERE number IS NOT NULL;
CREATE INDEX ids_in_zep ON ids (zep) WHERE zep IS NOT NULL;

CREATE TABLE written (
  account TEXT NOT NULL,
  kind INTEGER NOT NULL,
  owner TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (account, kind, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE sums (
  account TEXT NOT NULL,
  kind INTEGER NOT NULL,
  owner TEXT NOT NULL,
  records INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (account, kind, owner)
) STRICT, WITHOUT ROWID;
INSERT INTO sums VALUES ('', -1, '', 0, 0);
CREATE TRIGGER put AFTER INSERT ON waiting BEGIN
  INSERT INTO sums VALUES (new.account, new.kind, new.owner, new.records, new.bytes)
    ON CONFLICT DO UPDATE SET records = records + new.records, bytes = bytes + new.bytes;
  UPDATE sums SET records = records + new.records, bytes = bytes + new.bytes WHERE kind = -1;
END;
CREATE TRIGGER taken AFTER DELETE ON waiting BEGIN
  UPDATE sums SET records = records - old.records, bytes = bytes - old.bytes
    WHERE kind = -1 OR (account = old.account AND kind = old.kind AND owner = old.owner);
  DELETE FROM sums WHERE account = old.account AND kind = old.kind AND owner = old.owner
    AND records <= 0;
END;
CREATE TRIGGER changed AFTER UPDATE OF bytes ON waiting BEGIN
  UPDATE sums SET bytes = bytes - old.bytes + new.bytes
    WHERE kind = -1 OR (account = old.account AND kind = old.kind AND owner = old.owner);
END;
";

/// What version 2 added: on which side of a migration in phases owners are, what mem0 was told to
/// process of them, and with which key contents are sealed.
const SIDES: &str = "
CREATE TABLE sides (
  account TEXT NOT NULL,
  kind INTEGER NOT NULL,
  owner TEXT NOT NULL,
  side INTEGER NOT NULL,
  token TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (account, kind, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX held ON sides (token) WHERE token <> '';

CREATE TABLE sent (
  account TEXT NOT NULL,
  kind INTEGER NOT NULL,
  owner TEXT NOT NULL,
  event TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX sent_of ON sent (account, kind, owner);
CREATE INDEX sent_at ON sent (at);

CREATE TABLE sealed (proof TEXT NOT NULL) STRICT;
";

/// Checks that the file is a queue of this version, and makes the tables of a new one.
///
/// # Errors
/// In words where it is refused, else SQLite's.
pub(super) fn prepare(db: &mut Connection) -> Result<Option<&'static str>, rusqlite::Error> {
    let pragma = |db: &Connection, name| db.pragma_query_value(None, name, |row| row.get(0));
    let (id, version): (i32, i32) = (pragma(db, "application_id")?, pragma(db, "user_version")?);
    match (id, version) {
        (APPLICATION_ID, VERSION) => return Ok(None),
        (APPLICATION_ID, 1) => {}
        (APPLICATION_ID, _) => return Ok(Some(NEWER)),
        (0, 0) => {}
        _ => return Ok(Some(NOT_OURS)),
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made them since.
    let (id, version): (i32, i32) = (
        pragma(&change, "application_id")?,
        pragma(&change, "user_version")?,
    );
    if (id, version) == (APPLICATION_ID, VERSION) {
        return Ok(None);
    }
    if id != APPLICATION_ID {
        let tables: i64 =
            change.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return Ok(Some(NOT_OURS));
        }
        change.execute_batch(LAYOUT)?;
    }
    change.execute_batch(SIDES)?;
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.pragma_update(None, "user_version", VERSION)?;
    change.commit()?;
    Ok(None)
}

//! What was read of a source, on disk: a private file without a name that is gone when the run ends,
//! however it ends. It is what keeps memory flat, whatever the size and order of the source.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, types::Type};
use serde::{Serialize, de::DeserializeOwned};

/// How much of the file is kept in memory, in KiB.
const CACHE_KIB: i64 = 12 * 1024;

const SCHEMA: &str = "
    CREATE TABLE frame (
        id INTEGER PRIMARY KEY,
        parent INTEGER,
        named TEXT NOT NULL,
        exported_at TEXT
    );
    -- Everything that was read, as it stood in the source.
    CREATE TABLE item (
        n INTEGER PRIMARY KEY,
        json TEXT NOT NULL
    );
    CREATE TABLE problem (
        n INTEGER PRIMARY KEY,
        position TEXT NOT NULL,
        record TEXT,
        reason TEXT NOT NULL,
        -- It is migrated all the same.
        minor INTEGER NOT NULL
    );
    CREATE TABLE owner (
        n INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        -- What the source says of them.
        profile TEXT,
        -- Made for the migration, since the source names nobody.
        stands_in INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE place (
        n INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL,
        -- Empty: the owner's graph.
        session TEXT NOT NULL,
        UNIQUE (owner, session)
    );
    CREATE TABLE record (
        n INTEGER PRIMARY KEY,
        item INTEGER NOT NULL,
        -- Which turn of the item.
        turn INTEGER NOT NULL,
        -- Where it stands in the source.
        stands INTEGER NOT NULL,
        place INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        id TEXT NOT NULL,
        agent TEXT,
        app TEXT,
        -- How many messages or episodes it takes.
        parts INTEGER NOT NULL,
        -- Its number among equal records, where only that tells it from them.
        by_content INTEGER NOT NULL,
        digest BLOB NOT NULL,
        -- Microseconds since 1970; NULL: the source does not say.
        time INTEGER,
        -- The export's own date, for records that nothing dates.
        exported_at INTEGER,
        -- Its place in the order of its session: the time of the nearest dated one before it, and
        -- where it stands in the source.
        carried INTEGER,
        rank INTEGER,
        state INTEGER NOT NULL DEFAULT 0
    );
    -- Items that name no user, until it is known whether the source names others than the one who
    -- was asked for.
    CREATE TABLE nameless (
        item INTEGER NOT NULL
    );
    -- The turns that memories were made from, before those that stand with several are told apart.
    CREATE TABLE turns (
        item INTEGER NOT NULL,
        input BLOB NOT NULL,
        time INTEGER
    );
    -- Parts that are stored, of records that are not stored whole.
    CREATE TABLE part (
        record INTEGER NOT NULL,
        number INTEGER NOT NULL,
        total INTEGER NOT NULL,
        uuid TEXT,
        PRIMARY KEY (record, number)
    ) WITHOUT ROWID;
";

/// The file cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the temporary file for what was read cannot be used: {0}; see that there is room in the \
     temporary directory (TMPDIR), about as much as the source is large"
)]
pub struct SpoolError(rusqlite::Error);

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

pub(super) type Result<T> = std::result::Result<T, SpoolError>;

/// The file.
#[derive(Debug)]
pub(super) struct Spool(Mutex<Connection>);

impl Spool {
    /// A new, empty one.
    pub(super) fn new() -> Result<Self> {
        // SQLite's name for a private file that is deleted as soon as it is open.
        let db = Connection::open("")?;
        db.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
             PRAGMA cache_size = -{CACHE_KIB}; PRAGMA locking_mode = EXCLUSIVE;"
        ))?;
        db.set_prepared_statement_cache_capacity(64);
        db.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(db)))
    }

    /// The file, for one step. Steps are short: nobody waits on anything while holding it.
    pub(super) fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what was kept as JSON. That it cannot be read is an error, never a record less.
pub(super) fn kept<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

/// Keeps something as JSON.
pub(super) fn to_keep(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

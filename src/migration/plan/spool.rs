//! The plan's file: private, without a name, and deleted when the run ends, however it ends. It keeps
//! memory flat, whatever the size and order of the source.

use std::panic;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};

/// How much of the file is kept in memory, in KiB.
const CACHE_KIB: i64 = 12 * 1024;

/// How many prepared statements are kept: more than a run has.
const STATEMENTS: usize = 64;

const SCHEMA: &str = "
    CREATE TABLE container (
        id INTEGER PRIMARY KEY,
        parent INTEGER,
        names TEXT NOT NULL,
        -- Microseconds since 1970.
        exported_at INTEGER,
        -- The field that leaves open what it names.
        unsure TEXT,
        -- The user of the records in it that name nobody.
        user_of_rest TEXT,
        -- Why the source marks all of it as gone (`Gone`).
        gone INTEGER
    );
    -- Ids that only the source uses, and the names that they stand for.
    CREATE TABLE explained (
        container INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (container, kind, id)
    ) WITHOUT ROWID;
    -- Entries of logs, until the last one of each memory is known.
    CREATE TABLE change (
        item INTEGER NOT NULL,
        memory TEXT NOT NULL,
        -- Microseconds since 1970.
        created INTEGER,
        time INTEGER,
        deletes INTEGER NOT NULL
    );
    -- What the source yielded, interpreted, in its order. After it the turns of conversations, each
    -- as an item of its own.
    CREATE TABLE item (
        n INTEGER PRIMARY KEY,
        json TEXT NOT NULL
    );
    CREATE TABLE problem (
        n INTEGER PRIMARY KEY,
        position TEXT NOT NULL,
        record TEXT,
        severity INTEGER NOT NULL,
        field TEXT,
        reason TEXT NOT NULL
    );
    CREATE TABLE owner (
        n INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        -- What the source says of a user.
        profile TEXT,
        -- Made for the migration, since the source names no user.
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
        -- The order of the source: the item, and within a conversation the turn.
        position INTEGER NOT NULL,
        place INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        id TEXT NOT NULL,
        agent TEXT,
        app TEXT,
        -- How many messages or episodes it takes.
        parts INTEGER NOT NULL,
        -- Whether only its number tells it from equal records.
        by_content INTEGER NOT NULL,
        digest BLOB NOT NULL,
        -- Whether its owner is known from another file of its archive or directory.
        borrowed INTEGER NOT NULL,
        -- Whether it is a snapshot, which may stand anywhere in its session.
        snapshot INTEGER NOT NULL,
        -- Microseconds since 1970; NULL: the source does not say.
        time INTEGER,
        -- The export's own date, for records that nothing dates.
        exported_at INTEGER,
        -- When it was last changed, in microseconds since 1970, where the source says so.
        updated INTEGER,
        -- Its place in the order of its session: its time, or that of the nearest dated record before
        -- it, and its position in the source, negative where the source lists the newest first.
        carried INTEGER,
        rank INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0
    );
    -- Records that are left out because they are deleted or no longer in force, by owner and id.
    CREATE TABLE left_out (
        owner TEXT NOT NULL,
        id TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        PRIMARY KEY (owner, id)
    ) WITHOUT ROWID;
    -- Records that name no user, until it is known whether the source names others than the selected
    -- one.
    CREATE TABLE nameless (
        item INTEGER NOT NULL
    );
    -- Conversations, until those that several memories list are merged.
    CREATE TABLE conversation (
        item INTEGER NOT NULL,
        digest BLOB NOT NULL,
        time INTEGER
    );
    -- Stored parts of records that are not stored completely.
    CREATE TABLE part (
        record INTEGER NOT NULL,
        number INTEGER NOT NULL,
        total INTEGER NOT NULL,
        uuid TEXT,
        PRIMARY KEY (record, number)
    ) WITHOUT ROWID;
    -- What the ledger knows: records that an earlier process sent, and that may be stored, and stored
    -- records that have changed in the source since.
    CREATE TABLE sent (
        record INTEGER PRIMARY KEY
    );
    CREATE TABLE changed (
        record INTEGER PRIMARY KEY,
        -- Whether a run has begun to replace it.
        begun INTEGER NOT NULL
    );
";

/// The temporary file of a plan cannot be written or read.
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

pub(in crate::migration) type Result<T> = std::result::Result<T, SpoolError>;

/// The file.
#[derive(Debug)]
pub(super) struct Spool(Mutex<Connection>);

impl Spool {
    /// A new, empty one.
    pub(super) fn new() -> Result<Self> {
        // SQLite's name for a private file that is deleted as soon as it is open.
        let db = Connection::open("")?;
        // One transaction that is never committed: no other connection reads the file, and it is
        // deleted with the run.
        db.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
             PRAGMA cache_size = -{CACHE_KIB}; PRAGMA locking_mode = EXCLUSIVE; BEGIN;"
        ))?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        db.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(db)))
    }

    /// The file, for one step. Blocks while another step is at work.
    pub(super) fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs work that blocks (SQLite, JSON) on a thread that may block. Dropping the future does not
/// stop the work.
pub(in crate::migration) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panicked) => panic::resume_unwind(panicked),
            // The runtime shuts down, and drops this future next.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Reads what was kept as JSON in a column. An unreadable value is an error, never a record less.
pub(super) fn kept<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

/// Keeps something as JSON.
pub(super) fn to_keep(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

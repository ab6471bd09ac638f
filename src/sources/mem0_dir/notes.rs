//! What must be known of ids while files are read, in a temporary file: there may be more than fit in
//! memory.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// What is known of memories.
pub(super) struct Notes {
    db: Connection,
}

impl Notes {
    pub(super) fn new() -> rusqlite::Result<Self> {
        // An empty name is a temporary file that SQLite removes.
        let db = Connection::open("")?;
        db.execute_batch(
            "PRAGMA journal_mode = OFF;
             PRAGMA synchronous = OFF;
             CREATE TABLE deleted (id TEXT PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE deleted_text (text BLOB PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE made (id TEXT PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE point (id TEXT, collection INTEGER, row INTEGER, handed INTEGER,
                                 PRIMARY KEY (id, collection)) WITHOUT ROWID;
             BEGIN",
        )?;
        Ok(Self { db })
    }

    /// history.db has an entry of this memory.
    pub(super) fn made(&self, id: &str) -> rusqlite::Result<()> {
        self.run("INSERT OR IGNORE INTO made VALUES (?1)", [id])
    }

    /// history.db says that this memory was deleted, and what it said.
    pub(super) fn deleted(&self, id: &str, text: Option<&str>) -> rusqlite::Result<()> {
        self.run("INSERT OR IGNORE INTO deleted VALUES (?1)", [id])?;
        match text {
            Some(text) => {
                let insert = "INSERT OR IGNORE INTO deleted_text VALUES (?1)";
                self.run(insert, [hash(text)])
            }
            None => Ok(()),
        }
    }

    pub(super) fn is_deleted(&self, id: &str) -> rusqlite::Result<bool> {
        self.exists("SELECT EXISTS (SELECT 1 FROM deleted WHERE id = ?1)", [id])
    }

    /// Whether a deleted memory said exactly this.
    pub(super) fn is_deleted_text(&self, text: &str) -> rusqlite::Result<bool> {
        let query = "SELECT EXISTS (SELECT 1 FROM deleted_text WHERE text = ?1)";
        self.exists(query, [hash(text)])
    }

    /// A collection has a point of this id in this row. The latest row counts.
    pub(super) fn point(&self, id: &str, collection: i64, row: i64) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO point VALUES (?1, ?2, ?3, 0)
             ON CONFLICT DO UPDATE SET row = max(row, excluded.row)",
            params![id, collection, row],
        )
    }

    /// Whether a point is handed on from this row: not if another row has a later copy, or if it was
    /// handed on before.
    pub(super) fn takes(&self, id: &str, collection: i64, row: i64) -> rusqlite::Result<bool> {
        let query = "SELECT row > ?3 OR handed FROM point WHERE id = ?1 AND collection = ?2";
        let mut query = self.db.prepare_cached(query)?;
        let is_old: Option<bool> = query
            .query_row(params![id, collection, row], |row| row.get(0))
            .optional()?;
        if is_old == Some(true) {
            return Ok(false);
        }
        self.run(
            "INSERT OR REPLACE INTO point VALUES (?1, ?2, ?3, 1)",
            params![id, collection, row],
        )?;
        Ok(true)
    }

    /// How many memories history.db has that were not deleted and are in no collection.
    pub(super) fn elsewhere(&self) -> rusqlite::Result<u64> {
        self.db.query_row(
            "SELECT count(*) FROM made
             WHERE id NOT IN (SELECT id FROM deleted) AND id NOT IN (SELECT id FROM point)",
            [],
            |row| row.get(0),
        )
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn exists(&self, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<bool> {
        self.db
            .prepare_cached(sql)?
            .query_row(values, |row| row.get(0))
    }
}

/// Contents are not kept.
fn hash(text: &str) -> [u8; 16] {
    *Uuid::new_v5(&Uuid::NAMESPACE_OID, text.trim().as_bytes()).as_bytes()
}

//! The library may be running: its files are read in short steps, and never changed.

use std::ops::ControlFlow;
use std::time::Duration;

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::sources::{Sink, Source, SourceItem};

use super::pickled::memory;
use super::{Items, bytes, copy, fixture, library, read, with_points};

const STORAGE: &str = "qdrant/collection/mem0/storage.sqlite";

#[test]
fn nothing_is_changed() {
    let directory = copy(&fixture());
    let before = bytes(directory.path());
    read(library(directory.path())).unwrap();
    assert_eq!(bytes(directory.path()), before);

    // Nor where SQLite would make files to read one with a log.
    let db = Connection::open(directory.path().join(STORAGE)).unwrap();
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .unwrap();
    drop(db);
    let before = bytes(directory.path());
    assert_eq!(read(library(directory.path())).unwrap().records.len(), 182);
    assert_eq!(bytes(directory.path()), before);
}

#[test]
fn a_log_that_is_not_merged_yet_is_read() {
    let directory = with_points(&[memory("1", "one")]);
    let db = Connection::open(directory.path().join(STORAGE)).unwrap();
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .unwrap();
    db.execute("INSERT INTO points VALUES ('k', ?1)", [memory("2", "two")])
        .unwrap();
    let found = read(library(directory.path())).unwrap();
    assert_eq!(found.texts(), ["one", "two"]);
}

/// Changes the last point as soon as the first one comes.
struct Meddling {
    items: Items,
    db: Connection,
}

impl Sink for Meddling {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        if self.items.records.is_empty() {
            let write = "INSERT OR REPLACE INTO points VALUES ('key 199', ?1)";
            self.db
                .execute(write, [memory("199", "changed")])
                .expect("the library can write meanwhile");
            self.db
                .execute("DELETE FROM points WHERE id = 'key 198'", [])
                .unwrap();
        }
        self.items.item(item)
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

#[test]
fn a_running_library_can_write_and_what_it_writes_comes_once() {
    let points: Vec<_> = (0..200)
        .map(|n| memory(&n.to_string(), "as it was"))
        .collect();
    let directory = with_points(&points);
    let db = Connection::open(directory.path().join(STORAGE)).unwrap();
    db.busy_timeout(Duration::ZERO).unwrap();
    let mut sink = Meddling {
        items: Items::default(),
        db,
    };
    let source: Box<dyn Source> = Box::new(library(directory.path()));
    source.read(&mut sink, &CancellationToken::new()).unwrap();
    assert_eq!(sink.items.named(), Vec::<String>::new());
    assert_eq!(sink.items.records.len(), 199);
    let changed = sink
        .items
        .records
        .iter()
        .filter(|record| record.content == "changed");
    assert_eq!(changed.count(), 1);
}

#[test]
fn a_file_that_is_locked_for_long_is_an_error_that_says_so() {
    let directory = with_points(&[memory("1", "one")]);
    let db = Connection::open(directory.path().join(STORAGE)).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = read(library(directory.path())).unwrap_err().to_string();
    assert!(
        error.contains("collection mem0: another program"),
        "{error}"
    );
}

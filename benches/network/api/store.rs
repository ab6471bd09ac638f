//! The store that the servers, or the emulator, work on copies of.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use http::StatusCode;
use rusqlite::Connection;
use tempfile::TempDir;

use super::caller::{Caller, message};
use crate::calls::AT_ONCE;
use crate::server::{STORE, Server, directory};
use crate::text::Language;

/// Sessions that are read.
pub(super) const SESSIONS: u64 = 20;
/// Messages of each.
pub(super) const TURNS: u64 = 300;
/// Transactions that are timed for the share of the disk.
const FLUSHES: usize = 200;

/// A directory with a copy of the store, which nobody may be writing to.
pub(super) fn copy_of(filled: &Server) -> TempDir {
    let directory = directory();
    let copied = fs::copy(filled.store(), directory.path().join(STORE));
    copied.expect("the store can be copied");
    directory
}

/// A server with the sessions that are read, and one with a message for each connection that writes. Its
/// log is empty.
pub(super) async fn fill(language: &Arc<Language>, writers: u64) -> Server {
    let server = Server::start_with(directory(), &["--api"], &[]);
    let address = server.address;
    let read = (0..SESSIONS).map(|session| (reading(session), session, TURNS));
    let written = (0..writers).map(|writer| (writing(writer), writer, 1));
    stream::iter(read.chain(written))
        .for_each_concurrent(AT_ONCE, async |(session, number, turns)| {
            let mut caller = Caller::connect(address, number).await;
            for turn in 0..turns {
                let request = message(&session, language.turn(number, turn));
                let added = caller.ask(request, StatusCode::CREATED).await;
                added.expect("it is stored");
            }
        })
        .await;
    let store = Connection::open(server.store()).expect("the store can be opened");
    let emptied: rusqlite::Result<bool> =
        store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    assert_eq!(emptied, Ok(false), "nobody uses the log");
    server
}

pub(super) fn reading(session: u64) -> String {
    format!("reading-{session}")
}

pub(super) fn writing(caller: u64) -> String {
    format!("writing-{caller}")
}

/// Messages in the sessions that are written to.
pub(super) fn stored(store: &Path) -> usize {
    let count = "SELECT count(*) FROM episode WHERE thread IN
                 (SELECT id FROM thread WHERE name GLOB 'writing-*')";
    let store = Connection::open(store).expect("the store can be opened");
    let stored = store.query_row(count, [], |row| row.get(0));
    stored.expect("the store can be read")
}

/// The median of transactions that survive a power cut: what each write takes at least, on any server that
/// does not share transactions.
pub(super) fn durable_write() -> Duration {
    let directory = directory();
    let file = Connection::open(directory.path().join("flushed.db")).expect("it can be made");
    let prepared = file.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = full; CREATE TABLE row (content TEXT)",
    );
    prepared.expect("it can be written");
    let mut times: Vec<Duration> = (0..FLUSHES)
        .map(|_| {
            let begun = Instant::now();
            let written = file.execute("INSERT INTO row VALUES ('a row')", []);
            written.expect("it can be written");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[FLUSHES / 2]
}

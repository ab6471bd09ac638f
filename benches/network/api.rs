//! Calls over the Memory API on one and many connections, beside a FastAPI stub of the original on the same
//! data.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::calls::AT_ONCE;
use crate::client::{Line, PATIENCE, post, shortened};
use crate::figures::{Outcome, mb, row, share, table};
use crate::server::{STORE, Server, directory, own_cpu};
use crate::stub::Stub;
use crate::text::Language;

/// Sessions that are read.
const SESSIONS: u64 = 20;
/// Messages of each.
const TURNS: u64 = 300;
/// Messages that are read at once: the original's default.
const LIMIT: u64 = 50;
/// In how many turns each server has its seconds, so that other load on the machine affects all of them.
const SLICES: u32 = 4;
/// Transactions that are timed for the share of the disk.
const FLUSHES: usize = 200;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    History,
    Add,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Self::History => "read a history",
            Self::Add => "write a message",
        }
    }
}

/// A server that is measured.
struct Side {
    name: &'static str,
    server: Server,
    /// What it answers to a message that was added.
    created: StatusCode,
    /// Messages that it says to have stored.
    added: usize,
}

/// What a side did of one kind of call.
#[derive(Default)]
struct Load {
    outcome: Outcome,
    took: Duration,
    cpu: Duration,
    own_cpu: Duration,
    peak: u64,
}

impl Load {
    fn a_second(&self) -> f64 {
        self.outcome.answered() as f64 / self.took.as_secs_f64()
    }
}

/// Measures connections that call again as soon as they are answered.
pub(crate) async fn measure(connections: &[usize], within: Duration) {
    println!("\n## Calls over the Memory API\n");
    let stub = Stub::find();
    match &stub {
        Ok(stub) => println!("Beside a FastAPI stub of the original: {}.", stub.versions),
        Err(why) => println!("Without the FastAPI stub of the original, since {why}."),
    }
    println!(
        "{SESSIONS} sessions of {TURNS} messages are read, {LIMIT} at a time; each connection writes to its own.\n\
         A durable transaction of one row takes {:.2} ms at the median on this disk.",
        durable_write().as_secs_f64() * 1e3
    );
    let language = Arc::new(Language::new());
    let writers = connections.iter().copied().max().unwrap_or_default();
    let filled = fill(&language, writers as u64).await;
    table(&[
        "connections",
        "call",
        "server",
        "calls/s",
        "x the stub",
        "p50 ms",
        "p99 ms",
        "max ms",
        "answered",
        "failed",
        "server CPU",
        "client CPU",
        "server peak MB",
    ]);
    let mut notes = Vec::new();
    for &count in connections {
        let mut sides = sides(&filled, stub.as_ref().ok());
        for call in [Call::History, Call::Add] {
            let mut loads: Vec<Load> = sides.iter().map(|_| Load::default()).collect();
            for _ in 0..SLICES {
                for (side, load) in sides.iter_mut().zip(&mut loads) {
                    slice(side, load, call, count, &language, within / SLICES).await;
                }
            }
            let stub = stub.as_ref().ok().map(|_| loads[0].a_second());
            for (side, load) in sides.iter().zip(loads) {
                notes.extend(report(side, load, call, count, stub));
            }
        }
        notes.extend(sides.iter().filter_map(|side| lost(side, writers)));
    }
    for note in notes {
        println!("\n{note}");
    }
}

/// The servers, each on a copy of the store; the stub first.
fn sides(filled: &Server, stub: Option<&Stub>) -> Vec<Side> {
    let ours = |name, settings: &[(&str, &str)]| Side {
        name,
        server: Server::start_with(copy_of(filled), &["--api"], settings),
        created: StatusCode::CREATED,
        added: 0,
    };
    let stub = stub.map(|stub| Side {
        name: "FastAPI stub",
        server: stub.start(copy_of(filled)),
        created: StatusCode::OK,
        added: 0,
    });
    let own = [
        ours("zep-mcp-server", &[]),
        ours("without audit trail", &[("ZEP_MCP_AUDIT", "off")]),
    ];
    stub.into_iter().chain(own).collect()
}

/// A directory with a copy of the store, which nobody may be writing to.
fn copy_of(filled: &Server) -> TempDir {
    let directory = directory();
    let copied = fs::copy(filled.store(), directory.path().join(STORE));
    copied.expect("the store can be copied");
    directory
}

/// A server with the sessions that are read, and one with a message for each connection that writes. Its
/// log is empty.
async fn fill(language: &Arc<Language>, writers: u64) -> Server {
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

fn reading(session: u64) -> String {
    format!("reading-{session}")
}

fn writing(caller: u64) -> String {
    format!("writing-{caller}")
}

/// The request that adds a message to a session, whose user has the same name.
fn message(session: &str, content: String) -> Request<Full<Bytes>> {
    let new = json!({
        "user_id": session,
        "session_id": session,
        "role": "user",
        "content": content,
        "metadata": {"mood": 6},
    });
    post("/api/memory/messages", new.to_string())
}

/// An application on its own connection.
struct Caller {
    line: Line,
    number: u64,
    calls: u64,
    answer: Vec<u8>,
}

impl Caller {
    async fn connect(address: SocketAddr, number: u64) -> Self {
        let line = Line::open(address).await;
        Self {
            line: line.expect("the server accepts the client"),
            number,
            calls: 0,
            answer: Vec::new(),
        }
    }

    async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        expected: StatusCode,
    ) -> Result<(), String> {
        let asked = self.line.ask(request, expected, &mut self.answer);
        let answered = timeout(PATIENCE, asked).await;
        answered.map_err(|_| "no answer in time".to_owned())??;
        Ok(())
    }

    /// Makes a call and checks its answer; gives the time it took.
    async fn call(
        &mut self,
        call: Call,
        created: StatusCode,
        language: &Language,
    ) -> (Duration, Result<(), String>) {
        self.calls += 1;
        let session = self.number.wrapping_add(self.calls) % SESSIONS;
        let (request, expected) = match call {
            Call::History => (history(session), StatusCode::OK),
            Call::Add => {
                let content = language.turn(self.number, self.calls);
                (message(&writing(self.number), content), created)
            }
        };
        let sent = Instant::now();
        let answered = self.ask(request, expected).await;
        let took = sent.elapsed();
        (
            took,
            answered.and_then(|()| self.check(call, session, language)),
        )
    }

    /// Whether the answer has what it should have: of a history the first message and the last.
    fn check(&self, call: Call, session: u64, language: &Language) -> Result<(), String> {
        let text = str::from_utf8(&self.answer).map_err(|_| "the answer is not UTF-8")?;
        let is_right = match call {
            Call::History => {
                let said = |turn| format!(r#""content":{}"#, json!(language.turn(session, turn)));
                text.find(&said(TURNS - LIMIT)) == text.find(r#""content":"#)
                    && text.rfind(&said(TURNS - 1)) == text.rfind(r#""content":"#)
            }
            Call::Add => text.contains("Message added to memory"),
        };
        match is_right && text.starts_with(r#"{"success":true,"#) {
            true => Ok(()),
            false => Err(format!("unexpected answer: {}", shortened(text))),
        }
    }
}

fn history(session: u64) -> Request<Full<Bytes>> {
    let path = format!(
        "/api/memory/conversations/{}?limit={LIMIT}",
        reading(session)
    );
    Request::get(path)
        .body(Full::default())
        .expect("it is a request")
}

/// Loads a server for a while, on new connections: those of an idle client are closed after some seconds.
async fn slice(
    side: &mut Side,
    load: &mut Load,
    call: Call,
    count: usize,
    language: &Arc<Language>,
    within: Duration,
) {
    let (address, created) = (side.server.address, side.created);
    // The first call is not measured: files are opened and caches filled.
    let callers: Vec<_> = stream::iter(0..count as u64)
        .map(async |number| {
            let mut caller = Caller::connect(address, number).await;
            let (_, called) = caller.call(call, created, language).await;
            (caller, called)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    side.server.forget_peak();
    let cpu = (side.server.cpu(), own_cpu());
    let begun = Instant::now();
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|(mut caller, first)| {
            let language = Arc::clone(language);
            tokio::spawn(async move {
                let mut outcome = Outcome::default();
                let first_added = usize::from(first.is_ok());
                let mut lost = first.is_err();
                if lost {
                    outcome.note(Duration::ZERO, first);
                }
                while !lost && begun.elapsed() < within {
                    let (took, called) = caller.call(call, created, &language).await;
                    lost = called.is_err();
                    outcome.note(took, called);
                }
                (outcome, first_added)
            })
        })
        .collect();
    for task in tasks {
        let (outcome, first) = task.await.expect("it does not panic");
        if call == Call::Add {
            side.added += first + outcome.answered();
        }
        load.outcome.merge(outcome);
    }
    load.took += begun.elapsed();
    load.cpu += side.server.cpu() - cpu.0;
    load.own_cpu += own_cpu() - cpu.1;
    load.peak = load.peak.max(side.server.memory().peak);
}

/// Prints the row of a side; gives what failed.
fn report(side: &Side, load: Load, call: Call, count: usize, stub: Option<f64>) -> Vec<String> {
    let a_second = load.a_second();
    let Load {
        mut outcome, took, ..
    } = load;
    let [p50, p99, max] = outcome.percentiles();
    row(&[
        count.to_string(),
        call.name().to_owned(),
        side.name.to_owned(),
        format!("{a_second:.0}"),
        stub.map_or_else(|| "-".to_owned(), |stub| format!("{:.1}", a_second / stub)),
        p50,
        p99,
        max,
        outcome.answered().to_string(),
        outcome.failed().to_string(),
        share(load.cpu, took),
        share(load.own_cpu, took),
        mb(load.peak),
    ]);
    outcome.failures(format!("{count} x {}, {}", call.name(), side.name))
}

/// What is wrong if a side did not store what it said.
fn lost(side: &Side, writers: usize) -> Option<String> {
    let stored = stored(&side.server.store());
    let told = side.added + writers;
    let warnings = side.server.warnings();
    (stored != told || warnings > 0).then(|| {
        format!(
            "{}: {stored} messages are stored of {told}; {warnings} warnings logged",
            side.name
        )
    })
}

/// Messages in the sessions that are written to.
fn stored(store: &Path) -> usize {
    let count = "SELECT count(*) FROM episode WHERE thread IN
                 (SELECT id FROM thread WHERE name GLOB 'writing-*')";
    let store = Connection::open(store).expect("the store can be opened");
    let stored = store.query_row(count, [], |row| row.get(0));
    stored.expect("the store can be read")
}

/// The median of transactions that survive a power cut: what each write takes at least, on any server that
/// does not share transactions.
fn durable_write() -> Duration {
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

//! Calls over the Memory API on one and many connections, beside a FastAPI stub of the original on the same
//! data.

mod caller;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use http::StatusCode;

use caller::{Call, Caller, LIMIT};
use store::{SESSIONS, TURNS, copy_of, durable_write, fill, stored};

use crate::calls::AT_ONCE;
use crate::figures::{Outcome, mb, row, share, table};
use crate::server::{Server, own_cpu};
use crate::stub::{Answers, Stub};
use crate::text::Language;

/// In how many turns each server has its seconds, so that other load on the machine affects all of them.
const SLICES: u32 = 4;

/// A server that is measured.
struct Side {
    name: String,
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
        "x dicts",
        "x typed",
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
            // Those of the stub are the first.
            let stubs = stub
                .as_ref()
                .ok()
                .map(|_| [&loads[0], &loads[1]].map(Load::a_second));
            for (side, load) in sides.iter().zip(loads) {
                notes.extend(report(side, load, call, count, stubs));
            }
        }
        notes.extend(sides.iter().filter_map(|side| lost(side, writers)));
    }
    for note in notes {
        println!("\n{note}");
    }
}

/// The servers, each on a copy of the store; the stub first, in both ways to answer.
fn sides(filled: &Server, stub: Option<&Stub>) -> Vec<Side> {
    let side = |name: &str, server, created| Side {
        name: name.to_owned(),
        server,
        created,
        added: 0,
    };
    let ours = |name, settings: &[(&str, &str)]| {
        let server = Server::start_with(copy_of(filled), &["--api"], settings);
        side(name, server, StatusCode::CREATED)
    };
    let theirs = stub.into_iter().flat_map(|stub| {
        Answers::ALL.map(|answers| {
            let name = format!("FastAPI stub, {}", answers.name());
            side(&name, stub.start(answers, copy_of(filled)), StatusCode::OK)
        })
    });
    let own = [
        ours("zep-mcp-server", &[]),
        ours("without audit trail", &[("ZEP_MCP_AUDIT", "off")]),
    ];
    theirs.chain(own).collect()
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
fn report(
    side: &Side,
    load: Load,
    call: Call,
    count: usize,
    stubs: Option<[f64; 2]>,
) -> Vec<String> {
    let a_second = load.a_second();
    let Load {
        mut outcome, took, ..
    } = load;
    let times = |stub: f64| format!("{:.1}", a_second / stub);
    let [dicts, typed] = stubs.map_or_else(|| ["-", "-"].map(str::to_owned), |it| it.map(times));
    let [p50, p99, max] = outcome.percentiles();
    row(&[
        count.to_string(),
        call.name().to_owned(),
        side.name.clone(),
        format!("{a_second:.0}"),
        dicts,
        typed,
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

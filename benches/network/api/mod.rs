//! Calls over the Memory API on one and many connections, beside a FastAPI stub of the original on the same
//! data.

mod caller;
mod sides;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

use caller::{Call, Caller, LIMIT};
pub(crate) use sides::Backend;
use sides::{Side, Sides};
use store::{SESSIONS, TURNS, durable_write, fill, stored};

use crate::calls::AT_ONCE;
use crate::figures::{Outcome, mb, row, share, table};
use crate::server::{Server, own_cpu};
use crate::stub::Stub;
use crate::text::Language;

/// In how many turns each server has its seconds, so that other load on the machine affects all of them.
const SLICES: u32 = 4;

/// What a side did of one kind of call.
#[derive(Default)]
struct Load {
    outcome: Outcome,
    took: Duration,
    cpu: Duration,
    /// Of the emulator, if there is one.
    emulator_cpu: Option<Duration>,
    own_cpu: Duration,
    peak: u64,
}

impl Load {
    fn a_second(&self) -> f64 {
        self.outcome.answered() as f64 / self.took.as_secs_f64()
    }
}

/// Measures connections that call again as soon as they are answered.
pub(crate) async fn measure(backend: Backend, connections: &[usize], within: Duration) {
    println!("\n## Calls over the Memory API, {}\n", backend.name());
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
    let stubs = stub.as_ref().map_or(&[][..], |_| backend.stubs());
    let times: Vec<_> = stubs
        .iter()
        .map(|kind| format!("x {}", kind.name()))
        .collect();
    let mut columns = vec!["connections", "call", "server", "calls/s"];
    columns.extend(times.iter().map(String::as_str));
    columns.extend([
        "p50 ms",
        "p99 ms",
        "max ms",
        "answered",
        "failed",
        "server CPU",
    ]);
    columns.extend((backend == Backend::Zep).then_some("emulator CPU"));
    columns.extend(["client CPU", "server peak MB"]);
    table(&columns);
    let mut notes = Vec::new();
    for &count in connections {
        let mut sides = Sides::start(backend, &filled, stub.as_ref().ok());
        for call in [Call::History, Call::Add] {
            let mut loads: Vec<Load> = sides.all.iter().map(|_| Load::default()).collect();
            for _ in 0..SLICES {
                for (side, load) in sides.all.iter_mut().zip(&mut loads) {
                    let emulator = sides.emulator.as_ref();
                    slice(
                        side,
                        emulator,
                        load,
                        call,
                        count,
                        &language,
                        within / SLICES,
                    )
                    .await;
                }
            }
            let of_stubs: Vec<_> = loads.iter().take(stubs.len()).map(Load::a_second).collect();
            for (side, load) in sides.all.iter().zip(loads) {
                notes.extend(report(side, load, call, count, &of_stubs));
            }
        }
        notes.extend(sides.all.iter().filter_map(lost));
    }
    for note in notes {
        println!("\n{note}");
    }
}

/// Loads a server for a while, on new connections: those of an idle client are closed after some seconds.
async fn slice(
    side: &mut Side,
    emulator: Option<&Server>,
    load: &mut Load,
    call: Call,
    count: usize,
    language: &Arc<Language>,
    within: Duration,
) {
    let (address, created) = (side.server.address, side.created);
    let before = stored(&side.store);
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
    let cpu = (side.server.cpu(), emulator.map(Server::cpu), own_cpu());
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
            side.told += first + outcome.answered();
        }
        load.outcome.merge(outcome);
    }
    load.took += begun.elapsed();
    load.cpu += side.server.cpu() - cpu.0;
    if let Some((emulator, before)) = emulator.zip(cpu.1) {
        *load.emulator_cpu.get_or_insert_default() += emulator.cpu() - before;
    }
    load.own_cpu += own_cpu() - cpu.2;
    load.peak = load.peak.max(side.server.memory().peak);
    side.stored += stored(&side.store) - before;
}

/// Prints the row of a side; gives what failed.
fn report(side: &Side, load: Load, call: Call, count: usize, stubs: &[f64]) -> Vec<String> {
    let a_second = load.a_second();
    let Load {
        mut outcome, took, ..
    } = load;
    let [p50, p99, max] = outcome.percentiles();
    let mut cells = vec![
        count.to_string(),
        call.name().to_owned(),
        side.name.clone(),
        format!("{a_second:.0}"),
    ];
    cells.extend(stubs.iter().map(|stub| format!("{:.1}", a_second / stub)));
    cells.extend([
        p50,
        p99,
        max,
        outcome.answered().to_string(),
        outcome.failed().to_string(),
        share(load.cpu, took),
    ]);
    cells.extend(load.emulator_cpu.map(|cpu| share(cpu, took)));
    cells.extend([share(load.own_cpu, took), mb(load.peak)]);
    row(&cells);
    outcome.failures(format!("{count} x {}, {}", call.name(), side.name))
}

/// What is wrong if a side did not store what it said.
fn lost(side: &Side) -> Option<String> {
    let Side {
        name, told, stored, ..
    } = side;
    let warnings = side.server.warnings();
    (stored != told || warnings > 0).then(|| {
        format!("{name}: {stored} messages are stored of {told}; {warnings} warnings logged")
    })
}

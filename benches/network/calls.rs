//! Calls over `/mcp` on one and many connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

use crate::client::{Agent, Call, Protocol, fill};
use crate::figures::{Outcome, mb, row, share, table};
use crate::server::{Server, own_cpu};
use crate::text::Language;

/// Clients that connect at the same time.
pub(crate) const AT_ONCE: usize = 32;
/// Pause before the memory after all calls is read.
const REST: Duration = Duration::from_secs(2);

/// Measures connections that call again as soon as they are answered.
pub(crate) async fn measure(connections: &[usize], within: Duration) {
    println!("\n## Calls over /mcp\n");
    println!("Each connection has one agent, which calls again as soon as it is answered.");
    table(&[
        "connections",
        "protocol",
        "call",
        "calls/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "answered",
        "failed",
        "server CPU",
        "client CPU",
        "server peak MB",
    ]);
    let language = Arc::new(Language::new());
    let mut notes = Vec::new();
    let mut failures = Vec::new();
    for &count in connections {
        for protocol in [Protocol::Sessions, Protocol::Stateless] {
            let server = Server::start();
            fill(server.address, &language).await;
            let empty = server.memory().now;
            let mut agents = connect(server.address, protocol, count).await;
            let connected = server.memory().now;
            for call in [Call::List, Call::Search, Call::Get, Call::Add] {
                let outcome;
                (agents, outcome) = load(&server, agents, call, protocol, &language, within).await;
                failures.extend(outcome.failures(format!("{} x {}", count, call.name())));
            }
            tokio::time::sleep(REST).await;
            notes.push([
                count.to_string(),
                protocol.version().to_owned(),
                mb(empty),
                mb(connected),
                mb(server.memory().now),
                server.warnings().to_string(),
            ]);
        }
    }
    for failure in failures {
        println!("\n{failure}");
    }
    println!("\nThe server's memory while idle:");
    table(&[
        "connections",
        "protocol",
        "before MB",
        "connected MB",
        "after all calls MB",
        "warnings logged",
    ]);
    for note in &notes {
        row(note);
    }
}

/// This many agents, each on its own connection.
pub(crate) async fn connect(address: SocketAddr, protocol: Protocol, count: usize) -> Vec<Agent> {
    stream::iter(0..count as u64)
        .map(|caller| Agent::connect(address, protocol, caller))
        .buffered(AT_ONCE)
        .map(|agent| agent.expect("the server accepts the client"))
        .collect()
        .await
}

async fn load(
    server: &Server,
    agents: Vec<Agent>,
    call: Call,
    protocol: Protocol,
    language: &Arc<Language>,
    within: Duration,
) -> (Vec<Agent>, Outcome) {
    // The first call is not measured: it creates users and sessions.
    let mut outcome = Outcome::default();
    let count = agents.len();
    let warm: Vec<_> = stream::iter(agents)
        .map(|mut agent| async {
            let first = agent.prepare(call, language);
            let called = agent.call(first).await;
            (agent, called)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut agents = Vec::new();
    for (agent, called) in warm {
        if called.is_err() {
            outcome.note(Duration::ZERO, called);
        }
        agents.push(agent);
    }

    server.forget_peak();
    let cpu = (server.cpu(), own_cpu());
    let begun = Instant::now();
    let tasks: Vec<_> = agents
        .into_iter()
        .map(|mut agent| {
            let language = Arc::clone(language);
            tokio::spawn(async move {
                let mut outcome = Outcome::default();
                while begun.elapsed() < within {
                    let next = agent.prepare(call, &language);
                    let sent = Instant::now();
                    let called = agent.call(next).await;
                    let lost = called.is_err();
                    outcome.note(sent.elapsed(), called);
                    if lost {
                        // A broken connection would fail immediately in each iteration.
                        break;
                    }
                }
                (agent, outcome)
            })
        })
        .collect();
    let mut agents = Vec::new();
    for task in tasks {
        let (agent, done) = task.await.expect("it does not panic");
        agents.push(agent);
        outcome.merge(done);
    }
    let took = begun.elapsed();
    let cpu = (server.cpu() - cpu.0, own_cpu() - cpu.1);
    let [p50, p99, max] = outcome.percentiles();
    row(&[
        count.to_string(),
        protocol.version().to_owned(),
        call.name().to_owned(),
        format!("{:.0}", outcome.answered() as f64 / took.as_secs_f64()),
        p50,
        p99,
        max,
        outcome.answered().to_string(),
        outcome.failed().to_string(),
        share(cpu.0, took),
        share(cpu.1, took),
        mb(server.memory().peak),
    ]);
    (agents, outcome)
}

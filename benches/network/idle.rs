//! A thousand idle streams of the older transport.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

use crate::calls::AT_ONCE;
use crate::client::{Call, Protocol, fill};
use crate::figures::{Outcome, mb, row, share, table};
use crate::server::Server;
use crate::sse::Listener;
use crate::text::Language;

/// Number of streams.
const CLIENTS: usize = 1_000;

pub(crate) async fn measure(wait: Duration) {
    let language = Language::new();
    let server = Server::start();
    fill(server.address, &language).await;
    let empty = server.memory().now;
    let begun = Instant::now();
    let mut clients: Vec<Listener> = stream::iter(0..CLIENTS)
        .map(|_| Listener::connect(server.address))
        .buffered(AT_ONCE)
        .map(|client| client.expect("the server accepts the client"))
        .collect()
        .await;
    let connecting = begun.elapsed();
    let connected = server.memory().now;
    let (cpu, begun) = (server.cpu(), Instant::now());
    tokio::time::sleep(wait).await;
    let (cpu, waited) = (server.cpu() - cpu, begun.elapsed());
    let after = server.memory().now;
    let left = clients
        .iter()
        .filter(|client| client.is_connected())
        .count();
    let comments = || clients.iter().map(Listener::comments);
    let (least, most) = (comments().min(), comments().max());

    let asked = stream::iter(clients.iter_mut().zip(0..))
        .map(|(client, caller)| {
            let call = Call::Search.request(1, Protocol::Sessions, &language, caller);
            async move {
                let sent = Instant::now();
                let called = client.call(1, call).await;
                (sent.elapsed(), called)
            }
        })
        .buffer_unordered(AT_ONCE);
    let outcome = asked.fold(
        Outcome::default(),
        |mut outcome, (took, called)| async move {
            outcome.note(took, called);
            outcome
        },
    );
    let mut outcome = outcome.await;

    println!("\n## {CLIENTS} idle streams at /sse\n");
    println!(
        "Connected within {:.1} s, then silent for {:.0} s; at the end each asks search_memory, \
         {AT_ONCE} at a time, over a new connection.",
        connecting.as_secs_f64(),
        waited.as_secs_f64(),
    );
    table(&[
        "connected",
        "still connected",
        "comments each",
        "answered at the end",
        "failed",
        "p50 ms",
        "p99 ms",
        "max ms",
        "server CPU while silent",
        "memory before MB",
        "connected MB",
        "after the silence MB",
        "KB per client",
        "warnings logged",
    ]);
    let [p50, p99, max] = outcome.percentiles();
    row(&[
        CLIENTS.to_string(),
        left.to_string(),
        format!(
            "{} to {}",
            least.unwrap_or_default(),
            most.unwrap_or_default()
        ),
        outcome.answered().to_string(),
        outcome.failed().to_string(),
        p50,
        p99,
        max,
        share(cpu, waited),
        mb(empty),
        mb(connected),
        mb(after),
        format!(
            "{}",
            connected.saturating_sub(empty) / 1024 / CLIENTS as u64
        ),
        server.warnings().to_string(),
    ]);
    for failure in outcome.failures("at the end") {
        println!("\n{failure}");
    }
}

//! The HTTP server, measured from outside over TCP: calls on many connections, over MCP and over the Memory
//! API (on the embedded store, and in front of the emulator), idle streams, and hostile clients.
//!
//! `cargo bench --bench network`; `benches/README.md` lists the settings. Linux only: memory and
//! processor time are read from `/proc`.

mod api;
mod calls;
mod client;
mod figures;
mod hostile;
mod idle;
mod server;
mod sse;
mod stub;
#[allow(dead_code, reason = "each benchmark uses a part of it")]
#[path = "../text/mod.rs"]
mod text;

use std::time::Duration;

use api::Backend;

/// Seconds for each row of calls.
const SECONDS: (&str, u64) = ("BENCH_SECONDS", 5);
/// Seconds that the idle streams stay open.
const IDLE_SECONDS: (&str, u64) = ("BENCH_IDLE_SECONDS", 120);
/// Seconds for each kind of hostile client; longer than the server's timeout for slow readers.
const HOSTILE_SECONDS: (&str, u64) = ("BENCH_HOSTILE_SECONDS", 40);
/// Milliseconds between two calls of a regular client beside hostile ones.
const PACE: (&str, u64) = ("BENCH_PACE_MS", 500);
/// Numbers of connections, separated by commas; of calls over MCP by default these.
const CONNECTIONS: (&str, &str) = ("BENCH_CONNECTIONS", "1,100,1000");
/// Those of calls over the Memory API.
const API_CONNECTIONS: (&str, &str) = (CONNECTIONS.0, "1,100");
/// Parts to measure, separated by commas.
const PARTS: (&str, &str) = ("BENCH_PARTS", "calls,api,api-zep,idle,hostile");

fn main() {
    // `cargo test --all-targets` also runs it, without this argument.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of files can be read");
    // One thread, so that the client takes at most one processor from the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        for part in list(PARTS) {
            match part.as_str() {
                "calls" => calls::measure(&numbers(CONNECTIONS), seconds(SECONDS)).await,
                "api" => {
                    api::measure(Backend::Store, &numbers(API_CONNECTIONS), seconds(SECONDS)).await
                }
                "api-zep" => {
                    api::measure(Backend::Zep, &numbers(API_CONNECTIONS), seconds(SECONDS)).await
                }
                "idle" => idle::measure(seconds(IDLE_SECONDS)).await,
                "hostile" => {
                    let pace = Duration::from_millis(number(PACE));
                    hostile::measure(seconds(HOSTILE_SECONDS), pace).await;
                }
                other => panic!("there is no part `{other}` in {}", PARTS.1),
            }
        }
    });
}

fn numbers(setting: (&str, &str)) -> Vec<usize> {
    let number = |text: String| text.parse().expect("it is a list of numbers");
    list(setting).into_iter().map(number).collect()
}

fn list((name, default): (&str, &str)) -> Vec<String> {
    let set = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    set.split(',').map(|one| one.trim().to_owned()).collect()
}

fn seconds(setting: (&str, u64)) -> Duration {
    Duration::from_secs(number(setting))
}

fn number((name, default): (&str, u64)) -> u64 {
    let set = std::env::var(name).map_or(Ok(default), |set| set.parse());
    set.unwrap_or_else(|error| panic!("{name}: {error}"))
}

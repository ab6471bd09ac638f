//! The built program as it serves on a network, measured from outside over TCP, on the embedded
//! store: calls on many connections, streams that only wait, and clients that mean no good.
//!
//! `cargo bench --bench network`; see `benches/README.md` for what can be set. Linux only: memory
//! and processor time are read from `/proc`.

mod calls;
mod client;
mod figures;
mod hostile;
mod idle;
mod server;
mod sse;
#[allow(dead_code, reason = "each benchmark uses a part of it")]
#[path = "../text/mod.rs"]
mod text;

use std::time::Duration;

/// Seconds that each row of calls takes.
const SECONDS: (&str, u64) = ("BENCH_SECONDS", 5);
/// Seconds that streams only wait.
const IDLE_SECONDS: (&str, u64) = ("BENCH_IDLE_SECONDS", 120);
/// Seconds that each kind of bad company stays: longer than the server waits for slow readers.
const HOSTILE_SECONDS: (&str, u64) = ("BENCH_HOSTILE_SECONDS", 40);
/// Milliseconds between two calls of those who mean well in bad company.
const PACE: (&str, u64) = ("BENCH_PACE_MS", 500);
/// How many connections there are, separated by commas.
const CONNECTIONS: &str = "BENCH_CONNECTIONS";
/// Which parts are measured, separated by commas.
const PARTS: &str = "BENCH_PARTS";

fn main() {
    // `cargo test --all-targets` runs it, too, without this.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of files can be read");
    let connections: Vec<usize> = list(CONNECTIONS, "1,100,1000")
        .iter()
        .map(|count| count.parse().expect("BENCH_CONNECTIONS has numbers"))
        .collect();
    // One thread: the client is to take no more than one processor away from the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        for part in list(PARTS, "calls,idle,hostile") {
            match part.as_str() {
                "calls" => calls::measure(&connections, seconds(SECONDS)).await,
                "idle" => idle::measure(seconds(IDLE_SECONDS)).await,
                "hostile" => {
                    let pace = Duration::from_millis(number(PACE));
                    hostile::measure(seconds(HOSTILE_SECONDS), pace).await;
                }
                other => panic!("{PARTS} has `{other}`; there are calls, idle and hostile"),
            }
        }
    });
}

fn list(name: &str, default: &str) -> Vec<String> {
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

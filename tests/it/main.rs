//! The integration tests, as modules of one executable; `tests/README.md` says what is where.
#![allow(unreachable_pub, reason = "an executable has no public API")]

mod common;

mod access;
mod api;
mod audit;
mod beside;
mod changing;
mod cli;
mod docs;
mod drop_in;
mod emulator;
mod export;
mod faults;
mod filter;
mod fit;
mod fuzz;
mod hostile;
mod http;
// Windows takes the place of applications' settings from no environment variable: a test would
// change the files of the person who runs it.
#[cfg(unix)]
mod install;
mod local;
mod mem0;
mod mem0_dir;
mod metrics;
mod migration;
mod queue;
mod stdio;
#[cfg(unix)]
mod switch;
#[cfg(feature = "otlp")]
mod traces;
mod transport;
mod ui;
mod wire;

//! Attacks from outside, bounded: what a stranger, a slow client or a crash may cost others.

mod attack;
mod http_lines;
mod json_rpc;
mod late;
// The memory of a process is read from `/proc`.
#[cfg(target_os = "linux")]
mod memory;
mod once;
mod shares;
mod store;
#[cfg(target_os = "linux")]
mod unread;

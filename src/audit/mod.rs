//! The audit trail: who did what to whose memories, and how it ended. Never content.
//!
//! The trail is a directory of JSON Lines files that are only appended to. Each line carries the hash of
//! the line before it, so that a change, a removal or another order is found by [`verify`]. All processes
//! of a machine write one chain, under a file lock.
//!
//! - `entry`: what an entry says. `touched`: whose memories and which ids a call touched, noted where it
//!   is decided. `call`: one call, from its beginning to its entry.
//! - `chain`: how lines are linked. `folder`: the files. `tail`: where the chain ends, and half lines.
//!   `append`: adds lines, begins files, removes old ones.
//! - `trail`, `writer`: the handle of a process, and its thread.
//! - `snapshot`, `verify`, `search`, `csv`: reading, line by line.
//!
//! Knows nothing of memories, MCP or HTTP.

mod append;
mod call;
mod chain;
mod csv;
mod entry;
mod error;
mod folder;
mod search;
mod snapshot;
mod tail;
pub mod touched;
mod trail;
mod verify;
mod writer;

pub use call::Call;
pub use chain::label;
pub use csv::{HEADER, csv_line};
pub use entry::{Action, Door, Entry, Line, OutcomeCode, Owner, Proof, TrailNote, Who};
pub use error::{ReadError, Unwritable};
pub use search::{Filter, Found, search};
pub use trail::{Options, State, Trail};
pub use verify::{Problem, Verdict, verify};

/// The directory of the trail within the data directory.
pub const DIRECTORY: &str = "audit";

//! Memory for AI agents over MCP, kept in Zep Cloud or in one SQLite file.
//!
//! # The map
//!
//! A call comes in at a door, goes down to a backend, and comes back the same way. Arrows only point
//! down this list.
//!
//! - [`config`]: flags, the environment and `.env` become one validated `Config`. Nothing else reads
//!   the environment, but for what belongs to agent hosts.
//! - [`agent_hosts`]: the configuration files of agent hosts, and changing one entry of them. Knows
//!   nothing of memories.
//! - [`mcp`]: the door for agents. The server, and in `mcp/tools/` one file a tool, all of one shape:
//!   typed arguments, one call to the service, a shaped answer. A tool decides nothing.
//! - [`http`]: the same door on a network, for many at once: Streamable HTTP and SSE, and what bounds
//!   them; `http/access/` says who is let in and as whom.
//! - [`emulator`]: the embedded store behind Zep's own HTTP API, for tests and rehearsals.
//! - [`migration`]: moving memories over, and proving that they arrived: plan, write, validate,
//!   report.
//! - [`sources`]: where they come from: a trait, and export files. Knows nothing of Zep.
//! - [`memory`]: the domain. Whose memory something is, which thread a session is, how long content
//!   and nested metadata are made to fit and come back whole, and in what order things are written
//!   so that none is lost or doubled. Knows no MCP, no HTTP, no wire format.
//! - [`zep`]: the port, [`zep::Zep`], and its adapter to Zep Cloud. `zep/transport/` knows how to
//!   send (time-outs, retries of what is safe, pacing) and what is known afterwards; `zep/v3/` knows
//!   what to send, and settles by record id whether a write without an answer was done.
//! - [`local`]: the port over one SQLite file, with a search of its own.
//! - [`telemetry`]: logs to stderr, without anything that anybody said.
//!
//! To follow one call, read `mcp/tools/add_memory.rs`, `memory/add.rs`, `memory/write.rs`,
//! `zep/v3/writes.rs`, `zep/transport/mod.rs`.

// Only the binary uses it.
#[doc(hidden)]
pub mod agent_hosts;
mod cache;
pub mod config;
pub mod emulator;
pub mod http;
pub mod local;
pub mod mcp;
pub mod memory;
pub mod migration;
pub mod sources;
pub mod telemetry;
mod time;
pub mod zep;

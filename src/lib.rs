//! Memory for AI agents over MCP, kept in Zep Cloud or in one SQLite file.
//!
//! The library's promise is `docs/library.md`: migrations from Rust ([`migration`], [`sources`]) into
//! a [`memory::MemoryService`] on a backend ([`zep`], [`local`]). The other modules are public for
//! the binary and the tests only, and are hidden from the docs.
//!
//! # Map
//!
//! A call enters at the top of this list, goes down to a backend, and returns the same way. Imports
//! only point down.
//!
//! - `config`: flags, the environment and `.env` become one validated `Config`. Nothing else reads
//!   the environment, except what concerns agent hosts, and `traces` OpenTelemetry's variables.
//! - `agent_hosts`: configuration files of agent hosts, and changing one entry in them. Knows nothing
//!   of memories.
//! - `http`: MCP on a network, as Streamable HTTP and HTTP with SSE, with its limits; `http/access/`
//!   authenticates.
//! - `mcp`: MCP for agents: the server, and in `mcp/tools/` one file per tool, all of one shape: typed
//!   arguments, one call to the service, a typed answer. A tool decides nothing.
//! - `api`: the Memory API: REST for applications, each capability one handler for all its dialects.
//! - `ui`: the operators' page: pages made on the server, behind a login. A panel decides nothing.
//! - `moves`: migrations that callers begin, by a tool or over REST.
//! - `emulator`: the embedded store behind Zep's own HTTP API, for tests and rehearsals.
//! - [`migration`]: plan, write, validate, report. Knows sources by their trait only.
//! - [`sources`]: where memories come from: the trait, export files, and this program's own memories.
//!   Knows nothing of Zep.
//! - [`memory`]: the domain, in rooms: `record`, `write`, `read`, `search`, `change`, `people`,
//!   `beside` (mem0 beside Zep), `filter`, and `access`, the only place that decides who may do what. Knows no MCP, no HTTP and
//!   no wire format.
//! - [`zep`]: the port in four parts (accounts, threads, graphs, batches) and its adapter to Zep
//!   Cloud. `zep/transport/` sends, retries what is safe, and reports what is known of the outcome;
//!   `zep/v3/` knows generation 3's API and settles unanswered writes by record id.
//! - `audit`: the trail of who did what to whose memories, and what a call touches. Knows nothing of
//!   memories.
//! - `metrics`: counts, durations and levels in Prometheus' text format.
//! - `queue`: what is done for a write after its call was answered, whichever process is alive then.
//! - `seal`: encryption of what lies on the disk.
//! - `outgoing`: the HTTP client of services that are called with a key.
//! - [`local`]: the port over one SQLite file, with a search of its own.
//! - `telemetry`: logs to stderr, without content.
//! - `traces`: spans of calls and of what they ask of others, over OTLP; the feature `otlp`.
//!
//! To follow one call, read `mcp/tools/add_memory.rs`, `memory/write/request.rs`,
//! `memory/write/job.rs`, `zep/v3/writes.rs`, `zep/transport/mod.rs`.

mod cache;
mod json;
pub mod local;
pub mod memory;
pub mod migration;
#[doc(hidden)]
pub mod outgoing;
pub mod sources;
mod time;
pub mod zep;

// Used by the binary and the tests.
#[doc(hidden)]
pub mod agent_hosts;
#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod emulator;
#[doc(hidden)]
pub mod http;
#[doc(hidden)]
pub mod mcp;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod moves;
#[doc(hidden)]
pub mod queue;
#[doc(hidden)]
pub mod seal;
#[doc(hidden)]
pub mod telemetry;
#[doc(hidden)]
pub mod traces;
#[doc(hidden)]
pub mod ui;

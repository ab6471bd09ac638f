//! MCP: the server, its tools, and the stdio transport.

mod arguments;
mod audit;
mod confirm;
mod error;
mod handler;
mod handshake;
mod incoming;
mod jsonrpc;
mod lines;
mod progress;
mod prompts;
mod schema;
mod server;
mod stdio;
mod task;
mod tools;
mod traces;
mod turn;

pub(crate) use handshake::{InitializeFirst, answered};
pub(crate) use incoming::Incoming;
pub(crate) use jsonrpc::{
    Connection, InFlight, Received, Refusal, Refused, encode, is_ours, member, read, restore,
};
pub use server::MemoryServer;
pub use stdio::serve_stdio;
pub(crate) use turn::{CallTurn, TooBusy, Turn, Turns};

//! The MCP door: the server, its tools, and the ways in.

mod answers;
mod arguments;
mod confirm;
mod early;
mod error;
mod migration;
mod prompts;
mod server;
mod stdio;
mod tools;

pub(crate) use early::{InitializeFirst, answered};
pub use server::MemoryServer;
pub use stdio::serve_stdio;

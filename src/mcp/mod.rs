//! The MCP door: the server, its tools, and the ways in.

mod arguments;
mod early;
mod error;
mod migration;
mod server;
mod stdio;
mod tools;

pub use server::MemoryServer;
pub use stdio::serve_stdio;

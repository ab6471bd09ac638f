//! MCP over stdin and stdout, as agent hosts start it: on the embedded store, and in front of Zep's
//! API as the emulator speaks it.

mod adding;
mod connection;
mod kept;
mod owners;
mod refusals;

mod searching;
mod sessions;

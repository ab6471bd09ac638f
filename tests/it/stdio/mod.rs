//! What an agent host can rely on when it starts the server and speaks MCP with it over stdin and
//! stdout: on the embedded store, and in front of Zep's API as the emulator speaks it.

mod adding;
mod connection;
mod kept;
mod owners;
mod refusals;

mod searching;
mod sessions;

//! Memory for AI agents over MCP, kept in Zep Cloud or in one SQLite file.

pub mod emulator;
pub mod local;
pub mod memory;
pub mod zep;

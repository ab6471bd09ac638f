//! Memory for AI agents over MCP, kept in Zep Cloud or in one SQLite file.

pub mod config;
pub mod emulator;
pub mod local;
pub mod mcp;
pub mod memory;
pub mod telemetry;
pub mod zep;

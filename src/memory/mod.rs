//! The domain: what a memory is, whose it is, and how it fits into Zep and comes back whole.
//!
//! Knows no MCP, no HTTP and no wire format.

pub mod fit;
pub mod mapping;
pub mod model;
pub mod records;

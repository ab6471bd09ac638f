//! The `zep-mcp-server` binary.

fn main() {}

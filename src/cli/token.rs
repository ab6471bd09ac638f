//! The flags of `token`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The subcommand of `token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// The subcommands of `token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token: 256 random bits, shown once
    ///
    /// Without options it prints a token for MCP_AUTH_TOKEN, with all rights for all users:
    /// export MCP_AUTH_TOKEN="$(zep-mcp-server token new)"
    ///
    /// With options it prints a token for some users, and its entry for the file of
    /// MCP_AUTH_TOKENS_FILE, which contains only the token's SHA-256.
    #[command(after_long_help = FILE)]
    New(NewTokenArgs),
}

/// The rights of a new token.
#[derive(Debug, Args)]
pub(crate) struct NewTokenArgs {
    /// Its rights: reader (search and read), writer (also add and change), operator (also delete and
    /// migrate)
    #[arg(long, value_name = "ROLE", value_parser = ["reader", "writer", "operator"])]
    pub role: Option<String>,

    /// A user whose memories it gives access to. May be repeated
    #[arg(
        long = "user",
        value_name = "ID",
        conflicts_with = "all_users",
        requires = "role"
    )]
    pub users: Vec<String>,

    /// Give access to the memories of all users
    #[arg(long, requires = "role")]
    pub all_users: bool,

    /// An agent whose own memories it gives access to; `*` for all. May be repeated
    #[arg(long = "agent", value_name = "ID", requires = "role")]
    pub agents: Vec<String>,

    /// An app that it may list and delete; `*` for all. May be repeated
    #[arg(long = "app", value_name = "ID", requires = "role")]
    pub apps: Vec<String>,

    /// The name of the entry, for the operator [default: from its hash]
    #[arg(long, value_name = "NAME", requires = "role")]
    pub name: Option<String>,

    /// The last day on which it is valid (2027-01-31, in UTC), or the time at which it expires
    #[arg(long, value_name = "DATE", requires = "role")]
    pub expires: Option<String>,

    /// The file to append the entry to; created if it does not exist
    #[arg(long, value_name = "FILE", requires = "role")]
    pub file: Option<PathBuf>,
}

const FILE: &str = r##"The file:
  One JSON object per line; blank lines and lines that begin with # are ignored. A running server
  reads it again within a second after a change: to revoke a token, delete its line. Only the owner
  may be able to write to the file.

  name     a name for the operator, unique
  hash     sha256: and the token's SHA-256 in hexadecimal digits
  role     reader | writer | operator
  users    ["id", …], or "*" for all users
  agents   optional: agents whose own memories it gives access to, ["id", …] or "*"
  apps     optional: apps that it may list and delete, ["id", …] or "*"
  expires  optional: the last day on which it is valid, or a time

Examples:
  zep-mcp-server token new --role writer --user alice --name alice-laptop --file tokens.jsonl
  zep-mcp-server token new --role reader --all-users --expires 2027-01-31"##;

//! The flags of `token`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with tokens.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token: 256 random bits, shown once
    ///
    /// Without options it prints a token for MCP_AUTH_TOKEN, which may do everything for everybody:
    /// export MCP_AUTH_TOKEN="$(zep-mcp-server token new)"
    ///
    /// With options it makes one for some users, and its entry for the file of
    /// MCP_AUTH_TOKENS_FILE, which holds the token's SHA-256 only.
    #[command(after_long_help = FILE)]
    New(NewTokenArgs),
}

/// What a new token allows.
#[derive(Debug, Args)]
pub struct NewTokenArgs {
    /// What its holder may do: reader (search and read), writer (also add and change), operator
    /// (also delete, and migrate)
    #[arg(long, value_name = "ROLE", value_parser = ["reader", "writer", "operator"])]
    pub role: Option<String>,

    /// A user whose memories it is for. May be given several times
    #[arg(
        long = "user",
        value_name = "ID",
        conflicts_with = "all_users",
        requires = "role"
    )]
    pub users: Vec<String>,

    /// It is for everybody's memories
    #[arg(long, requires = "role")]
    pub all_users: bool,

    /// An agent whose own memories it is for, too; `*` for all. May be given several times
    #[arg(long = "agent", value_name = "ID", requires = "role")]
    pub agents: Vec<String>,

    /// An app that it may list and delete; `*` for all. May be given several times
    #[arg(long = "app", value_name = "ID", requires = "role")]
    pub apps: Vec<String>,

    /// What to call the entry, for whoever keeps the file; made up if left out
    #[arg(long, value_name = "NAME", requires = "role")]
    pub name: Option<String>,

    /// The last day on which it is good (2027-01-31, in UTC), or the moment at which it ends
    #[arg(long, value_name = "DATE", requires = "role")]
    pub expires: Option<String>,

    /// The file to put the entry into, behind those that are there; made if it is not there
    #[arg(long, value_name = "FILE", requires = "role")]
    pub file: Option<PathBuf>,
}

const FILE: &str = r##"The file:
  One JSON object a line; blank lines and lines that begin with # say nothing. A running server
  reads it again within a second of a change: to take a token back, delete its line. Others than
  its owner must not be able to write it.

  name     what its holder is called, for you; each name once
  hash     sha256: and the token's SHA-256 in hexadecimal digits
  role     reader | writer | operator
  users    ["id", …], or "*" for everybody
  agents   optional: agents whose own memories it reaches, ["id", …] or "*"
  apps     optional: apps that it may list and delete, ["id", …] or "*"
  expires  optional: the last day on which it is good, or a moment

Examples:
  zep-mcp-server token new --role writer --user alice --name alice-laptop --file tokens.jsonl
  zep-mcp-server token new --role reader --all-users --expires 2027-01-31"##;

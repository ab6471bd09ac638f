//! The flags of `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The subcommand of `audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: AuditCommand,

    /// The directory of a trail, for instance a copy [default: `audit` in the data directory]
    #[arg(long, value_name = "DIRECTORY", global = true)]
    pub trail: Option<PathBuf>,
}

/// The subcommands of `audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no entry was changed, removed, added or moved
    ///
    /// Exit codes: 0 if the trail is whole and unchanged; 1 if not, with file, line and what is wrong; 2
    /// wrong usage.
    Verify {
        /// The hash of an entry that must be there: the last one of an earlier check
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,

        /// Report as one JSON object
        #[arg(long)]
        json: bool,
    },

    /// Find entries: who read or changed whose memories, when, and how it ended
    Search {
        /// Which entries.
        #[command(flatten)]
        which: WhichArgs,

        /// Print the entries as JSON Lines, as they are in the trail
        #[arg(long)]
        json: bool,
    },

    /// Write entries to a file, as JSON Lines or CSV
    Export {
        /// Which entries.
        #[command(flatten)]
        which: WhichArgs,

        /// The form
        #[arg(long, value_enum, default_value_t = AuditFormat::JsonLines)]
        format: AuditFormat,

        /// The file, which only you can read [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Which entries. All conditions must hold.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Only those on this user's memories
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Only those on this agent's own memories
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    pub agent: Option<String>,

    /// From this day (2026-03-01, in UTC) or moment (2026-03-01T12:00:00Z) on
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Until the end of this day, or before this moment
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// Only of the caller with this name
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,

    /// Only of this tool, route (`GET /memory/{id}`) or command
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,

    /// Only what was done so
    #[arg(long, value_name = "ACTION", value_parser = ["read", "write", "migrate", "delete", "login", "refusal", "trail"])]
    pub action: Option<String>,

    /// Only with this outcome: `ok`, or the code of an error
    #[arg(long, value_name = "CODE")]
    pub outcome: Option<String>,

    /// Only with this id, of a memory, a session or a request
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// The lines as they are in the trail.
    #[value(name = "jsonl")]
    JsonLines,
    /// For spreadsheets.
    #[value(name = "csv")]
    Csv,
}

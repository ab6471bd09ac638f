//! The flags of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What to write, and where to.
#[derive(Debug, Args)]
pub(crate) struct ExportFileArgs {
    /// The file, which only you can read, and which is there only once it is whole; `-` writes to
    /// standard output
    #[arg(long, value_name = "FILE")]
    pub to_file: PathBuf,

    /// Only this user. May be repeated
    #[arg(long, value_name = "ID")]
    pub user: Vec<String>,

    /// `jsonl` loses nothing, and `migrate --file` reads it; `mem0` is a JSON array for `mem0 import`,
    /// without users
    #[arg(long, value_enum, default_value_t = FormatArg::JsonLines)]
    pub format: FormatArg,

    /// Include memories that are expired
    #[arg(long)]
    pub include_expired: bool,

    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// JSON Lines.
    #[value(name = "jsonl")]
    JsonLines,
    /// A JSON array.
    #[value(name = "mem0")]
    Mem0,
}

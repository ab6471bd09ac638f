//! The flags of `key`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The subcommand of `key`.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// The subcommands of `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key: 32 random bytes in base64, for ZEP_MCP_ENCRYPTION_KEY_FILE
    New {
        /// Write it to this new file, which only you may read, instead of printing it
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },

    /// Encrypt what waits in an existing queue with the key of the settings
    ///
    /// Stop all servers of this machine first. A backup is kept beside the file; it is not encrypted: delete
    /// it when you need it no more.
    Convert,

    /// Encrypt everything with another key
    ///
    /// Stop all servers of this machine first, and set ZEP_MCP_ENCRYPTION_KEY_FILE to the new file
    /// afterwards. A backup, encrypted with the old key, is kept beside the file.
    Rotate {
        /// The file of the new key, made by `key new --file`
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

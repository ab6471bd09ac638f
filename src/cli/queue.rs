//! The flags of `queue`.

use clap::{Args, Subcommand};

/// The subcommand of `queue`.
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// The subcommands of `queue`.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// List what waits, and what Zep refused for good, without a word of its content
    List {
        /// List as JSON Lines
        #[arg(long)]
        json: bool,
    },

    /// Send what waits to Zep now
    ///
    /// Servers do this by themselves, as soon as Zep answers. Exit codes: 0 if nothing is left, 1 if
    /// something is.
    Flush {
        /// Go on for so many seconds, as long as something waits
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        wait: u64,
    },

    /// Show one entry with its content
    Show {
        /// Its number in the list
        number: i64,
    },

    /// Forget an entry, for good: it does not go to Zep. Asks first
    Drop {
        /// Its number in the list
        number: i64,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

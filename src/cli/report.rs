//! The flags of `report` and `rollback`.

use std::path::PathBuf;

use clap::Args;

/// What to report.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// One run, by its id, the beginning of it, or `latest` [default: a list of all runs]
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,

    /// Of the run: only this user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,

    /// Write the run, or the latest one, as a web page of one file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What to undo.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The run to undo, by its id, the beginning of it, or `latest`: `report` lists all
    #[arg(long, value_name = "RUN")]
    pub run: String,

    /// Undo it for this user only
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask. Needed where there is no terminal
    #[arg(long)]
    pub yes: bool,

    /// Remove also records that were changed after the run
    #[arg(long)]
    pub include_changed: bool,

    /// Print the receipt as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What a rollback does.
pub(super) const ROLLING_BACK: &str = "\
Removes what the run wrote, and nothing else:
  Users, agents and sessions that the run made go whole, if nothing else was added to them since.
  Elsewhere its records go one by one, with the facts that were drawn only from them.
  Zep cannot delete a single message: in a session that stays, a message loses its facts and is hidden
  from all reads. These are counted as hidden; deleting the session removes them.
  Records that were changed after the run stay, and are named; --include-changed removes them.

Afterwards the same `migrate` writes it again. Killed or stopped, the same command goes on. The receipt
is printed and kept in the ledger: `report --run` shows it.

Exit codes:
  0  nothing of the run is left to remove, or --dry-run
  1  something could not be removed
  2  wrong usage; also: no terminal to ask on, and no --yes
  130  stopped by Ctrl-C or SIGTERM";

//! The flags of `switch`.

use clap::Args;

use super::install::EntryArgs;
use super::migrate::{SelectionArgs, SourceArgs, WritingArgs};

/// Which entries change, and what is moved.
#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    /// The entries.
    #[command(flatten)]
    pub entries: EntryArgs,

    /// Do all of it in a temporary store that is removed at the end, and validate it. Nothing goes to
    /// Zep, no entry changes, and no key of Zep is needed
    #[arg(long, conflicts_with_all = ["dry_run", "undo"])]
    pub rehearse: bool,

    /// Restore the entry as it was before. What was migrated stays; the answer says how to remove it
    #[arg(long)]
    pub undo: bool,

    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The source, where it is not the mem0 of the entry.
    #[command(flatten)]
    pub source: SourceArgs,

    /// The part of it.
    #[command(flatten)]
    pub selection: SelectionArgs,

    /// How to write.
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// What it does, and when the entry changes.
pub(super) const SWITCHING: &str = "\
What it does:
  1. Finds the entry that runs mem0, as `install` does, and the key of mem0: in the entry, in
     MEM0_API_KEY, or in the configuration of mem0's command line (~/.mem0/config.json).
  2. Reads mem0 and looks what Zep holds already. Says what would be moved, what it costs and how the
     entry would change, and asks once.
  3. Migrates, reads everything back, and compares it with mem0, record by record.
  4. Changes the entry, only if everything arrived. Else the entry stays as it is, and the report says
     why.

  --dry-run ends after step 2. --rehearse does steps 1 to 3 without Zep. Killed or stopped at any
  point, run it again: it continues where it stopped.

Other sources:
  For a self-hosted mem0 use --from mem0-server --mem0-url URL; for OpenMemory --from openmemory PATH, or
  --file with its backup; for mem0's library --from mem0-dir or --from qdrant.

To undo it:
  --undo restores the entry. `zep-mcp-server rollback` removes from Zep what the migration wrote.

Exit codes:
  0  done, nothing to do, or you answered no
  1  something failed or differs: the entry was not changed
  2  wrong usage";

//! The flags of `install`, and those that `switch` shares with it.

use std::path::PathBuf;

use clap::Args;
use zep_mcp_server::agent_hosts::Host;
use zep_mcp_server::agent_hosts::plan::Via;

/// Which entries change, and how.
#[derive(Debug, Default, Args)]
pub(crate) struct EntryArgs {
    /// Only this host. May be repeated [default: every host that is found]
    #[arg(long, value_name = "HOST")]
    pub host: Vec<Host>,

    /// This file instead of the known files of hosts; with --host, in the format of that host. May be
    /// repeated
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,

    /// Only the entry with this name. May be repeated
    #[arg(long, value_name = "NAME")]
    pub entry: Vec<String>,

    /// With --yes, all entries that run mem0, even several in one file
    #[arg(long, conflicts_with = "entry")]
    pub all: bool,

    /// How the entry starts this server [default: path, or the `uvx` or `npx` that runs this command]
    #[arg(long, value_name = "HOW")]
    pub via: Option<Via>,

    /// Write a reference to the key instead of the key: the host takes it from its environment, VS
    /// Code asks for it
    #[arg(long, conflicts_with = "local")]
    pub key_from_env: bool,

    /// Keep memories in a file on this machine, without a key
    #[arg(long)]
    pub local: bool,

    /// Show the changes, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

impl EntryArgs {
    /// The entries of one host.
    pub(crate) fn of_host(host: Host) -> Self {
        Self {
            host: vec![host],
            ..Self::default()
        }
    }
}

/// The flags of `install`.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The entries.
    #[command(flatten)]
    pub entries: EntryArgs,

    /// The name of a new entry, if no entry runs mem0 [default: zep-memory]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Restore the file as it was before the last change
    #[arg(long, conflicts_with_all = ["entry", "all", "via", "key_from_env", "local"])]
    pub restore: bool,

    /// With --restore, also overwrite later changes, which are kept beside the file
    #[arg(long, requires = "restore")]
    pub force: bool,
}

/// What it searches for, changes and keeps.
pub(super) const INSTALLING: &str = "\
What it searches for:
  Entries that run mem0-mcp-server (by name, uvx, uv, pipx, python -m, npx, Smithery, a container,
  mcp-remote) or OpenMemory, or name https://mcp.mem0.ai, in the files of the hosts that --host lists
  and in their project files in the working directory. Entries that may run mem0 are shown and left
  alone, unless --entry names them. A new entry is made only where --host is given.

What changes:
  The command, its arguments and ZEP_API_KEY in `env`, or MEMORY_BACKEND=local with --local. What
  only a remote server has goes. The entry's name, its other members and the rest of the file stay,
  byte for byte. MEM0_API_KEY and MEM0_DEFAULT_USER_ID stay; those on a container's command line
  move into `env`, and the user of an OpenMemory URL becomes ZEP_DEFAULT_USER_ID.

The key:
  install asks for it without echo; without a terminal, it takes ZEP_API_KEY. It is never shown.
  With --key-from-env the file gets a reference: most hosts refer to the variable ZEP_API_KEY, Codex
  and Goose forward it, VS Code asks for it. Project files are shared with others and always get a
  reference.

Backups:
  Before a file is written, its content is kept beside it (NAME.zep-backup-…), readable only by you.
  --restore restores the latest backup, unless the file was changed since.

Without a terminal:
  --yes is needed, and --all or --entry if a file has several entries that run mem0.

Exit codes:
  0  done, nothing to do, or you answered no
  1  it failed; nothing was changed, or the changed files are named
  2  wrong usage";

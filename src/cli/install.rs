//! The flags of `install`.

use std::path::PathBuf;

use clap::Args;
use zep_mcp_server::hosts::Host;
use zep_mcp_server::hosts::plan::Via;

/// Which entries change, to what, and who is asked.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Only this host. May be given several times [without it: every host that is found]
    #[arg(long, value_name = "HOST")]
    pub host: Vec<Host>,

    /// This file instead of those that hosts are known to have; with --host, as that host writes
    /// it. May be given several times
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,

    /// Only the entry of this name. May be given several times
    #[arg(long, value_name = "NAME")]
    pub entry: Vec<String>,

    /// All entries that run mem0, where --yes finds several in one file
    #[arg(long, conflicts_with = "entry")]
    pub all: bool,

    /// The name of a new entry, where a host is named and none runs mem0
    #[arg(long, value_name = "NAME", default_value = "zep-memory")]
    pub name: String,

    /// How the entry starts this server [without it: path; what `uvx` or `npx` fetched to run
    /// this command is started by it again]
    #[arg(long, value_name = "HOW")]
    pub via: Option<Via>,

    /// Write no key: leave it to the host's environment, or have VS Code ask for it
    #[arg(long, conflicts_with = "local")]
    pub key_from_env: bool,

    /// Keep memories in a file on this machine, which needs no key
    #[arg(long)]
    pub local: bool,

    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,

    /// Put back what was there before the last change
    #[arg(long, conflicts_with_all = ["entry", "all", "via", "key_from_env", "local"])]
    pub restore: bool,

    /// With --restore, also over changes of others, which are kept beside the file
    #[arg(long, requires = "restore")]
    pub force: bool,
}

/// What it looks for and what it leaves.
pub const INSTALLING: &str = "\
What it looks for:
  Entries that run mem0-mcp-server (by name, uvx, uv, pipx, python -m, npx, Smithery, a container,
  mcp-remote) or that name https://mcp.mem0.ai/mcp. Claude Desktop, Claude Code (with its projects),
  Cursor, Windsurf, VS Code, Codex and Gemini CLI are looked at, and project files in the working
  directory (.mcp.json, .cursor/mcp.json, .vscode/mcp.json, .codex/config.toml,
  .gemini/settings.json).

What changes:
  The command, its arguments and ZEP_API_KEY in `env`, or MEMORY_BACKEND=local with --local. The
  entry's name, what else stands in it, and everything around it stay, to the byte. MEM0_API_KEY
  and MEM0_DEFAULT_USER_ID stay; from a container's command line they move into `env`.

The key:
  Is asked for and not echoed; without a terminal, it is taken from ZEP_API_KEY. It is never shown.
  With --key-from-env it is not written: Cursor, Windsurf, Gemini CLI and .mcp.json refer to the
  variable ZEP_API_KEY, Codex hands it on, VS Code asks for it. Files of a project are shared with
  others and always get such a reference.

Backups:
  Before a file is written, what was in it is kept beside it (NAME.zep-backup-…), for your eyes
  only. --restore puts the latest back, unless somebody changed the file since.

Without a terminal:
  --yes is needed, and --all or --entry where a file has several entries that run mem0.

Exit codes:
  0  done, or nothing to do, or you said no      1  it could not be done; nothing was changed, or
  2  wrong usage                                    what was is named";

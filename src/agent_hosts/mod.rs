//! Agent hosts: where each keeps its list of MCP servers, and how one entry is changed without
//! touching anything else.
//!
//! - `table`: what distinguishes the hosts, one entry each, in the terms of `convention`.
//! - [`locations`]: their configuration files on this machine.
//! - [`layout`]: which host's a given file is.
//! - `shape`, `command_line`, `launcher`: what an entry starts, in the notation of any host.
//! - [`entry`]: which server that is.
//! - [`mod@mem0`]: which mem0 it uses, and the key of it.
//! - [`plan`]: the entry after the switch.
//! - [`document`]: the file's text with that one entry changed, all else byte for byte.
//! - [`mask`]: an entry with its secrets hidden.
//! - [`mod@file`]: reading, writing and restoring, atomically and with a backup.
//!
//! Knows nothing of memories.

mod command_line;
mod convention;
pub mod document;
pub mod entry;
pub mod file;
mod launcher;
pub mod layout;
pub mod locations;
pub mod mask;
pub mod mem0;
pub mod plan;
mod shape;
mod table;

use std::fmt;

use convention::Entry;
use table::HOSTS;

/// A program that starts MCP servers for its agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Host {
    /// Claude Desktop
    ClaudeDesktop,
    /// Claude Code
    ClaudeCode,
    /// Cursor
    Cursor,
    /// Windsurf
    Windsurf,
    /// VS Code and VS Code Insiders
    #[value(name = "vscode")]
    VsCode,
    /// Codex (command line, editor extension and app share one file)
    Codex,
    /// Gemini CLI
    #[value(name = "gemini-cli")]
    Gemini,
    /// Google Antigravity
    Antigravity,
    /// opencode
    #[value(name = "opencode")]
    OpenCode,
    /// Zed
    Zed,
    /// Cline (its command line and its editor extension)
    Cline,
    /// Roo Code
    RooCode,
    /// Kiro
    Kiro,
    /// LM Studio
    LmStudio,
    /// Goose
    Goose,
    /// Junie, the agent of JetBrains' IDEs
    Junie,
    /// Amp
    Amp,
    /// Hermes Agent
    Hermes,
}

impl Host {
    /// All hosts, in search order.
    pub fn all() -> impl Iterator<Item = Self> {
        HOSTS.iter().map(|entry| entry.host)
    }

    /// The product name.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// How to make the host start the server again.
    pub fn restart(self) -> &'static str {
        self.entry().restart
    }

    fn entry(self) -> &'static Entry {
        // The table has the order of the variants, which a test checks.
        &HOSTS[self as usize]
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! Agent hosts: where each keeps its list of MCP servers, and how one entry of it is changed without
//! touching anything else.
//!
//! - [`places`]: which files there are, of which host, and how each names things.
//! - [`entry`], with `command`: what an entry runs: mem0's server, this one, or another.
//! - [`plan`]: what takes the entry's place.
//! - [`document`], with `jsonc` and `toml`: the file's text with that one entry changed, all
//!   else byte for byte.
//! - [`mask`]: an entry as it may be shown.
//! - [`mod@file`]: reading, writing and putting back, atomically and with a backup.
//!
//! Knows nothing of memories: what it writes is how a program is started.

mod command;
pub mod document;
pub mod entry;
pub mod file;
mod jsonc;
pub mod mask;
pub mod places;
pub mod plan;
mod toml;

use std::fmt;

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
    /// VS Code, with its Insiders edition
    #[value(name = "vscode")]
    VsCode,
    /// Codex: command line, editor extension and app, which share one file
    Codex,
    /// Gemini CLI
    #[value(name = "gemini-cli")]
    Gemini,
}

impl Host {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 7] = [
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::Windsurf,
        Self::VsCode,
        Self::Codex,
        Self::Gemini,
    ];

    /// The name that people know.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::Windsurf => "Windsurf",
            Self::VsCode => "VS Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
        }
    }

    /// How it is made to start the server anew.
    pub fn restart(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => {
                "quit it completely, its icon in the tray included, and start it"
            }
            Self::ClaudeCode => {
                "end its sessions and start a new one; `/mcp` shows the server. A session that was \
                 running may have written its file over this change: run `install` again then"
            }
            Self::Cursor => "restart it, or switch the server off and on in its MCP settings",
            Self::Windsurf => "press refresh in Cascade's MCP panel, or restart it",
            Self::VsCode => {
                "run `MCP: List Servers` from the command palette and restart the server"
            }
            Self::Codex => "start a new session; `/mcp` shows the server",
            Self::Gemini => "restart it; `/mcp` shows the server",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

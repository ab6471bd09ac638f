//! Agent hosts: where each keeps its list of MCP servers, and how one entry is changed without
//! touching anything else.
//!
//! - [`locations`]: the configuration files of each host, and their conventions.
//! - [`entry`], with `command_line`: which server an entry runs.
//! - [`plan`]: the entry after the switch.
//! - [`document`]: the file's text with that one entry changed, all else byte for byte.
//! - [`mask`]: an entry with its secrets hidden.
//! - [`mod@file`]: reading, writing and restoring, atomically and with a backup.
//!
//! Knows nothing of memories.

mod command_line;
pub mod document;
pub mod entry;
pub mod file;
pub mod locations;
pub mod mask;
pub mod plan;

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
    /// VS Code and VS Code Insiders
    #[value(name = "vscode")]
    VsCode,
    /// Codex (command line, editor extension and app share one file)
    Codex,
    /// Gemini CLI
    #[value(name = "gemini-cli")]
    Gemini,
}

impl Host {
    /// All hosts, in search order.
    pub const ALL: [Self; 7] = [
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::Windsurf,
        Self::VsCode,
        Self::Codex,
        Self::Gemini,
    ];

    /// The product name.
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

    /// How to make the host start the server again.
    pub fn restart(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => {
                "quit it completely, including its tray icon, and start it again"
            }
            Self::ClaudeCode => {
                "end its sessions and start a new one; `/mcp` shows the server. A running session \
                 may overwrite this change: then run `install` again"
            }
            Self::Cursor => "restart it, or turn the server off and on in its MCP settings",
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

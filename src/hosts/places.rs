//! Where hosts keep their configuration, and how each names things in it.
//!
//! Sources, read in November 2026:
//! - Claude Desktop: modelcontextprotocol.io, "Connect to local MCP servers" (macOS, Windows). On
//!   Linux and in the Windows Store edition it is Electron's directory of the application.
//! - Claude Code: code.claude.com/docs/en/mcp ("MCP installation scopes", "Environment variable
//!   expansion in `.mcp.json`"; that user scope does not expand: anthropics/claude-code#43693) and
//!   `CLAUDE_CONFIG_DIR` of code.claude.com/docs/en/env-vars.
//! - Cursor: cursor.com/docs/mcp ("Configuration locations", "Config interpolation").
//! - Windsurf: docs.windsurf.com/windsurf/cascade/mcp ("mcp_config.json", "Config Interpolation").
//! - VS Code: code.visualstudio.com/docs/copilot/reference/mcp-configuration ("Configuration
//!   structure", "Input variables for sensitive data"). Until 1.102 servers stood in `settings.json`.
//! - Codex: developers.openai.com/codex/mcp and openai/codex `docs/config.md` (`CODEX_HOME`,
//!   `env_vars`; the project's `.codex/config.toml` is read where the project is trusted).
//! - Gemini CLI: google-gemini/gemini-cli `docs/tools/mcp-server.md`.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use directories::BaseDirs;

use super::Host;
use super::document::Syntax;

/// Where a list of servers stands in a file: names from the outside in; `*` is any name.
pub type Section = &'static [&'static str];

const MCP_SERVERS: &[Section] = &[&["mcpServers"]];
const CLAUDE_CODE: &[Section] = &[&["mcpServers"], &["projects", "*", "mcpServers"]];
const SERVERS: &[Section] = &[&["servers"]];
const SETTINGS: &[Section] = &[&["mcp", "servers"]];
const CODEX: &[Section] = &[&["mcp_servers"]];

/// Whose list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One person's, on this machine.
    User,
    /// A project's, likely shared with others: no key is written into it.
    Project,
}

/// How a host takes a value from its own environment or from the person instead of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// This text stands for the value of the variable whose name stands between the two parts.
    Text(&'static str, &'static str),
    /// A variable named in the list `env_vars` is handed on.
    Handed,
    /// The host asks for it once, hidden, and keeps it safe: `${input:…}`.
    Asked,
}

/// A file that lists MCP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is; `None` for a file that no known host has.
    pub host: Option<Host>,
    /// The file. It need not exist.
    pub path: PathBuf,
    /// Who shares it.
    pub scope: Scope,
    /// Where servers stand in it. A new one is put into the first.
    pub sections: &'static [Section],
    /// What is written in it.
    pub syntax: Syntax,
}

impl Place {
    /// How an entry in this file can leave a value to the environment. `None` where the host does
    /// not say that it can.
    pub fn reference(&self) -> Option<Reference> {
        match (self.host?, self.scope) {
            (Host::ClaudeDesktop, _) | (Host::ClaudeCode, Scope::User) => None,
            (Host::ClaudeCode, Scope::Project) | (Host::Gemini, _) => {
                Some(Reference::Text("${", "}"))
            }
            (Host::Cursor | Host::Windsurf, _) => Some(Reference::Text("${env:", "}")),
            (Host::VsCode, _) => Some(Reference::Asked),
            (Host::Codex, _) => Some(Reference::Handed),
        }
    }

    /// The host, or what the file is called where it is nobody's.
    pub fn owner(&self) -> String {
        let host = self.host.map_or("a configuration", Host::name);
        match self.scope {
            Scope::User => host.to_owned(),
            Scope::Project => format!("{host}, this project"),
        }
    }

    fn at(host: Host, path: PathBuf) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (sections, syntax) = match host {
            Host::ClaudeCode if name == ".claude.json" => (CLAUDE_CODE, Syntax::Json),
            Host::VsCode if name == "settings.json" => (SETTINGS, Syntax::Json),
            Host::VsCode => (SERVERS, Syntax::Json),
            Host::Codex => (CODEX, Syntax::Toml),
            _ => (MCP_SERVERS, Syntax::Json),
        };
        Self {
            host: Some(host),
            path,
            scope: Scope::User,
            sections,
            syntax,
        }
    }

    fn of_project(host: Host, path: PathBuf) -> Self {
        Self {
            scope: Scope::Project,
            ..Self::at(host, path)
        }
    }
}

/// What decides where hosts keep things.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The person's home directory.
    pub home: PathBuf,
    /// Where applications keep their settings: `~/.config`, `~/Library/Application Support` or
    /// `%APPDATA%`.
    pub config: PathBuf,
    /// Where they keep what stays on this machine; on Windows `%LOCALAPPDATA%`.
    pub local: PathBuf,
    /// Codex's own directory, if it is not `~/.codex`: `CODEX_HOME`.
    pub codex_home: Option<PathBuf>,
    /// Claude Code's own directory, if it is not the home directory: `CLAUDE_CONFIG_DIR`.
    pub claude_dir: Option<PathBuf>,
    /// The working directory, whose project files are looked at, too.
    pub directory: PathBuf,
}

impl Surroundings {
    /// Those of this process. `None` if there is no home directory or no working directory.
    ///
    /// These variables are the hosts', not this program's settings.
    pub fn of_this_process() -> Option<Self> {
        let dirs = BaseDirs::new()?;
        let set = |value: OsString| (!value.is_empty()).then(|| PathBuf::from(value));
        Some(Self {
            home: dirs.home_dir().to_owned(),
            config: dirs.config_dir().to_owned(),
            local: dirs.data_local_dir().to_owned(),
            codex_home: std::env::var_os("CODEX_HOME").and_then(set),
            claude_dir: std::env::var_os("CLAUDE_CONFIG_DIR").and_then(set),
            directory: std::env::current_dir().ok()?,
        })
    }

    /// Every file in which hosts look, those that exist and those that do not; of each host the
    /// one in which a new entry belongs first.
    pub fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Host::ALL
            .into_iter()
            .flat_map(|host| {
                let user = self.user_files(host).into_iter();
                let project = self.project_files(host).into_iter();
                user.map(move |path| Place::at(host, path))
                    .chain(project.map(move |path| Place::of_project(host, path)))
            })
            .collect();
        // In the home directory, a project's `.cursor/mcp.json` is the person's own.
        let mut seen = Vec::new();
        places.retain(|place| {
            let new = !seen.contains(&place.path);
            seen.push(place.path.clone());
            new
        });
        places
    }

    /// Whether there are signs that somebody uses the host on this machine.
    pub fn has(&self, host: Host) -> bool {
        let own = match host {
            Host::ClaudeCode => vec![self.claude_dir.clone().unwrap_or(self.home.join(".claude"))],
            _ => self
                .user_files(host)
                .iter()
                .filter_map(|file| file.parent().map(Path::to_owned))
                .collect(),
        };
        own.iter().any(|directory| directory.is_dir())
            || self.user_files(host).iter().any(|file| file.exists())
    }

    /// The directory by which the host is known, to say what is missing.
    pub fn sign(&self, host: Host) -> PathBuf {
        let files = self.user_files(host);
        let first = files.first().cloned().unwrap_or_default();
        match host {
            Host::ClaudeCode => first,
            _ => first.parent().map(Path::to_owned).unwrap_or(first),
        }
    }

    fn user_files(&self, host: Host) -> Vec<PathBuf> {
        match host {
            Host::ClaudeDesktop => {
                let name = "claude_desktop_config.json";
                let mut files = vec![self.config.join("Claude").join(name)];
                if cfg!(windows) {
                    files.extend(self.store_editions().map(|own| own.join(name)));
                }
                files
            }
            Host::ClaudeCode => {
                let directory = self.claude_dir.as_ref().unwrap_or(&self.home);
                vec![directory.join(".claude.json")]
            }
            Host::Cursor => vec![self.home.join(".cursor/mcp.json")],
            Host::Windsurf => vec![self.home.join(".codeium/windsurf/mcp_config.json")],
            Host::VsCode => ["Code", "Code - Insiders"]
                .into_iter()
                .flat_map(|edition| {
                    let user = self.config.join(edition).join("User");
                    let mut files = vec![user.join("mcp.json"), user.join("settings.json")];
                    let profiles = subdirectories(&user.join("profiles"));
                    files.extend(profiles.map(|profile| profile.join("mcp.json")));
                    files
                })
                .collect(),
            Host::Codex => {
                let own = self.codex_home.clone();
                vec![own.unwrap_or(self.home.join(".codex")).join("config.toml")]
            }
            Host::Gemini => vec![self.home.join(".gemini/settings.json")],
        }
    }

    fn project_files(&self, host: Host) -> Option<PathBuf> {
        let inside = match host {
            Host::ClaudeDesktop | Host::Windsurf => return None,
            Host::ClaudeCode => ".mcp.json",
            Host::Cursor => ".cursor/mcp.json",
            Host::VsCode => ".vscode/mcp.json",
            Host::Codex => ".codex/config.toml",
            Host::Gemini => ".gemini/settings.json",
        };
        Some(self.directory.join(inside))
    }

    /// Claude Desktop from the Windows Store has a roaming directory of its own.
    fn store_editions(&self) -> impl Iterator<Item = PathBuf> {
        subdirectories(&self.local.join("Packages"))
            .filter(|package| {
                let name = package.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("Claude_")
            })
            .map(|package| package.join("LocalCache/Roaming/Claude"))
    }

    /// The place that a path names: a known one, or one that is called as hosts call theirs, or a
    /// file of the host that is named, or nobody's.
    pub fn place_at(&self, path: &Path, host: Option<Host>) -> Place {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let known = self.places().into_iter().find(|it| it.path == absolute);
        let place = match (known, host) {
            (Some(place), _) => place,
            (None, Some(host)) => Place::at(host, absolute),
            (None, None) => called(absolute),
        };
        Place {
            path: path.to_owned(),
            ..place
        }
    }
}

/// The place that a file is by what it is called.
fn called(path: PathBuf) -> Place {
    let parts: Vec<_> = path
        .components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .take(2)
        .collect();
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["claude_desktop_config.json", ..] => Place::at(Host::ClaudeDesktop, path),
        [".claude.json", ..] => Place::at(Host::ClaudeCode, path),
        [".mcp.json", ..] => Place::of_project(Host::ClaudeCode, path),
        ["mcp.json", ".cursor"] => Place::of_project(Host::Cursor, path),
        ["mcp_config.json", "windsurf"] => Place::at(Host::Windsurf, path),
        ["mcp.json", ".vscode"] => Place::of_project(Host::VsCode, path),
        ["mcp.json" | "settings.json", "User"] => Place::at(Host::VsCode, path),
        ["config.toml", ".codex"] => Place::of_project(Host::Codex, path),
        ["settings.json", ".gemini"] => Place::of_project(Host::Gemini, path),
        _ => unknown(path),
    }
}

/// A file of some other host: TOML as Codex has it, or JSON with any of the lists that are in use.
fn unknown(path: PathBuf) -> Place {
    const ANY: &[Section] = &[
        &["mcpServers"],
        &["projects", "*", "mcpServers"],
        &["servers"],
        &["mcp", "servers"],
    ];
    let is_toml = path
        .extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("toml"));
    let (sections, syntax) = if is_toml {
        (CODEX, Syntax::Toml)
    } else {
        (ANY, Syntax::Json)
    };
    Place {
        host: None,
        path,
        scope: Scope::User,
        sections,
        syntax,
    }
}

fn subdirectories(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.into_iter()
}

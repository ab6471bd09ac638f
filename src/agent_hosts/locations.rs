//! The configuration files of each host, and their conventions.
//!
//! Sources, read in November 2026:
//! - Claude Desktop: modelcontextprotocol.io, "Connect to local MCP servers" (macOS, Windows). On
//!   Linux and in the Windows Store edition it is Electron's directory of the application.
//! - Claude Code: code.claude.com/docs/en/mcp ("MCP installation scopes", "Environment variable
//!   expansion in `.mcp.json`"; user scope does not expand: anthropics/claude-code#43693) and
//!   `CLAUDE_CONFIG_DIR` of code.claude.com/docs/en/env-vars.
//! - Cursor: cursor.com/docs/mcp ("Configuration locations", "Config interpolation").
//! - Windsurf: docs.windsurf.com/windsurf/cascade/mcp ("mcp_config.json", "Config Interpolation").
//! - VS Code: code.visualstudio.com/docs/copilot/reference/mcp-configuration ("Configuration
//!   structure", "Input variables for sensitive data"). Until 1.102 servers were in `settings.json`.
//! - Codex: developers.openai.com/codex/mcp and openai/codex `docs/config.md` (`CODEX_HOME`,
//!   `env_vars`; a project's `.codex/config.toml` is read if the project is trusted).
//! - Gemini CLI: google-gemini/gemini-cli `docs/tools/mcp-server.md`.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use directories::BaseDirs;

use super::Host;
use super::document::{Section, Syntax};

const MCP_SERVERS: &[Section] = &[&["mcpServers"]];
const CLAUDE_CODE: &[Section] = &[&["mcpServers"], &["projects", "*", "mcpServers"]];
const SERVERS: &[Section] = &[&["servers"]];
const SETTINGS: &[Section] = &[&["mcp", "servers"]];
const CODEX: &[Section] = &[&["mcp_servers"]];

/// Who shares a file, in the words of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigScope {
    /// One user on this machine.
    User,
    /// A project, likely under version control: no key is written into its files.
    Project,
}

/// How an entry refers to a value that is not in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The host replaces the variable's name between this prefix and suffix.
    Interpolated(&'static str, &'static str),
    /// The host forwards the variables named in `env_vars`.
    Forwarded,
    /// The host asks the user once and stores the value: `${input:…}`.
    Prompted,
}

/// A configuration file that lists MCP servers, existing or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The host that reads it; `None` if unknown.
    pub host: Option<Host>,
    /// Its path.
    pub path: PathBuf,
    /// Who shares it.
    pub scope: ConfigScope,
    /// Its lists of servers. A new entry goes into the first.
    pub sections: &'static [Section],
    /// Its language.
    pub syntax: Syntax,
}

impl Location {
    /// How an entry in this file can refer to a value outside it. `None` where the host documents no
    /// way.
    pub fn reference(&self) -> Option<Reference> {
        match (self.host?, self.scope) {
            (Host::ClaudeDesktop, _) | (Host::ClaudeCode, ConfigScope::User) => None,
            (Host::ClaudeCode, ConfigScope::Project) | (Host::Gemini, _) => {
                Some(Reference::Interpolated("${", "}"))
            }
            (Host::Cursor | Host::Windsurf, _) => Some(Reference::Interpolated("${env:", "}")),
            (Host::VsCode, _) => Some(Reference::Prompted),
            (Host::Codex, _) => Some(Reference::Forwarded),
        }
    }

    /// Whether others are likely to get the file, so that no secret belongs into it.
    pub fn is_shared(&self) -> bool {
        self.scope == ConfigScope::Project
    }

    /// The host's name, and whether the file is the project's.
    pub fn title(&self) -> String {
        let host = self.host.map_or("a configuration", Host::name);
        match self.scope {
            ConfigScope::User => host.to_owned(),
            ConfigScope::Project => format!("{host}, this project"),
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
            scope: ConfigScope::User,
            sections,
            syntax,
        }
    }

    fn of_project(host: Host, path: PathBuf) -> Self {
        Self {
            scope: ConfigScope::Project,
            ..Self::at(host, path)
        }
    }
}

/// The directories that determine where hosts keep their files.
#[derive(Debug, Clone)]
pub struct HostDirs {
    /// The user's home directory.
    pub home: PathBuf,
    /// Where applications keep their settings: `~/.config`, `~/Library/Application Support` or
    /// `%APPDATA%`.
    pub config: PathBuf,
    /// Where applications keep data that stays on this machine; on Windows `%LOCALAPPDATA%`.
    pub local: PathBuf,
    /// `CODEX_HOME`; without it, `~/.codex`.
    pub codex_home: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`; without it, the home directory.
    pub claude_dir: Option<PathBuf>,
    /// The working directory, for project files.
    pub directory: PathBuf,
}

impl HostDirs {
    /// Reads them from this process. `None` if there is no home directory or no working directory.
    ///
    /// The variables belong to the hosts; they are not settings of this program.
    pub fn from_process() -> Option<Self> {
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

    /// All files that hosts read, existing or not. The first of each host is the one for a new
    /// entry.
    pub fn locations(&self) -> Vec<Location> {
        let mut locations: Vec<Location> = Host::ALL
            .into_iter()
            .flat_map(|host| {
                let user = self.user_files(host).into_iter();
                let project = self.project_files(host).into_iter();
                user.map(move |path| Location::at(host, path))
                    .chain(project.map(move |path| Location::of_project(host, path)))
            })
            .collect();
        // In the home directory, `.cursor/mcp.json` is both the project's and the user's.
        let mut seen = Vec::new();
        locations.retain(|location| {
            let new = !seen.contains(&location.path);
            seen.push(location.path.clone());
            new
        });
        locations
    }

    /// Whether the host is installed for this user: its directory or one of its files exists.
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

    /// The path that [`Self::has`] looks for first, for error messages.
    pub fn expected(&self, host: Host) -> PathBuf {
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

    /// Claude Desktop from the Windows Store has its own roaming directory.
    fn store_editions(&self) -> impl Iterator<Item = PathBuf> {
        subdirectories(&self.local.join("Packages"))
            .filter(|package| {
                let name = package.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("Claude_")
            })
            .map(|package| package.join("LocalCache/Roaming/Claude"))
    }

    /// The location of a path given by the user: a known one, else a file of `host`, else one
    /// recognised by its name, else one of an unknown host.
    pub fn location_of(&self, path: &Path, host: Option<Host>) -> Location {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let known = self.locations().into_iter().find(|it| it.path == absolute);
        let location = match (known, host) {
            (Some(known), _) => known,
            (None, Some(host)) => Location::at(host, absolute),
            (None, None) => by_name(absolute),
        };
        Location {
            path: path.to_owned(),
            ..location
        }
    }
}

/// Recognises a file by its name and directory.
fn by_name(path: PathBuf) -> Location {
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
        ["claude_desktop_config.json", ..] => Location::at(Host::ClaudeDesktop, path),
        [".claude.json", ..] => Location::at(Host::ClaudeCode, path),
        [".mcp.json", ..] => Location::of_project(Host::ClaudeCode, path),
        ["mcp.json", ".cursor"] => Location::of_project(Host::Cursor, path),
        ["mcp_config.json", "windsurf"] => Location::at(Host::Windsurf, path),
        ["mcp.json", ".vscode"] => Location::of_project(Host::VsCode, path),
        ["mcp.json" | "settings.json", "User"] => Location::at(Host::VsCode, path),
        ["config.toml", ".codex"] => Location::of_project(Host::Codex, path),
        ["settings.json", ".gemini"] => Location::of_project(Host::Gemini, path),
        _ => unknown(path),
    }
}

/// A file of an unknown host: TOML in the form of Codex, or JSON with any known list.
fn unknown(path: PathBuf) -> Location {
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
    Location {
        host: None,
        path,
        scope: ConfigScope::User,
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

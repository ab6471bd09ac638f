//! The configuration files of each host on this machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use directories::BaseDirs;
use serde_json::Value;

use super::Host;
use super::convention::{Base, Dialect, Place, STANDARD};
pub use super::convention::{ConfigScope, Reference};
use super::document::{Section, Syntax};
use super::table::HOSTS;

/// A configuration file that lists MCP servers, existing or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The host that reads it; `None` if unknown.
    pub host: Option<Host>,
    /// Its path.
    pub path: PathBuf,
    /// Who shares it.
    pub scope: ConfigScope,
    /// Its lists of servers. A new entry goes into the innermost that exists, else into the first.
    pub sections: &'static [Section],
    /// Its language.
    pub syntax: Syntax,
    /// How an entry in this file can refer to a value outside it. `None` where the host documents no
    /// way.
    pub reference: Option<Reference>,
}

impl Location {
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

    /// How its entries start servers.
    pub(super) fn dialect(&self) -> &'static Dialect {
        self.host.map_or(&STANDARD, |host| host.entry().dialect)
    }

    pub(super) fn at(host: Host, place: &Place, path: PathBuf) -> Self {
        Self {
            host: Some(host),
            path,
            scope: match place.base {
                Base::Project => ConfigScope::Project,
                _ => ConfigScope::User,
            },
            sections: place.sections,
            syntax: place.syntax,
            reference: place.reference,
        }
    }
}

/// The operating system, as far as hosts' files depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Linux and other Unix systems.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl System {
    /// The one this program was built for.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else {
        Self::Linux
    };
}

/// The directories that determine where hosts keep their files.
#[derive(Debug, Clone)]
pub struct HostDirs {
    /// The operating system.
    pub system: System,
    /// The user's home directory.
    pub home: PathBuf,
    /// Where applications keep their settings: `~/.config`, `~/Library/Application Support` or
    /// `%APPDATA%`.
    pub config: PathBuf,
    /// Where applications keep data that stays on this machine; on Windows `%LOCALAPPDATA%`.
    pub local: PathBuf,
    /// Directories in variables of the hosts, for example `CODEX_HOME`.
    pub variables: BTreeMap<&'static str, PathBuf>,
    /// The working directory, for project files.
    pub directory: PathBuf,
}

/// A plugin of a host that brings mem0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// The host.
    pub host: Host,
    /// Its name, for example `mem0@mem0-plugins`.
    pub name: String,
    /// The command that removes it.
    pub remove: String,
}

impl HostDirs {
    /// Reads them from this process. `None` if there is no home directory or no working directory.
    ///
    /// The variables belong to the hosts; they are not settings of this program.
    pub fn from_process() -> Option<Self> {
        let dirs = BaseDirs::new()?;
        let set = |value: &OsString| !value.is_empty();
        let variables = ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "HERMES_HOME"];
        Some(Self {
            system: System::HERE,
            home: dirs.home_dir().to_owned(),
            config: dirs.config_dir().to_owned(),
            local: dirs.data_local_dir().to_owned(),
            variables: variables
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name).filter(set)?.into())))
                .collect(),
            directory: std::env::current_dir().ok()?,
        })
    }

    /// All files that hosts read, existing or not. The first of each host is the one for a new
    /// entry.
    pub fn locations(&self) -> Vec<Location> {
        let mut locations: Vec<Location> = Host::all()
            .flat_map(|host| self.locations_of(host))
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

    fn locations_of(&self, host: Host) -> impl Iterator<Item = Location> {
        host.entry().places.iter().flat_map(move |place| {
            self.directories(place.base)
                .into_iter()
                .map(move |directory| Location::at(host, place, directory.join(self.path(place))))
        })
    }

    fn path(&self, place: &Place) -> &'static str {
        match (self.system, place.on_windows) {
            (System::Windows, Some(path)) => path,
            _ => place.path,
        }
    }

    /// Whether the host is installed for this user: its directory or one of its files exists.
    pub fn has(&self, host: Host) -> bool {
        if let Some((base, path)) = host.entry().sign
            && self
                .directories(base)
                .iter()
                .any(|it| it.join(path).is_dir())
        {
            return true;
        }
        let sign = host.entry().sign.is_some();
        self.user_files(host)
            .any(|file| file.exists() || !sign && file.parent().is_some_and(Path::is_dir))
    }

    /// The path that [`Self::has`] looks for first, for error messages.
    pub fn expected(&self, host: Host) -> PathBuf {
        let first = self.user_files(host).next().unwrap_or_default();
        match host.entry().sign {
            Some(_) => first,
            None => first.parent().map(Path::to_owned).unwrap_or(first),
        }
    }

    fn user_files(&self, host: Host) -> impl Iterator<Item = PathBuf> {
        self.locations_of(host)
            .filter(|it| it.scope == ConfigScope::User)
            .map(|it| it.path)
    }

    /// The directories that a base stands for.
    fn directories(&self, base: Base) -> Vec<PathBuf> {
        let variable =
            |name: &str, or: PathBuf| vec![self.variables.get(name).cloned().unwrap_or(or)];
        let xdg = || match self.system {
            System::Linux => self.config.clone(),
            _ => self.home.join(".config"),
        };
        let editions = |names: &[&str]| {
            names
                .iter()
                .map(|name| self.config.join(name).join("User"))
                .collect::<Vec<_>>()
        };
        let vscode = || editions(&["Code", "Code - Insiders"]);
        match base {
            Base::Home => vec![self.home.clone()],
            Base::Project => vec![self.directory.clone()],
            Base::Settings => vec![self.config.clone()],
            Base::Xdg => vec![xdg()],
            Base::WindowsOrXdg if self.system == System::Windows => vec![self.config.clone()],
            Base::WindowsOrXdg => vec![xdg()],
            Base::Variable(name, or) => variable(name, self.home.join(or)),
            Base::Hermes if self.system == System::Windows => {
                variable("HERMES_HOME", self.local.join("hermes"))
            }
            Base::Hermes => variable("HERMES_HOME", self.home.join(".hermes")),
            Base::ClaudeStore if self.system == System::Windows => {
                subdirectories(&self.local.join("Packages"))
                    .filter(|package| {
                        let name = package.file_name().unwrap_or_default().to_string_lossy();
                        name.starts_with("Claude_")
                    })
                    .map(|package| package.join("LocalCache/Roaming/Claude"))
                    .collect()
            }
            Base::ClaudeStore => Vec::new(),
            Base::VsCode => vscode(),
            Base::VsCodeProfiles => vscode()
                .iter()
                .flat_map(|user| subdirectories(&user.join("profiles")))
                .collect(),
            Base::Extension => editions(&[
                "Code",
                "Code - Insiders",
                "VSCodium",
                "Cursor",
                "Windsurf",
                "Kiro",
                "Antigravity",
            ])
            .iter()
            .map(|user| user.join("globalStorage"))
            .collect(),
        }
    }

    /// mem0's plugins that hosts have switched on. A file that cannot be read has none.
    pub fn mem0_plugins(&self) -> Vec<Plugin> {
        let mut found = Vec::new();
        for entry in &HOSTS {
            for list in entry.plugins {
                for directory in self.directories(list.base) {
                    let text = std::fs::read_to_string(directory.join(list.path));
                    let document = text.ok().and_then(|text| list.syntax.read(&text).ok());
                    let plugins = document
                        .as_ref()
                        .and_then(|it| it.get(list.member)?.as_object());
                    let names = plugins.into_iter().flatten().filter(|(name, state)| {
                        let is_off =
                            **state == Value::Bool(false) || state["enabled"] == Value::Bool(false);
                        name.starts_with("mem0@") && !is_off
                    });
                    found.extend(names.map(|(name, _)| Plugin {
                        host: entry.host,
                        name: name.clone(),
                        remove: format!("{} {name}", list.remove),
                    }));
                }
            }
        }
        found
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

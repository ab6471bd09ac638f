//! Which host's a file is that the user names: by its place, its name, or the lists in it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Host;
use super::convention::{Base, ConfigScope, Place};
use super::document::{self, Section, Syntax};
use super::locations::{HostDirs, Location};
use super::table::HOSTS;

impl HostDirs {
    /// The location of a path given by the user: a known one, else a file of `host`, else one
    /// recognised by its name, else one of an unknown host.
    pub fn location_of(&self, path: &Path, host: Option<Host>) -> Location {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let known = self.locations().into_iter().find(|it| it.path == absolute);
        let location = match (known, host) {
            (Some(known), None) => known,
            (Some(known), Some(host)) if known.host == Some(host) => known,
            (_, Some(host)) => of_host(host, &absolute),
            (None, None) => by_name(&absolute),
        };
        Location {
            path: path.to_owned(),
            ..location
        }
    }
}

/// A file of a host, by the most similar of its known files.
fn of_host(host: Host, path: &Path) -> Location {
    let places = host.entry().places;
    let named = places.iter().find(|it| has_name_of(path, it));
    let same_language = || places.iter().find(|it| it.path.ends_with(&*name_of(path)));
    // Each host has a place, which a test checks.
    let place = named.or_else(same_language).unwrap_or(&places[0]);
    Location::at(host, place, path.to_owned())
}

/// Recognises a file by its name and directory, or else a file of an unknown host.
fn by_name(path: &Path) -> Location {
    let mut places = HOSTS.iter().flat_map(|entry| {
        // A file that could be a project's is treated as one: no key is written into it.
        let (projects, users): (Vec<&Place>, Vec<&Place>) =
            entry.places.iter().partition(|it| it.base == Base::Project);
        projects
            .into_iter()
            .chain(users)
            .map(|place| (entry.host, place))
    });
    match places.find(|(_, place)| has_name_of(path, place)) {
        Some((host, place)) => Location::at(host, place, path.to_owned()),
        None => unknown(path),
    }
}

/// Names that several hosts use; the directory above tells them apart.
const COMMON: [&str; 10] = [
    "mcp.json",
    "mcp_config.json",
    "settings.json",
    "settings.jsonc",
    "config.toml",
    "config.yaml",
    "config",
    "mcp",
    "settings",
    "data",
];

/// Whether a file has the distinctive end of a place's path.
fn has_name_of(path: &Path, place: &Place) -> bool {
    let base = match place.base {
        Base::Variable(_, or) => or,
        Base::Hermes => ".hermes",
        Base::VsCode | Base::VsCodeProfiles => "User",
        _ => "",
    };
    [Some(place.path), place.on_windows]
        .into_iter()
        .flatten()
        .any(|known| {
            let known = Path::new(base).join(known);
            let parts: Vec<_> = known.iter().collect();
            let start = parts
                .iter()
                .rposition(|part| !COMMON.iter().any(|common| part == common));
            start.is_some_and(|start| {
                let end: PathBuf = parts[start..].iter().collect();
                path.ends_with(end)
            })
        })
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A file of an unknown host; its layout is recognised by [`recognised`].
fn unknown(path: &Path) -> Location {
    let syntax = match path.extension().map(|it| it.to_ascii_lowercase()) {
        Some(it) if it == "toml" => Syntax::Toml,
        Some(it) if it == "yaml" || it == "yml" => Syntax::Yaml,
        _ => Syntax::Json,
    };
    Location {
        host: None,
        path: path.to_owned(),
        scope: ConfigScope::User,
        sections: &[],
        syntax,
        reference: None,
    }
}

/// The layouts of files whose host is not known, with the host whose conventions they follow.
const LAYOUTS: &[(&str, Syntax, &[Section], Option<Host>)] = &[
    (
        "`mcpServers` (JSON, most hosts)",
        Syntax::Json,
        &[&["mcpServers"], &["projects", "*", "mcpServers"]],
        None,
    ),
    (
        "`amp.mcpServers` (Amp)",
        Syntax::Json,
        &[&["amp.mcpServers"]],
        Some(Host::Amp),
    ),
    (
        "`context_servers` (Zed)",
        Syntax::Json,
        &[&["context_servers"]],
        Some(Host::Zed),
    ),
    (
        "`servers` (VS Code)",
        Syntax::Json,
        &[&["servers"]],
        Some(Host::VsCode),
    ),
    (
        "`mcp` (opencode; older VS Code: `mcp.servers`)",
        Syntax::Json,
        &[&["mcp"], &["mcp", "servers"]],
        Some(Host::OpenCode),
    ),
    (
        "`[mcp_servers]` (TOML, Codex)",
        Syntax::Toml,
        &[&["mcp_servers"]],
        Some(Host::Codex),
    ),
    (
        "`mcp_servers` (YAML, Hermes)",
        Syntax::Yaml,
        &[&["mcp_servers"]],
        Some(Host::Hermes),
    ),
    (
        "`extensions` (YAML, Goose)",
        Syntax::Yaml,
        &[&["extensions"]],
        Some(Host::Goose),
    ),
];

/// The layouts that are recognised, for error messages.
pub fn known() -> String {
    let names: Vec<_> = LAYOUTS.iter().map(|(name, ..)| *name).collect();
    names.join(", ")
}

/// The location of an unknown host's file, by the lists in its document; `None` if it has no known
/// layout.
pub fn recognised(location: Location, document: &Map<String, Value>) -> Option<Location> {
    if location.host.is_some() {
        return Some(location);
    }
    let (_, _, sections, host) = LAYOUTS.iter().find(|(_, syntax, sections, _)| {
        *syntax == location.syntax && sections.iter().any(|it| document::at_any(document, it))
    })?;
    // `mcp.servers` is opencode's if a command in it is a list or its kind is opencode's.
    let is_opencode = || {
        let entries = document::listed(document, &[&["mcp", "servers"]]).unwrap_or_default();
        !document::at_any(document, &["mcp", "servers"])
            || entries.iter().any(|it| {
                it.entry["command"].is_array()
                    || it.entry["type"] == "local"
                    || it.entry["type"] == "remote"
            })
    };
    let host = match host {
        Some(Host::OpenCode) if !is_opencode() => Some(Host::VsCode),
        host => *host,
    };
    let place = host.and_then(|host| {
        host.entry()
            .places
            .iter()
            .find(|it| it.sections.iter().any(|it| document::at_any(document, it)))
    });
    Some(Location {
        host,
        sections: place.map_or(*sections, |it| it.sections),
        reference: place.and_then(|it| it.reference),
        ..location
    })
}

/// The layout of a document, if it is another than that of its location's host and has none of the
/// lists of the latter.
pub fn other(location: &Location, document: &Map<String, Value>) -> Option<&'static str> {
    if location
        .sections
        .iter()
        .any(|it| document::at_any(document, it))
    {
        return None;
    }
    let mut other = LAYOUTS.iter().filter(|(_, syntax, sections, _)| {
        *syntax == location.syntax && sections.iter().any(|it| document::at_any(document, it))
    });
    other.next().map(|(name, ..)| *name)
}

//! The files that there are, and the entries in them that run mem0.

use anyhow::Context;
use serde_json::{Map, Value};
use zep_mcp_server::hosts::document::{self, Listed};
use zep_mcp_server::hosts::entry::{self, By, Runs};
use zep_mcp_server::hosts::file::Snapshot;
use zep_mcp_server::hosts::places::{Place, Scope, Surroundings};
use zep_mcp_server::hosts::plan::{self, How, Planned};

use super::show;
use crate::cli::InstallArgs;

/// A file as it was read.
pub struct Source {
    /// Which.
    pub place: Place,
    /// Its text.
    pub snapshot: Snapshot,
    /// What it says.
    document: Map<String, Value>,
}

/// An entry that is to run this server.
pub struct Target {
    /// The index of its file.
    pub source: usize,
    /// Its file's place.
    pub place: Place,
    /// Where it stands in it.
    pub path: Vec<String>,
    /// What it says; null where there is none yet.
    pub entry: Value,
    /// What runs mem0 there.
    pub by: Option<By>,
    document: Map<String, Value>,
}

impl Target {
    /// Its file.
    pub fn source<'a>(&self, sources: &'a [Source]) -> &'a Source {
        &sources[self.source]
    }

    /// Its own name.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// What takes its place.
    ///
    /// # Errors
    /// If something in it is not what it must be.
    pub fn planned(&self, how: &How) -> anyhow::Result<Planned> {
        plan::planned(&self.place, &self.document, &self.path, how)
            .with_context(|| show::path(&self.place.path))
    }

    /// Whether nothing in it says whose memory it is where a call does not.
    pub fn names_nobody(&self) -> bool {
        let is_set = |name: &str| {
            self.entry
                .get("env")
                .and_then(|env| env.get(name))
                .and_then(Value::as_str)
                .is_some_and(|value| !value.trim().is_empty())
        };
        let carried = self.entry.as_object().map(entry::carried);
        !is_set("MEM0_DEFAULT_USER_ID")
            && !is_set("ZEP_DEFAULT_USER_ID")
            && !carried.is_some_and(|it| it.contains_key("MEM0_DEFAULT_USER_ID"))
    }
}

/// Reads every file that there is. Where they were named, all must be there.
///
/// # Errors
/// If one cannot be read or is broken: a file that is not understood may be the one that matters.
pub fn sources(places: &[Place], must_exist: bool) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for place in places {
        let source = source(place)?;
        if source.snapshot.exists() {
            sources.push(source);
        } else if must_exist {
            anyhow::bail!("there is no file {}", show::path(&place.path));
        }
    }
    Ok(sources)
}

fn source(place: &Place) -> anyhow::Result<Source> {
    let snapshot = Snapshot::read(&place.path)?;
    let document = place
        .syntax
        .read(snapshot.text())
        .with_context(|| show::path(&place.path))?;
    Ok(Source {
        place: place.clone(),
        snapshot,
        document,
    })
}

/// Every entry that runs mem0; of these names, if there are any.
///
/// # Errors
/// If a list of servers is none.
pub fn targets(sources: &[Source], names: &[String]) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        for listed in listed(source, names)? {
            if let Runs::Mem0(by) = entry::runs(&listed.entry) {
                targets.push(Target {
                    source: index,
                    place: source.place.clone(),
                    path: listed.path,
                    entry: listed.entry,
                    by: Some(by),
                    document: source.document.clone(),
                });
            }
        }
    }
    Ok(targets)
}

/// Every entry that runs this server already.
///
/// # Errors
/// If a list of servers is none.
pub fn ours<'a>(
    sources: &'a [Source],
    names: &[String],
) -> anyhow::Result<Vec<(&'a Source, String)>> {
    let mut ours = Vec::new();
    for source in sources {
        for listed in listed(source, names)? {
            if entry::runs(&listed.entry) == Runs::Ours {
                ours.push((source, listed.name().to_owned()));
            }
        }
    }
    Ok(ours)
}

fn listed(source: &Source, names: &[String]) -> anyhow::Result<Vec<Listed>> {
    let mut listed = document::listed(&source.document, source.place.sections)
        .with_context(|| show::path(&source.place.path))?;
    listed.retain(|it| names.is_empty() || names.iter().any(|name| name == it.name()));
    Ok(listed)
}

/// The files into which a new entry would go: the named ones, or each host's own.
///
/// # Errors
/// If one cannot be read.
pub fn for_new_entries(
    surroundings: &Surroundings,
    sources: &[Source],
    args: &InstallArgs,
) -> anyhow::Result<Vec<Source>> {
    if !args.config.is_empty() {
        return sources.iter().map(|it| source(&it.place)).collect();
    }
    let mut hosts = Vec::new();
    let mut chosen = Vec::new();
    for place in surroundings.places() {
        let Some(host) = place.host else { continue };
        let wanted = args.host.is_empty() || args.host.contains(&host);
        if wanted && place.scope == Scope::User && surroundings.has(host) && !hosts.contains(&host)
        {
            hosts.push(host);
            chosen.push(source(&place)?);
        }
    }
    Ok(chosen)
}

/// A new entry in each file.
///
/// # Errors
/// If its name is taken.
pub fn new_targets(sources: &[Source], name: &str) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let Some(section) = section(source) else {
            continue;
        };
        let mut path: Vec<String> = section.iter().map(|it| (*it).to_owned()).collect();
        path.push(name.to_owned());
        anyhow::ensure!(
            document::at(&source.document, &path).is_none(),
            "{}: `{}` is the name of another entry; choose one with --name",
            show::path(&source.place.path),
            crate::output::on_one_line(&name)
        );
        targets.push(Target {
            source: index,
            place: source.place.clone(),
            path,
            entry: Value::Null,
            by: None,
            document: source.document.clone(),
        });
    }
    Ok(targets)
}

/// The list for a new entry: one that is there, or the first.
fn section(source: &Source) -> Option<&'static [&'static str]> {
    let sections = source.place.sections;
    sections
        .iter()
        .find(|section| {
            let path: Vec<String> = section.iter().map(|it| (*it).to_owned()).collect();
            document::at(&source.document, &path).is_some()
        })
        .or(sections.first())
        .copied()
}

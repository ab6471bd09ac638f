//! The configuration files on this machine, and the entries in them that run mem0.

use anyhow::Context;
use serde_json::{Map, Value};
use zep_mcp_server::agent_hosts::document::{self, DocumentError, ListedServer};
use zep_mcp_server::agent_hosts::entry::{self, Launcher, Runs};
use zep_mcp_server::agent_hosts::file::Snapshot;
use zep_mcp_server::agent_hosts::layout;
use zep_mcp_server::agent_hosts::locations::{ConfigScope, HostDirs, Location};
use zep_mcp_server::agent_hosts::plan::{self, LaunchSpec, Planned};

use crate::cli::EntryArgs;
use crate::output::{on_one_line, shown_path};

/// A configuration file as it was read.
pub(in crate::commands) struct ConfigFile {
    pub(in crate::commands) location: Location,
    pub(in crate::commands) snapshot: Snapshot,
    document: Map<String, Value>,
    /// The entries that will run this server.
    pub(in crate::commands) targets: Vec<Target>,
    /// The names of the entries that perhaps run mem0, and that nobody chose.
    pub(in crate::commands) unsure: Vec<String>,
}

/// An entry that will run this server.
pub(in crate::commands) struct Target {
    /// Names from the outside in, its own last.
    pub(in crate::commands) path: Vec<String>,
    /// Its value; null for a new entry.
    pub(in crate::commands) entry: Value,
    /// What starts mem0 in it; `None` for a new entry.
    pub(in crate::commands) launcher: Option<Launcher>,
}

impl Target {
    /// Its own name.
    pub(in crate::commands) fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Whether it sets a default user.
    pub(in crate::commands) fn has_default_user(&self) -> bool {
        let is_set = |name: &str| {
            entry::variables(&self.entry)
                .and_then(|env| env.get(name))
                .and_then(Value::as_str)
                .is_some_and(|value| !value.trim().is_empty())
        };
        let carried = self.entry.as_object().map(entry::carried);
        is_set("MEM0_DEFAULT_USER_ID")
            || is_set("ZEP_DEFAULT_USER_ID")
            || carried.is_some_and(|it| {
                it.contains_key("MEM0_DEFAULT_USER_ID") || it.contains_key("ZEP_DEFAULT_USER_ID")
            })
    }
}

impl ConfigFile {
    /// Reads a file, which need not exist. Selects no targets.
    ///
    /// # Errors
    /// If it cannot be read or parsed, or if it is of an unknown layout.
    fn read(location: &Location) -> anyhow::Result<Self> {
        let snapshot = Snapshot::read(&location.path)?;
        let document = location.syntax.read(snapshot.text());
        let document = match document {
            Err(error @ DocumentError::WrongKind { .. }) if location.host.is_none() => {
                Err(error).with_context(|| unknown_layout(location))?
            }
            other => other.with_context(|| shown_path(&location.path))?,
        };
        let recognised = match layout::recognised(location.clone(), &document) {
            _ if !snapshot.exists() => location.clone(),
            Some(recognised) => recognised,
            None => anyhow::bail!(unknown_layout(location)),
        };
        Ok(Self {
            location: recognised,
            snapshot,
            document,
            targets: Vec::new(),
            unsure: Vec::new(),
        })
    }

    /// Its path, for messages.
    pub(in crate::commands) fn shown_path(&self) -> String {
        shown_path(&self.location.path)
    }

    /// Selects the entries that run mem0, among `names` if there are any. One that perhaps runs mem0
    /// is selected only by its name.
    fn select_mem0(&mut self, names: &[String]) -> anyhow::Result<()> {
        for listed in self.listed(names)? {
            let launcher = match entry::runs(listed.name(), &listed.entry) {
                Runs::Mem0(launcher) => launcher,
                Runs::Unsure if !names.is_empty() => Launcher::Program,
                Runs::Unsure => {
                    self.unsure.push(listed.name().to_owned());
                    continue;
                }
                Runs::Ours | Runs::Other => continue,
            };
            let ListedServer { path, entry } = listed;
            self.targets.push(Target {
                path,
                entry,
                launcher: Some(launcher),
            });
        }
        Ok(())
    }

    /// The names of the entries that run this server already.
    ///
    /// # Errors
    /// If a list of servers is not an object.
    pub(in crate::commands) fn ours(&self, names: &[String]) -> anyhow::Result<Vec<String>> {
        let listed = self.listed(names)?.into_iter();
        Ok(listed
            .filter(|it| entry::runs(it.name(), &it.entry) == Runs::Ours)
            .map(|it| it.name().to_owned())
            .collect())
    }

    /// Selects a new entry: in the innermost list that exists, else in the first of this host.
    ///
    /// # Errors
    /// If the name is taken, or if the file is laid out as another host's.
    pub(in crate::commands) fn select_new(&mut self, name: &str) -> anyhow::Result<()> {
        if let Some(other) = layout::other(&self.location, &self.document) {
            anyhow::bail!(
                "{} lists its servers as {other} does, and not as {}; nothing was added",
                self.shown_path(),
                self.location.title()
            );
        }
        let sections = self.location.sections;
        let existing = sections
            .iter()
            .rfind(|section| document::at(&self.document, section).is_some());
        let Some(section) = existing.or(sections.first()) else {
            return Ok(());
        };
        let outer = section.iter().copied();
        let path: Vec<_> = outer.chain([name]).map(str::to_owned).collect();
        anyhow::ensure!(
            document::at(&self.document, &path).is_none(),
            "{}: another entry is named `{}`; choose a different name with --name",
            self.shown_path(),
            on_one_line(name)
        );
        self.targets.push(Target {
            path,
            entry: Value::Null,
            launcher: None,
        });
        Ok(())
    }

    /// A target after the switch.
    ///
    /// # Errors
    /// If a member of it has the wrong type.
    pub(in crate::commands) fn planned(
        &self,
        target: &Target,
        launch: &LaunchSpec,
    ) -> anyhow::Result<Planned> {
        plan::planned(&self.location, &self.document, &target.path, launch)
            .with_context(|| self.shown_path())
    }

    /// The text with all targets switched.
    ///
    /// # Errors
    /// If an entry cannot be changed.
    pub(in crate::commands) fn switched(&self, launch: &LaunchSpec) -> anyhow::Result<String> {
        let mut text = self.snapshot.text().to_owned();
        for target in &self.targets {
            let Planned { entry, beside } = self.planned(target, launch)?;
            let changes = [(target.path.clone(), entry)].into_iter().chain(beside);
            for (path, value) in changes {
                text = self
                    .location
                    .syntax
                    .set(&text, &path, &value)
                    .with_context(|| self.shown_path())?;
            }
        }
        Ok(text)
    }

    /// The servers that it lists, those of `names` if there are any.
    ///
    /// # Errors
    /// If a list of servers is not an object.
    pub(in crate::commands) fn listed(
        &self,
        names: &[String],
    ) -> anyhow::Result<Vec<ListedServer>> {
        let mut listed = document::listed(&self.document, self.location.sections)
            .with_context(|| self.shown_path())?;
        listed.retain(|it| names.is_empty() || names.iter().any(|name| name == it.name()));
        Ok(listed)
    }
}

fn unknown_layout(location: &Location) -> String {
    format!(
        "{}: no list of MCP servers was found in it. The layouts that are known: {}. For a file that \
         has none yet, name the host: --host",
        shown_path(&location.path),
        layout::known()
    )
}

/// Reads all files that exist and selects their mem0 entries. Files named with `--config` must
/// exist.
///
/// # Errors
/// If one cannot be read or parsed: a file that is not understood may be the one that matters.
pub(in crate::commands) fn files(
    locations: &[Location],
    args: &EntryArgs,
) -> anyhow::Result<Vec<ConfigFile>> {
    let mut files = Vec::new();
    for location in locations {
        let mut file = ConfigFile::read(location)?;
        if file.snapshot.exists() {
            file.select_mem0(&args.entry)?;
            files.push(file);
        } else if !args.config.is_empty() {
            anyhow::bail!("there is no file {}", file.shown_path());
        }
    }
    Ok(files)
}

/// The files for new entries: those of `--config`, or the main file of each installed host. The main
/// file is the first that exists.
///
/// # Errors
/// If one cannot be read.
pub(in crate::commands) fn files_for_new_entries(
    dirs: &HostDirs,
    files: Vec<ConfigFile>,
    args: &EntryArgs,
) -> anyhow::Result<Vec<ConfigFile>> {
    if !args.config.is_empty() {
        return Ok(files);
    }
    let mut chosen: Vec<Location> = Vec::new();
    for location in dirs.locations() {
        let Some(host) = location.host else { continue };
        let wanted = args.host.is_empty() || args.host.contains(&host);
        if !wanted || location.scope != ConfigScope::User || !dirs.has(host) {
            continue;
        }
        match chosen.iter_mut().find(|it| it.host == Some(host)) {
            None => chosen.push(location),
            Some(main) if !main.path.exists() && location.path.exists() => *main = location,
            Some(_) => {}
        }
    }
    chosen.iter().map(ConfigFile::read).collect()
}

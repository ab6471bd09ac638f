//! `install`: makes an entry of an agent host's configuration run this server instead of mem0's.

pub(super) mod ask;
pub(super) mod change;
pub(super) mod find;
pub(super) mod key;
mod notes;
pub(super) mod restore;
mod show;

use std::process::ExitCode;

use anyhow::Context;
use zep_mcp_server::agent_hosts::Host;
use zep_mcp_server::agent_hosts::file::Overwrite;
use zep_mcp_server::agent_hosts::locations::{HostDirs, Location};
use zep_mcp_server::config::{Flags, Setting};

use crate::cli::{EntryArgs, InstallArgs};
use crate::output::{Misuse, Page, Style, on_one_line, shown_path};
use find::ConfigFile;

/// The name of a new entry.
const NEW_ENTRY: &str = "zep-memory";

/// Finds, shows, asks, and changes.
///
/// # Errors
/// If the command line is wrong, a file cannot be used, or there is nothing to change.
pub(crate) fn run(settings: &Flags, args: &InstallArgs) -> anyhow::Result<ExitCode> {
    refuse_settings(
        settings,
        "install",
        &[Setting::LogLevel, Setting::LogFormat],
    )?;
    let entries = &args.entries;
    let dirs = host_dirs()?;
    let locations = locations(&dirs, entries)?;
    let page = Page::stdout();
    if args.restore {
        let overwrite = match args.force {
            true => Overwrite::AnyChanges,
            false => Overwrite::OwnChanges,
        };
        return restore::run(&page, &locations, entries, overwrite);
    }
    let plugins = dirs.mem0_plugins();
    for plugin in plugins.iter().filter(|it| concerns(entries, it.host)) {
        let label = page.styled(Style::Warning, "note:");
        page.line(&format!("{label} {}", notes::plugin(plugin)))?;
    }
    let files = find::files(&locations, entries)?;
    if files.iter().all(|file| file.targets.is_empty()) {
        return without_mem0(&page, &dirs, files, args);
    }
    if entries.yes && !entries.all && entries.entry.is_empty() {
        refuse_several(&files)?;
    }
    change::run(&page, &files, entries)
}

/// Where this user's hosts keep their files.
///
/// # Errors
/// If neither a home directory nor a working directory is known.
pub(super) fn host_dirs() -> anyhow::Result<HostDirs> {
    HostDirs::from_process().context("neither a home directory nor a working directory is known")
}

/// Names the entries that run this server already. Whether there are any.
pub(super) fn tell_installed(
    page: &Page,
    files: &[ConfigFile],
    entries: &EntryArgs,
) -> anyhow::Result<bool> {
    let mut installed = false;
    for file in files {
        for name in file.ours(&entries.entry)? {
            installed = true;
            page.line(&format!(
                "{} {}: `{}` runs this server already.",
                page.styled(Style::Good, "✓"),
                file.shown_path(),
                on_one_line(&name)
            ))?;
        }
    }
    Ok(installed)
}

/// No entry runs mem0: either this server is installed already, or a new entry is offered.
fn without_mem0(
    page: &Page,
    dirs: &HostDirs,
    files: Vec<ConfigFile>,
    args: &InstallArgs,
) -> anyhow::Result<ExitCode> {
    let entries = &args.entries;
    if tell_installed(page, &files, entries)? {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = entries.entry.first() {
        anyhow::bail!("no entry named `{}` runs mem0", on_one_line(name));
    }
    let unsure: Vec<_> = files.iter().filter_map(notes::unsure).collect();
    if !unsure.is_empty() && args.name.is_none() {
        anyhow::bail!(
            "{} To add an entry beside it, use --name NAME.",
            unsure.join("\n")
        );
    }
    let named = !entries.host.is_empty();
    if !named && !entries.config.is_empty() {
        anyhow::bail!(
            "no entry runs mem0 in the named files. To add a new entry, name the host: --host"
        );
    }
    let name = args.name.as_deref().unwrap_or(NEW_ENTRY);
    let files = find::files_for_new_entries(dirs, files, entries)?;
    if files.is_empty() {
        anyhow::bail!(
            "no agent host was found on this machine; name the file that lists its MCP servers \
             with --config"
        );
    }
    if !named && (!ask::is_possible() || entries.yes || entries.dry_run) {
        let hosts: Vec<_> = files.iter().map(|file| file.location.title()).collect();
        anyhow::bail!(
            "no entry runs mem0. Searched: {}. To add a new entry, name the host: --host",
            hosts.join(", ")
        );
    }
    let mut chosen = Vec::new();
    for mut file in files {
        let question = format!(
            "No entry runs mem0 in {}. Add one named `{}`?",
            file.shown_path(),
            on_one_line(name)
        );
        if named || ask::yes(&question)? {
            file.select_new(name)?;
            chosen.push(file);
        }
    }
    if chosen.is_empty() {
        page.line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    change::run(page, &chosen, entries)
}

/// Whether the command line selects this host.
fn concerns(args: &EntryArgs, host: Host) -> bool {
    args.config.is_empty() && (args.host.is_empty() || args.host.contains(&host))
}

/// The files that the command line selects.
pub(super) fn locations(dirs: &HostDirs, args: &EntryArgs) -> anyhow::Result<Vec<Location>> {
    if !args.config.is_empty() {
        let host = match args.host[..] {
            [] => None,
            [host] => Some(host),
            _ => return Err(Misuse("--config takes at most one --host".to_owned()).into()),
        };
        let paths = args.config.iter();
        return Ok(paths.map(|path| dirs.location_of(path, host)).collect());
    }
    let mut locations = dirs.locations();
    locations.retain(|location| {
        args.host.is_empty() || location.host.is_some_and(|host| args.host.contains(&host))
    });
    for host in &args.host {
        let mut own = locations.iter().filter(|it| it.host == Some(*host));
        anyhow::ensure!(
            dirs.has(*host) || own.any(|location| location.path.exists()),
            "{host} is not on this machine: there is no {}",
            shown_path(&dirs.expected(*host))
        );
    }
    Ok(locations)
}

/// The flags of settings are global, and this command would silently ignore all but the `known` ones.
///
/// # Errors
/// [`Misuse`] if another one is given.
pub(super) fn refuse_settings(
    settings: &Flags,
    command: &str,
    known: &[Setting],
) -> Result<(), Misuse> {
    let is_unknown = |setting: &Setting| !known.contains(setting);
    match settings.given().find(is_unknown) {
        Some(setting) => Err(Misuse(format!(
            "{} is a flag of the server, not of `{command}`: afterwards, set its variable in the \
             entry's `env`{}",
            setting.flag().unwrap_or_default(),
            if setting == Setting::Backend {
                "; for the local backend use --local"
            } else {
                ""
            }
        ))),
        None => Ok(()),
    }
}

/// Refuses to choose between several entries of one file without being asked to.
///
/// # Errors
/// [`Misuse`] with their names.
pub(super) fn refuse_several(files: &[ConfigFile]) -> Result<(), Misuse> {
    let Some(file) = files.iter().find(|file| file.targets.len() > 1) else {
        return Ok(());
    };
    let targets = file.targets.iter();
    let names: Vec<_> = targets
        .map(|it| format!("`{}`", on_one_line(&it.path.join("."))))
        .collect();
    Err(Misuse(format!(
        "several entries of one file run mem0: {}. Use --all, or choose with --entry NAME",
        names.join(", ")
    )))
}

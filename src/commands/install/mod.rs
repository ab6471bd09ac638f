//! `install`: makes an entry of an agent host's configuration run this server instead of mem0's.

mod ask;
mod change;
mod find;
mod key;
mod notes;
mod restore;
mod show;

use std::process::ExitCode;

use anyhow::Context;
use zep_mcp_server::agent_hosts::Host;
use zep_mcp_server::agent_hosts::locations::{HostDirs, Location};
use zep_mcp_server::config::{Flags, Setting};

use crate::cli::InstallArgs;
use crate::output::{Misuse, Page, Style, on_one_line, shown_path};
use find::ConfigFile;

/// The name of a new entry.
const NEW_ENTRY: &str = "zep-memory";

/// Finds, shows, asks, and changes.
///
/// # Errors
/// If the command line is wrong, a file cannot be used, or there is nothing to change.
pub(crate) fn run(settings: &Flags, args: &InstallArgs) -> anyhow::Result<ExitCode> {
    refuse_settings(settings)?;
    let dirs = HostDirs::from_process()
        .context("neither a home directory nor a working directory is known")?;
    let locations = locations(&dirs, args)?;
    let page = Page::stdout();
    if args.restore {
        return restore::run(&page, &locations, args);
    }
    let plugins = dirs.mem0_plugins();
    for plugin in plugins.iter().filter(|it| concerns(args, it.host)) {
        let label = page.styled(Style::Warning, "note:");
        page.line(&format!("{label} {}", notes::plugin(plugin)))?;
    }
    let files = find::files(&locations, args)?;
    if files.iter().all(|file| file.targets.is_empty()) {
        return without_mem0(&page, &dirs, files, args);
    }
    if args.yes && !args.all && args.entry.is_empty() {
        refuse_several(&files)?;
    }
    change::run(&page, &files, args)
}

/// No entry runs mem0: either this server is installed already, or a new entry is offered.
fn without_mem0(
    page: &Page,
    dirs: &HostDirs,
    files: Vec<ConfigFile>,
    args: &InstallArgs,
) -> anyhow::Result<ExitCode> {
    let mut installed = false;
    for file in &files {
        for name in file.ours(&args.entry)? {
            installed = true;
            page.line(&format!(
                "{} {}: `{}` runs this server already.",
                page.styled(Style::Good, "✓"),
                file.shown_path(),
                on_one_line(&name)
            ))?;
        }
    }
    if installed {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = args.entry.first() {
        anyhow::bail!("no entry named `{}` runs mem0", on_one_line(name));
    }
    let unsure: Vec<_> = files.iter().filter_map(notes::unsure).collect();
    if !unsure.is_empty() && args.name.is_none() {
        anyhow::bail!(
            "{} To add an entry beside it, use --name NAME.",
            unsure.join("\n")
        );
    }
    let named = !args.host.is_empty();
    if !named && !args.config.is_empty() {
        anyhow::bail!(
            "no entry runs mem0 in the named files. To add a new entry, name the host: --host"
        );
    }
    let name = args.name.as_deref().unwrap_or(NEW_ENTRY);
    let files = find::files_for_new_entries(dirs, files, args)?;
    if files.is_empty() {
        anyhow::bail!(
            "no agent host was found on this machine; name the file that lists its MCP servers \
             with --config"
        );
    }
    if !named && (!ask::is_possible() || args.yes || args.dry_run) {
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
    change::run(page, &chosen, args)
}

/// Whether the command line selects this host.
fn concerns(args: &InstallArgs, host: Host) -> bool {
    args.config.is_empty() && (args.host.is_empty() || args.host.contains(&host))
}

/// The files that the command line selects.
fn locations(dirs: &HostDirs, args: &InstallArgs) -> anyhow::Result<Vec<Location>> {
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

/// The flags of settings are global, and `install` would silently ignore them.
fn refuse_settings(settings: &Flags) -> Result<(), Misuse> {
    let for_server = |setting: &Setting| !matches!(setting, Setting::LogLevel | Setting::LogFormat);
    match settings.given().find(for_server) {
        Some(setting) => Err(Misuse(format!(
            "{} is a flag of the server, not of `install`: afterwards, set its variable in the \
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

fn refuse_several(files: &[ConfigFile]) -> Result<(), Misuse> {
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

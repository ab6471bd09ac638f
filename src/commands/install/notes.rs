//! What the user should know before the change, and do after it.

use std::io;

use clap::ValueEnum;
use zep_mcp_server::agent_hosts::Host;
use zep_mcp_server::agent_hosts::entry::{Launcher, OUR_PROGRAM};
use zep_mcp_server::agent_hosts::locations::{Plugin, Reference};
use zep_mcp_server::agent_hosts::plan::{ApiKey, Via};

use super::find::ConfigFile;
use crate::cli::EntryArgs;
use crate::output::{Page, Style, on_one_line};

/// Notes to show before asking.
pub(super) fn before(files: &[ConfigFile], via: Via, args: &EntryArgs) -> Vec<String> {
    let mut notes = Vec::new();
    let targets = || files.iter().flat_map(|file| &file.targets);
    let any = |launcher: Launcher| targets().any(|it| it.launcher == Some(launcher));
    if args.via.is_none() && via == Via::Path && any(Launcher::Uvx) {
        notes.push(format!(
            "uvx started mem0; {OUR_PROGRAM} is started by its path. Use --via uvx to start it \
             with uvx as well."
        ));
    }
    if any(Launcher::Url) {
        notes.push(
            "mem0 was a remote server; this server runs on this machine. What only a remote server \
             has (for example `headers`) is removed, and stays in the backup."
                .to_owned(),
        );
    }
    let mut without_user: Vec<_> = targets()
        .filter(|it| !it.has_default_user())
        .map(|it| format!("`{}`", on_one_line(&it.name())))
        .collect();
    without_user.sort();
    without_user.dedup();
    if !without_user.is_empty() {
        notes.push(format!(
            "{} does not set MEM0_DEFAULT_USER_ID: calls that name no user store for the user \
             `mem0-mcp`, as with mem0-mcp-server.{}",
            without_user.join(", "),
            if any(Launcher::Container) {
                " If the container reads it from a file, add it to `env`."
            } else {
                ""
            }
        ));
    }
    notes.extend(files.iter().filter_map(unsure));
    let changes_shared = |file: &ConfigFile| file.location.is_shared() && !file.targets.is_empty();
    if !args.local && files.iter().any(changes_shared) {
        notes.push(
            "others can read a project's file: it gets a reference to the key, not the key."
                .to_owned(),
        );
    }
    let without_reference = |file: &&ConfigFile| {
        let location = &file.location;
        changes_shared(file) && location.reference.is_none() && !args.local
    };
    for file in files.iter().filter(without_reference) {
        notes.push(format!(
            "{} documents no reference to a variable, so {} gets no key: the server starts only if \
             the host passes ZEP_API_KEY on to it.",
            file.location.title(),
            file.shown_path()
        ));
    }
    notes
}

/// Says which entries of a file perhaps run mem0, and how to choose one.
pub(super) fn unsure(file: &ConfigFile) -> Option<String> {
    let names: Vec<_> = file
        .unsure
        .iter()
        .map(|it| format!("`{}`", on_one_line(it)))
        .collect();
    let first = file.unsure.first()?;
    Some(format!(
        "{}: {} may run mem0, but not by a command or URL that is known to be its server's. It is \
         left alone; to change it, use --entry '{}'.",
        file.shown_path(),
        names.join(", "),
        on_one_line(first)
    ))
}

/// Says how to remove a plugin that brings mem0.
pub(super) fn plugin(plugin: &Plugin) -> String {
    format!(
        "{} has mem0 as the plugin `{}`, which `install` does not change. To replace it: `{}`, then \
         `{OUR_PROGRAM} install --host {}`.",
        plugin.host,
        on_one_line(&plugin.name),
        on_one_line(&plugin.remove),
        flag(plugin.host)
    )
}

/// The name of a host on the command line.
fn flag(host: Host) -> String {
    host.to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

/// What to do after the change.
///
/// # Errors
/// If stdout is closed.
pub(super) fn after(page: &Page, files: &[ConfigFile], key: &ApiKey) -> io::Result<()> {
    let changed = || files.iter().filter(|file| !file.targets.is_empty());
    page.line("")?;
    for file in changed() {
        let holds_key = matches!(key.in_file(&file.location), ApiKey::Literal(_));
        if holds_key && file.snapshot.is_readable_by_others() {
            page.line(&format!(
                "{} other users of this machine can read {}, which contains the key: chmod 600 it",
                page.styled(Style::Warning, "note:"),
                file.shown_path()
            ))?;
        }
    }
    restarts(page, changed().filter_map(|file| file.location.host))?;
    let needs_variable = |file: &ConfigFile| {
        let reference = file.location.reference;
        matches!(key.in_file(&file.location), ApiKey::Reference)
            && reference.is_some_and(|it| it != Reference::Prompted)
    };
    if changed().any(needs_variable) {
        page.line("Start your host with ZEP_API_KEY in its environment: the entry refers to it.")?;
    }
    page.line("To check the result, run `zep-mcp-server doctor` with the entry's environment.")?;
    page.line("To undo: zep-mcp-server install --restore, with the same --host or --config.")
}

/// How to restart each host, once.
///
/// # Errors
/// If stdout is closed.
pub(super) fn restarts(page: &Page, hosts: impl Iterator<Item = Host>) -> io::Result<()> {
    let mut shown: Vec<Host> = Vec::new();
    for host in hosts {
        if !shown.contains(&host) {
            page.line(&format!("{host}: {}.", host.restart()))?;
            shown.push(host);
        }
    }
    Ok(())
}

//! `install`: the switch. One entry of an agent host's configuration runs this server instead of
//! mem0's.

mod ask;
mod find;
mod key;
mod restore;
mod show;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use zep_mcp_server::config::{Flags, Setting};
use zep_mcp_server::hosts::Host;
use zep_mcp_server::hosts::entry::{By, OUR_PROGRAM};
use zep_mcp_server::hosts::file::FileError;
use zep_mcp_server::hosts::places::{Place, Reference, Surroundings};
use zep_mcp_server::hosts::plan::{self, How, Key, Planned, Via};

use crate::cli::InstallArgs;
use crate::output::{Misuse, Page, Style, on_one_line};
use find::{Source, Target};
use key::KeySource;

/// Finds, shows, asks, and changes.
///
/// # Errors
/// If the command line is wrong, a file cannot be used, or there is nothing to change.
pub fn run(settings: &Flags, args: &InstallArgs) -> anyhow::Result<ExitCode> {
    refuse_settings(settings)?;
    let surroundings = Surroundings::of_this_process()
        .context("neither a home directory nor a working directory is known")?;
    let places = places(&surroundings, args)?;
    let page = Page::stdout();
    if args.restore {
        return restore::run(&page, &places, args);
    }
    let sources = find::sources(&places, !args.config.is_empty())?;
    let targets = find::targets(&sources, &args.entry)?;
    if targets.is_empty() {
        return nothing_found(&page, &surroundings, &sources, args);
    }
    if args.yes && !args.all && args.entry.is_empty() {
        refuse_several(&targets)?;
    }
    switch(&page, &sources, &targets, args)
}

/// Shows what would change, asks, and changes it.
fn switch(
    page: &Page,
    sources: &[Source],
    targets: &[Target],
    args: &InstallArgs,
) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let via = args.via.unwrap_or_else(|| own_via(&program));
    let how = |key| How {
        via,
        program: program.to_string_lossy().into_owned(),
        key,
    };
    if via == Via::Path && program.to_str().is_none() {
        anyhow::bail!("this program's path is not Unicode text, which no configuration can hold");
    }
    let key = KeySource::choose(targets, args)?;
    for target in targets {
        let planned = target.planned(&how(key.stand_in(&target.source(sources).place)))?;
        show::change(page, target.source(sources), target, &planned)?;
    }
    for note in notes(sources, targets, via, args) {
        page.line(&format!(
            "\n{} {note}",
            page.styled(Style::Doubtful, "note:")
        ))?;
    }
    if args.dry_run {
        page.line("\nNothing was changed: this is a dry run.")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !ask::yes("\nChange this?")? {
        page.line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = key.obtain()?;
    // Every file's new text first: if one cannot be had, none is written.
    let mut texts = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut text = source.snapshot.text().to_owned();
        for target in targets.iter().filter(|it| it.source == index) {
            let planned = target.planned(&how(key.for_place(&source.place)))?;
            text = written(source, target, &text, &planned)?;
        }
        if text != source.snapshot.text() {
            source.snapshot.check_unchanged()?;
            texts.push((source, text));
        }
    }
    let mut done = Vec::new();
    for (source, text) in texts {
        let backup = source
            .snapshot
            .replace(&text)
            .map_err(|error| half_done(error, &done))?;
        let path = show::path(&source.place.path);
        page.line(&format!(
            "\n{} {path}",
            page.styled(Style::Good, "changed:")
        ))?;
        page.line(&match backup {
            Some(backup) => format!("  backup: {}", show::path(&backup)),
            None => "  it was not there before: to undo this, delete it".to_owned(),
        })?;
        done.push(path);
    }
    afterwards(page, sources, targets, &key)?;
    Ok(ExitCode::SUCCESS)
}

/// The file's text with one more entry changed.
fn written(
    source: &Source,
    target: &Target,
    text: &str,
    planned: &Planned,
) -> anyhow::Result<String> {
    let syntax = source.place.syntax;
    let named = || show::path(&source.place.path);
    let text = syntax
        .set(text, &target.path, &planned.entry)
        .with_context(named)?;
    match &planned.beside {
        Some((path, value)) => syntax.set(&text, path, value).with_context(named),
        None => Ok(text),
    }
}

fn half_done(error: FileError, done: &[String]) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    if done.is_empty() {
        return error;
    }
    error.context(format!(
        "changed {}, but not all: `--restore` undoes it",
        done.join(", ")
    ))
}

/// What is to be done by the person now.
fn afterwards(
    page: &Page,
    sources: &[Source],
    targets: &[Target],
    key: &key::Keys,
) -> anyhow::Result<()> {
    let mut hosts: Vec<Host> = Vec::new();
    page.line("")?;
    for source in targets.iter().map(|it| it.source(sources)) {
        let place = &source.place;
        if key.is_written_to(place) && source.snapshot.is_open_to_others() {
            page.line(&format!(
                "{} others on this machine can read {}, and the key is in it: chmod 600 helps",
                page.styled(Style::Doubtful, "note:"),
                show::path(&place.path)
            ))?;
        }
        if let Some(host) = place.host
            && !hosts.contains(&host)
        {
            hosts.push(host);
        }
    }
    for host in hosts {
        page.line(&format!("{host}: {}.", host.restart()))?;
    }
    let refers = |place: &Place| {
        matches!(key.for_place(place), Key::Reference)
            && place.reference().is_some_and(|it| it != Reference::Asked)
    };
    if targets.iter().any(|it| refers(&it.place)) {
        page.line("Start your host with ZEP_API_KEY in its environment: its entry refers to it.")?;
    }
    page.line("`zep-mcp-server doctor`, with the entry's environment, tells whether all is well.")?;
    page.line("To undo: zep-mcp-server install --restore, with the same --host or --config.")?;
    Ok(())
}

/// No entry runs mem0: this server stands there already, or a new entry is offered.
fn nothing_found(
    page: &Page,
    surroundings: &Surroundings,
    sources: &[Source],
    args: &InstallArgs,
) -> anyhow::Result<ExitCode> {
    let ours = find::ours(sources, &args.entry)?;
    for (source, name) in &ours {
        page.line(&format!(
            "{} {}: `{}` runs this server already.",
            page.styled(Style::Good, "✓"),
            show::path(&source.place.path),
            on_one_line(name)
        ))?;
    }
    if !ours.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = args.entry.first() {
        anyhow::bail!("no entry called `{}` runs mem0", on_one_line(name));
    }
    let named = !args.host.is_empty() || !args.config.is_empty();
    let sources = find::for_new_entries(surroundings, sources, args)?;
    if sources.is_empty() {
        anyhow::bail!(
            "no agent host was found on this machine; name the file that lists its MCP servers \
             with --config"
        );
    }
    if !named && (!ask::is_possible() || args.yes || args.dry_run) {
        let hosts: Vec<_> = sources.iter().map(|it| it.place.owner()).collect();
        anyhow::bail!(
            "no entry runs mem0. Looked at: {}. To add a new one, name the host: --host",
            hosts.join(", ")
        );
    }
    let mut chosen = Vec::new();
    for source in sources {
        let question = format!(
            "No entry runs mem0 in {}. Add one called `{}`?",
            show::path(&source.place.path),
            on_one_line(&args.name)
        );
        if named || ask::yes(&question)? {
            chosen.push(source);
        }
    }
    let targets = find::new_targets(&chosen, &args.name)?;
    if targets.is_empty() {
        page.line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    switch(page, &chosen, &targets, args)
}

/// The files that the command line means.
fn places(surroundings: &Surroundings, args: &InstallArgs) -> anyhow::Result<Vec<Place>> {
    if !args.config.is_empty() {
        let host = match args.host[..] {
            [] => None,
            [host] => Some(host),
            _ => return Err(Misuse("--config goes with one --host at most".to_owned()).into()),
        };
        let places = args.config.iter();
        return Ok(places.map(|it| surroundings.place_at(it, host)).collect());
    }
    let places = surroundings.places().into_iter();
    let places: Vec<_> = places
        .filter(|place| {
            args.host.is_empty() || place.host.is_some_and(|host| args.host.contains(&host))
        })
        .collect();
    for host in &args.host {
        let there = surroundings.has(*host)
            || places
                .iter()
                .any(|place| place.host == Some(*host) && place.path.exists());
        anyhow::ensure!(
            there,
            "{host} is not on this machine: there is no {}",
            show::path(&surroundings.sign(*host))
        );
    }
    Ok(places)
}

/// The settings have flags for every command; here they would be lost without a word.
fn refuse_settings(settings: &Flags) -> Result<(), Misuse> {
    let for_server = |setting: &Setting| !matches!(setting, Setting::LogLevel | Setting::LogFormat);
    match settings.given().find(for_server) {
        Some(setting) => Err(Misuse(format!(
            "{} is for the server, not for `install`: put its variable into the entry's `env` \
             afterwards{}",
            setting.flag().unwrap_or_default(),
            if setting == Setting::Backend {
                "; for the local backend there is --local"
            } else {
                ""
            }
        ))),
        None => Ok(()),
    }
}

fn refuse_several(targets: &[Target]) -> Result<(), Misuse> {
    for target in targets {
        let beside: Vec<_> = targets
            .iter()
            .filter(|it| it.source == target.source)
            .map(|it| format!("`{}`", on_one_line(&it.path.join("."))))
            .collect();
        if beside.len() > 1 {
            return Err(Misuse(format!(
                "several entries of one file run mem0: {}. Say --all, or which: --entry NAME",
                beside.join(", ")
            )));
        }
    }
    Ok(())
}

/// By path, unless this program itself was fetched for one run: then its path is gone tomorrow.
fn own_via(program: &Path) -> Via {
    let parts: Vec<_> = program
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    let has = |name: &str| parts.iter().any(|part| *part == name);
    // docs.astral.sh/uv/concepts/cache, docs.npmjs.com/cli/commands/npm-cache
    if has("_npx") {
        Via::Npx
    } else if parts.iter().any(|part| part.starts_with("archive-v")) && has("uv") {
        Via::Uvx
    } else {
        Via::Path
    }
}

/// What a person should know before they say yes.
fn notes(sources: &[Source], targets: &[Target], via: Via, args: &InstallArgs) -> Vec<String> {
    let mut notes = Vec::new();
    let any = |by: By| targets.iter().any(|it| it.by == Some(by));
    if args.via.is_none() && via == Via::Path && any(By::Uvx) {
        notes.push(format!(
            "mem0 was started by uvx; {OUR_PROGRAM} is started by its path. With --via uvx it is \
             fetched by uvx, too."
        ));
    }
    if any(By::Url) {
        notes.push(
            "mem0 was reached by URL; this server is started on this machine. What was in `headers` \
             goes, and stays in the backup."
                .to_owned(),
        );
    }
    let mut nobody: Vec<_> = targets
        .iter()
        .filter(|it| it.names_nobody())
        .map(|it| format!("`{}`", on_one_line(&it.name())))
        .collect();
    nobody.sort();
    nobody.dedup();
    if !nobody.is_empty() {
        notes.push(format!(
            "nothing in {} sets MEM0_DEFAULT_USER_ID: what agents store without naming a user is \
             the user `mem0-mcp`'s, as with mem0-mcp-server.{}",
            nobody.join(", "),
            if any(By::Container) {
                " If the container has it from a file, put it into `env`."
            } else {
                ""
            }
        ));
    }
    let shared = targets
        .iter()
        .map(|it| it.source(sources))
        .any(|source| !plan::takes_a_key(&source.place));
    if shared && !args.local {
        notes.push(
            "a project's file is shared with others: it gets a reference to the key, not the key."
                .to_owned(),
        );
    }
    notes
}

//! Shows the changes, asks, and writes them.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use zep_mcp_server::agent_hosts::file::FileError;
use zep_mcp_server::agent_hosts::plan::{ApiKey, LaunchSpec, Via};
use zep_mcp_server::config::{Config, Flags};

use super::find::ConfigFile;
use super::key::KeySource;
use super::{ask, notes, show};
use crate::cli::EntryArgs;
use crate::output::{Page, Style, shown_path};

/// Switches the targets of all files, after asking.
///
/// # Errors
/// If the key is missing, or if a file cannot be changed.
pub(super) fn run(page: &Page, files: &[ConfigFile], args: &EntryArgs) -> anyhow::Result<ExitCode> {
    let key = KeySource::choose(files, args)?;
    let launch = launch(args, key.stand_in())?;
    show(page, files, &launch, args)?;
    if args.dry_run {
        page.line("\nNothing was changed: this is a dry run.")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !ask::yes("\nChange this?")? {
        page.line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = key.obtain()?;
    carry_out(page, files, &LaunchSpec { key, ..launch })?;
    Ok(ExitCode::SUCCESS)
}

/// How the entries will start this program.
///
/// # Errors
/// If this program's own path cannot be written to a file.
pub(in crate::commands) fn launch(args: &EntryArgs, key: ApiKey) -> anyhow::Result<LaunchSpec> {
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let via = args.via.unwrap_or_else(|| own_via(&program));
    if via == Via::Path && program.to_str().is_none() {
        anyhow::bail!("this program's path is not Unicode text, which no configuration can hold");
    }
    Ok(LaunchSpec {
        via,
        program: program.to_string_lossy().into_owned(),
        key,
        env: Vec::new(),
    })
}

/// Shows the changes, and what the user should know before.
///
/// # Errors
/// If an entry cannot be changed, or stdout is closed.
pub(in crate::commands) fn show(
    page: &Page,
    files: &[ConfigFile],
    launch: &LaunchSpec,
    args: &EntryArgs,
) -> anyhow::Result<()> {
    for file in files {
        for target in &file.targets {
            show::change(page, file, target, &file.planned(target, launch)?)?;
        }
    }
    for note in notes::before(files, launch.via, args) {
        let label = page.styled(Style::Warning, "note:");
        page.line(&format!("\n{label} {note}"))?;
    }
    Ok(())
}

/// Writes the changes, and says what to do now.
///
/// # Errors
/// If a file cannot be changed, or stdout is closed.
pub(in crate::commands) fn carry_out(
    page: &Page,
    files: &[ConfigFile],
    launch: &LaunchSpec,
) -> anyhow::Result<()> {
    write(page, files, launch)?;
    Ok(notes::after(page, files, &launch.key)?)
}

/// Prepares the new text of every file before it writes the first.
fn write(page: &Page, files: &[ConfigFile], launch: &LaunchSpec) -> anyhow::Result<()> {
    let mut texts = Vec::new();
    for file in files {
        let text = file.switched(launch)?;
        if text != file.snapshot.text() {
            file.snapshot.check_unchanged()?;
            texts.push((file, text));
        }
    }
    let key = Config::sealing_key(Flags::default())?;
    let mut done = Vec::new();
    for (file, text) in texts {
        let replaced = file.snapshot.replace(&text, key.as_deref());
        let backup = replaced.map_err(|error| half_done(error, &done))?;
        let path = file.shown_path();
        let label = page.styled(Style::Good, "changed:");
        page.line(&format!("\n{label} {path}"))?;
        page.line(&match backup {
            Some(backup) => format!("  backup: {}", shown_path(&backup)),
            None => "  this is a new file: to undo the change, delete it".to_owned(),
        })?;
        done.push(path);
    }
    Ok(())
}

fn half_done(error: FileError, done: &[String]) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    if done.is_empty() {
        return error;
    }
    error.context(format!(
        "changed {}, but not all files: `--restore` undoes it",
        done.join(", ")
    ))
}

/// By path, unless this program runs from a cache that may be cleared.
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

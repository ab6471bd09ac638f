//! `install --restore`: restores the latest backups.

use std::process::ExitCode;

use zep_mcp_server::agent_hosts::file::{self, FileError, Overwrite, Restoration, Restored};
use zep_mcp_server::agent_hosts::locations::Location;
use zep_mcp_server::config::{Config, Flags};

use super::{ask, notes};
use crate::cli::EntryArgs;
use crate::output::{Page, Style, shown_path};

/// Restores the latest backup of each file.
///
/// # Errors
/// If there is none, if a file was changed since, or if it cannot be written.
pub(in crate::commands) fn run(
    page: &Page,
    locations: &[Location],
    args: &EntryArgs,
    overwrite: Overwrite,
) -> anyhow::Result<ExitCode> {
    let with_backup: Vec<_> = locations
        .iter()
        .filter(|location| file::has_backup(&location.path))
        .collect();
    anyhow::ensure!(
        !with_backup.is_empty(),
        "no backup was found beside the searched files; name the file with --config"
    );
    for location in &with_backup {
        page.line(&format!(
            "{}: {} will be restored to its content before the last change.",
            location.title(),
            shown_path(&location.path)
        ))?;
    }
    if args.dry_run {
        page.line("Nothing was changed: this is a dry run.")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !ask::yes("Restore it?")? {
        page.line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = Config::sealing_key(Flags::default())?;
    // All are prepared first: if one cannot be restored, none is.
    let prepared = with_backup
        .iter()
        .map(|location| {
            Ok((
                location,
                Restoration::of(&location.path, overwrite, key.as_deref())?,
            ))
        })
        .collect::<Result<Vec<_>, FileError>>()?;
    for (location, restoration) in prepared {
        let path = shown_path(&location.path);
        match restoration.carry_out()? {
            Restored::AlreadyThere => page.line(&format!("{path} had this content already."))?,
            Restored::Done { kept } => {
                page.line(&format!("{} {path}", page.styled(Style::Good, "restored:")))?;
                if let Some(kept) = kept {
                    page.line(&format!("  its changes are kept in {}", shown_path(&kept)))?;
                }
            }
        }
    }
    notes::restarts(page, with_backup.iter().filter_map(|it| it.host))?;
    Ok(ExitCode::SUCCESS)
}

//! `install --restore`: what was there before.

use std::process::ExitCode;

use zep_mcp_server::hosts::Host;
use zep_mcp_server::hosts::file::{self, FileError, Over, Restoration, Restored};
use zep_mcp_server::hosts::places::Place;

use super::{ask, show};
use crate::cli::InstallArgs;
use crate::output::{Page, Style};

/// Puts the latest backup of each file back.
///
/// # Errors
/// If there is none, if a file was changed since, or if it cannot be written.
pub fn run(page: &Page, places: &[Place], args: &InstallArgs) -> anyhow::Result<ExitCode> {
    let kept: Vec<_> = places
        .iter()
        .filter(|place| file::has_backup(&place.path))
        .collect();
    anyhow::ensure!(
        !kept.is_empty(),
        "there is no backup beside any of the files that were looked at; name the file with --config"
    );
    for place in &kept {
        page.line(&format!(
            "{}: {} goes back to what it was before the last change.",
            place.owner(),
            show::path(&place.path)
        ))?;
    }
    if args.dry_run {
        page.line("Nothing was changed: this is a dry run.")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !ask::yes("Put it back?")? {
        page.line("Nothing was changed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let over = if args.force {
        Over::Anything
    } else {
        Over::OurOwn
    };
    let mut hosts: Vec<Host> = Vec::new();
    // All of them first: if one cannot be put back, none is.
    let ready = kept
        .into_iter()
        .map(|place| Ok((place, Restoration::of(&place.path, over)?)))
        .collect::<Result<Vec<_>, FileError>>()?;
    for (place, restoration) in ready {
        let path = show::path(&place.path);
        match restoration.carry_out()? {
            Restored::AsBefore => page.line(&format!("{path} was so already."))?,
            Restored::Done { kept } => {
                page.line(&format!("{} {path}", page.styled(Style::Good, "put back:")))?;
                if let Some(kept) = kept {
                    page.line(&format!("  what was there is in {}", show::path(&kept)))?;
                }
            }
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
    Ok(ExitCode::SUCCESS)
}

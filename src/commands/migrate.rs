//! `migrate`: an export moves into the backend.

use std::process::ExitCode;

use serde::Serialize;
use zep_mcp_server::config::Flags;
use zep_mcp_server::migration::{Outcome, Report, Request, Validation};

use super::moving::{self, Work, table};
use crate::cli::MigrateArgs;
use crate::output::Page;

/// Migrates and reports. Exit code 1 if anything failed, did not validate or was stopped.
///
/// # Errors
/// If the command line or the configuration is wrong, the export or the backend cannot be used at
/// all, or the report cannot be written.
pub fn run(settings: Flags, args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let request = Request {
        dry_run: args.dry_run,
        append: args.append,
        strict: args.strict,
        ..Request::default()
    };
    let outcome = moving::run(settings, &args.moving, request, async |work: Work| {
        let Work {
            migrator, source, ..
        } = work;
        migrator
            .run(source, &work.request, args.validate, work.watch, &work.stop)
            .await
    })?;
    let page = Page::stdout();
    let well = is_well(&outcome, args);
    if args.moving.json {
        page.line(&serde_json::to_string_pretty(&Answer::from(&outcome))?)?;
    } else {
        table::print_migration(&page, &outcome, well)?;
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether all that was asked for was done: also the validation.
fn is_well(Outcome { report, validation }: &Outcome, args: &MigrateArgs) -> bool {
    let valid = match validation {
        Some(found) => found.valid,
        None => !args.validate,
    };
    report.success && valid
}

/// What `--json` answers.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// `null` where none was asked for, or the run was stopped before it.
    validation: Option<&'a Validation>,
}

impl<'a> From<&'a Outcome> for Answer<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        Self {
            report: &outcome.report,
            validation: outcome.validation.as_ref(),
        }
    }
}

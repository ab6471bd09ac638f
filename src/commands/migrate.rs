//! `migrate`: writes an export into the backend.

use std::process::ExitCode;

use serde::Serialize;
use zep_mcp_server::config::Flags;
use zep_mcp_server::migration::{Outcome, Report, Request, Validation};

use super::migration::{self, Run, table};
use crate::cli::MigrateArgs;
use crate::output::Page;

/// Migrates and reports. Exit code 1 if anything failed or did not validate, 130 if it was stopped.
///
/// # Errors
/// If the command line or the configuration is wrong, the export or the backend cannot be used, or
/// the report cannot be written.
pub(crate) fn run(settings: Flags, args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let request = Request {
        dry_run: args.dry_run,
        append: args.append,
        strict: args.strict,
        ..Request::default()
    };
    let outcome = migration::run(settings, &args.export, request, async |run: Run| {
        let Run {
            migrator, source, ..
        } = run;
        migrator
            .run(source, &run.request, args.validate, run.watch, &run.stop)
            .await
    })?;
    let page = Page::stdout();
    let well = is_well(&outcome, args);
    if args.export.json {
        page.line(&serde_json::to_string_pretty(&Answer::from(&outcome))?)?;
    } else {
        table::print_migration(&page, &outcome, well)?;
    }
    Ok(migration::exit_code(well, outcome.report.cancelled))
}

/// Whether everything was done, including the validation if requested.
fn is_well(Outcome { report, validation }: &Outcome, args: &MigrateArgs) -> bool {
    let valid = match validation {
        Some(found) => found.valid,
        None => !args.validate,
    };
    report.success && valid
}

/// The output of `--json`.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// `null` if not requested, or if the run was stopped before it.
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

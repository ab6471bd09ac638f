//! `validate`: compares what is stored with an export.

use std::process::ExitCode;

use zep_mcp_server::config::Flags;

use super::migration::{self, Job, Run, table};
use crate::cli::{ValidateArgs, WritingArgs};
use crate::output::Page;

/// Compares and reports. Exit code 1 if anything differs or could not be compared.
///
/// # Errors
/// If the command line or the configuration is wrong, the export or the backend cannot be read, the
/// run was stopped, or the report cannot be written.
pub(crate) fn run(settings: Flags, args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let job = Job::of(settings, &args.export, &WritingArgs::default())?;
    let found = migration::run(job, async |run: Run| {
        let Run {
            migrator, source, ..
        } = run;
        migrator
            .validate(source, &run.request, run.watch, &run.stop)
            .await
    })?;
    let page = Page::stdout();
    if args.export.json {
        page.line(&serde_json::to_string_pretty(&found)?)?;
    } else {
        table::print_validation(&page, &found)?;
    }
    Ok(if found.valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

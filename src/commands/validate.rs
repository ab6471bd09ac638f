//! `validate`: compares what is stored with an export.

use std::process::ExitCode;

use zep_mcp_server::config::Flags;
use zep_mcp_server::migration::Sample;

use super::migration::{self, Job, Run, table};
use crate::cli::{ValidateArgs, WritingArgs};
use crate::output::Page;

/// Compares and reports. Exit code 1 if anything differs or could not be compared.
///
/// # Errors
/// If the command line or the configuration is wrong, the export or the backend cannot be read, the
/// run was stopped, or the report cannot be written.
pub(crate) fn run(settings: Flags, args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let writing = WritingArgs {
        append: args.append,
        ..WritingArgs::default()
    };
    let mut job = Job::of(settings, &args.export, &writing)?;
    job.audited.command = "validate";
    job.request.sample = args.sample.map(|records| Sample {
        records: records as usize,
        seed: args.seed,
    });
    if args.repair {
        return repair(job, args);
    }
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
    Ok(migration::exit_code(found.is_as_in_source(), false))
}

/// Sends what is missing, and compares again.
fn repair(job: Job, args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let repaired = migration::run(job, async |run: Run| {
        let Run {
            migrator, source, ..
        } = run;
        let restore = args.restore_deleted;
        migrator
            .repair(source, &run.request, restore, run.watch, &run.stop)
            .await
    })?;
    let page = Page::stdout();
    if args.export.json {
        page.line(&serde_json::to_string_pretty(&repaired)?)?;
    } else {
        table::print_repair(&page, &repaired)?;
    }
    Ok(migration::exit_code(repaired.validation.valid, false))
}

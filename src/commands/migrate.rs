//! `migrate`: writes an export into the backend.

use std::process::ExitCode;

use serde::Serialize;
use zep_mcp_server::config::Flags;
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::model::Owner;
use zep_mcp_server::migration::{Error, Outcome, Report, Request, Validation};

use super::migration::{self, Job, Run, table};
use crate::cli::{ExportFileArgs, FormatArg, MigrateArgs};
use crate::output::{Misuse, Page, on_one_line};

/// The end of the report of a rehearsal.
pub(super) const REHEARSED: &str =
    "This was a rehearsal in a temporary store, which is removed: nothing went to Zep.";

/// What `--print-exporter` prints.
const EXPORTER: &str = include_str!("mem0_export.py");

/// Migrates and reports. Exit code 1 if anything failed or did not validate, 130 if it was stopped.
///
/// # Errors
/// If the command line or the configuration is wrong, the export or the backend cannot be used, or
/// the report cannot be written.
pub(crate) fn run(settings: Flags, args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    if args.print_exporter {
        Page::stdout().line(EXPORTER.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(file) = &args.to_file {
        let export = ExportFileArgs {
            to_file: file.clone(),
            user: args.export.selection.user.clone(),
            format: FormatArg::JsonLines,
            include_expired: args.export.selection.include_expired,
            force: false,
        };
        return super::export::run(settings, &export);
    }
    let mut job = Job::of(settings, &args.export, &args.writing)?;
    job.request.dry_run = args.dry_run;
    job.request.limit = args.limit;
    if args.rehearse {
        job = job.rehearsed()?;
    }
    let selects = args.export.all || args.limit.is_some();
    if job.input.is_server() && !selects && job.request.selection.users.is_empty() {
        return Err(nobody_selected(&job)?.into());
    }
    let moves = job.moves_users();
    let validate = args.validate || args.rehearse || moves;
    let outcome = migration::run(job, async |run: Run| {
        let Run {
            migrator, source, ..
        } = run;
        if moves {
            let owners = whose(&run.request, &run.service).await?;
            return migrator
                .move_over(source, &run.request, owners, run.watch, &run.stop)
                .await;
        }
        migrator
            .run(source, &run.request, validate, run.watch, &run.stop)
            .await
    })?;
    let page = Page::stdout();
    let well = is_well(&outcome, validate);
    if args.export.json {
        page.line(&serde_json::to_string_pretty(&Answer::from(&outcome))?)?;
    } else {
        table::print_migration(&page, &outcome, well)?;
        if args.rehearse {
            page.line(REHEARSED)?;
        }
    }
    Ok(migration::exit_code(well, outcome.report.cancelled))
}

/// Whose memories a request is for: all users and agents that mem0 lists, unless it names some.
async fn whose(request: &Request, service: &MemoryService) -> Result<Vec<Owner>, Error> {
    let users = &request.selection.users;
    match users.is_empty() {
        true => Ok(service.listed_by_mem0().await?),
        false => Ok(users.iter().cloned().map(Owner::User).collect()),
    }
}

/// The most users that an error lists.
const MAX_USERS: usize = 50;

/// A server may hold the memories of many people.
fn nobody_selected(job: &Job) -> anyhow::Result<Misuse> {
    let users = job.input.users()?;
    let mut listed: Vec<_> = users.iter().take(MAX_USERS).map(on_one_line).collect();
    if users.len() > MAX_USERS {
        listed.push(format!("and {} more", users.len() - MAX_USERS));
    }
    let whose = match listed.is_empty() {
        true => String::new(),
        false => format!(" ({})", listed.join(", ")),
    };
    Ok(Misuse(format!(
        "{} may hold memories of many people{whose}: say whose to migrate, with --user, --users-from, \
         --limit or --all",
        job.input
    )))
}

/// Whether everything was done, including the validation if requested.
pub(super) fn is_well(Outcome { report, validation }: &Outcome, validate: bool) -> bool {
    let valid = match validation {
        Some(found) => found.valid,
        None => !validate,
    };
    report.success && valid
}

/// The output of `--json`.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
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

//! `validate`: what is stored beside an export.

use std::process::ExitCode;

use zep_mcp_server::config::Flags;
use zep_mcp_server::migration::Request;

use super::moving::{self, Work, table};
use crate::cli::ValidateArgs;
use crate::output::Page;

/// Compares and reports. Exit code 1 if anything differs or could not be compared.
///
/// # Errors
/// If the command line or the configuration is wrong, the export or the backend cannot be read, it
/// was stopped, or the report cannot be written.
pub fn run(settings: Flags, args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let request = Request::default();
    let found = moving::run(settings, &args.moving, request, async |work: Work| {
        let Work {
            migrator, source, ..
        } = work;
        migrator
            .validate(source, &work.request, work.watch, &work.stop)
            .await
    })?;
    let page = Page::stdout();
    if args.moving.json {
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

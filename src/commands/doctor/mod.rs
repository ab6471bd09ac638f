//! `doctor`: checks the settings and the backend, with advice for what fails.

pub(super) mod checks;
mod report;

use std::process::ExitCode;

use zep_mcp_server::config::{Backend, Config};
use zep_mcp_server::memory::queue::Queue;

use crate::cli::DoctorArgs;
use crate::output::Page;
use checks::Check;
use report::Report;

/// Runs all checks and reports them. Exit code 1 if any failed.
///
/// # Errors
/// If the report cannot be written.
pub(crate) fn run(config: &Config, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let checks = runtime.block_on(check(config));
    let report = Report::new(config, checks);
    let page = Page::stdout();
    if args.json {
        page.line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        report.print(&page)?;
    }
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn check(config: &Config) -> Vec<Check> {
    let opened = super::open_backend_telling(config, None);
    let opened = opened.and_then(|zep| Ok((zep.clone(), super::beside::service(config, zep)?)));
    let mut found = match opened {
        Ok((_, memories)) if matches!(config.backend, Backend::Mem0(_)) => {
            checks::of_mem0(&config.backend, &memories).await
        }
        Ok((zep, memories)) => {
            let mut found = checks::all(&config.backend, zep.as_ref()).await;
            if config.beside.is_some() {
                found.push(checks::mem0(&memories).await);
            }
            found
        }
        Err(error) => vec![checks::unopened(&config.backend, &error)],
    };
    let is_encrypted = config.encryption_key.is_some();
    found.push(checks::encryption(&config.backend, is_encrypted));
    found.push(checks::audit(&super::audited::trail(config)).await);
    if let Some(queue) = super::write_queue_even_if_off(config) {
        found.push(checks::queue(
            config.write_wait.is_some(),
            queue.counts().await,
        ));
    }
    found
}

//! `report`: past runs, from the ledger.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use indicatif::HumanCount;
use serde::Serialize;
use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::migration::history::{self, RunHistory, RunLine, SessionHistory, UserHistory};
use zep_mcp_server::migration::ledger::RunState;
use zep_mcp_server::telemetry;

use crate::cli::ReportArgs;
use crate::output::{Misuse, Page, Style, on_one_line, shown_path};

/// The output of `--json` without a run.
#[derive(Serialize)]
struct List {
    runs: Vec<RunLine>,
}

/// Reports all runs or one. Sends nothing.
///
/// # Errors
/// If the configuration is wrong, the ledger cannot be used, there is no such run, or the report cannot
/// be written.
pub(crate) fn run(settings: Flags, args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(settings)?;
    telemetry::start(config.logging);
    let page = Page::stdout();
    let Some(data_dir) = config.data_dir.as_deref() else {
        return Err(Misuse("there is no data directory, and so no ledger".into()).into());
    };
    let one = args.run.as_deref();
    let one = one.or((args.html.is_some() || args.user.is_some()).then_some("latest"));
    let Some(name) = one else {
        let runs = history::runs(data_dir)?;
        match args.json {
            true => page.line(&serde_json::to_string_pretty(&List { runs })?)?,
            false => print_list(&page, &runs)?,
        }
        return Ok(ExitCode::SUCCESS);
    };
    let found = history::run(data_dir, name, args.user.as_deref());
    let found = found.map_err(|error| match error {
        history::HistoryError::Ledger(error) => anyhow::Error::from(error),
        error => Misuse(error.to_string()).into(),
    })?;
    if let Some(file) = &args.html {
        write_page(file, &history::page(&found))
            .map_err(|error| anyhow::anyhow!("{} cannot be written: {error}", shown_path(file)))?;
    }
    if args.json {
        page.line(&serde_json::to_string_pretty(&found)?)?;
    } else if let Some(file) = &args.html {
        page.line(&format!(
            "{} holds the report of run {}",
            shown_path(file),
            found.line.run
        ))?;
    } else {
        print_run(&page, &found)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Ids of people are in it: only its owner may read it.
fn write_page(file: &Path, page: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(page.as_bytes())
}

fn print_list(page: &Page, runs: &[RunLine]) -> io::Result<()> {
    if runs.is_empty() {
        return page.line("no migration was run with this data directory yet");
    }
    let heads = format!(
        "{:<38}{:<22}{:<9}{:>12}{:>9}{:>9}  {}",
        "run", "begun", "state", "moved", "failed", "left", "source"
    );
    page.line(&page.styled(Style::Dim, &heads))?;
    for run in runs {
        page.line(&format!(
            "{:<38}{:<22}{:<9}{:>12}{:>9}{:>9}  {}",
            run.run,
            format!("{:.0}", run.begun_at),
            state(run.state),
            HumanCount(run.moved).to_string(),
            HumanCount(run.failed).to_string(),
            HumanCount(run.left).to_string(),
            on_one_line(&run.source)
        ))?;
    }
    Ok(())
}

fn print_run(page: &Page, found: &RunHistory) -> io::Result<()> {
    let line = &found.line;
    page.line(&format!(
        "{}  {}",
        page.styled(Style::Bold, &format!("Run {}", line.run)),
        page.styled(
            Style::Dim,
            &format!("{:.0}, {}", line.begun_at, state(line.state))
        )
    ))?;
    page.line(&on_one_line(&format!(
        "from {} to {}",
        line.source, line.target
    )))?;
    page.line("")?;
    for (label, count) in [
        ("moved", line.moved),
        ("already there", line.already_there),
        ("split", line.split),
        ("skipped", line.skipped),
        ("expired, left out", line.expired),
        ("failed", line.failed),
        ("left", line.left),
        ("undone", found.totals.undone),
        ("requests", line.requests),
        ("minimum possible", line.least_requests),
    ] {
        if count > 0 || label == "moved" {
            page.line(&format!(
                "  {label:<24}{:>12}",
                HumanCount(count).to_string()
            ))?;
        }
    }
    page.line(&format!("  {:<24}{:>10.2} s", "waited", line.wait_secs))?;
    page.line(&format!("  {:<24}{:>10.2} s", "took", line.duration_secs))?;
    page.line(&format!("  {:<24}{:>12.0}", "records a second", line.rate))?;
    let validation = match line.valid {
        Some(true) => "valid",
        Some(false) => "not valid",
        None => "none",
    };
    page.line(&format!("  {:<24}{validation:>12}", "validation"))?;
    if !found.reasons.is_empty() {
        page.heading("Errors and warnings")?;
        for reason in &found.reasons {
            let count = HumanCount(reason.count).to_string();
            let line = format!(
                "{count:>8} × {}: {}",
                reason.severity,
                on_one_line(&reason.reason)
            );
            page.line(&line)?;
        }
    }
    if !found.users_listed.is_empty() {
        page.heading("Users and sessions")?;
        for UserHistory {
            owner, sessions, ..
        } in &found.users_listed
        {
            page.line(&format!("  {}", on_one_line(owner)))?;
            for session in sessions {
                print_session(page, session)?;
            }
        }
        if found.sessions_not_listed > 0 {
            page.line(&format!(
                "  and {} more sessions",
                HumanCount(found.sessions_not_listed)
            ))?;
        }
    }
    Ok(())
}

fn print_session(page: &Page, session: &SessionHistory) -> io::Result<()> {
    let name = session.session.as_ref().map(|id| format!("session {id}"));
    let name = name.unwrap_or_else(|| "outside of sessions".into());
    let records = session.records;
    let counts: Vec<String> = [
        ("moved", records.moved),
        ("split", records.split),
        ("failed", records.failed),
        ("left", records.left),
        ("undone", records.undone),
    ]
    .into_iter()
    .filter(|(word, count)| *count > 0 || *word == "moved")
    .map(|(word, count)| format!("{} {word}", HumanCount(count)))
    .collect();
    page.line(&format!(
        "    {}: {}",
        on_one_line(&name),
        counts.join(", ")
    ))
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Stopped => "stopped",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Undone => "undone",
    }
}

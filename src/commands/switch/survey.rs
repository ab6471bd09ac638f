//! What a switch would move, and what that costs.

use std::io;

use indicatif::HumanCount;
use serde::Serialize;
use zep_mcp_server::config::Backend;
use zep_mcp_server::migration::{Outcome, Report, Selection};

use crate::commands::migration::{self, Input, Job, Run, table};
use crate::output::Page;

/// A dry run, and what it tells of the costs.
#[derive(Serialize)]
pub(super) struct Survey {
    /// Where the memories are.
    source: String,
    /// Where they would go.
    target: String,
    /// How many requests to Zep the migration and its validation take, about; 0 on the embedded store.
    requests: u64,
    /// How many requests the account may make in a minute, where Zep said so.
    requests_per_minute: Option<u64>,
    /// How many minutes that takes, at least, where Zep said the rate.
    minutes: Option<u64>,
    /// How many episodes Zep bills: one for each message and each text.
    episodes_billed: u64,
    /// The dry run.
    report: Report,
}

impl Survey {
    /// Reads the source, and looks what exists already. The entry of a mem0 without any memory is changed,
    /// too; a file or another store without memories may be the wrong one.
    ///
    /// # Errors
    /// If the source or the backend cannot be used.
    pub(super) fn of(mut job: Job) -> anyhow::Result<Self> {
        job.request.dry_run = true;
        let source = job.input.to_string();
        let target = job.target();
        let is_zep = matches!(job.config.backend, Backend::Zep(_));
        let is_all_of_mem0 = matches!(job.input, Input::Mem0 { .. })
            && job.request.selection == Selection::default()
            && job.request.limit.is_none();
        let (mut report, requests_per_minute) = migration::run(job, async |run: Run| {
            let Run {
                migrator, source, ..
            } = run;
            let outcome = migrator
                .run(source, &run.request, false, run.watch, &run.stop)
                .await?;
            let stats = run.service.stats();
            Ok((outcome.report, stats.and_then(|stats| stats.per_minute)))
        })?;
        if report.source_is_empty && is_all_of_mem0 {
            report.errors.clear();
            let note = "mem0 has no memories: only the entry changes";
            report.notes.push(note.to_owned());
            report.success = true;
        }
        let requests = if is_zep { requests(&report) } else { 0 };
        Ok(Self {
            source,
            target,
            requests,
            requests_per_minute,
            minutes: requests_per_minute.map(|rate| requests.div_ceil(rate.max(1))),
            episodes_billed: if is_zep {
                report.messages + report.episodes
            } else {
                0
            },
            report,
        })
    }

    /// Whether everything can be moved.
    pub(super) fn is_clean(&self) -> bool {
        self.report.success
    }

    /// Whether there is nothing to move.
    pub(super) fn is_empty(&self) -> bool {
        self.report.success && self.report.source_is_empty
    }

    /// Shows it.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(super) fn show(&self, page: &Page) -> io::Result<()> {
        let report = &self.report;
        if !self.is_clean() {
            let outcome = Outcome {
                report: report.clone(),
                validation: None,
            };
            return table::print_migration(page, &outcome, false);
        }
        page.heading("What would be moved")?;
        let row = |label: &str, value: &str| page.line(&format!("  {label:<12}{value}"));
        row("from", &self.source)?;
        row("to", &self.target)?;
        row("users", &count(report.users_migrated))?;
        let mut memories = count(report.memories_migrated);
        for (number, what) in [
            (report.already_there, "are there already"),
            (report.expired, "expired or replaced ones are left out"),
            (report.skipped, "are not selected, or twice in the source"),
        ] {
            if number > 0 {
                memories += &format!("; {} {what}", count(number));
            }
        }
        row("memories", &memories)?;
        for warning in report.warnings.iter().take(MAX_WARNINGS) {
            row("warning", &table::trouble(warning))?;
        }
        for note in report.notes.iter().take(MAX_WARNINGS) {
            row("note", note)?;
        }
        if self.requests == 0 {
            return Ok(());
        }
        page.heading("What it costs")?;
        let time = match (self.minutes, self.requests_per_minute) {
            (Some(minutes), Some(rate)) => {
                let unit = if minutes == 1 { "minute" } else { "minutes" };
                format!(
                    ": about {} {unit}, at {} requests a minute",
                    count(minutes.max(1)),
                    count(rate)
                )
            }
            _ => ". Zep did not say how many it takes a minute".to_owned(),
        };
        row(
            "requests",
            &format!("about {} to Zep{time}", count(self.requests)),
        )?;
        row(
            "episodes",
            &format!("{} that Zep bills", count(self.episodes_billed)),
        )
    }
}

/// The most warnings and notes that are shown; the report of the migration lists all.
const MAX_WARNINGS: usize = 10;

/// Requests that write, and that read everything back: Zep lists 1,000 messages or 50 episodes at once.
fn requests(report: &Report) -> u64 {
    let write = report.least_requests + report.sessions;
    let there = report.memories_migrated + report.already_there;
    let read = 2 * report.users_migrated + report.sessions + there.div_ceil(50);
    write + read
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

//! Runs read back from the ledger: for people, programs and audits. Names ids, fields and counts, never
//! content.
//!
//! - `users`: what a run did for each user and session. `page`, with `chart` and `markup`: one run as a
//!   web page of one file.

mod chart;
mod markup;
mod page;
mod users;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::memory::model::Owner;

use super::ledger::{Ledger, LedgerError, RunEntry, RunSample, RunState};

pub use page::{STYLE, page, sections};
pub use users::{HistoryCounts, SessionHistory, UserHistory};

/// The shortest beginning of an id that names a run. Ours: ids of one minute begin alike, and what names a
/// run may undo it.
const SHORTEST: usize = 8;
/// The most reasons that a history lists, each with its count.
const MAX_REASONS: usize = 100;

/// Why a run's history cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// There is no ledger, or it cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no such run.
    #[error("there is no run `{id}` in the ledger; `report` without --run lists all")]
    NoRun {
        /// The id that was given.
        id: String,
    },
    /// Several runs begin so.
    #[error("several runs begin with `{id}`; give more of the id")]
    Ambiguous {
        /// The beginning that was given.
        id: String,
    },
}

/// A run, in a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunLine {
    /// Its id.
    pub run: String,
    /// The source's name; empty if the run is only known from what it wrote.
    pub source: String,
    /// The system that the memories come from.
    pub source_system: String,
    /// The account or store that they went to.
    pub target: String,
    /// How far it is.
    pub state: RunState,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ended; `null` if it is under way or was killed.
    pub ended_at: Option<Timestamp>,
    /// Users that it migrated.
    pub users: u64,
    /// Records that it stored.
    pub moved: u64,
    /// Records that were there already.
    pub already_there: u64,
    /// Of those that it stored, the ones that were split.
    pub split: u64,
    /// Records that were left out: in the source twice, or not selected.
    pub skipped: u64,
    /// Records that were left out, since they are expired, replaced or deleted in the source.
    pub expired: u64,
    /// Records that could not be migrated.
    pub failed: u64,
    /// Records that are left.
    pub left: u64,
    /// HTTP requests.
    pub requests: u64,
    /// The fewest that would do.
    pub least_requests: u64,
    /// Seconds spent waiting for rate limits and before requests were sent again.
    pub wait_secs: f64,
    /// Seconds that the last process of it took.
    pub duration_secs: f64,
    /// Records a second.
    pub rate: f64,
    /// Whether its last validation found everything as in the source; `null` if there was none.
    pub valid: Option<bool>,
}

/// A run, whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunHistory {
    /// The run in a line.
    #[serde(flatten)]
    pub line: RunLine,
    /// What was selected and how.
    pub request: Value,
    /// How many records it stored of each type.
    pub by_type: BTreeMap<String, u64>,
    /// Why records or users were not migrated, or not as they are, each reason with its count.
    pub reasons: Vec<Reason>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// Whose memories they are, all of them.
    #[serde(skip)]
    pub owners: HashSet<Owner>,
    /// What the ledger knows of each user, those with something left or failed first.
    pub users_listed: Vec<UserHistory>,
    /// How many more sessions there are than are listed.
    pub sessions_not_listed: u64,
    /// What the ledger knows of all users together.
    pub totals: HistoryCounts,
    /// How far it was, now and then.
    pub progress: Vec<RunSample>,
    /// Its last validation, as `validate` reports it; `null` if there was none.
    pub validation: Value,
    /// What was undone of it; `null` if nothing was.
    pub rollback: Value,
}

/// A reason, and how often it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// `error`, or `warning`: it was migrated all the same.
    pub severity: &'static str,
    /// What was wrong.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// All runs of the ledger in a data directory, the newest first. Makes nothing. Blocks.
///
/// # Errors
/// [`HistoryError`] if the ledger cannot be used.
pub fn runs(data_dir: &Path) -> Result<Vec<RunLine>, HistoryError> {
    let Some(ledger) = Ledger::open_existing(data_dir)? else {
        return Ok(Vec::new());
    };
    Ok(ledger.runs()?.iter().map(line).collect())
}

/// The run that is named by its id, by the beginning of its id (8 characters at least), or as `latest`. Blocks.
///
/// # Errors
/// [`HistoryError`] if there is none, or not one only.
pub fn find_run(ledger: &Ledger, name: &str) -> Result<RunEntry, HistoryError> {
    let id = || name.to_owned();
    let mut found = ledger.runs()?.into_iter();
    if name == "latest" {
        return found.next().ok_or_else(|| HistoryError::NoRun { id: id() });
    }
    let is_meant = |run: &RunEntry| name.len() >= SHORTEST && run.id.starts_with(name);
    let mut found = found.filter(is_meant);
    match (found.next(), found.next()) {
        (Some(run), None) => Ok(run),
        (Some(_), Some(_)) => Err(HistoryError::Ambiguous { id: id() }),
        (None, _) => Err(HistoryError::NoRun { id: id() }),
    }
}

/// A run with all that the ledger has of it, of one user only if one is named. Blocks.
///
/// # Errors
/// [`HistoryError`] if there is none, or not one only.
pub fn run(data_dir: &Path, name: &str, user: Option<&str>) -> Result<RunHistory, HistoryError> {
    let Some(ledger) = Ledger::open_existing(data_dir)? else {
        let id = name.to_owned();
        return Err(HistoryError::NoRun { id });
    };
    let entry = find_run(&ledger, name)?;
    let report = entry.report.clone().unwrap_or_default();
    let users = users::of(&ledger, &entry.id, user)?;
    let mut line = line(&entry);
    if entry.report.is_none() {
        // A run that was killed has left no report.
        line.moved = users.totals.moved;
        line.split = users.totals.split;
        line.failed = users.totals.failed;
        line.left = users.totals.left;
        line.users = users.owners.len() as u64;
    }
    Ok(RunHistory {
        line,
        request: entry.request.clone(),
        by_type: by_type(&report),
        reasons: reasons(&report),
        notes: texts(&report["notes"]),
        owners: users.owners,
        users_listed: users.listed,
        sessions_not_listed: users.not_listed,
        totals: users.totals,
        progress: ledger.samples(&entry.id)?,
        validation: report["validation"].clone(),
        rollback: report["rollback"].clone(),
    })
}

fn line(entry: &RunEntry) -> RunLine {
    let report = entry.report.as_ref();
    let count = |field: &str| {
        report
            .and_then(|report| report[field].as_u64())
            .unwrap_or(0)
    };
    let number = |field: &str| {
        report
            .and_then(|report| report[field].as_f64())
            .unwrap_or(0.0)
    };
    let moved = count("memories_migrated");
    let duration_secs = number("duration_secs");
    let per_second = moved as f64 / duration_secs;
    RunLine {
        run: entry.id.clone(),
        source: entry.source.clone(),
        source_system: entry.system.clone(),
        target: entry.target.clone(),
        state: entry.state,
        begun_at: entry.begun_at,
        ended_at: entry.ended_at,
        users: count("users_migrated"),
        moved,
        already_there: count("already_there"),
        split: count("split"),
        skipped: count("skipped"),
        expired: count("expired"),
        failed: count("failed"),
        left: count("not_reached"),
        requests: count("requests"),
        least_requests: count("least_requests"),
        wait_secs: number("wait_secs"),
        duration_secs,
        rate: if per_second.is_finite() {
            per_second
        } else {
            0.0
        },
        valid: report.and_then(|report| report["validation"]["valid"].as_bool()),
    }
}

/// How many records of each type; messages and texts where the report does not tell types.
fn by_type(report: &Value) -> BTreeMap<String, u64> {
    let known = report["by_type"].as_object();
    let known = known.filter(|known| !known.is_empty());
    let counts: Vec<(&str, &Value)> = match known {
        Some(known) => known
            .iter()
            .map(|(name, count)| (name.as_str(), count))
            .collect(),
        None => vec![
            ("messages", &report["messages"]),
            ("texts", &report["episodes"]),
        ],
    };
    counts
        .into_iter()
        .filter_map(|(name, count)| Some((name.to_owned(), count.as_u64()?)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn reasons(report: &Value) -> Vec<Reason> {
    let mut counts: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
    let mut more = [("error", 0), ("warning", 0)];
    for (severity, list, left) in [
        ("error", "errors", "errors_not_listed"),
        ("warning", "warnings", "warnings_not_listed"),
    ] {
        let mut not_listed = report[left].as_u64().unwrap_or(0);
        for trouble in report[list].as_array().into_iter().flatten() {
            let Some(reason) = trouble["reason"].as_str() else {
                continue;
            };
            let key = (severity, reason.to_owned());
            if counts.len() < MAX_REASONS || counts.contains_key(&key) {
                *counts.entry(key).or_default() += 1;
            } else {
                not_listed += 1;
            }
        }
        for (of, count) in &mut more {
            if *of == severity {
                *count += not_listed;
            }
        }
    }
    let mut reasons: Vec<Reason> = counts
        .into_iter()
        .map(|((severity, reason), count)| Reason {
            severity,
            reason,
            count,
        })
        .collect();
    reasons.sort_by_key(|reason| (reason.severity, std::cmp::Reverse(reason.count)));
    reasons.extend(
        more.into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| Reason {
                severity,
                reason: "others that are not listed".into(),
                count,
            }),
    );
    reasons
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

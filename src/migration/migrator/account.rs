//! What a report says of a run as a whole.

use std::sync::Arc;
use std::time::Duration;

use super::Migrator;
use crate::migration::plan::{Counts, Plan, PlanError};
use crate::migration::report::{Report, Trouble};
use crate::zep;

impl Migrator {
    /// Completes the report of a run by what was counted, and decides whether it is a success.
    pub(super) fn account(
        &self,
        report: &mut Report,
        plan: &Plan,
        counts: Counts,
        before: Option<zep::TransportStats>,
        took: Duration,
    ) {
        let after = self.service.stats();
        report.undated = counts.undated;
        report.expired = counts.expired;
        report.deleted = counts.deleted;
        report.skipped =
            counts.duplicates + counts.not_selected + plan.left_out.values().sum::<u64>();
        report.requests = requests(before, after);
        let waited = |stats: Option<zep::TransportStats>| {
            stats.map_or(0.0, |stats| stats.waited.as_secs_f64())
        };
        report.wait_secs = waited(after) - waited(before);
        report.duration_secs = took.as_secs_f64();
        let nothing = report.users_migrated + report.memories_migrated + report.already_there == 0
            && report.errors.is_empty()
            && !report.cancelled;
        if let Some(left @ 1..) = plan.left_for_later {
            report.note(format!(
                "{left} more users (or agents) are not migrated yet: the same command takes the next"
            ));
        }
        if nothing && plan.left_for_later.is_some() && counts.not_selected > 0 {
            report.note("every user with memories is migrated already".into());
        } else if nothing {
            report.source_is_empty = counts.not_selected == 0 && plan.left_out.is_empty();
            report.trouble(Trouble::of_run(match counts.not_selected {
                0 if counts.expired + counts.deleted == 0 => {
                    "there is nothing to migrate in the source".to_owned()
                }
                0 => "there is nothing to migrate in the source: all of it is deleted, expired or \
                      replaced"
                    .to_owned(),
                left_out => format!(
                    "none of the {left_out} records of the source is of the user and sessions \
                     that were asked for"
                ),
            }));
        }
        for (what, count) in &plan.left_out {
            report.note(format!("left out, {count} times: {what}"));
        }
        if !plan.unplaced.is_empty() {
            report.note(format!(
                "fields of documents for which Zep has no place were left out: {}",
                plan.unplaced.join(", ")
            ));
        }
        report.success = !report.cancelled
            && report.failed == 0
            && report.not_reached == 0
            && report.errors.is_empty()
            && report.errors_not_listed == 0;
    }
}

/// How many requests there were in between.
pub(super) fn requests(
    before: Option<zep::TransportStats>,
    after: Option<zep::TransportStats>,
) -> u64 {
    let of = |stats: Option<zep::TransportStats>| stats.map_or(0, |stats| stats.requests);
    of(after) - of(before)
}

/// The first problems and the first warnings of a source, as a report lists them.
pub(super) async fn listed(
    plan: &Arc<Plan>,
    limit: usize,
) -> Result<(Vec<Trouble>, Vec<Trouble>), PlanError> {
    let listed = move |plan: &Plan| Ok((plan.problems(limit)?, plan.warnings(limit)?));
    let (problems, warnings) = plan.step(listed).await?;
    let troubles = |problems: Vec<_>| problems.into_iter().map(Trouble::from).collect();
    Ok((troubles(problems), troubles(warnings)))
}

//! What the ledger knows of a run before it writes: what is stored, what changed, and what vanished from
//! the source.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::book::Book;
use super::error::Error;
use super::ledger::{Known, Ledger, LedgerRun, RunStart};
use super::plan::{Plan, PlanError, Tally, blocking};
use super::progress::Watch;
use super::report::{Report, Trouble};
use super::{Request, Selection};
use crate::memory::model::{Place, SessionId};
use crate::sources::GIVEN;

/// How many records of the ledger are compared with the plan at a time.
const PAGE: usize = 1_024;
/// How many users a run may name one by one in the ledger; of more, a hash is kept.
const MAX_NAMED: usize = 100;

/// What is known.
pub(super) struct Consulted {
    pub(super) book: Book,
    pub(super) tally: Tally,
    /// Records that were migrated from the source and are not in it any more, as far as they are listed.
    pub(super) vanished: Vec<(Place, String)>,
    /// The end of the run that migrated all of it before, if one did.
    pub(super) before: Option<(String, jiff::Timestamp)>,
}

impl Consulted {
    /// There is no ledger.
    fn nothing() -> Self {
        Self {
            book: Book::none(),
            tally: Tally::default(),
            vanished: Vec::new(),
            before: None,
        }
    }

    /// Begins a run in the ledger, where there is one. In a dry run it is only read.
    pub(super) async fn of(
        start: Option<(PathBuf, RunStart)>,
        plan: &Arc<Plan>,
        request: &Request,
        watch: &Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Self, Error> {
        let Some((data_dir, start)) = start else {
            return Ok(Self::nothing());
        };
        let (plan, request) = (plan.clone(), request.clone());
        let (watch, cancelled) = (watch.clone(), cancelled.clone());
        blocking(move || {
            if request.dry_run {
                let Some(ledger) = Ledger::open_existing(&data_dir)? else {
                    return Ok(Self::nothing());
                };
                let known = ledger.peek(&start.target)?;
                let ask = |place: &_, entries: &_| known.records(place, entries);
                let tally = plan.meet(ask, watch.as_ref(), &cancelled)?;
                return Ok(Self {
                    tally,
                    before: ledger.done(&start)?,
                    ..Self::nothing()
                });
            }
            let ledger = Ledger::open(&data_dir)?;
            let before = ledger.done(&start)?;
            let run = ledger.begin(&start)?;
            watch.noted(run.id());
            // What is known is forgotten owner by owner, when no other run works on it.
            if request.rebuild_ledger {
                return Ok(Self {
                    book: Book::of(run),
                    ..Self::nothing()
                });
            }
            let mut planning = run.planning();
            let ask = |place: &_, entries: &_| planning.records(place, entries);
            let tally = plan.meet(ask, watch.as_ref(), &cancelled)?;
            planning.finish()?;
            let vanished = match tally.stored {
                0 => Vec::new(),
                _ => vanished(&plan, &run, &start.source, &request)?,
            };
            Ok(Self {
                book: Book::of(run),
                tally,
                vanished,
                before,
            })
        })
        .await
    }

    /// Ends the run in the ledger.
    pub(super) async fn end(self, report: &mut Report, worked: bool) -> Result<(), Error> {
        let did_nothing = !worked && !report.cancelled && !self.book.is_continued();
        match self.before {
            Some((run, time)) if did_nothing && self.book.run_id().is_some() => {
                report.note(format!(
                    "already migrated by run {run} at {time}: {} records, nothing was written; \
                     --validate compares them with the source, --update replaces what has changed \
                     there, --rebuild-ledger looks at Zep anew",
                    report.already_there
                ));
                report.run = Some(run);
                self.book.withdraw().await?;
            }
            _ => self.book.end(report).await?,
        }
        Ok(())
    }

    /// Reports what is known already, and what vanished from the source.
    pub(super) fn report(&self, report: &mut Report) {
        report.already_there = self.tally.stored;
        report.run = self.book.run_id().map(ToOwned::to_owned);
        for (place, id) in &self.vanished {
            report.warning(Trouble {
                record: Some(id.clone()),
                owner: Some(place.owner().to_string()),
                session: place.session().map(SessionId::to_string),
                ..Trouble::of_run(
                    "was migrated, and is not in the source any more (deleted there, expired, or \
                     unreadable now); it stays where it is",
                )
            });
        }
    }
}

/// The stored records of a source that the plan does not have.
fn vanished(
    plan: &Plan,
    run: &LedgerRun,
    source: &str,
    request: &Request,
) -> Result<Vec<(Place, String)>, Error> {
    // Other sources are another one each time, and a part of a source says nothing of the rest.
    if source == GIVEN || request.selection.since.is_some() || request.limit.is_some() {
        return Ok(Vec::new());
    }
    let mut vanished = Vec::new();
    let mut after = 0;
    loop {
        let page = run.stored_from(source, after, PAGE)?;
        let Some((last, ..)) = page.last() else {
            return Ok(vanished);
        };
        after = *last;
        for (_, place, id) in page {
            let is_selected = request.selection.includes(&place);
            if is_selected && !plan.has(&place, &id).map_err(PlanError::from)? {
                vanished.push((place, id));
            }
            if vanished.len() >= super::MAX_LISTED {
                return Ok(vanished);
            }
        }
    }
}

/// The plan of the next owners that were not migrated yet. Without a ledger, of the first ones. Blocks.
///
/// # Errors
/// If the plan or the ledger cannot be used, or the run was cancelled.
pub(super) fn limited(
    mut plan: Plan,
    start: Option<(PathBuf, RunStart)>,
    limit: NonZeroU64,
    cancelled: &CancellationToken,
) -> Result<Plan, Error> {
    let (data_dir, target) = start
        .map(|(data_dir, start)| (data_dir, start.target))
        .unzip();
    let ledger = data_dir.map(|directory| Ledger::open_existing(&directory));
    let ledger = ledger.transpose()?.flatten();
    let known = match (&ledger, &target) {
        (Some(ledger), Some(target)) => Some(ledger.peek(target)?),
        _ => None,
    };
    let ask = |place: &_, entries: &[_]| match &known {
        Some(known) => known.records(place, entries),
        None => Ok(vec![Known::New; entries.len()]),
    };
    plan.limit(limit, ask, cancelled)?;
    Ok(plan)
}

/// What identifies a request: the same command has the same. Holds ids, no content.
pub(super) fn identity(request: &Request) -> Value {
    let Selection {
        users,
        sessions,
        since,
    } = &request.selection;
    let named = |ids: Vec<&str>| match ids.len() <= MAX_NAMED {
        true => json!(ids),
        false => {
            let all = json!(ids).to_string();
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, all.as_bytes());
            json!({"count": ids.len(), "hash": hash.to_string()})
        }
    };
    json!({
        "users": named(users.iter().map(|user| user.as_str()).collect()),
        "sessions": named(sessions.iter().map(SessionId::as_str).collect()),
        "since": since.map(|time| time.to_string()),
        "include_expired": request.include_expired,
        "limit": request.limit,
    })
}

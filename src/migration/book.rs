//! The ledger as a run uses it: on threads that may block, and only where there is a data directory to
//! keep it in.

use std::sync::Arc;

use super::ledger::{self, LedgerRun, Mark, PlaceNo, RecordState, RunState};
use super::plan::blocking;
use super::report::Report;

/// The ledger of a run, where there is one.
#[derive(Debug, Clone)]
pub(super) struct Book(Option<Arc<LedgerRun>>);

impl Book {
    /// No ledger: whatever is stored is looked up.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(run: LedgerRun) -> Self {
        Self(Some(Arc::new(run)))
    }

    /// The run's id.
    pub(super) fn run_id(&self) -> Option<&str> {
        self.0.as_deref().map(LedgerRun::id)
    }

    /// Whether an earlier process began the run.
    pub(super) fn is_continued(&self) -> bool {
        self.0.as_deref().is_some_and(LedgerRun::is_continued)
    }

    /// Does something with the ledger; `None` without one.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        step: impl FnOnce(&LedgerRun) -> ledger::Result<T> + Send + 'static,
    ) -> ledger::Result<Option<T>> {
        let Some(run) = self.0.clone() else {
            return Ok(None);
        };
        blocking(move || step(&run)).await.map(Some)
    }

    /// Notes these marks.
    pub(super) async fn note(&self, marks: Vec<Mark>) -> ledger::Result<()> {
        if marks.is_empty() {
            return Ok(());
        }
        self.with(|run| run.note(marks)).await.map(drop)
    }

    /// Ends the run with its report.
    pub(super) async fn end(self, report: &Report) -> ledger::Result<()> {
        let state = match report {
            _ if report.cancelled || report.not_reached > 0 => RunState::Stopped,
            _ if report.success => RunState::Done,
            _ => RunState::Failed,
        };
        let report = serde_json::to_value(report).unwrap_or_default();
        self.over(move |run| run.end(state, &report)).await
    }

    /// Forgets a run that had nothing to do.
    pub(super) async fn withdraw(self) -> ledger::Result<()> {
        self.over(LedgerRun::withdraw).await
    }

    async fn over(
        self,
        step: impl FnOnce(LedgerRun) -> ledger::Result<()> + Send + 'static,
    ) -> ledger::Result<()> {
        let Some(run) = self.0 else { return Ok(()) };
        blocking(move || match Arc::into_inner(run) {
            Some(run) => step(run),
            // A step is still at work: the run counts as killed, and the same command continues it.
            None => Ok(()),
        })
        .await
    }
}

/// These records of a place are in this state.
pub(super) fn records(place: PlaceNo, ids: Vec<String>, state: RecordState) -> Mark {
    Mark::Records { place, ids, state }
}

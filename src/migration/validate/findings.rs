//! What the comparisons of a run find, together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::result::{CheckName, Difference, Validation};
use crate::memory::model::{Owner, SessionId};
use crate::migration::lock;
use crate::migration::plan::{Plan, PlannedPlace};
use crate::migration::progress::{Phase, Progress, Watch};

/// The findings so far, with the plan that they are compared to.
pub(super) struct Findings {
    pub(super) plan: Arc<Plan>,
    watch: Arc<dyn Watch>,
    validation: Mutex<Validation>,
    done: AtomicU64,
}

impl Findings {
    pub(super) fn new(plan: Arc<Plan>, watch: Arc<dyn Watch>, validation: Validation) -> Self {
        Self {
            plan,
            watch,
            validation: Mutex::new(validation),
            done: AtomicU64::new(0),
        }
    }

    pub(super) fn validation(&self) -> MutexGuard<'_, Validation> {
        lock(&self.validation)
    }

    /// Reports that this many more records are compared.
    pub(super) fn progress(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        self.watch.at(Progress {
            phase: Phase::Validating,
            done,
            total: Some(self.plan.counts.records),
        });
    }
}

/// A difference of a user or an agent's graph.
pub(super) fn of_owner(owner: &Owner, field: &str, detail: &str) -> Difference {
    Difference {
        check: CheckName::UserExists,
        owner: owner.to_string(),
        session: None,
        record: None,
        position: None,
        field: field.to_owned(),
        detail: detail.to_owned(),
    }
}

/// A difference at a place.
pub(super) fn of_place(
    check: CheckName,
    place: &PlannedPlace,
    field: &str,
    detail: impl Into<String>,
) -> Difference {
    Difference {
        check,
        owner: place.place.owner().to_string(),
        session: place.place.session().map(SessionId::to_string),
        record: None,
        position: None,
        field: field.to_owned(),
        detail: detail.into(),
    }
}

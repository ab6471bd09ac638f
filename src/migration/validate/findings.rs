//! What the comparisons of a run find, together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::result::{CheckName, Difference, Validation};
use super::verdict::{Listed, OpenUser, SessionVerdict, Tally, UserVerdict};
use crate::memory::model::{Owner, Record, SessionId};
use crate::migration::lock;
use crate::migration::plan::{Plan, PlannedPlace};
use crate::migration::progress::{Phase, Progress, Watch};

/// The findings so far, with the plan that they are compared to.
pub(super) struct Findings {
    pub(super) plan: Arc<Plan>,
    watch: Arc<dyn Watch>,
    found: Mutex<Found>,
    done: AtomicU64,
    /// How many records are compared.
    total: u64,
}

/// What was found so far.
pub(super) struct Found {
    validation: Validation,
    /// The users who are being compared, by their owner's name.
    open: HashMap<String, OpenUser>,
    users: Listed<UserVerdict>,
}

impl Findings {
    pub(super) fn new(plan: Arc<Plan>, watch: Arc<dyn Watch>, validation: Validation) -> Self {
        let all = plan.counts.records;
        let total = validation.sample.map_or(all, |sample| sample.records);
        Self {
            total,
            plan,
            watch,
            found: Mutex::new(Found {
                validation,
                open: HashMap::new(),
                users: Listed::default(),
            }),
            done: AtomicU64::new(0),
        }
    }

    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        lock(&self.found)
    }

    /// Reports that this many more records are compared.
    pub(super) fn progress(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        self.watch.at(Progress {
            phase: Phase::Validating,
            done,
            total: Some(self.total),
        });
    }
}

impl Found {
    /// Whether only a part of the records is compared.
    pub(super) fn is_sample(&self) -> bool {
        self.validation.sample.is_some()
    }

    /// Adds to what a check expects and finds of an owner.
    pub(super) fn count(&mut self, owner: &Owner, name: CheckName, expected: u64, found: u64) {
        self.validation.count(name, expected, found);
        let check = self.of(owner.to_string()).check(name);
        check.expected += expected;
        check.found += found;
    }

    /// Adds a difference, which makes its check fail.
    pub(super) fn differs(&mut self, difference: Difference) {
        let user = self.of(difference.owner.clone());
        user.check(difference.check).passed = false;
        if difference.check == CheckName::UserExists {
            user.fields_differ();
        }
        self.validation.differs(difference);
    }

    /// Counts a stored record of an owner.
    pub(super) fn stored(&mut self, owner: &Owner, record: &Record) {
        self.validation.found(record);
        let user = self.of(owner.to_string());
        user.check(CheckName::MessageCount).found += 1;
    }

    /// A place is compared.
    pub(super) fn end_place(&mut self, place: &PlannedPlace, records: Tally, is_there: bool) {
        let session = place.place.session().map(SessionId::to_string);
        let verdict = SessionVerdict::new(session, records, is_there);
        self.of(place.place.owner().to_string()).session(verdict);
    }

    /// All of an owner is compared.
    pub(super) fn end_owner(&mut self, owner: &Owner) {
        let name = owner.to_string();
        let Some(user) = self.open.remove(&name) else {
            return;
        };
        let user = user.close(name);
        let (ok, lines) = (user.ok, 1 + user.sessions.len());
        self.users.push(user, ok, lines);
    }

    /// The validation, once everything is compared.
    pub(super) fn result(&mut self) -> Validation {
        let mut validation = self.validation.clone();
        let users = std::mem::take(&mut self.users);
        validation.users_differing = users.differing_count;
        validation.users_ok = users.count - users.differing_count;
        (validation.users, validation.users_not_listed) = users.into_list();
        let by_name = |user: &UserVerdict| (user.ok, user.owner.clone());
        validation.users.sort_by_cached_key(by_name);
        validation
    }

    fn of(&mut self, owner: String) -> &mut OpenUser {
        self.open.entry(owner).or_insert_with(OpenUser::new)
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

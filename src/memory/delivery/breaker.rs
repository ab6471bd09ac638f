//! Whether Zep answers: a Zep that does not must not cost each call its time-out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::memory::Error;

/// After so many failures in a row Zep counts as away. Ours.
const AWAY_AFTER: u32 = 3;
/// While it is away, one call in this time tries it. Ours.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// That Zep does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// Why, as far as it is known.
    pub reason: Option<String>,
}

/// What is known of Zep.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    /// Since the last success.
    count: u32,
    first: Option<Timestamp>,
    tried: Option<Instant>,
    reason: Option<String>,
    /// Whether it ever answered this process.
    answered: bool,
}

impl Breaker {
    /// Whether a call should not wait for Zep.
    pub(crate) fn is_away(&self) -> bool {
        let mut failures = self.failures();
        if failures.count < AWAY_AFTER {
            return false;
        }
        if failures
            .tried
            .is_some_and(|tried| tried.elapsed() < TRY_EVERY)
        {
            return true;
        }
        failures.tried = Some(Instant::now());
        false
    }

    /// How many failures beyond those that make it away.
    pub(crate) fn surplus(&self) -> Option<u32> {
        self.failures().count.checked_sub(AWAY_AFTER)
    }

    /// Whether the last call failed.
    pub(crate) fn is_suspect(&self) -> bool {
        self.failures().count > 0
    }

    /// Since when calls fail, and why.
    pub(crate) fn away(&self) -> Away {
        let failures = self.failures();
        Away {
            since: failures.first.unwrap_or_else(Timestamp::now),
            reason: failures.reason.clone(),
        }
    }

    /// Whether it ever answered this process.
    pub(crate) fn has_answered(&self) -> bool {
        self.failures().answered
    }

    pub(crate) fn answered(&self) {
        *self.failures() = Failures {
            answered: true,
            ..Failures::default()
        };
    }

    pub(crate) fn failed(&self, reason: Option<&Error>) {
        let mut failures = self.failures();
        if let Some(cause) = reason.and_then(Error::cause) {
            failures.reason = Some(cause.to_string());
        }
        failures.count = failures.count.saturating_add(1);
        failures.first.get_or_insert_with(Timestamp::now);
        failures.tried = Some(Instant::now());
    }

    /// It did not answer in the time of a call, but still may.
    pub(crate) fn suspect(&self) {
        let mut failures = self.failures();
        if failures.count == 0 {
            failures.count = 1;
            failures.first = Some(Timestamp::now());
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

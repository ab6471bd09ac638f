//! Zep's clock.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap};

/// How far this machine's clock is from Zep's, as the last answer showed.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<Option<i64>>);

impl Clock {
    /// Records the time of an answer.
    pub(super) fn learn(&self, headers: &HeaderMap) {
        let Some(there) = time_there(headers) else {
            return;
        };
        let ahead = unix_secs(SystemTime::now()) - unix_secs(there);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    /// By how many seconds this machine is ahead.
    pub(super) fn ahead_secs(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `Date` of an answer (RFC 9110, section 6.6.1), in whole seconds.
pub(super) fn time_there(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Seconds since 1970; both clocks are after that.
pub(super) fn unix_secs(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

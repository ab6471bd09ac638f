//! The rate limit.

use std::sync::{Mutex, PoisonError};

use super::faults::Limit;

/// Counts the calls of the current window.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// The end of the window, in Unix seconds.
    reset: i64,
    calls: u32,
}

/// The account's limit after a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// In Unix seconds.
    pub(super) reset: i64,
    pub(super) seconds_to_reset: u64,
    pub(super) refused: bool,
}

impl RateLimit {
    /// Counts one call at this time, in Unix seconds.
    pub(super) fn count(&self, now: i64, limit: Limit) -> Count {
        let reset = (now.div_euclid(limit.window) + 1) * limit.window;
        // Nothing panics while it is held.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.reset != reset {
            *used = Used { reset, calls: 0 };
        }
        let refused = used.calls >= limit.calls;
        if !refused {
            used.calls += 1;
        }
        Count {
            limit: limit.calls,
            remaining: limit.calls.saturating_sub(used.calls),
            reset,
            seconds_to_reset: reset.abs_diff(now),
            refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_beyond_the_limit_are_refused_until_the_window_ends() {
        let rate = RateLimit::default();
        let two = Limit {
            calls: 2,
            window: 60,
        };
        assert_eq!(rate.count(70, two).remaining, 1);
        assert_eq!(rate.count(71, two).remaining, 0);
        let over = rate.count(72, two);
        assert!(over.refused);
        assert_eq!((over.reset, over.seconds_to_reset), (120, 48));
        let next = rate.count(120, two);
        assert!(!next.refused);
        assert_eq!(next.remaining, 1);
        // Earlier calls count towards a limit that drops within the window.
        let one = Limit { calls: 1, ..two };
        let dropped = rate.count(121, one);
        assert!(dropped.refused);
        assert_eq!((dropped.limit, dropped.remaining), (1, 0));
    }
}

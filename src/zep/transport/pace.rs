//! Slows a burst down before Zep refuses it.
//!
//! Zep counts requests per account and minute, and every answer says how many are left
//! (`X-RateLimit-*`). While many are left, no call waits. When few are left, each call reserves a
//! moment, so that the rest are spread evenly until the next window.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::clock::{time_there, unix_secs};

/// Zep's limits are per minute.
const WINDOW: Duration = Duration::from_secs(60);
/// The longest time that a header can delay all calls. Ours: two windows; a longer time is an error of
/// clocks or units and must not stop the program.
const LONGEST_HOLD: Duration = Duration::from_secs(120);
/// Window ends that differ by less are the same: resets are given in whole seconds.
const SAME_WINDOW: Duration = Duration::from_millis(1_500);
/// Spreading begins when this part of the limit is left. Ours.
const SPREAD_BELOW: u64 = 4;

/// The state of the rate limit, shared by all calls.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    window: Option<Window>,
    /// A refusal said that nothing is accepted before.
    held_until: Option<Instant>,
    /// Calls with a slot and no answer yet: Zep's number of requests left does not include them.
    unanswered: u64,
}

#[derive(Debug)]
struct Window {
    ends: Instant,
    limit: u64,
    /// Requests that may still be reserved in it.
    left: u64,
    /// No reservation before this moment.
    next_slot: Instant,
}

/// A reserved moment. Dropped when the call ends.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pace: &'a Pace,
    /// When the request may be sent.
    pub(super) at: Instant,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        state.unanswered = state.unanswered.saturating_sub(1);
    }
}

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete in itself, so a panic elsewhere leaves no partial state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves the moment of the next request.
    ///
    /// # Errors
    /// The necessary wait, if it exceeds `deadline`: then nothing is reserved.
    pub(super) fn reserve(&self, deadline: Instant) -> Result<Slot<'_>, Duration> {
        let now = Instant::now();
        let mut state = self.state();
        let earliest = state.held_until.map_or(now, |until| until.max(now));
        if state
            .window
            .as_ref()
            .is_some_and(|window| earliest >= window.ends && earliest >= window.next_slot)
        {
            state.window = None;
        }
        let at = match state.window.as_mut() {
            None => earliest,
            Some(window) => window
                .reserve(earliest, deadline)
                .ok_or_else(|| window.next_slot.max(earliest).duration_since(now))?,
        };
        if at > deadline {
            return Err(at.duration_since(now));
        }
        state.unanswered += 1;
        Ok(Slot { pace: self, at })
    }

    /// The limit of the account, where an answer said it.
    pub(super) fn per_minute(&self) -> Option<u64> {
        self.state().window.as_ref().map(|window| window.limit)
    }

    /// The requests that are left in the present window, where an answer said it.
    pub(super) fn left(&self) -> Option<u64> {
        let state = self.state();
        let window = state.window.as_ref()?;
        (window.ends > Instant::now()).then_some(window.left)
    }

    /// Records what an answer says about the limit.
    pub(super) fn learn(&self, headers: &HeaderMap) {
        let number =
            |name| -> Option<u64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
        let (Some(remaining), Some(reset)) =
            (number("x-ratelimit-remaining"), number("x-ratelimit-reset"))
        else {
            return;
        };
        let Some(rest) = reset
            .checked_sub(unix_time_there(headers))
            .map(Duration::from_secs)
            .filter(|rest| !rest.is_zero() && *rest <= LONGEST_HOLD)
        else {
            return;
        };
        let now = Instant::now();
        let ends = now + rest;
        let mut state = self.state();
        // The call of this answer still holds its slot.
        let mut left = remaining.saturating_sub(state.unanswered.saturating_sub(1));
        let mut next_slot = now;
        if let Some(known) = &state.window {
            next_slot = known.next_slot.max(now);
            // Answers within one window may arrive out of order.
            if abs_difference(known.ends, ends) <= SAME_WINDOW {
                left = left.min(known.left);
            }
        }
        state.window = Some(Window {
            ends,
            limit: number("x-ratelimit-limit").unwrap_or(remaining).max(1),
            left,
            next_slot,
        });
    }

    /// Zep refused a request and asks to wait: no call sends before that.
    pub(super) fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_HOLD);
        let mut state = self.state();
        state.held_until = Some(state.held_until.map_or(until, |known| known.max(until)));
    }
}

impl Window {
    fn reserve(&mut self, earliest: Instant, deadline: Instant) -> Option<Instant> {
        let plenty = self.left > self.limit.div_ceil(SPREAD_BELOW);
        if plenty && earliest < self.ends {
            self.left -= 1;
            return Some(earliest);
        }
        let mut at = self.next_slot.max(earliest);
        let gap = if self.left > 0 && at < self.ends {
            self.ends.duration_since(at) / u32::try_from(self.left).unwrap_or(u32::MAX)
        } else {
            // Nothing is left in this window: the next one is spread evenly.
            at = at.max(self.ends);
            WINDOW / u32::try_from(self.limit).unwrap_or(u32::MAX)
        };
        if at > deadline {
            self.next_slot = at;
            return None;
        }
        self.left = self.left.saturating_sub(1);
        self.next_slot = at + gap;
        Some(at)
    }
}

/// Zep's own clock if known, so that a wrong local clock does not matter.
fn unix_time_there(headers: &HeaderMap) -> u64 {
    let there = time_there(headers).unwrap_or_else(SystemTime::now);
    u64::try_from(unix_secs(there)).unwrap_or(0)
}

fn abs_difference(a: Instant, b: Instant) -> Duration {
    a.max(b).duration_since(a.min(b))
}

//! The plan of faults: by rate, drawn for each call, or ordered for the next matching calls.

use std::num::NonZeroU32;

use axum::http::Method;
use serde::{Deserialize, Serialize};

use super::parameters::{Failing, Rate, RateLimitDrop, Restarts, Status, Timed};

/// The default rate limit: high enough not to slow a client that paces itself by the headers.
const DEFAULT_RATE_LIMIT: u32 = 1_000_000;
/// The default window in seconds: Zep counts an account's calls by the minute.
const DEFAULT_RATE_WINDOW: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// The faults of an emulator; none by default.
///
/// Rates are drawn for each authenticated call within the rate limit. If several hit one call, the
/// first in the order of these fields happens. Latency is added to any of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// The seed of the random draws, for repeatable runs; `None` for a random one.
    pub seed: Option<u64>,
    /// Calls per window; further ones are answered with 429.
    pub rate_limit: u32,
    /// A limit that replaces `rate_limit` during a run.
    pub rate_limit_drop: Option<RateLimitDrop>,
    /// The length of a window in seconds.
    pub rate_window_secs: NonZeroU32,
    /// The least time of each answer: half before the call is carried out, half after it.
    pub latency_ms: u32,
    /// Answer an error instead of carrying the call out.
    pub fail: Vec<Failing>,
    /// Close the connection instead of carrying the call out.
    pub drop_requests: Rate,
    /// Close the connection, and carry the call out later. Only for writes.
    pub late_writes: Option<Timed>,
    /// Carry the call out, and close the connection instead of answering.
    pub drop_answers: Rate,
    /// Carry the call out, and answer an error.
    pub fail_after: Vec<Failing>,
    /// Carry the call out, and close the connection after the headers and half of the body.
    pub half_answers: Rate,
    /// Carry the call out, and answer 200 with a body that Zep would not send.
    pub garbage_answers: Rate,
    /// Carry the call out, and send the body slowly, in parts.
    pub slow_bodies: Option<Timed>,
    /// Refuse connections periodically, like a service that restarts.
    pub restarts: Option<Restarts>,
    /// Faults for the next matching calls. They take precedence over drawn ones.
    pub next: Vec<OneShot>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: None,
            rate_limit: DEFAULT_RATE_LIMIT,
            rate_limit_drop: None,
            rate_window_secs: DEFAULT_RATE_WINDOW,
            latency_ms: 0,
            fail: Vec::new(),
            drop_requests: Rate::default(),
            late_writes: None,
            drop_answers: Rate::default(),
            fail_after: Vec::new(),
            half_answers: Rate::default(),
            garbage_answers: Rate::default(),
            slow_bodies: None,
            restarts: None,
            next: Vec::new(),
        }
    }
}

impl Plan {
    /// Draws the fault of one call.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng, is_write: bool) -> Option<Fault> {
        // Every rate is drawn for every call, even a rate of 0, and each list has a generator of
        // its own: changing one rate must not change the draws of the others.
        let mut lists = [rng.fork(), rng.fork()];
        let rate_of = |timed: Option<Timed>| timed.map_or_else(Rate::default, |timed| timed.rate);
        let [
            is_late,
            is_slow,
            dropped_request,
            dropped_answer,
            half,
            garbage,
        ] = [
            rate_of(self.late_writes),
            rate_of(self.slow_bodies),
            self.drop_requests,
            self.drop_answers,
            self.half_answers,
            self.garbage_answers,
        ]
        .map(|rate| rate.hits(rng));
        let late = self.late_writes.filter(|_| is_late && is_write);
        let slow = self.slow_bodies.filter(|_| is_slow);
        let failed = first_hit(&self.fail, &mut lists[0]);
        let failed_after = first_hit(&self.fail_after, &mut lists[1]);

        failed
            .map(|status| Fault::Fail { status })
            .or(dropped_request.then_some(Fault::DropRequest))
            .or(late.map(|Timed { ms, .. }| Fault::LateWrite { ms }))
            .or(dropped_answer.then_some(Fault::DropAnswer))
            .or(failed_after.map(|status| Fault::FailAfter { status }))
            .or(half.then_some(Fault::HalfAnswer))
            .or(garbage.then_some(Fault::GarbageAnswer { body: None }))
            .or(slow.map(|Timed { ms, .. }| Fault::SlowBody { ms }))
    }

    /// Takes the fault that was ordered for a call like this one.
    pub(super) fn take_next(
        &mut self,
        method: &Method,
        path: &str,
        route: Option<&str>,
    ) -> Option<Fault> {
        let place = self
            .next
            .iter()
            .position(|one| one.matches(method, path, route))?;
        let one = &mut self.next[place];
        if one.after > 0 {
            one.after -= 1;
            return None;
        }
        let fault = one.fault.clone();
        one.times = one.times.saturating_sub(1);
        if one.times == 0 {
            self.next.remove(place);
        }
        Some(fault)
    }

    /// The rate limit after this many calls.
    pub(super) fn rate_limit_after(&self, calls: u64) -> u32 {
        match self.rate_limit_drop {
            Some(drop) if calls >= drop.after_calls => drop.to,
            _ => self.rate_limit,
        }
    }
}

fn first_hit(all: &[Failing], rng: &mut fastrand::Rng) -> Option<Status> {
    let mut all = all.iter();
    all.find(|one| one.rate.hits(rng)).map(|one| one.status)
}

/// A fault of one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The answer is delayed: half before the call is carried out, half after it.
    Latency {
        /// Milliseconds.
        ms: u32,
    },
    /// An error is answered; the call is not carried out.
    Fail {
        /// The error's status.
        status: Status,
    },
    /// 429 is answered; the call is not carried out.
    RateLimit {
        /// The value of `Retry-After`.
        retry_after_secs: u32,
    },
    /// The connection is closed; the call is not carried out.
    DropRequest,
    /// The connection is closed, and the call is carried out later.
    LateWrite {
        /// Milliseconds later.
        ms: u32,
    },
    /// The call is carried out, and the connection closed.
    DropAnswer,
    /// The call is carried out, and an error answered.
    FailAfter {
        /// The error's status.
        status: Status,
    },
    /// The call is carried out, and the connection closed after the headers and half of the body.
    HalfAnswer,
    /// The call is carried out, and 200 answered with another body.
    GarbageAnswer {
        /// The body; `None` for a random one that Zep would not send.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// The call is carried out, and the body is sent in parts.
    SlowBody {
        /// Milliseconds from its first to its last part.
        ms: u32,
    },
}

impl Fault {
    /// Its name in the statistics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Fail { .. } => "fail",
            Self::RateLimit { .. } => "rate_limit",
            Self::DropRequest => "drop_request",
            Self::LateWrite { .. } => "late_write",
            Self::DropAnswer => "drop_answer",
            Self::FailAfter { .. } => "fail_after",
            Self::HalfAnswer => "half_answer",
            Self::GarbageAnswer { .. } => "garbage_answer",
            Self::SlowBody { .. } => "slow_body",
        }
    }
}

/// A fault for the next calls that match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneShot {
    /// The method, such as `POST`; any, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A prefix of the path as sent, such as `/api/v2/threads/s-1/`; any, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The whole route, such as `/api/v2/threads/{thread_id}/messages`; any, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// How many matching calls are skipped first.
    #[serde(default)]
    pub after: u32,
    /// How many calls it hits; one, if absent.
    #[serde(default = "once")]
    pub times: u32,
    /// The fault.
    pub fault: Fault,
}

fn once() -> u32 {
    1
}

impl OneShot {
    fn matches(&self, method: &Method, path: &str, route: Option<&str>) -> bool {
        let method_matches = self
            .method
            .as_deref()
            .is_none_or(|wanted| method.as_str().eq_ignore_ascii_case(wanted));
        let path_matches = self
            .path
            .as_deref()
            .is_none_or(|start| path.starts_with(start));
        let route_matches = self.route.is_none() || self.route.as_deref() == route;
        method_matches && path_matches && route_matches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: f64) -> Rate {
        Rate::try_from(rate).unwrap()
    }

    fn drawn(plan: &Plan, seed: u64) -> Vec<Option<Fault>> {
        let mut seeds = fastrand::Rng::with_seed(seed);
        (0..10_000)
            .map(|_| plan.draw(&mut seeds.fork(), true))
            .collect()
    }

    #[test]
    fn faults_are_as_frequent_as_their_rate() {
        let plan = Plan {
            drop_answers: rate(0.25),
            ..Plan::default()
        };
        let hits = drawn(&plan, 7).into_iter().flatten().count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        for (certain, expected) in [(0.0, 0), (1.0, 10_000)] {
            let plan = Plan {
                half_answers: rate(certain),
                ..Plan::default()
            };
            let hits = drawn(&plan, 7).into_iter().flatten().count();
            assert_eq!(hits, expected);
        }
    }

    #[test]
    fn one_rate_does_not_change_what_another_does() {
        let alone = Plan {
            drop_requests: rate(0.1),
            ..Plan::default()
        };
        let beside = Plan {
            fail_after: vec!["0.3:500".parse().unwrap()],
            slow_bodies: Some("0.3:10".parse().unwrap()),
            ..alone.clone()
        };
        let places = |plan: &Plan| -> Vec<usize> {
            let faults = drawn(plan, 7).into_iter().enumerate();
            faults
                .filter(|(_, fault)| *fault == Some(Fault::DropRequest))
                .map(|(place, _)| place)
                .collect()
        };
        assert_eq!(places(&alone), places(&beside));
        assert!(!places(&alone).is_empty());
    }
}

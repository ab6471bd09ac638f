//! What each token may take of what all share: connections (`places`), calls and requests (this
//! file), and the memory of answers (`answers`).
//!
//! Every bound exists in all and, as a share of it, for each token. A token beyond its share is
//! refused with 429 (`refusal`) or loses what is its own; it never costs another token anything. Where
//! the whole is taken although each token is within its share, those are served that take less than
//! an equal part of it.

mod admit;
mod answers;
mod places;
mod refusal;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::{Notify, Semaphore};

pub(super) use admit::{admit, admit_call};
pub(super) use answers::{Counted, Held, relieve};
pub(super) use places::{Place, Places};
pub(super) use refusal::Exceeded;

use self::answers::CALLS_STARTING;
use super::access::Subject;
use crate::config::Bounds;

/// Locks a mutex whose value is consistent after each step, even if a thread panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much of a bound is taken.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Level {
    /// By all.
    pub(super) now: usize,
    /// The bound for all.
    pub(super) most: usize,
    /// The bound for one token.
    pub(super) share: usize,
    /// By the token that takes most.
    pub(super) largest: usize,
}

/// How much of the bounds is taken, for operators.
#[derive(Debug, Serialize)]
pub(super) struct Levels {
    pub(super) connections: Level,
    pub(super) sessions: Level,
    pub(super) calls: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_this_minute: Option<Level>,
    pub(super) unread_bytes: Level,
    /// Requests that were refused since the start, since their token had taken its share.
    pub(super) refused: u64,
    /// Connections that were cut since the start, since their answers were not read.
    pub(super) cut: u64,
}

/// What all tokens take.
#[derive(Debug)]
pub(super) struct Shares {
    bounds: Bounds,
    places: Arc<Places>,
    taken: Mutex<Taken>,
    /// Notified when memory of answers is free again.
    freed: Notify,
    begun: Instant,
    refused: AtomicU64,
    cut: AtomicU64,
}

#[derive(Debug, Default)]
struct Taken {
    tokens: HashMap<Subject, Use>,
    calls: usize,
    unread: usize,
    minute: u64,
    this_minute: usize,
}

/// What one token takes.
#[derive(Debug)]
struct Use {
    /// Calls in flight.
    calls: usize,
    /// The minute of its last request, and its requests in that minute.
    minute: u64,
    this_minute: usize,
    /// The memory of its answers, in bytes.
    unread: usize,
    /// Calls that wait for memory of answers.
    waiting: usize,
    /// The memory of its largest answer lately.
    largest: Option<(usize, Instant)>,
    /// Calls that may start at once.
    starting: Arc<Semaphore>,
}

impl Use {
    fn new() -> Self {
        Self {
            calls: 0,
            minute: 0,
            this_minute: 0,
            unread: 0,
            waiting: 0,
            largest: None,
            starting: Arc::new(Semaphore::new(CALLS_STARTING)),
        }
    }

    fn is_idle(&self, minute: u64) -> bool {
        self.calls == 0 && self.unread == 0 && self.waiting == 0 && self.minute < minute
    }
}

/// Whether one may take one more: within its share and, where the whole is taken, below an equal part
/// of it.
fn may_take(own: usize, share: usize, all: usize, most: usize, takers: usize) -> bool {
    own < share && (all < most || own < most / takers.max(1))
}

impl Shares {
    pub(super) fn new(bounds: Bounds, places: Arc<Places>) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            places,
            taken: Mutex::default(),
            freed: Notify::new(),
            begun: Instant::now(),
            refused: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        })
    }

    /// The account of a request of this token, on this connection where it is known.
    fn account(self: &Arc<Self>, subject: Subject, place: Option<Arc<Place>>) -> Account {
        Account {
            shares: Arc::clone(self),
            subject,
            place,
            call: None,
        }
    }

    /// Counts a request of this minute.
    fn count_request(&self, subject: &Subject) -> Result<(), Exceeded> {
        let Some(most) = self.bounds.calls_per_minute else {
            return Ok(());
        };
        let seconds = self.begun.elapsed().as_secs();
        let minute = seconds / 60;
        let mut taken = lock(&self.taken);
        if taken.minute != minute {
            taken.minute = minute;
            taken.this_minute = 0;
        }
        let all = taken.this_minute;
        let takers = |tokens: &HashMap<Subject, Use>| {
            let takers = tokens.values().filter(|token| token.minute == minute);
            takers.count()
        };
        let takers = if all < most { 1 } else { takers(&taken.tokens) };
        let token = taken.token(subject);
        if token.minute != minute {
            token.minute = minute;
            token.this_minute = 0;
        }
        if !may_take(
            token.this_minute,
            self.bounds.share_of(most),
            all,
            most,
            takers,
        ) {
            return Err(Exceeded::CallsPerMinute {
                left: 60 - seconds % 60,
            });
        }
        token.this_minute += 1;
        taken.this_minute += 1;
        Ok(())
    }

    /// Counts a call as in flight until the result is dropped.
    fn begin(self: &Arc<Self>, subject: &Subject) -> Result<InFlight, Exceeded> {
        let most = self.bounds.calls;
        let mut taken = lock(&self.taken);
        let all = taken.calls;
        let takers = if all < most {
            1
        } else {
            let takers = taken.tokens.values().filter(|token| token.calls > 0);
            takers.count()
        };
        let token = taken.token(subject);
        if !may_take(token.calls, self.bounds.share_of(most), all, most, takers) {
            return Err(Exceeded::Calls);
        }
        token.calls += 1;
        taken.calls += 1;
        Ok(InFlight {
            shares: Arc::clone(self),
            subject: subject.clone(),
            reserved: Mutex::default(),
        })
    }

    /// Forgets tokens that take nothing.
    pub(super) fn sweep(&self) {
        let minute = self.begun.elapsed().as_secs() / 60;
        let mut taken = lock(&self.taken);
        taken.tokens.retain(|_, token| !token.is_idle(minute));
        if taken.tokens.is_empty() {
            taken.tokens.shrink_to_fit();
        }
    }

    /// How much is taken.
    pub(super) fn levels(&self, sessions: Level) -> Levels {
        let minute = self.begun.elapsed().as_secs() / 60;
        let connections = self.places.level();
        let taken = lock(&self.taken);
        let level = |now: usize, most: usize, of: fn(&Use) -> usize| Level {
            now,
            most,
            share: self.bounds.share_of(most),
            largest: taken.tokens.values().map(of).max().unwrap_or(0),
        };
        let this_minute = match taken.minute == minute {
            true => taken.this_minute,
            false => 0,
        };
        Levels {
            connections,
            sessions,
            calls: level(taken.calls, self.bounds.calls, |token| token.calls),
            calls_this_minute: self.bounds.calls_per_minute.map(|most| Level {
                largest: taken
                    .tokens
                    .values()
                    .filter(|token| token.minute == minute)
                    .map(|token| token.this_minute)
                    .max()
                    .unwrap_or(0),
                ..level(this_minute, most, |_| 0)
            }),
            unread_bytes: level(taken.unread, self.bounds.unread_bytes, |token| token.unread),
            refused: self.refused.load(Ordering::Relaxed),
            cut: self.cut.load(Ordering::Relaxed),
        }
    }
}

impl Taken {
    fn token(&mut self, subject: &Subject) -> &mut Use {
        self.tokens.entry(subject.clone()).or_insert_with(Use::new)
    }
}

/// Whose request it is, what it may take, and on which connection it came. In the request's
/// extensions.
#[derive(Debug, Clone)]
pub(super) struct Account {
    shares: Arc<Shares>,
    subject: Subject,
    place: Option<Arc<Place>>,
    call: Option<Arc<InFlight>>,
}

impl Account {
    /// The account of a subject with this name, with bounds of its own.
    #[cfg(test)]
    pub(super) fn of(name: &str) -> Self {
        let bounds = Bounds {
            connections: 100,
            sessions: 100,
            calls: 100,
            calls_per_minute: None,
            unread_bytes: 1 << 20,
            share: 50,
        };
        let shares = Shares::new(bounds, Places::new(100, &bounds));
        shares.account(Subject::named(name), None)
    }

    /// Whose it is.
    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// A call in flight, counted until it is dropped.
#[derive(Debug)]
struct InFlight {
    shares: Arc<Shares>,
    subject: Subject,
    /// Memory for its answer, until there is one.
    reserved: Mutex<Option<Held>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut taken = lock(&self.shares.taken);
        taken.token(&self.subject).calls -= 1;
        taken.calls -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(calls: usize, calls_per_minute: Option<usize>) -> Arc<Shares> {
        let bounds = Bounds {
            connections: 100,
            sessions: 100,
            calls,
            calls_per_minute,
            unread_bytes: 1 << 20,
            share: 50,
        };
        Shares::new(bounds, Places::new(100, &bounds))
    }

    #[test]
    fn calls_in_flight_are_bounded_for_each_and_no_two_can_starve_a_third() {
        let shares = shares(10, None);
        let [ann, ben, cid] = ["ann", "ben", "cid"].map(Subject::named);
        let take =
            |who: &Subject| -> Vec<_> { std::iter::from_fn(|| shares.begin(who).ok()).collect() };
        let anns = take(&ann);
        let bens = take(&ben);
        assert_eq!((anns.len(), bens.len()), (5, 5));
        assert_eq!(take(&cid).len(), 3, "an equal part of three");
        drop((anns, bens));
        assert_eq!(lock(&shares.taken).calls, 0);
        shares.sweep();
    }

    #[test]
    fn requests_of_a_minute_are_bounded_for_each() {
        let shares = shares(10, Some(8));
        let [ann, ben, cid] = ["ann", "ben", "cid"].map(Subject::named);
        let took = |who: &Subject| {
            (0..20)
                .filter(|_| shares.count_request(who).is_ok())
                .count()
        };
        assert_eq!([took(&ann), took(&ben)], [4, 4]);
        assert!((2..=4).contains(&took(&cid)));
    }
}

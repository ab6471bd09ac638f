//! The MCP sessions of both transports.
//!
//! A session belongs to the subject that opened it; nobody else can use its id. Their number is
//! bounded, for each subject and in all: a subject beyond its share loses the one of its sessions that
//! was unused longest, and where all are taken, the subject with the most loses one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::access::{Access, Subject};
use super::shares::{Exceeded, Level, lock};
use crate::config::Bounds;

/// The header with a session's id (MCP 2025-03-26, Streamable HTTP).
pub(super) const SESSION_ID: &str = "mcp-session-id";

/// How long an unused session lives. Clients often leave without ending theirs.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// The answer to an expired and to a foreign session id: clients initialise again.
pub(super) fn no_session() -> Response {
    (StatusCode::NOT_FOUND, "there is no such session\n").into_response()
}

/// Open sessions by id.
type Open = HashMap<Arc<str>, Arc<State>>;

/// All sessions.
#[derive(Debug)]
pub(super) struct McpSessions {
    open: Mutex<Open>,
    most: usize,
    /// The most of one subject.
    share: usize,
    /// Calls in flight, for the shutdown to wait for.
    pub(super) calls: TaskTracker,
}

#[derive(Debug)]
struct State {
    id: Arc<str>,
    usage: Mutex<Usage>,
    /// How many calls are in flight.
    calls: AtomicUsize,
    /// Cancelled when the session ends.
    ended: CancellationToken,
}

#[derive(Debug)]
struct Usage {
    holder: Subject,
    /// How many requests and streams are open.
    open: usize,
    last: Instant,
}

impl State {
    fn usage(&self) -> MutexGuard<'_, Usage> {
        lock(&self.usage)
    }

    /// Since when the session is unused; `None` if it is in use.
    fn idle_since(&self) -> Option<Instant> {
        let usage = self.usage();
        let in_use = usage.open > 0 || self.calls.load(Ordering::Relaxed) > 0;
        (!in_use).then_some(usage.last)
    }
}

impl McpSessions {
    pub(super) fn new(bounds: &Bounds) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            most: bounds.sessions,
            share: bounds.share_of(bounds.sessions),
            calls: TaskTracker::new(),
        })
    }

    /// Opens a session, which ends when it is dropped.
    ///
    /// # Errors
    /// If there is no room.
    pub(super) fn open(
        self: &Arc<Self>,
        id: Arc<str>,
        holder: Subject,
    ) -> Result<McpSession, Exceeded> {
        let mut open = lock(&self.open);
        self.make_room_among(&mut open, &holder)?;
        let state = Arc::new(State {
            id: Arc::clone(&id),
            usage: Mutex::new(Usage {
                holder,
                open: 0,
                last: Instant::now(),
            }),
            calls: AtomicUsize::new(0),
            ended: CancellationToken::new(),
        });
        open.insert(id, Arc::clone(&state));
        Ok(McpSession {
            state,
            sessions: Arc::clone(self),
        })
    }

    /// Makes room for one more session of this holder, if need be by ending another.
    ///
    /// # Errors
    /// If there is no room.
    pub(super) fn make_room(&self, holder: &Subject) -> Result<(), Exceeded> {
        self.make_room_among(&mut lock(&self.open), holder)
    }

    fn make_room_among(&self, open: &mut Open, holder: &Subject) -> Result<(), Exceeded> {
        let own = open
            .values()
            .filter(|state| state.usage().holder == *holder)
            .count();
        if own >= self.share {
            let oldest = oldest(open, Some(holder), State::idle_since);
            let oldest = oldest.ok_or(Exceeded::Sessions)?;
            end(open, &oldest);
            return Ok(());
        }
        if open.len() < self.most {
            return Ok(());
        }
        let counts = count(open);
        let largest = counts.iter().max_by_key(|(_, count)| **count);
        let Some((largest, _)) = largest.filter(|(_, count)| **count > own + 1) else {
            // All have about as many.
            let oldest = oldest(open, None, State::idle_since);
            end(open, &oldest.ok_or(Exceeded::AllSessions)?);
            return Ok(());
        };
        // Where all are in use, one of them ends: its holder has more of them.
        let oldest = oldest(open, Some(largest), State::idle_since)
            .or_else(|| oldest(open, Some(largest), |state| Some(state.usage().last)));
        end(open, &oldest.ok_or(Exceeded::AllSessions)?);
        Ok(())
    }

    /// Marks a session as in use; `None` if there is none with this id and this holder.
    pub(super) fn enter(&self, id: &str, holder: &Subject) -> Option<InUse> {
        let state = Arc::clone(lock(&self.open).get(id)?);
        {
            let mut usage = state.usage();
            if usage.holder != *holder {
                return None;
            }
            // The same subject, perhaps with a newer token.
            usage.holder = holder.clone();
            usage.open += 1;
            usage.last = Instant::now();
        }
        Some(InUse(state))
    }

    /// Ends a session, if there is one with this id.
    pub(super) fn end(&self, id: &str) {
        end(&mut lock(&self.open), id);
    }

    /// Ends all sessions.
    pub(super) fn end_all(&self) {
        for (_, state) in lock(&self.open).drain() {
            state.ended.cancel();
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// How many are open, and how many one holder has at most.
    pub(super) fn level(&self) -> Level {
        let open = lock(&self.open);
        Level {
            now: open.len(),
            most: self.most,
            share: self.share,
            largest: count(&open).into_values().max().unwrap_or(0),
        }
    }

    /// Ends sessions that were unused for long, and sessions whose token was revoked or has expired.
    pub(super) async fn sweep(&self, access: &Access) {
        self.end_unused(IDLE);
        self.end_unauthorized(access).await;
    }

    async fn end_unauthorized(&self, access: &Access) {
        let held: Vec<_> = lock(&self.open)
            .values()
            .map(|state| (Arc::clone(&state.id), state.usage().holder.clone()))
            .collect();
        for (id, holder) in held {
            if !access.still_admits(&holder).await {
                tracing::info!(
                    holder = holder.label(),
                    "ended a session: its token is no longer valid"
                );
                self.end(&id);
            }
        }
    }

    fn end_unused(&self, longer_than: Duration) {
        lock(&self.open).retain(|_, state| {
            let idle = state.idle_since();
            let is_over = idle.is_some_and(|since| since.elapsed() > longer_than);
            if is_over {
                state.ended.cancel();
            }
            !is_over
        });
    }
}

/// How many sessions each holder has.
fn count(open: &Open) -> HashMap<Subject, usize> {
    let mut counts = HashMap::new();
    for state in open.values() {
        *counts.entry(state.usage().holder.clone()).or_default() += 1;
    }
    counts
}

/// The session with the earliest of these times, among those of this holder.
fn oldest(
    open: &Open,
    holder: Option<&Subject>,
    time: fn(&State) -> Option<Instant>,
) -> Option<Arc<str>> {
    let theirs = open
        .values()
        .filter(|state| holder.is_none_or(|holder| state.usage().holder == *holder));
    let times = theirs.filter_map(|state| Some((time(state)?, &state.id)));
    let oldest = times.min_by_key(|(since, _)| *since);
    oldest.map(|(_, id)| Arc::clone(id))
}

fn end(open: &mut Open, id: &str) {
    if let Some(state) = open.remove(id) {
        state.ended.cancel();
    }
}

/// An open session, held by the task that serves it. Ends when dropped.
#[derive(Debug)]
pub(super) struct McpSession {
    state: Arc<State>,
    sessions: Arc<McpSessions>,
}

impl McpSession {
    /// Cancelled when the session ends.
    pub(super) fn ended(&self) -> CancellationToken {
        self.state.ended.clone()
    }

    /// Counts a call as in flight until this is dropped.
    pub(super) fn call(&self) -> Call {
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        Call {
            state: Arc::clone(&self.state),
            _token: self.sessions.calls.token(),
        }
    }
}

impl Drop for McpSession {
    fn drop(&mut self) {
        self.sessions.end(&self.state.id);
    }
}

/// A call in flight.
#[derive(Debug)]
pub(super) struct Call {
    state: Arc<State>,
    _token: TaskTrackerToken,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.state.usage().last = Instant::now();
        self.state.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open request or stream of a session.
#[derive(Debug)]
pub(super) struct InUse(Arc<State>);

impl Drop for InUse {
    fn drop(&mut self) {
        let mut usage = self.0.usage();
        usage.open -= 1;
        usage.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Subject {
        Subject::named("ann")
    }

    fn bounded(sessions: usize, share: usize) -> Arc<McpSessions> {
        McpSessions::new(&Bounds {
            connections: 1,
            sessions,
            calls: 1,
            calls_per_minute: None,
            unread_bytes: 1,
            share,
        })
    }

    #[test]
    fn only_its_holder_can_use_a_session() {
        let sessions = bounded(10, 100);
        let _one = sessions.open("one".into(), ann()).unwrap();
        assert!(sessions.enter("one", &ann()).is_some());
        assert!(sessions.enter("one", &Subject::named("ben")).is_none());
        assert!(sessions.enter("two", &ann()).is_none());
    }

    #[test]
    fn the_session_unused_longest_makes_room_and_one_in_use_never_does() {
        let sessions = bounded(2, 100);
        let one = sessions.open("one".into(), ann()).unwrap();
        let two = sessions.open("two".into(), ann()).unwrap();
        // The first is the older one, but it was used since.
        drop(sessions.enter("one", &ann()).unwrap());
        let three = sessions.open("three".into(), ann()).unwrap();
        assert!(two.ended().is_cancelled() && !one.ended().is_cancelled());
        let _stream = sessions.enter("one", &ann()).unwrap();
        let call = three.call();
        assert_eq!(sessions.make_room(&ann()), Err(Exceeded::Sessions));
        assert!(sessions.open("four".into(), ann()).is_err());
        drop(call);
        assert!(sessions.open("four".into(), ann()).is_ok());
        assert!(three.ended().is_cancelled());
        // Dropping an ended session ends no other.
        drop(two);
        drop(three);
        assert_eq!(sessions.count(), 1);
    }

    #[test]
    fn an_unused_session_ends_after_a_time() {
        let sessions = bounded(10, 100);
        let one = sessions.open("one".into(), ann()).unwrap();
        let two = sessions.open("two".into(), ann()).unwrap();
        let _call = two.call();
        std::thread::sleep(Duration::from_millis(2));
        sessions.end_unused(Duration::from_millis(1));
        assert!(one.ended().is_cancelled() && !two.ended().is_cancelled());
        assert!(sessions.enter("one", &ann()).is_none());
    }

    #[test]
    fn no_holder_ends_sessions_of_one_that_has_fewer() {
        let sessions = bounded(8, 50);
        let open = |who: &str, count: usize| -> Vec<_> {
            let open = |number| {
                let id = format!("{who} {number}");
                sessions.open(id.into(), Subject::named(who)).unwrap()
            };
            (0..count).map(open).collect()
        };
        let alive = |opened: &[McpSession]| {
            let alive = opened.iter().filter(|one| !one.ended().is_cancelled());
            alive.count()
        };
        let bens = open("ben", 2);
        let anns = open("ann", 100);
        assert_eq!((alive(&anns), alive(&bens)), (4, 2));
        let cids = open("cid", 3);
        assert_eq!((alive(&anns), alive(&bens), alive(&cids)), (3, 2, 3));
        // Also where all of them are in use.
        let used: Vec<_> = sessions.open.lock().unwrap().keys().cloned().collect();
        let used: Vec<_> = used
            .iter()
            .filter_map(|id| sessions.enter(id, &Subject::named(id.split_once(' ')?.0)))
            .collect();
        assert_eq!(used.len(), 8);
        let dans = open("dan", 1);
        assert_eq!((alive(&bens), alive(&dans)), (2, 1));
        assert_eq!(alive(&anns) + alive(&cids), 5);
    }
}

//! The MCP sessions of both transports.
//!
//! A session belongs to the subject that opened it; nobody else can use its id. Their number is
//! bounded: the session that was unused longest makes room for a new one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::access::{Access, Subject};

/// The header with a session's id (MCP 2025-03-26, Streamable HTTP).
pub(super) const SESSION_ID: &str = "mcp-session-id";

/// How long an unused session lives. Clients often leave without ending theirs.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// How often unused sessions and sessions with a revoked token are ended. Until then an open stream
/// only delivers responses to calls that were accepted before. Ours.
const SWEEP: Duration = Duration::from_secs(10);

/// All sessions are in use, and no more may be opened.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("as many sessions are in use as this server allows; try again later")]
pub(super) struct SessionLimit;

impl IntoResponse for SessionLimit {
    fn into_response(self) -> Response {
        tracing::warn!("a session was refused: all sessions are in use");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        (status, [(RETRY_AFTER, "10")], format!("{self}\n")).into_response()
    }
}

/// The answer to an expired and to a foreign session id: clients initialise again.
pub(super) fn no_session() -> Response {
    (StatusCode::NOT_FOUND, "there is no such session\n").into_response()
}

/// All sessions.
#[derive(Debug)]
pub(super) struct McpSessions {
    open: Mutex<HashMap<Arc<str>, Arc<State>>>,
    most: usize,
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
    /// `None` for a moment while the session is opened: then nobody can use it.
    holder: Option<Subject>,
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

/// Locks a mutex whose value is consistent after each step, even if a thread panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl McpSessions {
    /// At most this many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            most,
            calls: TaskTracker::new(),
        })
    }

    /// Opens a session, which ends when it is dropped. Without a holder it needs [`Self::bind`].
    ///
    /// # Errors
    /// [`SessionLimit`] if all sessions are in use.
    pub(super) fn open(
        self: &Arc<Self>,
        id: Arc<str>,
        holder: Option<Subject>,
    ) -> Result<McpSession, SessionLimit> {
        let mut open = lock(&self.open);
        self.make_room(&mut open)?;
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

    /// Whether one more can be opened, if need be after ending an unused one.
    pub(super) fn has_room(&self) -> bool {
        self.make_room(&mut lock(&self.open)).is_ok()
    }

    fn make_room(&self, open: &mut HashMap<Arc<str>, Arc<State>>) -> Result<(), SessionLimit> {
        if open.len() < self.most {
            return Ok(());
        }
        let idle = open
            .values()
            .filter_map(|state| Some((state.idle_since()?, Arc::clone(&state.id))));
        let (_, id) = idle.min_by_key(|(since, _)| *since).ok_or(SessionLimit)?;
        if let Some(state) = open.remove(&id) {
            state.ended.cancel();
        }
        tracing::debug!("ended an unused session to make room for a new one");
        Ok(())
    }

    /// Sets the holder of a new session.
    pub(super) fn bind(&self, id: &str, holder: Subject) {
        if let Some(state) = lock(&self.open).get(id) {
            state.usage().holder = Some(holder);
        }
    }

    /// Marks a session as in use; `None` if there is none with this id and this holder.
    pub(super) fn enter(&self, id: &str, holder: &Subject) -> Option<InUse> {
        let state = Arc::clone(lock(&self.open).get(id)?);
        {
            let mut usage = state.usage();
            if usage.holder.as_ref() != Some(holder) {
                return None;
            }
            // The same subject, perhaps with a newer token.
            usage.holder = Some(holder.clone());
            usage.open += 1;
            usage.last = Instant::now();
        }
        Some(InUse(state))
    }

    /// Ends a session, if there is one with this id.
    pub(super) fn end(&self, id: &str) {
        if let Some(state) = lock(&self.open).remove(id) {
            state.ended.cancel();
        }
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

    /// Regularly ends sessions that were unused for long, and sessions whose token was revoked or has
    /// expired. Never returns.
    pub(super) async fn sweep(&self, access: &Access) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            self.end_unused(IDLE);
            self.end_unauthorized(access).await;
        }
    }

    async fn end_unauthorized(&self, access: &Access) {
        let held: Vec<_> = lock(&self.open)
            .values()
            .filter_map(|state| Some((Arc::clone(&state.id), state.usage().holder.clone()?)))
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

    #[test]
    fn only_its_holder_can_use_a_session() {
        let sessions = McpSessions::new(10);
        let _one = sessions.open("one".into(), Some(ann())).unwrap();
        let _new = sessions.open("new".into(), None).unwrap();
        assert!(sessions.enter("one", &ann()).is_some());
        assert!(sessions.enter("one", &Subject::named("ben")).is_none());
        assert!(sessions.enter("two", &ann()).is_none());
        assert!(
            sessions.enter("new", &ann()).is_none(),
            "it has no holder yet"
        );
        sessions.bind("new", ann());
        assert!(sessions.enter("new", &ann()).is_some());
        assert!(sessions.enter("new", &Subject::named("ben")).is_none());
    }

    #[test]
    fn the_session_unused_longest_makes_room_and_one_in_use_never_does() {
        let sessions = McpSessions::new(2);
        let one = sessions.open("one".into(), Some(ann())).unwrap();
        let two = sessions.open("two".into(), Some(ann())).unwrap();
        // The first is the older one, but it was used since.
        drop(sessions.enter("one", &ann()).unwrap());
        let three = sessions.open("three".into(), Some(ann())).unwrap();
        assert!(two.ended().is_cancelled() && !one.ended().is_cancelled());
        let _stream = sessions.enter("one", &ann()).unwrap();
        let call = three.call();
        assert!(!sessions.has_room());
        assert!(sessions.open("four".into(), Some(ann())).is_err());
        drop(call);
        assert!(sessions.open("four".into(), Some(ann())).is_ok());
        assert!(three.ended().is_cancelled());
        // Dropping an ended session ends no other.
        drop(two);
        drop(three);
        assert_eq!(sessions.count(), 1);
    }

    #[test]
    fn an_unused_session_ends_after_a_time() {
        let sessions = McpSessions::new(10);
        let one = sessions.open("one".into(), Some(ann())).unwrap();
        let two = sessions.open("two".into(), Some(ann())).unwrap();
        let _call = two.call();
        std::thread::sleep(Duration::from_millis(2));
        sessions.end_unused(Duration::from_millis(1));
        assert!(one.ended().is_cancelled() && !two.ended().is_cancelled());
        assert!(sessions.enter("one", &ann()).is_none());
    }
}

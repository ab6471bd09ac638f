//! Who is connected, through either door.
//!
//! A session belongs to whoever opened it: its id opens nothing for anybody else. There are only so
//! many; one that nobody uses makes room for a new one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::access::{Access, Subject};

/// The header with a session's id (MCP 2025-03-26, Streamable HTTP).
pub(super) const SESSION_ID: &str = "mcp-session-id";

/// How long a session lives that nobody uses. Clients often go without a word.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// How often those are looked for, and those whose token was taken back. Ours: a stream that is open
/// then tells its client nothing that it was not asked for.
const SWEEP: Duration = Duration::from_secs(10);

/// All sessions are in use, and there are as many as there may be.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("as many sessions are in use as there may be")]
pub(super) struct Full;

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    open: Mutex<HashMap<Arc<str>, Arc<State>>>,
    most: usize,
    /// What is being answered, to wait for at the end.
    pub calls: TaskTracker,
}

#[derive(Debug)]
struct State {
    id: Arc<str>,
    used: Mutex<Used>,
    /// Calls that are being answered.
    calls: AtomicUsize,
    /// Cancelled when it is over.
    over: CancellationToken,
}

#[derive(Debug)]
struct Used {
    /// Unknown for a moment while it is made: then it is nobody's.
    holder: Option<Subject>,
    /// Requests and streams that are open.
    open: usize,
    last: Instant,
}

impl State {
    fn used(&self) -> MutexGuard<'_, Used> {
        lock(&self.used)
    }

    /// Since when nobody uses it; `None` if somebody does.
    fn idle_since(&self) -> Option<Instant> {
        let used = self.used();
        let in_use = used.open > 0 || self.calls.load(Ordering::Relaxed) > 0;
        (!in_use).then_some(used.last)
    }
}

/// What it guards is whole after each step, whatever happened to a thread that held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// At most this many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            most,
            calls: TaskTracker::new(),
        })
    }

    /// A new session; over when dropped. Whose it is may be told later.
    ///
    /// # Errors
    /// [`Full`].
    pub fn open(self: &Arc<Self>, id: Arc<str>, holder: Option<Subject>) -> Result<Session, Full> {
        let mut open = lock(&self.open);
        self.make_room(&mut open)?;
        let state = Arc::new(State {
            id: Arc::clone(&id),
            used: Mutex::new(Used {
                holder,
                open: 0,
                last: Instant::now(),
            }),
            calls: AtomicUsize::new(0),
            over: CancellationToken::new(),
        });
        open.insert(id, Arc::clone(&state));
        Ok(Session {
            state,
            sessions: Arc::clone(self),
        })
    }

    /// Whether there is room for one more, now or by ending one that nobody uses.
    pub fn has_room(&self) -> bool {
        self.make_room(&mut lock(&self.open)).is_ok()
    }

    fn make_room(&self, open: &mut HashMap<Arc<str>, Arc<State>>) -> Result<(), Full> {
        if open.len() < self.most {
            return Ok(());
        }
        let idle = open
            .values()
            .filter_map(|state| Some((state.idle_since()?, Arc::clone(&state.id))));
        let (_, id) = idle.min_by_key(|(since, _)| *since).ok_or(Full)?;
        if let Some(state) = open.remove(&id) {
            state.over.cancel();
        }
        tracing::debug!("an unused session made room for another");
        Ok(())
    }

    /// Says whose a new session is.
    pub fn bind(&self, id: &str, holder: Subject) {
        if let Some(state) = lock(&self.open).get(id) {
            state.used().holder = Some(holder);
        }
    }

    /// Uses a session, if there is one of this id and it is this holder's.
    pub fn enter(&self, id: &str, holder: &Subject) -> Option<InUse> {
        let state = Arc::clone(lock(&self.open).get(id)?);
        {
            let mut used = state.used();
            if used.holder.as_ref() != Some(holder) {
                return None;
            }
            // The same one, who may show a newer token.
            used.holder = Some(holder.clone());
            used.open += 1;
            used.last = Instant::now();
        }
        Some(InUse(state))
    }

    /// Ends a session, if there is one of this id.
    pub fn end(&self, id: &str) {
        if let Some(state) = lock(&self.open).remove(id) {
            state.over.cancel();
        }
    }

    /// Ends them all.
    pub fn end_all(&self) {
        for (_, state) in lock(&self.open).drain() {
            state.over.cancel();
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// Ends now and then those that nobody has used for long, and those whose holder would not be
    /// let in any more: their token was taken back, or is over. Never returns.
    pub async fn sweep(&self, access: &Access) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            self.end_unused(IDLE);
            self.end_unwelcome(access).await;
        }
    }

    async fn end_unwelcome(&self, access: &Access) {
        let held: Vec<_> = lock(&self.open)
            .values()
            .filter_map(|state| Some((Arc::clone(&state.id), state.used().holder.clone()?)))
            .collect();
        for (id, holder) in held {
            if !access.still_admits(&holder).await {
                tracing::info!(holder = holder.label(), "a session's token is good no more");
                self.end(&id);
            }
        }
    }

    fn end_unused(&self, longer_than: Duration) {
        lock(&self.open).retain(|_, state| {
            let idle = state.idle_since();
            let over = idle.is_some_and(|since| since.elapsed() > longer_than);
            if over {
                state.over.cancel();
            }
            !over
        });
    }
}

/// A session, in the hands of what serves it. Over when dropped.
#[derive(Debug)]
pub(super) struct Session {
    state: Arc<State>,
    sessions: Arc<Sessions>,
}

impl Session {
    /// Cancelled when it is over.
    pub fn over(&self) -> CancellationToken {
        self.state.over.clone()
    }

    /// A call that is being answered, until this is dropped.
    pub fn call(&self) -> Call {
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        Call {
            state: Arc::clone(&self.state),
            _token: self.sessions.calls.token(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.end(&self.state.id);
    }
}

/// A call of a session that is being answered.
#[derive(Debug)]
pub(super) struct Call {
    state: Arc<State>,
    _token: TaskTrackerToken,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.state.used().last = Instant::now();
        self.state.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request or a stream of a session.
#[derive(Debug)]
pub(super) struct InUse(Arc<State>);

impl Drop for InUse {
    fn drop(&mut self) {
        let mut used = self.0.used();
        used.open -= 1;
        used.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Subject {
        Subject::named("ann")
    }

    #[test]
    fn a_session_is_nobody_elses() {
        let sessions = Sessions::new(10);
        let _one = sessions.open("one".into(), Some(ann())).unwrap();
        let _new = sessions.open("new".into(), None).unwrap();
        assert!(sessions.enter("one", &ann()).is_some());
        assert!(sessions.enter("one", &Subject::named("ben")).is_none());
        assert!(sessions.enter("two", &ann()).is_none());
        assert!(sessions.enter("new", &ann()).is_none(), "nobody's yet");
        sessions.bind("new", ann());
        assert!(sessions.enter("new", &ann()).is_some());
        assert!(sessions.enter("new", &Subject::named("ben")).is_none());
    }

    #[test]
    fn the_one_unused_longest_makes_room_and_one_in_use_never() {
        let sessions = Sessions::new(2);
        let one = sessions.open("one".into(), Some(ann())).unwrap();
        let two = sessions.open("two".into(), Some(ann())).unwrap();
        // The first is the older one, but it was used since.
        drop(sessions.enter("one", &ann()).unwrap());
        let three = sessions.open("three".into(), Some(ann())).unwrap();
        assert!(two.over().is_cancelled() && !one.over().is_cancelled());
        let _stream = sessions.enter("one", &ann()).unwrap();
        let call = three.call();
        assert!(!sessions.has_room());
        assert!(sessions.open("four".into(), Some(ann())).is_err());
        drop(call);
        assert!(sessions.open("four".into(), Some(ann())).is_ok());
        assert!(three.over().is_cancelled());
        // What is over does not take another's place away.
        drop(two);
        drop(three);
        assert_eq!(sessions.count(), 1);
    }

    #[test]
    fn what_nobody_uses_is_over_some_day() {
        let sessions = Sessions::new(10);
        let one = sessions.open("one".into(), Some(ann())).unwrap();
        let two = sessions.open("two".into(), Some(ann())).unwrap();
        let _call = two.call();
        std::thread::sleep(Duration::from_millis(2));
        sessions.end_unused(Duration::from_millis(1));
        assert!(one.over().is_cancelled() && !two.over().is_cancelled());
        assert!(sessions.enter("one", &ann()).is_none());
    }
}

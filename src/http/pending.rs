//! Connections that have not sent a request yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Pending connections, oldest first.
#[derive(Debug)]
pub(super) struct PendingConnections {
    connections: Mutex<BTreeMap<u64, CancellationToken>>,
    next: AtomicU64,
    most: usize,
}

impl PendingConnections {
    /// At most this many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: Mutex::default(),
            next: AtomicU64::new(0),
            most,
        })
    }

    /// Adds a connection, and drops the oldest if there are too many.
    pub(super) fn enter(self: &Arc<Self>) -> Pending {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let dropped = CancellationToken::new();
        let mut connections = self.lock();
        connections.insert(id, dropped.clone());
        if connections.len() > self.most
            && let Some((_, oldest)) = connections.pop_first()
        {
            oldest.cancel();
        }
        Pending {
            id,
            has_sent: AtomicBool::new(false),
            dropped,
            all: Arc::clone(self),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, CancellationToken>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that may not have sent a request yet.
#[derive(Debug)]
pub(super) struct Pending {
    id: u64,
    has_sent: AtomicBool,
    dropped: CancellationToken,
    all: Arc<PendingConnections>,
}

impl Pending {
    /// Notes that it has sent a request.
    pub(super) fn has_sent(&self) {
        if !self.has_sent.swap(true, Ordering::Relaxed) {
            self.leave();
        }
    }

    fn leave(&self) {
        self.all.lock().remove(&self.id);
    }

    /// Returns once the connection is to be dropped: it has sent no request until `deadline`, or
    /// newer ones need its place.
    pub(super) async fn must_go(&self, deadline: Instant) {
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = self.dropped.cancelled() => {}
        }
        if self.has_sent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_flood_of_silent_connections_only_ends_silent_ones() {
        let all = PendingConnections::new(3);
        let far = Instant::now() + Duration::from_secs(3600);
        let speaking = all.enter();
        let silent = all.enter();
        speaking.has_sent();
        let flood: Vec<_> = (0..3).map(|_| all.enter()).collect();
        silent.must_go(far).await;
        assert!(!speaking.dropped.is_cancelled());
        assert!(flood.iter().all(|pending| !pending.dropped.is_cancelled()));
        drop(flood);
        assert!(all.connections.lock().unwrap().is_empty());
    }
}

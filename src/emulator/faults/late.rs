//! Writes that land after their connection was closed, each at its time; at the same time, in the
//! order in which they were sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// A call that is carried out later, for nobody.
struct Late {
    due: Instant,
    request: Request,
    next: Next,
}

/// Where late writes are handed in.
#[derive(Debug)]
pub(super) struct LateWrites {
    queue: mpsc::UnboundedSender<Late>,
    waiting: Arc<AtomicU64>,
}

/// Where they land.
#[derive(Debug)]
pub(in crate::emulator) struct Landing {
    queue: mpsc::UnboundedReceiver<Late>,
    waiting: Arc<AtomicU64>,
}

/// Both ends.
pub(super) fn channel() -> (LateWrites, Landing) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicU64>::default();
    (
        LateWrites {
            queue: sender,
            waiting: Arc::clone(&waiting),
        },
        Landing {
            queue: receiver,
            waiting,
        },
    )
}

impl LateWrites {
    /// Takes a call, with its whole body, to be carried out after this time.
    pub fn push(&self, wait: Duration, request: Request, next: Next) {
        let late = Late {
            due: Instant::now() + wait,
            request,
            next,
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.send(late).is_err() {
            // Only a stopped emulator lands nothing any more.
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many have not landed yet.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Landing {
    /// Carries out what is due until `stop`; then all that is left, in order, without waiting.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut flying: BTreeMap<(Instant, u64), Late> = BTreeMap::new();
        let mut count = 0_u64;
        let mut place = |late: Late| {
            count += 1;
            ((late.due, count), late)
        };
        loop {
            let first = flying.keys().next().map(|(due, _)| *due);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(late) = self.queue.recv() => flying.extend([place(late)]),
                () = sleep_until(first.unwrap_or_else(Instant::now)), if first.is_some() => {
                    if let Some((_, late)) = flying.pop_first() {
                        self.land(late).await;
                    }
                }
            }
        }
        while let Ok(late) = self.queue.try_recv() {
            flying.extend([place(late)]);
        }
        for late in flying.into_values() {
            self.land(late).await;
        }
    }

    async fn land(&self, late: Late) {
        let status = late.next.run(late.request).await.status().as_u16();
        tracing::debug!(status, "a late write landed");
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

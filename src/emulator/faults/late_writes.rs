//! Writes that are carried out after their connection was closed: each at its time, and writes of
//! the same time in the order they were sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// A call to be carried out later.
struct Late {
    due: Instant,
    request: Request,
    next: Next,
}

/// The queue of late writes.
#[derive(Debug)]
pub(super) struct LateWrites {
    queue: mpsc::UnboundedSender<Late>,
    waiting: Arc<AtomicU64>,
}

/// Carries out late writes.
#[derive(Debug)]
pub(in crate::emulator) struct LateWriter {
    queue: mpsc::UnboundedReceiver<Late>,
    waiting: Arc<AtomicU64>,
}

/// A queue, and the writer that works it off.
pub(super) fn channel() -> (LateWrites, LateWriter) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicU64>::default();
    (
        LateWrites {
            queue: sender,
            waiting: Arc::clone(&waiting),
        },
        LateWriter {
            queue: receiver,
            waiting,
        },
    )
}

impl LateWrites {
    /// Queues a call, which has its whole body, for a later time.
    pub(super) fn push(&self, wait: Duration, request: Request, next: Next) {
        let late = Late {
            due: Instant::now() + wait,
            request,
            next,
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.send(late).is_err() {
            // The emulator has stopped.
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many calls are queued.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl LateWriter {
    /// Carries out calls when they are due until `stop`, then the rest at once, in order.
    pub(in crate::emulator) async fn run(mut self, stop: CancellationToken) {
        let mut queued: BTreeMap<(Instant, u64), Late> = BTreeMap::new();
        let mut count = 0_u64;
        let mut place = |late: Late| {
            count += 1;
            ((late.due, count), late)
        };
        loop {
            let first = queued.keys().next().map(|(due, _)| *due);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(late) = self.queue.recv() => queued.extend([place(late)]),
                () = sleep_until(first.unwrap_or_else(Instant::now)), if first.is_some() => {
                    if let Some((_, late)) = queued.pop_first() {
                        self.carry_out(late).await;
                    }
                }
            }
        }
        while let Ok(late) = self.queue.try_recv() {
            queued.extend([place(late)]);
        }
        for late in queued.into_values() {
            self.carry_out(late).await;
        }
    }

    async fn carry_out(&self, late: Late) {
        let status = late.next.run(late.request).await.status().as_u16();
        tracing::debug!(status, "a late write was carried out");
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

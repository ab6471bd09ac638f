//! Samples of a run's progress for the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::book::Book;
use super::ledger::RunSample;
use super::progress::{Phase, Progress, Wait, Waiting, Watch};
use crate::memory::MemoryService;

/// The time between two samples; doubled whenever there are too many.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A watch that remembers how many records are written.
pub(super) struct Counting {
    inner: Arc<dyn Watch>,
    records: AtomicU64,
}

impl Counting {
    pub(super) fn new(inner: Arc<dyn Watch>) -> Self {
        Self {
            inner,
            records: AtomicU64::new(0),
        }
    }
}

impl Watch for Counting {
    fn at(&self, progress: Progress) {
        if progress.phase == Phase::Writing {
            self.records.fetch_max(progress.done, Ordering::Relaxed);
        }
        self.inner.at(progress);
    }

    fn noted(&self, run: &str) {
        self.inner.noted(run);
    }

    fn waits(&self, waiting: Waiting) {
        self.inner.waits(waiting);
    }

    fn goes_on(&self, reason: Wait) {
        self.inner.goes_on(reason);
    }
}

/// Samples the progress until it is stopped, or dropped with a run that is given up: the ledger must not
/// count that one as alive.
pub(super) struct Sampler {
    sampling: AbortOnDropHandle<()>,
    stop: CancellationToken,
}

impl Sampler {
    pub(super) fn new(book: Book, counting: Arc<Counting>, service: MemoryService) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let sampling = tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let stats = service.stats().unwrap_or_default();
                let sample = RunSample {
                    at: Timestamp::now(),
                    records: counting.records.load(Ordering::Relaxed),
                    requests: stats.requests,
                    waited_ms: u64::try_from(stats.waited.as_millis()).unwrap_or(u64::MAX),
                };
                // The run itself reports a ledger that cannot be written.
                let thinned = book.with(move |run| run.sample(sample)).await;
                if let Ok(Some(true)) = thinned {
                    pause *= 2;
                }
                if stopped.is_cancelled() {
                    return;
                }
                stopped.run_until_cancelled(tokio::time::sleep(pause)).await;
            }
        });
        Self {
            sampling: AbortOnDropHandle::new(sampling),
            stop,
        }
    }

    /// Takes the last sample, and gives the ledger back.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // It ends after its step.
        let _ = self.sampling.await;
    }
}

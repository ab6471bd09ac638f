//! Tells a watch what a run waits for, once a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::progress::{Wait, Waiting, Watch};
use super::retry;
use crate::memory::MemoryService;

const EVERY: Duration = Duration::from_secs(1);

/// Tells it until this is dropped.
#[derive(Debug)]
pub(super) struct Teller {
    _telling: AbortOnDropHandle<()>,
}

impl Teller {
    /// Begins. Must be called within a runtime.
    pub(super) fn new(service: &MemoryService, watch: &Arc<dyn Watch>) -> Self {
        let (service, watch) = (service.clone(), watch.clone());
        let telling = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let stats = service.stats().unwrap_or_default();
                tell(watch.as_ref(), Wait::RateLimit, stats.rate_limited);
                let backing_off = stats.backing_off.max(retry::pausing());
                tell(watch.as_ref(), Wait::BackOff, backing_off);
            }
        });
        Self {
            _telling: AbortOnDropHandle::new(telling),
        }
    }
}

fn tell(watch: &dyn Watch, reason: Wait, left: Option<Duration>) {
    match left {
        Some(_) => watch.waits(Waiting { reason, left }),
        None => watch.goes_on(reason),
    }
}

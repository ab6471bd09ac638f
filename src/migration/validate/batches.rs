//! Waiting for batches of a migration that Zep still processes: what is in them is not stored yet.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Stopped;
use crate::memory::access::Caller;
use crate::memory::{self, MemoryService};
use crate::migration::progress::{Wait, Waiting, Watch};
use crate::migration::retry::with_retries;
use crate::zep;

/// How often it is asked whether they are processed. Ours: Zep needs seconds to minutes.
const EVERY: Duration = Duration::from_secs(2);
/// The longest wait. Ours: Zep's documentation speaks of minutes; what takes longer is reported.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Waits until Zep has processed the batches that migrations sent. Answers what a validation says of
/// it, if there were any.
pub(in crate::migration) async fn await_processed(
    service: &MemoryService,
    caller: &Caller,
    watch: &dyn Watch,
    cancelled: &CancellationToken,
) -> Result<Option<String>, Stopped> {
    let begun = Instant::now();
    let mut waited = None;
    loop {
        let ask = || service.batches_in_process(caller);
        let left = with_retries(cancelled, ask).await?;
        let took = begun.elapsed();
        if left == 0 || took >= LONGEST {
            watch.goes_on(Wait::Batch);
            let first = waited.unwrap_or(left);
            return Ok((first > 0).then(|| note(first, left, took)));
        }
        waited.get_or_insert(left);
        watch.waits(Waiting {
            reason: Wait::Batch,
            left: None,
        });
        let pause = tokio::time::sleep(EVERY);
        if cancelled.run_until_cancelled(pause).await.is_none() {
            return Err(memory::Error::from(zep::Error::Cancelled).into());
        }
    }
}

fn note(first: u64, left: u64, took: Duration) -> String {
    let secs = took.as_secs();
    match left {
        0 => format!("waited {secs} s until Zep had processed {first} batches"),
        left => format!(
            "Zep still processes {left} batches after {secs} s: what is in them is reported as \
             missing; validate again later"
        ),
    }
}

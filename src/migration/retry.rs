//! Retries after failures that may pass: a service that restarts, a rate limit.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use tokio_util::sync::CancellationToken;

use super::lock;
use crate::memory;
use crate::zep;

/// How often something is retried, and the shortest and longest pause before it (seconds): about a
/// minute in all, beside what each attempt waits itself. Ours: a deployment's restart takes less.
const RETRIES: usize = 7;
const PAUSES_SECS: (f32, f32) = (0.5, 16.0);

/// When the last pause of this process is over.
static PAUSE_ENDS: Mutex<Option<Instant>> = Mutex::new(None);

/// How long retries of this process still pause, the longest of them; none if none does.
pub(super) fn pausing() -> Option<Duration> {
    lock(&PAUSE_ENDS).and_then(|end| end.checked_duration_since(Instant::now()))
}

/// An error that the backend may have caused.
pub(super) trait Failure: From<memory::Error> + Clone {
    /// The backend's error, where that is the cause.
    fn cause(&self) -> Option<&zep::Error>;
}

impl Failure for memory::Error {
    fn cause(&self) -> Option<&zep::Error> {
        memory::Error::cause(self)
    }
}

/// Whether a retry may help.
fn may_pass<E: Failure>(error: &E) -> bool {
    use zep::Error as Cause;
    match error.cause() {
        Some(
            Cause::RateLimited { .. }
            | Cause::Connect { .. }
            | Cause::Busy
            | Cause::NoAnswer { .. }
            | Cause::Upstream { .. }
            | Cause::BadAnswer { .. },
        ) => true,
        None
        | Some(
            Cause::Unauthorized { .. }
            | Cause::NotFound { .. }
            | Cause::Conflict { .. }
            | Cause::Invalid { .. }
            | Cause::Cancelled
            | Cause::Storage { .. },
        ) => false,
    }
}

/// Does something, with retries while they may help and the run is not cancelled.
///
/// # Errors
/// The last error, or that it was cancelled.
pub(super) async fn with_retries<T, E, F>(
    cancelled: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E>
where
    E: Failure,
    F: Future<Output = Result<T, E>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs_f32(PAUSES_SECS.0))
        .with_max_delay(Duration::from_secs_f32(PAUSES_SECS.1))
        .with_max_times(RETRIES)
        .with_jitter();
    let mut last = None;
    let attempts = || {
        let next = (!cancelled.is_cancelled()).then(&mut attempt);
        async {
            match next {
                Some(attempt) => attempt.await,
                None => Err(memory::Error::from(zep::Error::Cancelled).into()),
            }
        }
    };
    let sleeping = cancelled.clone();
    let outcome = attempts
        .retry(pauses)
        .sleep(move |pause| {
            let cancelled = sleeping.clone();
            async move {
                let ends = Instant::now() + pause;
                let latest = (*lock(&PAUSE_ENDS)).max(Some(ends));
                *lock(&PAUSE_ENDS) = latest;
                // The next attempt sees whether it was cancelled.
                cancelled
                    .run_until_cancelled(tokio::time::sleep(pause))
                    .await;
            }
        })
        .when(may_pass::<E>)
        .notify(|error: &E, _| last = Some(error.clone()))
        .await;
    match (outcome, last) {
        // The failure says more than the cancellation.
        (Err(stopped), Some(last)) if matches!(stopped.cause(), Some(zep::Error::Cancelled)) => {
            Err(last)
        }
        (outcome, _) => outcome,
    }
}

//! Going on after what may pass: a service that restarts, a limit that is used up.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio_util::sync::CancellationToken;

use crate::memory;
use crate::zep;

/// How often something is tried again that may pass, and after what pauses (seconds): about a
/// minute in all, beside what each try itself waits. Ours: a deployment's restart takes less.
const TRIES_MORE: usize = 7;
const PAUSES_SECS: (f32, f32) = (0.5, 16.0);

/// What may stop something that is worth another try.
pub(super) trait Hindrance: From<memory::Error> + Clone {
    /// What the backend said, where it is the backend that failed.
    fn cause(&self) -> Option<&zep::Error>;
}

impl Hindrance for memory::Error {
    fn cause(&self) -> Option<&zep::Error> {
        memory::Error::cause(self)
    }
}

/// Whether trying again later may help.
fn may_pass<E: Hindrance>(error: &E) -> bool {
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

/// Does something, and again as long as what stops it may pass; not once it is cancelled.
///
/// # Errors
/// The last error, or that it was cancelled.
pub(super) async fn patiently<T, E, F>(
    cancelled: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E>
where
    E: Hindrance,
    F: Future<Output = Result<T, E>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs_f32(PAUSES_SECS.0))
        .with_max_delay(Duration::from_secs_f32(PAUSES_SECS.1))
        .with_max_times(TRIES_MORE)
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
                // Either way it is over: the next attempt sees whether it was cancelled.
                cancelled
                    .run_until_cancelled(tokio::time::sleep(pause))
                    .await;
            }
        })
        .when(may_pass::<E>)
        .notify(|error: &E, _| last = Some(error.clone()))
        .await;
    match (outcome, last) {
        // What it stopped at says more than that it was stopped.
        (Err(stopped), Some(last)) if matches!(stopped.cause(), Some(zep::Error::Cancelled)) => {
            Err(last)
        }
        (outcome, _) => outcome,
    }
}

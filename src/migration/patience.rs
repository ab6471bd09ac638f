//! Going on after what may pass: a service that restarts, a limit that is used up.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio_util::sync::CancellationToken;

use crate::memory::{self, Error};
use crate::zep;

/// How often something is tried again that may pass, and after what pauses (seconds): about a
/// minute in all, beside what each try itself waits. Ours: a deployment's restart takes less.
const TRIES_MORE: usize = 7;
const PAUSES_SECS: (f32, f32) = (0.5, 16.0);

/// Whether trying again later may help.
fn may_pass(error: &Error) -> bool {
    use zep::Error as E;
    let cause = match error {
        Error::Zep(cause) => cause,
        Error::PartlyStored(stopped) => &stopped.cause,
        Error::Invalid { .. } | Error::NotYours { .. } | Error::NoSession { .. } => return false,
    };
    match cause {
        E::RateLimited { .. }
        | E::Connect { .. }
        | E::Busy
        | E::NoAnswer { .. }
        | E::Upstream { .. }
        | E::BadAnswer { .. } => true,
        E::Unauthorized { .. }
        | E::NotFound { .. }
        | E::Conflict { .. }
        | E::Invalid { .. }
        | E::Cancelled
        | E::Storage { .. } => false,
    }
}

/// Does something, and again as long as what stops it may pass; not once it is cancelled.
///
/// # Errors
/// The last error, or that it was cancelled.
pub(super) async fn patiently<T, F>(
    cancelled: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> memory::Result<T>
where
    F: Future<Output = memory::Result<T>>,
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
                None => Err(zep::Error::Cancelled.into()),
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
        .when(may_pass)
        .notify(|error, _| last = Some(error.clone()))
        .await;
    match (outcome, last) {
        // What it stopped at says more than that it was stopped.
        (Err(Error::Zep(zep::Error::Cancelled)), Some(last)) => Err(last),
        (outcome, _) => outcome,
    }
}

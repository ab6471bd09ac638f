//! What becomes of a job that failed.

use std::time::Duration;

use crate::memory::Error;
use crate::zep::{self, Outcome};

/// The pause after a failure, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause. Ours: when Zep is back, what waits should be sent within two minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// After so long mem0 shows what it was told: it processes in the background, so that what may have arrived
/// cannot be looked for before. Ours.
const MEM0_SHOWS: Duration = Duration::from_secs(30);
/// The pause while an owner is moved. Ours.
const MOVING_PAUSE: Duration = Duration::from_millis(500);

/// What becomes of a job that failed.
pub(crate) enum Fate {
    /// It is forgotten: the call that waits is told, and promised nothing.
    Told,
    /// It stays, refused for good.
    Parked,
    /// It is tried again.
    Later {
        /// Whether it may have reached Zep.
        in_doubt: bool,
        /// When, if Zep said so.
        after: Option<Duration>,
    },
}

impl Fate {
    /// `promised`: whether somebody was told that it is safe.
    pub(crate) fn of(error: &Error, promised: bool) -> Self {
        let (in_doubt, after) = match error {
            // It could not be begun.
            Error::Queue(_) => (false, None),
            // It waits until the owner is moved.
            Error::Moving => (false, Some(MOVING_PAUSE)),
            Error::Undecided => (false, None),
            Error::Mem0(error) => match error.outcome {
                Outcome::Unknown => (true, Some(error.retry_after.unwrap_or(MEM0_SHOWS))),
                Outcome::NotSent => (false, error.retry_after),
                Outcome::Refused if promised && matches!(error.status, Some(401 | 403)) => {
                    (false, None)
                }
                Outcome::Refused => return Self::refused(promised),
            },
            error => match error.cause() {
                None => return Self::refused(promised),
                Some(cause) => {
                    let after = match cause {
                        zep::Error::RateLimited { retry_after, .. } => *retry_after,
                        _ => None,
                    };
                    let partly = matches!(error, Error::PartlyStored(_) | Error::Unfinished { .. });
                    match (cause.outcome(), cause) {
                        (Outcome::Unknown, _) => (true, after),
                        (Outcome::NotSent, _) => (partly, after),
                        // A key may be mended, but a caller should know.
                        (_, zep::Error::Unauthorized { .. }) if promised => (partly, after),
                        (Outcome::Refused, _) => return Self::refused(promised),
                    }
                }
            },
        };
        Self::Later { in_doubt, after }
    }

    fn refused(promised: bool) -> Self {
        match promised {
            true => Self::Parked,
            false => Self::Told,
        }
    }
}

/// The pause after so many failures, with jitter.
pub(crate) fn pause(failures: u32) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE);
    pause.mul_f64(0.75 + 0.5 * fastrand::f64())
}

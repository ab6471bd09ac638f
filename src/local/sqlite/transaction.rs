//! What a call works with: its transaction, its time, and the configured behaviour.

use jiff::Timestamp;
use rusqlite::Transaction;

use crate::local::behavior::Behavior;

/// One call's transaction.
pub(crate) struct Work<'a> {
    /// The transaction.
    pub(crate) tx: &'a Transaction<'a>,
    /// How to behave where Zep's behaviour is not documented.
    pub(crate) behavior: Behavior,
    /// The time of the call, read when the transaction starts.
    pub(crate) clock: Clock,
}

/// The time of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// Now, in microseconds since 1970.
    pub(crate) now: i64,
    /// What arrived up to this time has been processed, in microseconds since 1970.
    pub(crate) processed_until: i64,
}

impl Clock {
    /// Reads the clock.
    pub(crate) fn read(behavior: &Behavior) -> Self {
        let now = Timestamp::now().as_microsecond();
        let delay = i64::try_from(behavior.processing_delay.as_micros()).unwrap_or(i64::MAX);
        // Without a delay, setting back the system's clock must not hide anything.
        let processed_until = match delay {
            0 => i64::MAX,
            delay => now.saturating_sub(delay),
        };
        Self {
            now,
            processed_until,
        }
    }
}

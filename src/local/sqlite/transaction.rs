//! What a call works with: its transaction, its time, and the configured behaviour.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::local::behavior::Behavior;

/// One call's transaction.
pub(crate) struct Work<'a> {
    /// The connection, in the transaction or in the call's savepoint of it.
    pub(crate) tx: &'a Connection,
    /// How to behave where Zep's behaviour is not documented.
    pub(crate) behavior: Behavior,
    /// The time of the call, read when its work starts.
    pub(crate) clock: Clock,
}

impl<'a> Work<'a> {
    pub(super) fn new(tx: &'a Connection, behavior: Behavior) -> Self {
        Self {
            tx,
            behavior,
            clock: Clock::read(&behavior),
        }
    }
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
    /// Whether what arrived at this time has been processed.
    pub(crate) fn has_processed(&self, arrived: i64) -> bool {
        arrived <= self.processed_until
    }
}

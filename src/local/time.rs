//! Times as the file keeps them: microseconds since 1970 for comparing, and beside them the
//! nanoseconds that a microsecond leaves over, so that every time is read back as it was given.

use jiff::Timestamp;

use super::behavior::Behavior;

/// The moment of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Now, in microseconds.
    pub now: i64,
    /// What arrived up to here has been processed, in microseconds.
    pub processed_until: i64,
}

impl Clock {
    /// Reads the clock.
    pub fn read(behavior: &Behavior) -> Self {
        let now = Timestamp::now().as_microsecond();
        let delay = i64::try_from(behavior.processing_delay.as_micros()).unwrap_or(i64::MAX);
        // Without a delay nothing may hide because the system's clock was set back.
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

/// A time as microseconds and what they leave over, in nanoseconds (0–999).
pub(super) fn split(time: Timestamp) -> (i64, i64) {
    let nanos = time.as_nanosecond();
    let micros = nanos.div_euclid(1_000);
    // jiff's whole range (years -9999 to 9999) is within 64 bits of microseconds.
    (
        i64::try_from(micros).unwrap_or(i64::MAX),
        (nanos - micros * 1_000) as i64,
    )
}

/// The time of [`split`], if it is one.
pub(super) fn join(micros: i64, nanos: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(micros) * 1_000 + i128::from(nanos)).ok()
}

/// A time of whole microseconds, if it is one.
pub(super) fn at(micros: i64) -> Option<Timestamp> {
    join(micros, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_comes_back_as_it_was_given() {
        for text in [
            "2024-06-15T10:30:00.123456789Z",
            "0001-01-01T00:00:00Z",
            "-009000-01-01T00:00:00.000000001Z",
            "9999-12-30T00:00:00Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            let (micros, nanos) = split(time);
            assert_eq!(join(micros, nanos), Some(time), "{text}");
        }
    }
}

//! Timestamps as the file stores them: microseconds since 1970, which are compared, and the
//! nanoseconds below a microsecond, so that every timestamp is read back as it was given.

use jiff::Timestamp;

/// A timestamp as microseconds and the remaining nanoseconds (0–999).
pub(crate) fn split(time: Timestamp) -> (i64, i64) {
    let nanos = time.as_nanosecond();
    let micros = nanos.div_euclid(1_000);
    // jiff's whole range (years -9999 to 9999) fits into 64 bits of microseconds.
    (
        i64::try_from(micros).unwrap_or(i64::MAX),
        (nanos - micros * 1_000) as i64,
    )
}

/// The inverse of [`split`]; `None` outside jiff's range.
pub(crate) fn join(micros: i64, nanos: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(micros) * 1_000 + i128::from(nanos)).ok()
}

/// A timestamp of whole microseconds; `None` outside jiff's range.
pub(crate) fn from_micros(micros: i64) -> Option<Timestamp> {
    join(micros, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timestamp_comes_back_as_it_was_given() {
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

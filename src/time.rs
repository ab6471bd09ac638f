//! Parsing of times.

use jiff::{Timestamp, civil, tz::TimeZone};

/// Parses RFC 3339, or a date with an optional time, read as UTC. Surrounding whitespace is ignored.
pub(crate) fn parse(raw: &str) -> Option<Timestamp> {
    let raw = raw.trim();
    let utc = |time: civil::DateTime| {
        time.to_zoned(TimeZone::UTC)
            .map(|zoned| zoned.timestamp())
            .ok()
    };
    raw.parse::<Timestamp>()
        .ok()
        .or_else(|| raw.parse::<civil::DateTime>().ok().and_then(utc))
}

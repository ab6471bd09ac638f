//! How people and programs write times.

use jiff::{Timestamp, civil, tz::TimeZone};

/// A time as text: RFC 3339, or a date with or without a time, which then is taken as UTC. Blanks
/// around it do not matter. `None` if it is no time.
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

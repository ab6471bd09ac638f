//! Times as exports write them.

use jiff::fmt::{rfc2822, strtime::BrokenDownTime};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

/// From here on (the year 2200) a Unix time counts milliseconds.
const MAX_UNIX_SECONDS: i64 = 7_258_118_400;

/// Before this (the year 2000) a Unix time in microseconds or nanoseconds could as well be one in
/// milliseconds far ahead.
const MIN_FINE_SECONDS: i64 = 946_684_800;

/// The fewest digits of a Unix time that is a text: fewer could be a year or a date.
const MIN_DIGITS: usize = 9;

/// Other ways of writing a time in which nothing can be confused, once a name of UTC at their end is
/// removed. Those without an offset are UTC.
const FORMATS: [&str; 19] = [
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%B %d, %Y",
    "%d %B %Y",
    "%B %d, %Y %H:%M:%S",
    "%A, %B %d, %Y %H:%M:%S",
    "%B %d, %Y %I:%M %p",
    "%b %d, %Y %I:%M %p",
    "%b %d, %Y, %I:%M:%S %p",
    "%Y-%m-%d %I:%M:%S %p",
    "%a %b %d %Y %H:%M:%S GMT%z",
    "%a %b %e %H:%M:%S %Y",
    "%d %b %Y %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
    "%d %b %Y",
    "%b %d, %Y",
];

/// A time: text as [`crate::time::parse`] reads it, RFC 2822 and other unambiguous ways, MongoDB's
/// `$date`, or Unix seconds, milliseconds, microseconds or nanoseconds up to 2200, with or without a
/// fraction, as a number or a text.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => crate::time::parse(text).or_else(|| written(text.trim())),
        Value::Number(number) => unix(&number.to_string()),
        // Firestore's and protobuf's.
        Value::Object(fields) if fields.len() == 2 => {
            let part = |names: [&str; 3]| names.iter().find_map(|name| fields.get(*name)?.as_i64());
            let seconds = part(["_seconds", "seconds", "sec"])?;
            let nanos = part(["_nanoseconds", "nanos", "nanoseconds"])?;
            let at = Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
            (0..MAX_UNIX_SECONDS).contains(&seconds).then_some(at)
        }
        Value::Object(fields) if fields.len() == 1 => {
            let (_, inner) = fields
                .iter()
                .find(|(name, _)| matches!(name.as_str(), "$date" | "$numberLong"))?;
            time(inner)
        }
        _ => None,
    }
}

fn written(text: &str) -> Option<Timestamp> {
    let digits = text.split('.').next().unwrap_or_default();
    if digits.len() >= MIN_DIGITS && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return unix(text);
    }
    // .NET's.
    if let Some(inner) = text
        .strip_prefix("/Date(")
        .and_then(|text| text.strip_suffix(")/"))
    {
        return unix(inner);
    }
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(zoned.timestamp());
    }
    // `GMT+0200 (Central European Summer Time)`
    let text = text.split(" (").next().unwrap_or_default();
    let bare = ["UTC", "GMT", "Z"]
        .into_iter()
        .find_map(|zone| text.strip_suffix(zone))
        .map_or(text, str::trim_end);
    if bare != text
        && let Some(at) = crate::time::parse(bare)
    {
        return Some(at);
    }
    FORMATS.into_iter().find_map(|format| {
        let parsed = BrokenDownTime::parse(format, bare).ok()?;
        if parsed.offset().is_some() {
            return parsed.to_timestamp().ok();
        }
        let date = parsed.to_date().ok()?;
        let time = parsed.to_time().unwrap_or_default();
        let zoned = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
        Some(zoned.timestamp())
    })
}

/// A Unix time from its decimal digits: a float would not keep the nanoseconds.
fn unix(number: &str) -> Option<Timestamp> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i64 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    // Seconds, milliseconds, microseconds, nanoseconds.
    let (unit, places) = [(1, 9), (1_000, 6), (1_000_000, 3), (1_000_000_000, 0)]
        .into_iter()
        .find(|(unit, _)| whole / unit < MAX_UNIX_SECONDS)?;
    let seconds = whole / unit;
    if unit > 1_000 && seconds < MIN_FINE_SECONDS {
        return None;
    }
    let digits: i64 = match places {
        0 => 0,
        places => format!("{fraction:0<places$}")
            .get(..places)?
            .parse()
            .ok()?,
    };
    let within = whole % unit * (1_000_000_000 / unit) + digits;
    Timestamp::new(seconds, i32::try_from(within).ok()?).ok()
}

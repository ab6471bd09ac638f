//! Times as exports write them.

use jiff::Timestamp;
use serde_json::Value;

/// From here on (the year 2200) a Unix time counts milliseconds.
const MAX_UNIX_SECONDS: i64 = 7_258_118_400;

/// A time: text as [`crate::time::parse`] reads it, or Unix seconds or milliseconds from 1970 to 2200,
/// with or without a fraction.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => crate::time::parse(text),
        Value::Number(number) => unix(&number.to_string()),
        _ => None,
    }
}

/// Unix seconds or milliseconds from their decimal digits: a float would not keep the nanoseconds.
fn unix(number: &str) -> Option<Timestamp> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i64 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    let nanoseconds = |places: usize| -> Option<i64> {
        let digits = format!("{fraction:0<places$}");
        digits.get(..places)?.parse().ok()
    };
    if whole < MAX_UNIX_SECONDS {
        Timestamp::new(whole, i32::try_from(nanoseconds(9)?).ok()?).ok()
    } else if whole < MAX_UNIX_SECONDS * 1000 {
        let within = whole % 1000 * 1_000_000 + nanoseconds(6)?;
        Timestamp::new(whole / 1000, i32::try_from(within).ok()?).ok()
    } else {
        None
    }
}

//! Compares the values of filters with those of memories.

use std::cmp::Ordering;

use jiff::civil::Date;
use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::{Number, Value};

/// Whether case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Case {
    Regarded,
    Ignored,
}

/// A time in a filter: an instant, or a day from its first to its last nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Moment {
    /// The moment that a text names: any form of [`crate::time::parse`]; without a time of day, the
    /// whole day in UTC.
    pub(super) fn parse(raw: &str) -> Option<Self> {
        let first = crate::time::parse(raw)?;
        let last = if is_day(raw) {
            end_of_day(first)
        } else {
            first
        };
        Some(Self { first, last })
    }

    pub(super) fn holds(&self, time: Timestamp) -> bool {
        self.first <= time && time <= self.last
    }
}

/// Whether a text names only a day. The library reads a date out of a date with a time too, so the
/// separator decides.
fn is_day(raw: &str) -> bool {
    let raw = raw.trim();
    raw.parse::<Date>().is_ok() && !raw.contains(['T', 't', ' ', ':'])
}

fn end_of_day(start: Timestamp) -> Timestamp {
    start
        .to_zoned(TimeZone::UTC)
        .tomorrow()
        .ok()
        .and_then(|next| {
            next.timestamp()
                .checked_sub(Span::new().nanoseconds(1))
                .ok()
        })
        .unwrap_or(Timestamp::MAX)
}

/// A text folded for comparison regardless of case. Character by character, so that a part of a
/// text stays a part.
pub(super) fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Whether two values are equal; numbers by value (`1` is `1.0`).
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            compare_numbers(one, other) == Some(Ordering::Equal)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        (one, other) => one == other,
    }
}

/// The order of two numbers or two texts; other values have none.
pub(super) fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare_numbers(one, other),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

fn compare_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// Whether a text contains another.
pub(super) fn text_contains(whole: &str, part: &str, case: Case) -> bool {
    match case {
        Case::Regarded => whole.contains(part),
        Case::Ignored => lower(whole).contains(&lower(part)),
    }
}

/// Whether a text contains another, or a list an element.
pub(super) fn contains(whole: &Value, part: &Value, case: Case) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => text_contains(whole, part, case),
        (Value::Array(items), part) => items.iter().any(|item| match (item, part, case) {
            (Value::String(item), Value::String(part), Case::Ignored) => lower(item) == lower(part),
            (item, part, _) => same(item, part),
        }),
        _ => false,
    }
}

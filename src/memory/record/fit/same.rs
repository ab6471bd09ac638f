//! Equality of metadata after a round trip through a service.

use serde_json::{Map, Value};

/// Equal as JSON: the order of keys does not matter, and 1 equals 1.0, since services may return
/// either.
pub fn same_metadata(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .all(|(key, value)| other.get(key).is_some_and(|other| same_value(value, other)))
}

/// The same for one value.
pub fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => same_metadata(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| same_value(one, other))
        }
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
        }
        (one, other) => one == other,
    }
}

//! One value, brought into the type that its schema states, as pydantic's lax mode does.

use serde_json::{Map, Number, Value};

use crate::json::{self, Bounds, JsonError};

/// The bounds of JSON text: those of a whole message.
static TEXT: Bounds = Bounds {
    depth: 120,
    values: 64 * 1024,
    parts: &[],
};

/// What a value is quoted with in an error, at most.
const QUOTED: usize = 60;

/// A value in its own type; `None` for `null` written as text.
pub(super) type Converted = Result<Option<Value>, String>;

/// Brings a value into the schema's type. The error says what was expected.
pub(super) fn converted(schema: &Value, value: Value) -> Converted {
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => integer(&value),
        Some("number") => number(value),
        Some("boolean") => boolean(value),
        Some("object") => from_json(value, "an object", Value::is_object),
        Some("array") => from_json(value, "a list", Value::is_array),
        Some("string") => match value {
            Value::String(_) => Ok(Some(value)),
            value => Err(expected("text", &value)),
        },
        _ => Ok(Some(value)),
    }
}

fn integer(value: &Value) -> Converted {
    let whole = match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::Bool(yes) => Some(i64::from(*yes)),
        Value::String(text) if is_null(text) => return Ok(None),
        Value::String(text) => {
            let digits = text.trim().replace('_', "");
            let float = || digits.parse().ok().and_then(whole);
            digits.parse().ok().or_else(float)
        }
        _ => None,
    };
    match whole {
        Some(whole) => Ok(Some(whole.into())),
        None => Err(expected("a whole number", value)),
    }
}

/// A float without a fraction; the nearest that fits, if it is out of range.
#[expect(clippy::cast_possible_truncation, reason = "it saturates")]
fn whole(float: f64) -> Option<i64> {
    (float.fract() == 0.0).then_some(float as i64)
}

fn number(value: Value) -> Converted {
    let Value::String(text) = &value else {
        return match value.is_number() {
            true => Ok(Some(value)),
            false => Err(expected("a number", &value)),
        };
    };
    if is_null(text) {
        return Ok(None);
    }
    match serde_json::from_str::<Number>(text.trim()) {
        Ok(number) => Ok(Some(number.into())),
        Err(_) => Err(expected("a number", &value)),
    }
}

fn boolean(value: Value) -> Converted {
    let text = match &value {
        Value::Bool(_) => return Ok(Some(value)),
        Value::String(text) if is_null(text) => return Ok(None),
        Value::String(text) => text.trim().to_lowercase(),
        Value::Number(number) if number.as_f64() == Some(0.0) => "0".into(),
        Value::Number(number) if number.as_f64() == Some(1.0) => "1".into(),
        _ => String::new(),
    };
    match text.as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(Some(true.into())),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(Some(false.into())),
        _ => Err(expected("true or false", &value)),
    }
}

/// A value of that shape, or JSON text of one.
fn from_json(value: Value, shape: &str, fits: impl Fn(&Value) -> bool) -> Converted {
    if fits(&value) {
        return Ok(Some(value));
    }
    let Value::String(text) = &value else {
        return Err(expected(shape, &value));
    };
    match from_text(text) {
        Ok(Value::Null) => Ok(None),
        Ok(parsed) if fits(&parsed) => Ok(Some(parsed)),
        Err(JsonError::TooMuch(exceeded)) => {
            Err(format!("is JSON text that is too large: {exceeded}"))
        }
        _ => Err(expected(&format!("{shape}, or JSON text of one"), &value)),
    }
}

/// An export, which may be JSON text. The migration refuses what is none.
pub(super) fn export(value: Value) -> Value {
    let parsed = value.as_str().and_then(|text| from_text(text).ok());
    parsed
        .filter(|parsed| parsed.is_object() || parsed.is_array())
        .unwrap_or(value)
}

/// A value that was sent as JSON text.
pub(super) fn from_text(text: &str) -> Result<Value, JsonError> {
    json::from_slice(text.as_bytes(), &TEXT)
}

/// Whether text is JSON's `null`.
pub(super) fn is_null(text: &str) -> bool {
    text.trim() == "null"
}

/// Whether a value says nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "null" | "{}" | "[]"),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

fn expected(shape: &str, value: &Value) -> String {
    format!("is {}; expected {shape}", quoted(value))
}

/// A value for an error: what it is, or its beginning.
fn quoted(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        value => shortened(&value.to_string()),
    }
}

/// The beginning of a text that a caller sent.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A number within the bounds of its schema, and the bound that was used in its place.
pub(super) fn clamped(schema: &Value, given: i64) -> (i64, Option<&'static str>) {
    let bound = |name| {
        schema
            .get(name)
            .and_then(|bound: &Value| whole(bound.as_f64()?))
    };
    match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if given < least => (least, Some("the least")),
        (_, Some(most)) if given > most => (most, Some("the most")),
        _ => (given, None),
    }
}

/// The properties of an object's schema.
pub(super) fn properties(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: &str, value: Value) -> Converted {
        converted(&json!({"type": kind}), value)
    }

    #[test]
    fn values_are_converted_as_pydantic_does() {
        for (kind, given, meant) in [
            ("integer", json!("10"), json!(10)),
            ("integer", json!(10.0), json!(10)),
            ("integer", json!(" 10.0 "), json!(10)),
            ("integer", json!("1_000"), json!(1_000)),
            ("integer", json!(true), json!(1)),
            ("integer", json!(1e300), json!(i64::MAX)),
            ("integer", json!(u64::MAX), json!(i64::MAX)),
            ("integer", json!("-99999999999999999999"), json!(i64::MIN)),
            ("number", json!("0.5"), json!(0.5)),
            ("boolean", json!("False"), json!(false)),
            ("boolean", json!("on"), json!(true)),
            ("boolean", json!(0), json!(false)),
            ("boolean", json!(1.0), json!(true)),
            ("object", json!("{\"a\": 1}"), json!({"a": 1})),
            ("object", json!({"a": 1}), json!({"a": 1})),
            ("array", json!("[]"), json!([])),
            ("string", json!("7"), json!("7")),
        ] {
            assert_eq!(read(kind, given.clone()), Ok(Some(meant)), "{kind} {given}");
        }
        for kind in ["integer", "number", "boolean", "object", "array"] {
            assert_eq!(read(kind, json!("null")), Ok(None), "{kind}");
        }
    }

    #[test]
    fn what_is_no_value_of_its_type_is_an_error() {
        for (kind, given) in [
            ("integer", json!(10.5)),
            ("integer", json!("ten")),
            ("integer", json!("")),
            ("integer", json!("inf")),
            ("integer", json!([1])),
            ("number", json!("high")),
            ("number", json!("NaN")),
            ("number", json!(true)),
            ("boolean", json!(2)),
            ("boolean", json!("maybe")),
            ("object", json!([])),
            ("object", json!("[]")),
            ("object", json!("{")),
            ("object", json!("")),
            ("array", json!("{}")),
            ("array", json!({})),
            ("string", json!(7)),
            ("string", json!(["a"])),
        ] {
            assert!(read(kind, given.clone()).is_err(), "{kind} {given}");
        }
    }
}

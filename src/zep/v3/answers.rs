//! Answers that are checked beyond their shape: a gateway or proxy may answer, too.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An answer with at least one documented field. All fields of many answers are optional in Zep's
/// types, so that any JSON object could be read: one with none of the fields comes from a gateway, and
/// must not be read as "nothing is there" or "it has no owner".
pub(super) struct Told<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Default + PartialEq> Deserialize<'de> for Told<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = T::deserialize(deserializer)?;
        if value == T::default() {
            return Err(D::Error::custom(
                "it has none of the fields that Zep documents",
            ));
        }
        Ok(Self(value))
    }
}

/// An answer that may be empty, but not undocumented: an object with content, but with no documented
/// field, comes from a gateway.
pub(super) struct NotStrange<T>(pub(super) T);

impl<'de, T: DeserializeOwned + Default + PartialEq> Deserialize<'de> for NotStrange<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        let says_something = fields.values().any(|field| match field {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        });
        let value = T::deserialize(Value::Object(fields)).map_err(D::Error::custom)?;
        if says_something && value == T::default() {
            return Err(D::Error::custom(
                "it has none of the fields that Zep documents",
            ));
        }
        Ok(Self(value))
    }
}

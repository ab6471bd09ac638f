//! One trait over what serde splits in two: a seed that says what to read, and a visitor that reads it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Handles a JSON value of any kind.
pub(super) trait Visit<'de>: Sized {
    type Out;

    /// Null, a boolean, a number or a text.
    fn scalar<E: Error>(self, value: Value) -> Result<Self::Out, E>;
    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Out, A::Error>;
    fn object<A: MapAccess<'de>>(self, object: A) -> Result<Self::Out, A::Error>;
}

/// Lets serde call a [`Visit`].
pub(super) struct Seed<T>(pub(super) T);

impl<'de, T: Visit<'de>> DeserializeSeed<'de> for Seed<T> {
    type Value = T::Out;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T::Out, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Visit<'de>> Visitor<'de> for Seed<T> {
    type Value = T::Out;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<T::Out, E> {
        self.0.scalar(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T::Out, E> {
        self.0.scalar(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T::Out, E> {
        self.0.scalar(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T::Out, E> {
        self.0.scalar(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T::Out, E> {
        self.0.scalar(value.into())
    }

    #[inline]
    fn visit_str<E: Error>(self, value: &str) -> Result<T::Out, E> {
        self.0.scalar(Value::String(value.to_owned()))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T::Out, A::Error> {
        self.0.list(list)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T::Out, A::Error> {
        self.0.object(object)
    }
}

/// Skips the rest of a list.
pub(super) fn skip_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Skips the rest of an object.
pub(super) fn skip_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

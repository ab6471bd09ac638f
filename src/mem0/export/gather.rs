//! One value, whole, within bounds.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::walk::Walk;

/// How deep values may nest. serde_json ends at 128, and nothing can be read after that.
pub(super) const MAX_DEPTH: usize = 100;

/// What a value takes in memory beside its text.
const VALUE_COST: usize = size_of::<Value>();

/// What to do with a value of whatever kind.
pub(super) trait Take<'de>: Sized {
    type Out;

    /// Null, a truth value, a number or a text.
    fn scalar<E: Error>(self, value: Value) -> Result<Self::Out, E>;
    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Out, A::Error>;
    fn object<A: MapAccess<'de>>(self, object: A) -> Result<Self::Out, A::Error>;
}

/// Lets serde call a [`Take`].
pub(super) struct Via<T>(pub(super) T);

impl<'de, T: Take<'de>> DeserializeSeed<'de> for Via<T> {
    type Value = T::Out;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T::Out, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Take<'de>> Visitor<'de> for Via<T> {
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

/// What is left for the thing that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    left: usize,
    pub(super) exceeded: Option<Exceeded>,
}

/// Which bound was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Size,
    Depth,
}

impl Exceeded {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Size => format!(
                "is too large: one thing may be {} MiB",
                super::MAX_ITEM_BYTES >> 20
            ),
            Self::Depth => format!("is nested more than {MAX_DEPTH} deep"),
        }
    }
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            left: super::MAX_ITEM_BYTES,
            exceeded: None,
        }
    }

    /// How much was spent since an earlier state.
    pub(super) fn spent_since(self, earlier: Self) -> usize {
        earlier.left - self.left
    }

    /// Takes what a text of this length costs. Whether it may be kept.
    #[inline]
    fn spend(&mut self, text: usize) -> bool {
        match self.left.checked_sub(VALUE_COST + text) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                self.exceeded.get_or_insert(Exceeded::Size);
            }
        }
        self.exceeded.is_none()
    }
}

/// Reads a value whole. What exceeds the bounds is read over, and the walk's budget says so; the
/// value then is not to be used.
pub(super) struct Gather<'w, 'a, 's, 'r>(pub(super) &'w mut Walk<'a, 's, 'r>);

impl Gather<'_, '_, '_, '_> {
    #[inline]
    fn spend(&mut self, text: usize) -> bool {
        self.0.boundary();
        self.0.budget.spend(text)
    }
}

impl<'de> Take<'de> for Gather<'_, '_, '_, '_> {
    type Out = Value;

    #[inline]
    fn scalar<E: Error>(mut self, value: Value) -> Result<Value, E> {
        let text = match &value {
            Value::String(text) => text.len(),
            _ => 0,
        };
        Ok(if self.spend(text) { value } else { Value::Null })
    }

    fn list<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        self.spend(0);
        if !self.0.enter() {
            self.0.budget.exceeded.get_or_insert(Exceeded::Depth);
            skip_list(list)?;
            return Ok(Value::Null);
        }
        while let Some(value) = list.next_element_seed(Via(Gather(self.0)))? {
            if self.0.budget.exceeded.is_none() {
                values.push(value);
            } else {
                values = Vec::new();
            }
        }
        self.0.leave();
        Ok(Value::Array(values))
    }

    fn object<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        self.spend(0);
        if !self.0.enter() {
            self.0.budget.exceeded.get_or_insert(Exceeded::Depth);
            skip_object(object)?;
            return Ok(Value::Null);
        }
        while let Some(key) = object.next_key::<String>()? {
            self.spend(key.len());
            let value = object.next_value_seed(Via(Gather(self.0)))?;
            if self.0.budget.exceeded.is_none() {
                fields.insert(key, value);
            } else {
                fields = Map::new();
            }
        }
        self.0.leave();
        Ok(Value::Object(fields))
    }
}

/// Reads over what is left of a list.
pub(super) fn skip_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Reads over what is left of an object.
pub(super) fn skip_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

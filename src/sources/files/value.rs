//! Reading one value as a whole, within the bounds.

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::budget::Unkept;
use super::parser::Parser;
use super::twice::{Twice, put};
use super::visitor::{Seed, Visit, skip_list, skip_object};

/// Reads a value. One that exceeds the bounds is skipped, and the parser's budget says so: then the
/// result must not be used.
pub(super) struct WholeValue<'p, 'a, 's, 'r>(pub(super) &'p mut Parser<'a, 's, 'r>);

impl WholeValue<'_, '_, '_, '_> {
    #[inline]
    fn spend(&mut self, text: usize) -> bool {
        self.0.boundary();
        self.0.budget.spend(text)
    }
}

impl<'de> Visit<'de> for WholeValue<'_, '_, '_, '_> {
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
            self.0.budget.unkept.get_or_insert(Unkept::Depth);
            skip_list(list)?;
            return Ok(Value::Null);
        }
        while let Some(value) = list.next_element_seed(Seed(WholeValue(self.0)))? {
            if self.0.budget.unkept.is_none() {
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
            self.0.budget.unkept.get_or_insert(Unkept::Depth);
            skip_object(object)?;
            return Ok(Value::Null);
        }
        while let Some(key) = object.next_key::<String>()? {
            self.spend(key.len());
            let before = self.0.twice.take();
            let value = object.next_value_seed(Seed(WholeValue(self.0)))?;
            if self.0.budget.unkept.is_none() {
                let inner = self.0.twice.take().map(|twice| twice.within(&key));
                let here = put(&mut fields, key, value);
                self.0.twice = Twice::worst([before, inner, here]);
            } else {
                fields = Map::new();
            }
        }
        self.0.leave();
        Ok(Value::Object(fields))
    }
}

//! Fields that hold vectors, which only a store needs, and are not kept.

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess};
use serde_json::Value;

use super::objects::Element;
use super::parser::{Parser, Segment};
use super::recognise::Object;
use super::shape::Group;
use super::value::WholeValue;
use super::visitor::{Seed, Visit, skip_list, skip_object};

/// A field of a row that may hold a vector, which only the store needs. As a field of an answer it may
/// hold the rows.
pub(super) struct Vector<'p, 'o, 'a, 's, 'r> {
    pub(super) parser: &'p mut Parser<'a, 's, 'r>,
    pub(super) object: &'o mut Object,
    pub(super) name: String,
    pub(super) is_answer: bool,
}

impl<'de> Visit<'de> for Vector<'_, '_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let is_vector = value.as_str().is_some_and(|text| text.starts_with('['));
        if is_vector || value.is_null() {
            return Ok(());
        }
        let before = self.parser.budget;
        let value = WholeValue(self.parser).scalar(value)?;
        self.parser.keep(self.object, self.name, value, before);
        Ok(())
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self {
            parser,
            object,
            name,
            is_answer,
        } = self;
        let before = parser.budget;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Seed(WholeValue(parser)))? {
            if value.is_number() || value.is_array() {
                parser.budget = before;
                return skip_list(list);
            }
            if is_answer && value.is_object() {
                parser.hold(object, Group::Anywhere)?;
                parser.path.push(Segment::Field(name.clone()));
                parser.path.push(Segment::Index(values.len() as u64));
                let group = Group::Anywhere;
                let element = Element { parser, group };
                Seed(element).deserialize(value).map_err(A::Error::custom)?;
                parser.path.pop();
                parser.path.pop();
                parser.budget = before;
                values.push(Value::Null);
                continue;
            }
            values.push(value);
        }
        if values.iter().any(|value| !value.is_null()) || parser.budget.unkept.is_some() {
            parser.keep(object, name, Value::Array(values), before);
        }
        Ok(())
    }

    fn object<A: MapAccess<'de>>(self, from: A) -> Result<(), A::Error> {
        if !self.is_answer {
            return skip_object(from);
        }
        let Self {
            parser,
            object,
            name,
            ..
        } = self;
        parser.hold(object, Group::Anywhere)?;
        parser.path.push(Segment::Field(name));
        parser.object(Group::Anywhere, None, None, from)?;
        parser.path.pop();
        Ok(())
    }
}

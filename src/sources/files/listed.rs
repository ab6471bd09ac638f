//! Users and sessions that are listed by their ids: `{"users": {"alice": {…}}}`.

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::container::container_fields;
use super::interpret::ItemKind;
use super::objects::Element;
use super::parser::Parser;
use super::shape::{Group, Shape};
use super::visitor::Visit;

/// A user or session listed by its id.
pub(super) struct Listed<'p, 'a, 's, 'r> {
    pub(super) parser: &'p mut Parser<'a, 's, 'r>,
    pub(super) group: Group,
    pub(super) id: String,
}

impl<'de> Visit<'de> for Listed<'_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let Self { parser, group, .. } = self;
        Element { parser, group }.scalar(value)
    }

    /// Only the items in it: it has no fields of its own.
    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        let Self { parser, group, id } = self;
        let outer = parser.container;
        let container = parser.next_container();
        parser.container = Some(container);
        let inner = match group {
            Group::Sessions => Group::Messages,
            _ => Group::Anywhere,
        };
        let budget = parser.budget;
        Element {
            parser,
            group: inner,
        }
        .list(list)?;
        parser.budget = budget;
        parser.container = outer;
        let own: Map<_, _> = [("id".to_owned(), Value::String(id))].into_iter().collect();
        let shape = match group {
            Group::Sessions => Shape::Session,
            _ => Shape::User,
        };
        let fields = container_fields(shape, &own);
        if shape == Shape::User {
            parser.item(&ItemKind::User, Value::Object(own))?;
        }
        parser.container_ended(container, fields)
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.parser.object(self.group, Some(self.id), None, object)
    }
}

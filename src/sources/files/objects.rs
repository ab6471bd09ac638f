//! Reading what holds items, one item at a time.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::budget::Budget;
use super::container::{is_about, may_be_an_answer};
use super::explained::is_history;
use super::fields::id_text;
use super::gone::event;
use super::interpret::ItemKind;
use super::listed::Listed;
use super::map::UnderKey;
use super::output::Suspicion;
use super::parser::{Parser, Segment};
use super::recognise::Object;
use super::shape::{Group, canonical, is_field, is_settled};
use super::snapshots::Snapshots;
use super::store::is_vector;
use super::twice::{Twice, put};
use super::value::WholeValue;
use super::vector::Vector;
use super::visitor::{Seed, Visit, skip_list, skip_object};
use crate::sources::Defect;

/// Room for the fields of a usual memory, which makes reading faster.
const USUAL_FIELDS: usize = 14;

/// A value by itself or in a list.
pub(super) struct Element<'p, 'a, 's, 'r> {
    pub(super) parser: &'p mut Parser<'a, 's, 'r>,
    pub(super) group: Group,
}

impl<'de> Visit<'de> for Element<'_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let Self { parser, group } = self;
        parser.budget = Budget::new();
        let value = WholeValue(parser).scalar(value)?;
        if let Some(unkept) = parser.budget.unkept {
            return parser.report(Suspicion::None, None, Defect::whole(unkept.reason()));
        }
        match value {
            Value::Null => Ok(()),
            sentence @ Value::String(_) if group == Group::Memories => {
                let memory = [("memory".to_owned(), sentence)].into_iter().collect();
                parser.item(&ItemKind::Memory, Value::Object(memory))
            }
            // An exporter's own list of names.
            Value::String(_) | Value::Number(_)
                if matches!(group, Group::Users | Group::Sessions | Group::Entities) =>
            {
                match parser.innermost_field() {
                    Some(field) => parser.unplaced(field),
                    None => Ok(()),
                }
            }
            _ => parser.report(
                Suspicion::Unrecognised,
                None,
                Defect::whole("not recognised: it is not an object"),
            ),
        }
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { parser, group } = self;
        if !parser.enter() {
            skip_list(list)?;
            return parser.too_deep();
        }
        parser.path.push(Segment::Index(0));
        loop {
            parser.boundary();
            let element = Element { parser, group };
            if list.next_element_seed(Seed(element))?.is_none() {
                break;
            }
            if let Some(Segment::Index(index)) = parser.path.last_mut() {
                *index += 1;
            }
        }
        parser.path.pop();
        parser.leave();
        Ok(())
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.parser.object(self.group, None, None, object)
    }
}

/// A field that holds items, if it is a list or an object.
struct Inside<'p, 'o, 'a, 's, 'r> {
    parser: &'p mut Parser<'a, 's, 'r>,
    object: &'o mut Object,
    name: String,
    group: Group,
}

impl<'de> Visit<'de> for Inside<'_, '_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        if value.is_null() {
            self.object.held.add(self.group);
            return Ok(());
        }
        let before = self.parser.budget;
        let value = WholeValue(self.parser).scalar(value)?;
        self.parser.keep(self.object, self.name, value, before);
        Ok(())
    }

    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        let Self {
            parser,
            object,
            name,
            group,
        } = self;
        parser.hold(object, group)?;
        parser.path.push(Segment::Field(name));
        let budget = parser.budget;
        Element { parser, group }.list(list)?;
        parser.budget = budget;
        parser.path.pop();
        Ok(())
    }

    fn object<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let Self {
            parser,
            object,
            name,
            group,
        } = self;
        let is_data = name == "data";
        if !is_data {
            parser.hold(object, group)?;
        }
        parser.path.push(Segment::Field(name));
        if matches!(group, Group::Users | Group::Sessions) {
            match parser.key(&mut from)? {
                Some(first) if !is_field(&first) => parser.listed_by_id(group, first, from)?,
                first @ Some(_) => parser.object(group, None, first, from)?,
                None => {}
            }
        } else if group == Group::Anywhere && is_data {
            parser.data(object, from)?;
        } else {
            let group = match group {
                Group::Memories => Group::Anywhere,
                group => group,
            };
            parser.object(group, None, None, from)?;
        }
        parser.path.pop();
        Ok(())
    }
}

impl Parser<'_, '_, '_> {
    /// Reads a value of the input.
    pub(super) fn value<'de, D: Deserializer<'de>>(&mut self, from: D) -> Result<(), D::Error> {
        let group = Group::Anywhere;
        Seed(Element {
            parser: self,
            group,
        })
        .deserialize(from)
    }

    /// Reads an object: an item, or a container of items.
    ///
    /// `id` is what it is listed by; `first` is a field name that was read already.
    pub(super) fn object<'de, A: MapAccess<'de>>(
        &mut self,
        group: Group,
        id: Option<String>,
        first: Option<String>,
        from: A,
    ) -> Result<(), A::Error> {
        if !self.enter() {
            skip_object(from)?;
            return self.too_deep();
        }
        let (outer_container, outer_budget) = (self.container, self.budget);
        self.budget = Budget::new();
        let mut object = Object {
            own: Map::with_capacity(USUAL_FIELDS),
            ..Object::default()
        };
        self.fields(group, &mut object, first, from)?;
        self.leave();
        self.container = outer_container;
        self.budget = outer_budget;

        if let Some(id) = id {
            let named = |field: &str| object.own.get(field).and_then(id_text);
            let is_named = named("id").is_some()
                || match group {
                    // What the key is then explains itself.
                    Group::Users => named("user_id").as_ref() == Some(&id),
                    _ => named("session_id").is_some(),
                };
            if !is_named {
                object.own.insert("id".to_owned(), Value::String(id));
            }
        }
        self.object_ended(group, object)
    }

    /// Reads the fields of an object.
    pub(super) fn fields<'de, A: MapAccess<'de>>(
        &mut self,
        group: Group,
        object: &mut Object,
        first: Option<String>,
        mut from: A,
    ) -> Result<(), A::Error> {
        let mut key = match first {
            Some(key) => Some(key),
            None => self.key(&mut from)?,
        };
        while let Some(name) = key {
            self.field(group, object, name, &mut from)?;
            key = self.key(&mut from)?;
        }
        self.data_ends(object)?;
        self.lists_end(object)
    }

    /// Reads an object in a field `data`. It may be what the object around it tells of (an event, and
    /// what happened to what), so it is an item of its own only once that is read.
    fn data<'de, A: MapAccess<'de>>(
        &mut self,
        object: &mut Object,
        from: A,
    ) -> Result<(), A::Error> {
        if !self.enter() {
            self.hold(object, Group::Anywhere)?;
            skip_object(from)?;
            return self.too_deep();
        }
        let (outer, budget) = (self.container, self.budget);
        self.budget = Budget::new();
        let mut inner = Object::default();
        self.fields(Group::Anywhere, &mut inner, None, from)?;
        self.leave();
        self.container = outer;
        self.budget = budget;
        if inner.container.is_none() {
            object.data = Some(Box::new(inner));
            return Ok(());
        }
        self.hold(object, Group::Anywhere)?;
        self.object_ended(Group::Anywhere, inner)
    }

    /// The object has been read: what is in its `data` is a part of it, or an item.
    fn data_ends<E: Error>(&mut self, object: &mut Object) -> Result<(), E> {
        let Some(inner) = object.data.take() else {
            return Ok(());
        };
        let last = object.own.get("event").and_then(Value::as_str);
        if object.container.is_none() && last.and_then(event).is_some() {
            for (name, value) in inner.own {
                object.own.insert(name, value);
            }
            object.waiting.extend(inner.waiting);
            object.lost.extend(inner.lost);
            object.twice.extend(inner.twice);
            return Ok(());
        }
        self.container = object.container.or(self.container);
        self.hold(object, Group::Anywhere)?;
        self.path.push(Segment::Field("data".to_owned()));
        self.object_ended(Group::Anywhere, *inner)?;
        self.path.pop();
        Ok(())
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        group: Group,
        object: &mut Object,
        name: String,
        from: &mut A,
    ) -> Result<(), A::Error> {
        let is_open = group == Group::Anywhere && !is_settled(&object.own);
        let is_answer = is_open && may_be_an_answer(&object.own);
        let holds = match Group::of(&name) {
            None if is_answer => Group::in_an_answer(&name),
            holds => holds,
        };
        let holds = holds.filter(|holds| match holds {
            _ if group.is_leaf() => false,
            // A memory may come with its history.
            Group::History if object.own.contains_key("memory") => true,
            _ => !is_settled(&object.own),
        });
        if holds.is_some() {
            if object.has_read(&name) {
                from.next_value::<IgnoredAny>()?;
                object.twice.push(Twice::unread(name));
                return Ok(());
            }
            object.given.push(name.clone());
        }
        match holds {
            None if is_open && is_history(&name) => {
                from.next_value::<IgnoredAny>()?;
                self.unplaced(name)
            }
            None if is_vector(&name) => from.next_value_seed(Seed(Vector {
                parser: self,
                object,
                name,
                is_answer,
            })),
            None if is_answer && !is_field(&name) && !is_about(&name) => {
                from.next_value_seed(Seed(UnderKey {
                    parser: self,
                    object,
                    name,
                }))
            }
            None => {
                let before = self.budget;
                let value = from.next_value_seed(Seed(WholeValue(self)))?;
                self.keep(object, name, value, before);
                Ok(())
            }
            Some(Group::Snapshots) => from.next_value_seed(Seed(Snapshots {
                parser: self,
                object,
                name,
            })),
            Some(group) => from.next_value_seed(Seed(Inside {
                parser: self,
                object,
                name,
                group,
            })),
        }
    }

    /// Keeps a field of an object, unless it cannot be kept. Then what it spent is given back, since
    /// an id may follow.
    pub(super) fn keep(&mut self, object: &mut Object, name: String, value: Value, before: Budget) {
        let name = canonical(name);
        match self.budget.unkept {
            Some(unkept) => {
                self.twice = None;
                object.lost.push((name, unkept));
                self.budget = before;
            }
            None => {
                let inner = self.twice.take().map(|twice| twice.within(&name));
                let here = put(&mut object.own, name, value);
                object.twice.extend(Twice::worst([inner, here]));
            }
        }
    }

    fn listed_by_id<'de, A: MapAccess<'de>>(
        &mut self,
        group: Group,
        first: String,
        mut from: A,
    ) -> Result<(), A::Error> {
        let mut next = Some(first);
        while let Some(id) = next {
            self.path.push(Segment::Id(id.clone()));
            from.next_value_seed(Seed(Listed {
                parser: self,
                group,
                id,
            }))?;
            self.path.pop();
            next = self.key(&mut from)?;
        }
        Ok(())
    }
}

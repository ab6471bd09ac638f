//! Fields of snapshots: one, or a list of them. They wait until it is known that the object around them
//! is no memory with a field of that name.

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::Value;

use super::budget::Budget;
use super::output::Suspicion;
use super::parser::{Parser, Segment};
use super::recognise::Object;
use super::shape::Group;
use super::value::WholeValue;
use super::visitor::{Seed, Visit};
use crate::sources::Defect;

/// How many bytes of snapshots may wait until it is known what the object around them is.
const MAX_WAITING: usize = 1024 * 1024;

/// A field of snapshots.
pub(super) struct Snapshots<'p, 'o, 'a, 's, 'r> {
    pub(super) parser: &'p mut Parser<'a, 's, 'r>,
    pub(super) object: &'o mut Object,
    pub(super) name: String,
}

impl Snapshots<'_, '_, '_, '_, '_> {
    fn one<E: Error>(self, value: Value, before: Budget) -> Result<(), E> {
        let Self {
            parser,
            object,
            name,
        } = self;
        let twice = parser.twice.take();
        if let Some(unkept) = parser.budget.unkept {
            object.lost.push((name, unkept));
            parser.budget = before;
            return Ok(());
        }
        if let Some(twice) = twice {
            let is_same = twice.is_same();
            object.twice.push(twice.within(&name));
            if !is_same {
                parser.budget = before;
                return Ok(());
            }
        }
        if object.container.is_some() {
            parser.budget = before;
            return parser.snapshots(&name, value);
        }
        if value.is_null() {
            object.held.add(Group::Snapshots);
        } else {
            object.waiting.push((name, value));
        }
        Ok(())
    }
}

impl<'de> Visit<'de> for Snapshots<'_, '_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let before = self.parser.budget;
        let value = WholeValue(self.parser).scalar(value)?;
        self.one(value, before)
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        let before = self.parser.budget;
        let value = WholeValue(self.parser).object(object)?;
        self.one(value, before)
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self {
            parser,
            object,
            name,
        } = self;
        let outer = parser.budget;
        let mut waiting = Vec::new();
        let mut waits = 0;
        let mut index = 0;
        parser.path.push(Segment::Field(name.clone()));
        loop {
            parser.budget = Budget::new();
            let fresh = parser.budget;
            let Some(mut value) = list.next_element_seed(Seed(WholeValue(parser)))? else {
                break;
            };
            parser.path.push(Segment::Index(index));
            index += 1;
            if let Some(unkept) = parser.budget.unkept {
                value = Value::Null;
                parser.report(Suspicion::None, None, Defect::whole(unkept.reason()))?;
            }
            if let Some(twice) = parser.twice.take() {
                if !twice.is_same() {
                    value = Value::Null;
                }
                object
                    .twice
                    .push(twice.within(&format!("{name}[{}]", index - 1)));
            }
            if object.container.is_some() {
                parser.snapshot(&name, value)?;
                parser.path.pop();
                continue;
            }
            parser.path.pop();
            waits += parser.budget.spent_since(fresh);
            waiting.push(value);
            if waits > MAX_WAITING {
                // Too large to be a field of a memory.
                parser.path.pop();
                object
                    .waiting
                    .push((name.clone(), Value::Array(std::mem::take(&mut waiting))));
                parser.hold(object, Group::Snapshots)?;
                parser.path.push(Segment::Field(name.clone()));
            }
        }
        parser.path.pop();
        parser.budget = outer;
        if object.container.is_none() {
            object.waiting.push((name, Value::Array(waiting)));
        }
        Ok(())
    }
}

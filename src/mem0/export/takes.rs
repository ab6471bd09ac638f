//! What is done with each kind of value at each place that holds others.

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::{
    super::ItemKind,
    gather::{Budget, Exceeded, Gather, Take, Via, skip_list},
    out::Sort,
    shape::{self, Place, Shape},
    walk::{Object, Segment, Walk},
};

/// How much of snapshots may wait until the object that they stand in is known.
const MAX_WAITING: usize = 1024 * 1024;

/// Something that stands by itself or in a list.
pub(super) struct Element<'w, 'a, 's, 'r> {
    pub(super) walk: &'w mut Walk<'a, 's, 'r>,
    pub(super) place: Place,
}

impl<'de> Take<'de> for Element<'_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let Self { walk, place } = self;
        walk.budget = Budget::new();
        let value = Gather(walk).scalar(value)?;
        if let Some(exceeded) = walk.budget.exceeded {
            return walk.tell(Sort::Other, None, exceeded.reason());
        }
        match value {
            Value::Null => Ok(()),
            sentence @ Value::String(_) if place == Place::Memories => {
                let memory = [("memory".to_owned(), sentence)].into_iter().collect();
                walk.item(ItemKind::Memory, Value::Object(memory))
            }
            _ => walk.tell(
                Sort::Unrecognised,
                None,
                "not recognised: it is no object".to_owned(),
            ),
        }
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { walk, place } = self;
        if !walk.enter() {
            skip_list(list)?;
            return walk.tell(Sort::Other, None, Exceeded::Depth.reason());
        }
        walk.path.push(Segment::Index(0));
        loop {
            walk.boundary();
            let element = Element { walk, place };
            if list.next_element_seed(Via(element))?.is_none() {
                break;
            }
            if let Some(Segment::Index(index)) = walk.path.last_mut() {
                *index += 1;
            }
        }
        walk.path.pop();
        walk.leave();
        Ok(())
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.walk.object(self.place, None, None, object)
    }
}

/// A field that holds others, if it is a list or an object.
pub(super) struct Inside<'w, 'o, 'a, 's, 'r> {
    pub(super) walk: &'w mut Walk<'a, 's, 'r>,
    pub(super) object: &'o mut Object,
    pub(super) name: String,
    pub(super) place: Place,
}

impl<'de> Take<'de> for Inside<'_, '_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        if value.is_null() {
            self.object.held.add(self.place);
            return Ok(());
        }
        let before = self.walk.budget;
        let value = Gather(self.walk).scalar(value)?;
        self.walk.keep(self.object, self.name, value, before);
        Ok(())
    }

    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        let Self {
            walk,
            object,
            name,
            place,
        } = self;
        walk.hold(object, place)?;
        walk.path.push(Segment::Field(name));
        let budget = walk.budget;
        Element { walk, place }.list(list)?;
        walk.budget = budget;
        walk.path.pop();
        Ok(())
    }

    fn object<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let Self {
            walk,
            object,
            name,
            place,
        } = self;
        walk.hold(object, place)?;
        walk.path.push(Segment::Field(name));
        if matches!(place, Place::Users | Place::Sessions) {
            match walk.key(&mut from)? {
                Some(first) if !shape::is_field(&first) => walk.listed_by_id(place, first, from)?,
                first @ Some(_) => walk.object(place, None, first, from)?,
                None => {}
            }
        } else {
            let place = match place {
                Place::Memories => Place::Anywhere,
                place => place,
            };
            walk.object(place, None, None, from)?;
        }
        walk.path.pop();
        Ok(())
    }
}

impl Walk<'_, '_, '_> {
    fn listed_by_id<'de, A: MapAccess<'de>>(
        &mut self,
        place: Place,
        first: String,
        mut from: A,
    ) -> Result<(), A::Error> {
        let mut next = Some(first);
        while let Some(id) = next {
            self.path.push(Segment::Id(id.clone()));
            from.next_value_seed(Via(Listed {
                walk: self,
                place,
                id,
            }))?;
            self.path.pop();
            next = self.key(&mut from)?;
        }
        Ok(())
    }
}

/// A user or session listed by its id.
pub(super) struct Listed<'w, 'a, 's, 'r> {
    pub(super) walk: &'w mut Walk<'a, 's, 'r>,
    pub(super) place: Place,
    pub(super) id: String,
}

impl<'de> Take<'de> for Listed<'_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let Self { walk, place, .. } = self;
        Element { walk, place }.scalar(value)
    }

    /// What it holds, without anything else of it.
    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        let Self { walk, place, id } = self;
        let outer = walk.frame;
        let frame = walk.next_frame();
        walk.frame = Some(frame);
        let inner = match place {
            Place::Sessions => Place::Messages,
            _ => Place::Anywhere,
        };
        let budget = walk.budget;
        Element { walk, place: inner }.list(list)?;
        walk.budget = budget;
        walk.frame = outer;
        let own: Map<_, _> = [("id".to_owned(), Value::String(id))].into_iter().collect();
        let shape = match place {
            Place::Sessions => Shape::Session,
            _ => Shape::User,
        };
        let says = shape::says(shape, &own);
        if shape == Shape::User {
            walk.item(ItemKind::User, Value::Object(own))?;
        }
        walk.frame_ended(frame, says)
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.walk.object(self.place, Some(self.id), None, object)
    }
}

/// A field with snapshots.
pub(super) struct Snapshots<'w, 'o, 'a, 's, 'r> {
    pub(super) walk: &'w mut Walk<'a, 's, 'r>,
    pub(super) object: &'o mut Object,
    pub(super) name: String,
}

impl Snapshots<'_, '_, '_, '_, '_> {
    fn one<E: Error>(self, value: Value, before: Budget) -> Result<(), E> {
        let Self { walk, object, name } = self;
        if let Some(exceeded) = walk.budget.exceeded {
            object.lost.push((name, exceeded));
            walk.budget = before;
            return Ok(());
        }
        if object.frame.is_some() {
            walk.budget = before;
            return walk.snapshot(&name, value);
        }
        if value.is_null() {
            object.held.add(Place::Snapshots);
        } else {
            object.waiting.push((name, value));
        }
        Ok(())
    }
}

impl<'de> Take<'de> for Snapshots<'_, '_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        let before = self.walk.budget;
        let value = Gather(self.walk).scalar(value)?;
        self.one(value, before)
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        let before = self.walk.budget;
        let value = Gather(self.walk).object(object)?;
        self.one(value, before)
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { walk, object, name } = self;
        let outer = walk.budget;
        let mut waiting = Vec::new();
        let mut waits = 0;
        let mut index = 0;
        walk.path.push(Segment::Field(name.clone()));
        loop {
            walk.budget = Budget::new();
            let fresh = walk.budget;
            let Some(mut value) = list.next_element_seed(Via(Gather(walk)))? else {
                break;
            };
            walk.path.push(Segment::Index(index));
            index += 1;
            if let Some(exceeded) = walk.budget.exceeded {
                value = Value::Null;
                walk.tell(Sort::Other, None, exceeded.reason())?;
            }
            if object.frame.is_some() {
                walk.one_snapshot(&name, value)?;
                walk.path.pop();
                continue;
            }
            walk.path.pop();
            waits += walk.budget.spent_since(fresh);
            waiting.push(value);
            if waits > MAX_WAITING {
                // Too much to be a field of a memory.
                walk.path.pop();
                object
                    .waiting
                    .push((name.clone(), Value::Array(std::mem::take(&mut waiting))));
                walk.hold(object, Place::Snapshots)?;
                walk.path.push(Segment::Field(name.clone()));
            }
        }
        walk.path.pop();
        walk.budget = outer;
        if object.frame.is_none() {
            object.waiting.push((name, Value::Array(waiting)));
        }
        Ok(())
    }
}

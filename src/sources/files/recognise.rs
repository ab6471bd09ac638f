//! What happens to an object of an export that has been read: it is an item, or a container of items.

use serde::de::{DeserializeSeed, Error};
use serde_json::{Map, Value};

use super::budget::Unkept;
use super::container::{ContainerFields, container_fields, is_name, without_export_date};
use super::explained::{explained, of_entity, of_user};
use super::fields::{id_text, is_empty};
use super::frameworks::{OTHER_BRANCH, known_by_name, untangled, unwrap_memory};
use super::gone::gone;
use super::interpret::ItemKind;
use super::map::Keys;
use super::objects::Element;
use super::output::Suspicion;
use super::parser::{Parser, Segment, shown};
use super::shape::{Group, Held, Shape, is_statistics, shape};
use super::store::{is_columns, lacks_payload, not_a_memory, rows, unwrap_row};
use super::turn::make_turn;
use super::twice::Twice;
use super::visitor::Seed;
use crate::sources::{ContainerId, Defect, Gone};

/// The kind of snapshot that keeps a session's own fields.
const SESSION_FIELDS: &str = "session_fields";

const UNRECOGNISED: &str = "not recognised: a memory has `memory`, a turn `role` and `content`, a history entry `memory_id` \
     and `input`, a user `id` and `name` or `email`";

/// An object while it is read.
#[derive(Default)]
pub(super) struct Object {
    pub(super) own: Map<String, Value>,
    pub(super) held: Held,
    /// Its id as a container, once it is known to hold items.
    pub(super) container: Option<ContainerId>,
    /// Snapshots, or fields of a memory that have the name of one.
    pub(super) waiting: Vec<(String, Value)>,
    /// The fields that were read and hold items or snapshots.
    pub(super) given: Vec<String>,
    /// The object in its field `data`, where that is no list of items.
    pub(super) data: Option<Box<Self>>,
    /// Lists under keys of its own.
    pub(super) keys: Keys,
    /// Fields that are there twice.
    pub(super) twice: Vec<Twice>,
    /// Fields that were not kept.
    pub(super) lost: Vec<(String, Unkept)>,
}

impl Object {
    /// Whether a field of that name was read.
    pub(super) fn has_read(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.given.iter().any(|given| given == name)
    }

    /// A field that names what the items in it belong to, and is there twice.
    fn unsure(&self) -> Option<String> {
        let mut different = self.twice.iter().filter(|twice| !twice.is_same());
        let unsure = different.find(|twice| is_name(twice.outermost()))?;
        Some(unsure.field.clone())
    }
}

impl Parser<'_, '_, '_> {
    /// The object holds items, so it is a container, and what waited is a snapshot.
    pub(super) fn hold<E: Error>(&mut self, object: &mut Object, group: Group) -> Result<(), E> {
        object.held.add(group);
        if object.container.is_none() {
            object.container = Some(self.next_container());
            self.container = object.container;
            for (name, value) in std::mem::take(&mut object.waiting) {
                self.snapshots(&name, value)?;
            }
        }
        Ok(())
    }

    /// Hands on a field of snapshots: one, or a list.
    pub(super) fn snapshots<E: Error>(&mut self, name: &str, value: Value) -> Result<(), E> {
        self.path.push(Segment::Field(name.to_owned()));
        match value {
            Value::Array(values) => {
                for (index, value) in (0..).zip(values) {
                    self.path.push(Segment::Index(index));
                    self.snapshot(name, value)?;
                    self.path.pop();
                }
            }
            value => self.snapshot(name, value)?,
        }
        self.path.pop();
        Ok(())
    }

    pub(super) fn snapshot<E: Error>(&mut self, name: &str, value: Value) -> Result<(), E> {
        if is_empty(&value) {
            return Ok(());
        }
        if name == "summary" && is_statistics(&value) {
            return self.unplaced(name.to_owned());
        }
        self.item(&ItemKind::Snapshot(name.to_owned()), value)
    }

    /// The object has been read: recognises it and hands it on.
    pub(super) fn object_ended<E: Error>(
        &mut self,
        group: Group,
        mut object: Object,
    ) -> Result<(), E> {
        if !object.waiting.is_empty() {
            object.held.add(Group::Snapshots);
        }
        if object.container.is_none() {
            if is_columns(&object.own) {
                return self.columns(object);
            }
            if let Some((conversation, others)) = untangled(&mut object.own) {
                for _ in 0..others {
                    self.left_out(OTHER_BRANCH)?;
                }
                let element = Element {
                    parser: self,
                    group: Group::Sessions,
                };
                return Seed(element).deserialize(conversation).map_err(E::custom);
            }
            self.made_plain(group, &mut object.own);
            if let Some(what) = not_a_memory(&object.own) {
                return self.left_out(what);
            }
            if lacks_payload(&object.own) {
                let record = object.own.get("id").and_then(id_text);
                let reason = "is empty: export the rows again with their payload";
                return self.lost(record, Defect::of("payload", reason));
            }
        }
        let shape = shape(group, &object.own, object.held);
        let record = object.own.get("id").and_then(id_text);
        let holds = matches!(shape, Shape::User | Shape::Session | Shape::Document { .. });
        for (name, unkept) in std::mem::take(&mut object.lost) {
            let defect = Defect::of(shown(&name), unkept.reason());
            self.report(Suspicion::None, record.clone(), defect)?;
            if !holds && object.container.is_none() {
                return Ok(());
            }
        }
        let kind = match shape {
            Shape::User | Shape::Session | Shape::Document { .. } => {
                return self.holder_ended(shape, object);
            }
            Shape::Unknown => {
                let (suspicion, reason) = match known_by_name(&object.own) {
                    Some(known) => (Suspicion::Known, known),
                    None => (Suspicion::Unrecognised, UNRECOGNISED),
                };
                return self.report(suspicion, record, Defect::whole(reason));
            }
            Shape::Memory => ItemKind::Memory,
            Shape::Turn => ItemKind::Turn,
            Shape::History => ItemKind::History,
            Shape::Entity => ItemKind::Entity,
        };
        if let (Shape::Entity, Some(around)) = (shape, self.container) {
            self.explain(around, of_entity(&object.own))?;
        }
        object.own.extend(std::mem::take(&mut object.waiting));
        let unsure = object.unsure();
        let container = object.container.map(|id| {
            let fields = container_fields(shape, &object.own);
            (id, ContainerFields { unsure, ..fields })
        });
        match Twice::worst(object.twice.into_iter().map(Some)) {
            Some(twice) if !twice.is_same() => self.lost(record, twice.of_item())?,
            twice => {
                if let Some(twice) = twice {
                    self.warn(record, twice.of_item())?;
                }
                self.item(&kind, Value::Object(object.own))?;
            }
        }
        match container {
            Some((id, fields)) => self.container_ended(id, fields),
            None => Ok(()),
        }
    }

    /// Makes a memory of the row of a store, and a turn of the message of a framework.
    fn made_plain(&mut self, group: Group, own: &mut Map<String, Value>) {
        if !matches!(group, Group::Users | Group::Sessions | Group::Messages) {
            unwrap_memory(own);
            unwrap_row(own);
        }
        if group != Group::Users && !own.contains_key("memory") {
            make_turn(own, group == Group::Messages);
        }
    }

    /// Hands on the rows of columns.
    fn columns<E: Error>(&mut self, mut object: Object) -> Result<(), E> {
        for (name, unkept) in std::mem::take(&mut object.lost) {
            let defect = Defect::of(shown(&name), unkept.reason());
            self.report(Suspicion::None, None, defect)?;
        }
        for (index, row) in (0..).zip(rows(object.own)) {
            self.path.push(Segment::Index(index));
            self.object_ended(
                Group::Anywhere,
                Object {
                    own: row,
                    ..Object::default()
                },
            )?;
            self.path.pop();
        }
        Ok(())
    }

    fn holder_ended<E: Error>(&mut self, shape: Shape, mut object: Object) -> Result<(), E> {
        let parent = self.container;
        let unsure = object.unsure();
        let record = object.own.get("id").and_then(id_text);
        let holds_nothing = object.container.is_none() && object.waiting.is_empty();
        if let Some(twice) = object.twice.iter().find(|twice| !twice.is_same())
            && shape == Shape::User
            && holds_nothing
        {
            return self.lost(record, twice.of_item());
        }
        for twice in std::mem::take(&mut object.twice) {
            let defect = twice.of_holder();
            if twice.is_same() {
                self.warn(record.clone(), defect)?;
            } else {
                self.report(Suspicion::None, record.clone(), defect)?;
                object.own.shift_remove(twice.outermost());
            }
        }
        self.container = object.container.or(parent);
        if !object.waiting.is_empty() || shape == Shape::Session {
            self.hold(&mut object, Group::Snapshots)?;
        }
        // The preferences of a user stay with the user.
        let of_a_person = Shape::Document { of_a_person: true };
        if (shape == Shape::Session || shape == of_a_person)
            && let Some(preferences) = object.own.remove("preferences")
        {
            self.hold(&mut object, Group::Snapshots)?;
            self.snapshots("preferences", preferences)?;
        }
        self.container = parent;

        let mut fields = container_fields(shape, &object.own);
        let unsure = unsure.or_else(|| fields.unsure.take());
        fields.unsure.clone_from(&unsure);
        if let Some(id) = object.container.filter(|_| shape != Shape::User) {
            self.explain(id, explained(&object.own))?;
        }
        for field in std::mem::take(&mut fields.unreadable) {
            let reason = "is neither text nor a number";
            self.report(Suspicion::None, None, Defect::of(field, reason))?;
        }
        if shape == Shape::Session && !fields.unplaced.is_empty() {
            // Zep's threads have no fields of an application's own: a snapshot keeps them.
            let is_user = |field: &String| field == "user" && object.own[field].is_object();
            let (user, others) = std::mem::take(&mut fields.unplaced)
                .into_iter()
                .partition::<Vec<_>, _>(is_user);
            fields.unplaced = user;
            let own: Map<_, _> = others
                .into_iter()
                .filter_map(|field| object.own.remove_entry(&field))
                .collect();
            self.hold(&mut object, Group::Snapshots)?;
            self.container = object.container;
            self.snapshot(SESSION_FIELDS, Value::Object(own))?;
            self.container = parent;
        }
        if unsure.is_some() {
            // Whom it describes is not known.
        } else if shape == Shape::User {
            if let Some(around) = parent {
                let known = of_entity(&object.own).or_else(|| of_user(&object.own));
                self.explain(around, known)?;
            }
            if gone(&object.own) == Some(Gone::Deleted) {
                self.left_out("a user whom the source marks as deleted")?;
            } else {
                let own = without_export_date(object.own);
                self.item(&ItemKind::User, Value::Object(own))?;
            }
        } else if fields.names.user.is_none()
            && let Some(user @ Value::Object(of_user)) = object.own.get("user")
            && let Some(id) = ["user_id", "id"]
                .iter()
                .find_map(|field| of_user.get(*field).and_then(id_text))
        {
            fields.names.user = Some(id);
            fields.unplaced.retain(|field| field != "user");
            self.path.push(Segment::Field("user".to_owned()));
            self.item(&ItemKind::User, user.clone())?;
            self.path.pop();
        }
        match object.container {
            Some(id) => self.container_ended(id, fields),
            None => Ok(()),
        }
    }
}

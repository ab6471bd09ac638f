//! Going through what holds others, and delivering what stands in it one by one.

use std::{cell::RefCell, fmt::Write};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess};
use serde_json::{Map, Value};

use super::{
    super::{Frame, FrameId, Item, ItemKind, Position},
    Stopped,
    gather::{Budget, Exceeded, Gather, MAX_DEPTH, Via, skip_object},
    out::{Out, Sort},
    shape::{self, Held, Place, Says, Shape},
    source::Source,
    takes::{Element, Inside, Snapshots},
};

/// Room for a memory's fields: it is read faster so.
const USUAL_FIELDS: usize = 14;

/// What a session's own fields are kept as.
const SESSION_FIELDS: &str = "session_fields";

/// How much of a name that stands in the source is shown.
const SHOWN: usize = 100;

/// The way through one value of the source.
pub(super) struct Walk<'a, 's, 'r> {
    pub(super) source: &'a RefCell<Source<'r>>,
    pub(super) budget: Budget,
    out: &'a mut Out<'s>,
    /// The line that the value stands on, where positions name it.
    line: Option<u64>,
    first_line: u64,
    pub(super) path: Vec<Segment>,
    depth: usize,
    /// The innermost object that holds others.
    pub(super) frame: Option<FrameId>,
    frames: FrameId,
    stopped: bool,
}

pub(super) enum Segment {
    Field(String),
    Id(String),
    Index(u64),
}

/// An object while it is read.
#[derive(Default)]
pub(super) struct Object {
    pub(super) own: Map<String, Value>,
    pub(super) held: Held,
    pub(super) frame: Option<FrameId>,
    /// Snapshots, or fields of a memory that are named like one.
    pub(super) waiting: Vec<(String, Value)>,
    /// Fields that were too much.
    pub(super) lost: Vec<(String, Exceeded)>,
}

impl<'a, 's, 'r> Walk<'a, 's, 'r> {
    pub(super) fn new(source: &'a RefCell<Source<'r>>, out: &'a mut Out<'s>) -> Self {
        Self {
            source,
            budget: Budget::new(),
            out,
            line: None,
            first_line: 1,
            path: Vec::new(),
            depth: 0,
            frame: None,
            frames: 0,
            stopped: false,
        }
    }

    /// A value begins at this line, which positions in it name if there are several values.
    pub(super) fn begin(&mut self, line: u64, named: bool) {
        self.line = named.then_some(line);
        self.first_line = line;
        self.path.clear();
        self.depth = 0;
        self.frame = None;
        self.budget = Budget::new();
        self.source.borrow_mut().boundary();
    }

    /// Reads the value.
    pub(super) fn value<'de, D: Deserializer<'de>>(&mut self, from: D) -> Result<(), D::Error> {
        let place = Place::Anywhere;
        Via(Element { walk: self, place }).deserialize(from)
    }

    /// Whether the sink asked for no more.
    pub(super) fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Tells a problem of where the walk is.
    pub(super) fn problem(&mut self, sort: Sort, reason: String) -> Result<(), Stopped> {
        self.out.problem(sort, self.position(), None, reason)
    }

    /// Whether it may go one deeper. To be followed by [`Self::leave`] if so.
    pub(super) fn enter(&mut self) -> bool {
        let deeper = self.depth < MAX_DEPTH;
        self.depth += usize::from(deeper);
        deeper
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// A name or a value was read.
    pub(super) fn boundary(&mut self) {
        if self.source.borrow_mut().boundary() {
            self.budget.exceeded.get_or_insert(Exceeded::Size);
        }
    }

    fn position(&self) -> Position {
        let mut text = match self.line {
            Some(line) => format!("line {line}"),
            None if self.path.is_empty() => format!("line {}", self.first_line),
            None => String::new(),
        };
        if self.line.is_some() && !self.path.is_empty() {
            text.push_str(", ");
        }
        for (at, segment) in self.path.iter().enumerate() {
            // Writing to a text cannot fail.
            let _ = match segment {
                Segment::Field(name) if at == 0 => write!(text, "{}", shown(name)),
                Segment::Field(name) => write!(text, ".{}", shown(name)),
                Segment::Id(id) => write!(text, "[{:?}]", shown(id)),
                Segment::Index(index) => write!(text, "[{index}]"),
            };
        }
        Position(text)
    }

    /// Lets serde end too, where the sink asked for no more.
    fn sent<E: Error>(&mut self, sent: Result<(), Stopped>) -> Result<(), E> {
        sent.map_err(|stopped| {
            self.stopped = true;
            E::custom(stopped)
        })
    }

    pub(super) fn item<E: Error>(&mut self, kind: ItemKind, value: Value) -> Result<(), E> {
        let item = Item {
            position: self.position(),
            frame: self.frame,
            kind,
            value,
        };
        let sent = self.out.item(item);
        self.sent(sent)
    }

    pub(super) fn tell<E: Error>(
        &mut self,
        sort: Sort,
        record: Option<String>,
        reason: String,
    ) -> Result<(), E> {
        let sent = self.out.problem(sort, self.position(), record, reason);
        self.sent(sent)
    }

    pub(super) fn next_frame(&mut self) -> FrameId {
        self.frames += 1;
        self.frames
    }

    pub(super) fn key<'de, A: MapAccess<'de>>(
        &mut self,
        object: &mut A,
    ) -> Result<Option<String>, A::Error> {
        let key = object.next_key()?;
        self.boundary();
        Ok(key)
    }

    /// Reads an object: one that holds others, or one of these.
    ///
    /// `id` is what it is listed by; `first` is a name that was read already.
    pub(super) fn object<'de, A: MapAccess<'de>>(
        &mut self,
        place: Place,
        id: Option<String>,
        first: Option<String>,
        mut from: A,
    ) -> Result<(), A::Error> {
        if !self.enter() {
            skip_object(from)?;
            return self.tell(Sort::Other, None, Exceeded::Depth.reason());
        }
        let (outer_frame, outer_budget) = (self.frame, self.budget);
        self.budget = Budget::new();
        let mut object = Object {
            own: Map::with_capacity(USUAL_FIELDS),
            ..Object::default()
        };
        let mut key = match first {
            Some(key) => Some(key),
            None => self.key(&mut from)?,
        };
        while let Some(name) = key {
            self.field(place, &mut object, name, &mut from)?;
            key = self.key(&mut from)?;
        }
        self.leave();
        self.frame = outer_frame;
        self.budget = outer_budget;

        if let Some(id) = id
            && !["id", "user_id", "session_id"]
                .iter()
                .any(|field| object.own.contains_key(*field))
        {
            object.own.insert("id".to_owned(), Value::String(id));
        }
        self.ended(place, object)
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        place: Place,
        object: &mut Object,
        name: String,
        from: &mut A,
    ) -> Result<(), A::Error> {
        let holds = Place::of(&name).filter(|holds| match holds {
            _ if place.is_leaf() => false,
            // A memory may come with its history.
            Place::History if object.own.contains_key("memory") => true,
            _ => !shape::is_settled(&object.own),
        });
        match holds {
            None => {
                let before = self.budget;
                let value = from.next_value_seed(Via(Gather(self)))?;
                self.keep(object, name, value, before);
                Ok(())
            }
            Some(Place::Snapshots) => from.next_value_seed(Via(Snapshots {
                walk: self,
                object,
                name,
            })),
            Some(place) => from.next_value_seed(Via(Inside {
                walk: self,
                object,
                name,
                place,
            })),
        }
    }

    /// Keeps a field of an object, if it was not too much. What was spent on it is given back then:
    /// ids may come after it.
    pub(super) fn keep(&mut self, object: &mut Object, name: String, value: Value, before: Budget) {
        match self.budget.exceeded {
            Some(exceeded) => {
                object.lost.push((name, exceeded));
                self.budget = before;
            }
            None => {
                object.own.insert(name, value);
            }
        }
    }

    /// The object holds others: what stands in it names it, and what waited is a snapshot.
    pub(super) fn hold<E: Error>(&mut self, object: &mut Object, place: Place) -> Result<(), E> {
        object.held.add(place);
        if object.frame.is_none() {
            object.frame = Some(self.next_frame());
            self.frame = object.frame;
            for (name, value) in std::mem::take(&mut object.waiting) {
                self.snapshot(&name, value)?;
            }
        }
        Ok(())
    }

    /// One item for each thing in it.
    pub(super) fn snapshot<E: Error>(&mut self, name: &str, value: Value) -> Result<(), E> {
        self.path.push(Segment::Field(name.to_owned()));
        match value {
            Value::Array(values) => {
                for (index, value) in (0..).zip(values) {
                    self.path.push(Segment::Index(index));
                    self.one_snapshot(name, value)?;
                    self.path.pop();
                }
            }
            value => self.one_snapshot(name, value)?,
        }
        self.path.pop();
        Ok(())
    }

    pub(super) fn one_snapshot<E: Error>(&mut self, name: &str, value: Value) -> Result<(), E> {
        let is_empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(values) => values.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        if is_empty {
            return Ok(());
        }
        self.item(ItemKind::Snapshot(name.to_owned()), value)
    }

    /// The object is known whole: what is it?
    fn ended<E: Error>(&mut self, place: Place, mut object: Object) -> Result<(), E> {
        if !object.waiting.is_empty() {
            object.held.add(Place::Snapshots);
        }
        let shape = shape::shape(place, &object.own, object.held);
        let record = object.own.get("id").and_then(shape::id_text);
        let holds = matches!(shape, Shape::User | Shape::Session | Shape::Document { .. });
        for (name, exceeded) in std::mem::take(&mut object.lost) {
            let reason = format!("`{}` {}", shown(&name), exceeded.reason());
            self.tell(Sort::Other, record.clone(), reason)?;
            if !holds && object.frame.is_none() {
                return Ok(());
            }
        }
        let kind = match shape {
            Shape::User | Shape::Session | Shape::Document { .. } => {
                return self.holder_ended(shape, object);
            }
            Shape::Unknown => {
                let reason = "not recognised: a memory has `memory`, a turn `role` and `content`, a \
                              history entry `memory_id` and `input`, a user `id` and `name` or `email`";
                return self.tell(Sort::Unrecognised, record, reason.to_owned());
            }
            Shape::Memory => ItemKind::Memory,
            Shape::Turn => ItemKind::Turn,
            Shape::History => ItemKind::History,
            Shape::Entity => ItemKind::Entity,
        };
        object.own.extend(std::mem::take(&mut object.waiting));
        let says = object.frame.map(|id| (id, shape::says(shape, &object.own)));
        self.item(kind, Value::Object(object.own))?;
        match says {
            Some((id, says)) => self.frame_ended(id, says),
            None => Ok(()),
        }
    }

    fn holder_ended<E: Error>(&mut self, shape: Shape, mut object: Object) -> Result<(), E> {
        let parent = self.frame;
        self.frame = object.frame.or(parent);
        if !object.waiting.is_empty() || shape == Shape::Session {
            self.hold(&mut object, Place::Snapshots)?;
        }
        // A user's stay with the user.
        let of_a_person = Shape::Document { of_a_person: true };
        if (shape == Shape::Session || shape == of_a_person)
            && let Some(preferences) = object.own.remove("preferences")
        {
            self.hold(&mut object, Place::Snapshots)?;
            self.snapshot("preferences", preferences)?;
        }
        self.frame = parent;

        let mut says = shape::says(shape, &object.own);
        for field in std::mem::take(&mut says.unreadable) {
            let reason = format!("`{field}` is neither text nor a number, and so names nobody");
            self.tell(Sort::Other, None, reason)?;
        }
        if shape == Shape::Session && !says.unplaced.is_empty() {
            // Zep's threads have no fields of an application's own: they are kept as a snapshot.
            let is_user = |field: &String| field == "user" && object.own[field].is_object();
            let (user, others) = std::mem::take(&mut says.unplaced)
                .into_iter()
                .partition::<Vec<_>, _>(is_user);
            says.unplaced = user;
            let fields: Map<_, _> = others
                .into_iter()
                .filter_map(|field| object.own.remove_entry(&field))
                .collect();
            self.hold(&mut object, Place::Snapshots)?;
            self.frame = object.frame;
            self.one_snapshot(SESSION_FIELDS, Value::Object(fields))?;
            self.frame = parent;
        }
        if shape == Shape::User {
            let own = shape::without_export_date(object.own);
            self.item(ItemKind::User, Value::Object(own))?;
        } else if says.named.user.is_none()
            && let Some(user @ Value::Object(fields)) = object.own.get("user")
            && let Some(id) = ["user_id", "id"]
                .iter()
                .find_map(|field| fields.get(*field).and_then(shape::id_text))
        {
            says.named.user = Some(id);
            says.unplaced.retain(|field| field != "user");
            self.path.push(Segment::Field("user".to_owned()));
            self.item(ItemKind::User, user.clone())?;
            self.path.pop();
        }
        match object.frame {
            Some(id) => self.frame_ended(id, says),
            None => Ok(()),
        }
    }

    pub(super) fn frame_ended<E: Error>(&mut self, id: FrameId, says: Says) -> Result<(), E> {
        let sent = self.out.frame(Frame {
            id,
            parent: self.frame,
            named: says.named,
            exported_at: says.exported_at,
            goes_on: says.goes_on,
            unplaced: says.unplaced,
        });
        self.sent(sent)
    }
}

/// No more of a name than a report can show.
fn shown(name: &str) -> &str {
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}

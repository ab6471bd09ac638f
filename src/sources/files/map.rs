//! Objects that list items under keys of their own: `{"alice": [memories], "bob": {"results": […]}}`,
//! `{"<memory id>": [its history]}`, `{"<memory id>": {memory}}`.
//!
//! A key names a user only where nothing in its list contradicts, and where either an item says so or
//! the object has several such keys; a word such as `exported_memories` names nobody.

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::budget::{Budget, Unkept};
use super::container::ContainerFields;
use super::gone::gone_by_list;
use super::objects::Element;
use super::parser::{Parser, Segment};
use super::recognise::Object;
use super::shape::{Group, is_item};
use super::value::WholeValue;
use super::visitor::{Seed, Visit, skip_list, skip_object};
use crate::sources::{ContainerId, Entry, Gone, Names, RecordKind, SourceRecord};

/// Words of keys that say what a list holds, and not whose it is.
const WORDS: [&str; 52] = [
    "memory",
    "memories",
    "export",
    "exported",
    "exports",
    "record",
    "records",
    "result",
    "results",
    "item",
    "items",
    "fact",
    "facts",
    "data",
    "list",
    "rows",
    "points",
    "docs",
    "documents",
    "entries",
    "messages",
    "turns",
    "chat",
    "chats",
    "conversation",
    "history",
    "histories",
    "episodes",
    "nodes",
    "edges",
    "events",
    "notes",
    "archive",
    "archived",
    "active",
    "deleted",
    "page",
    "pages",
    "backup",
    "all",
    "long",
    "short",
    "term",
    "semantic",
    "episodic",
    "procedural",
    "checkpoint",
    "state",
    "values",
    "store",
    "old",
    "new",
];

/// What the items under a key say of it.
#[derive(Debug, Default)]
pub(super) struct ListedBy {
    key: Option<String>,
    /// An item names it as its user.
    is_user: bool,
    /// It is something else: an item names another user, or has it as its id, agent, app or session.
    is_other: bool,
    /// An item names no user.
    is_needed: bool,
}

impl ListedBy {
    pub(super) fn note(&mut self, entry: &Entry) {
        let Some(key) = &self.key else { return };
        let record: &SourceRecord = match entry {
            Entry::Record(record) => record,
            Entry::Change(change) => &change.record,
            Entry::Conversation(conversation) => match conversation.turns.first() {
                Some(turn) => turn,
                None => return,
            },
            Entry::User { .. } => return,
        };
        let is_key = |name: &Option<String>| name.as_ref() == Some(key);
        let names = &record.names;
        match &names.user {
            Some(user) if user == key => self.is_user = true,
            Some(_) => self.is_other = true,
            None => self.is_needed = true,
        }
        // Turns may as well be listed by session.
        let is_unclear = record.kind == RecordKind::Turn && names.user.is_none();
        self.is_other |= is_unclear
            || [&record.id, &names.agent, &names.app, &names.session]
                .into_iter()
                .any(is_key);
    }
}

/// The lists under keys of an object that were read so far.
#[derive(Debug, Default)]
pub(super) struct Keys {
    lists: u64,
    /// Whether some key is known not to name a user.
    has_others: bool,
    /// The first list whose key names a user only if others do.
    first: Option<(ContainerId, String)>,
}

fn is_word(key: &str) -> bool {
    key.split(|c: char| !c.is_alphanumeric())
        .any(|word| WORDS.contains(&word.to_lowercase().as_str()))
}

impl Parser<'_, '_, '_> {
    fn list_begins<E: Error>(&mut self, object: &mut Object, key: &str) -> Result<ContainerId, E> {
        self.hold(object, Group::Anywhere)?;
        let list = self.next_container();
        self.container = Some(list);
        self.listed = ListedBy {
            key: Some(key.to_owned()),
            ..ListedBy::default()
        };
        Ok(list)
    }

    fn list_ends<E: Error>(&mut self, object: &mut Object, list: ContainerId) -> Result<(), E> {
        let listed = std::mem::take(&mut self.listed);
        self.container = object.container;
        object.keys.lists += 1;
        object.keys.has_others |= listed.is_other;
        let gone = listed.key.as_deref().and_then(gone_by_list);
        let key = listed
            .key
            .filter(|key| !listed.is_other && gone.is_none() && !is_word(key));
        if listed.is_user || !listed.is_needed {
            return self.listed(list, key, gone);
        }
        if object.keys.lists == 1 && key.is_some() {
            object.keys.first = key.map(|key| (list, key));
            return Ok(());
        }
        self.first_list(object)?;
        self.listed(list, key.filter(|_| !object.keys.has_others), gone)
    }

    /// Hands on the first list, now that it is known whether there are others.
    fn first_list<E: Error>(&mut self, object: &mut Object) -> Result<(), E> {
        match object.keys.first.take() {
            Some((list, key)) => {
                let is_user = object.keys.lists > 1 && !object.keys.has_others;
                self.listed(list, Some(key).filter(|_| is_user), None)
            }
            None => Ok(()),
        }
    }

    /// All fields of the object were read.
    pub(super) fn lists_end<E: Error>(&mut self, object: &mut Object) -> Result<(), E> {
        self.container = object.container;
        self.first_list(object)
    }

    fn listed<E: Error>(
        &mut self,
        list: ContainerId,
        user: Option<String>,
        gone: Option<Gone>,
    ) -> Result<(), E> {
        let fields = ContainerFields {
            names: Names {
                user,
                ..Names::default()
            },
            gone,
            ..ContainerFields::default()
        };
        self.container_ended(list, fields)
    }
}

/// A field that nothing is known of, in an object that may list items under keys of its own.
pub(super) struct UnderKey<'p, 'o, 'a, 's, 'r> {
    pub(super) parser: &'p mut Parser<'a, 's, 'r>,
    pub(super) object: &'o mut Object,
    pub(super) name: String,
}

impl<'de> Visit<'de> for UnderKey<'_, '_, '_, '_, '_> {
    type Out = ();

    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
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
        } = self;
        let before = parser.budget;
        if !parser.enter() {
            parser.budget.unkept.get_or_insert(Unkept::Depth);
            skip_list(list)?;
            parser.keep(object, name, Value::Null, before);
            return Ok(());
        }
        let first = list.next_element_seed(Seed(WholeValue(parser)))?;
        let is_list = parser.budget.unkept.is_none()
            && parser.twice.is_none()
            && matches!(&first, Some(Value::Object(first)) if is_item(first));
        if !is_list {
            let mut values: Vec<_> = first.into_iter().collect();
            while let Some(value) = list.next_element_seed(Seed(WholeValue(parser)))? {
                match parser.budget.unkept {
                    None => values.push(value),
                    Some(_) => values.clear(),
                }
            }
            parser.leave();
            parser.keep(object, name, Value::Array(values), before);
            return Ok(());
        }
        let container = parser.list_begins(object, &name)?;
        parser.path.push(Segment::Id(name));
        parser.path.push(Segment::Index(0));
        let group = Group::Anywhere;
        if let Some(first) = first {
            let element = Element { parser, group };
            Seed(element).deserialize(first).map_err(A::Error::custom)?;
        }
        loop {
            if let Some(Segment::Index(index)) = parser.path.last_mut() {
                *index += 1;
            }
            parser.boundary();
            let element = Element { parser, group };
            if list.next_element_seed(Seed(element))?.is_none() {
                break;
            }
        }
        parser.path.pop();
        parser.path.pop();
        parser.leave();
        parser.budget = before;
        parser.list_ends(object, container)
    }

    fn object<A: MapAccess<'de>>(self, from: A) -> Result<(), A::Error> {
        let Self {
            parser,
            object,
            name,
        } = self;
        let before = parser.budget;
        if !parser.enter() {
            parser.budget.unkept.get_or_insert(Unkept::Depth);
            skip_object(from)?;
            parser.keep(object, name, Value::Null, before);
            return Ok(());
        }
        let was_held = object.container.is_some();
        let outer = parser.container;
        let whole = *object
            .container
            .get_or_insert_with(|| parser.next_container());
        let list = parser.next_container();
        parser.container = Some(list);
        parser.listed = ListedBy {
            key: Some(name.clone()),
            ..ListedBy::default()
        };
        parser.budget = Budget::new();
        parser.path.push(Segment::Id(name));
        let mut inner = Object::default();
        parser.fields(Group::Anywhere, &mut inner, None, from)?;
        let spent = parser.budget.spent_since(Budget::new());
        parser.leave();
        parser.budget = before;
        let Some(Segment::Id(name)) = parser.path.pop() else {
            return Ok(());
        };
        if inner.container.is_some() {
            parser.hold(object, Group::Anywhere)?;
            parser.container = Some(list);
            parser.path.push(Segment::Id(name));
            parser.object_ended(Group::Anywhere, inner)?;
            parser.path.pop();
            return parser.list_ends(object, list);
        }
        parser.listed = ListedBy::default();
        if is_item(&inner.own) {
            parser.hold(object, Group::Anywhere)?;
            parser.container = Some(whole);
            if !inner.own.contains_key("id") && !inner.own.contains_key("memory_id") {
                inner.own.insert("id".to_owned(), name.clone().into());
            }
            parser.path.push(Segment::Id(name));
            parser.object_ended(Group::Anywhere, inner)?;
            parser.path.pop();
            return Ok(());
        }
        if !was_held {
            object.container = None;
        }
        parser.container = outer;
        // An object like any other.
        object.lost.append(&mut inner.lost);
        for twice in inner.twice {
            object.twice.push(twice.within(&name));
        }
        let mut own: Map<_, _> = inner.own;
        own.extend(inner.waiting);
        parser.budget.spend(spent);
        parser.keep(object, name, Value::Object(own), before);
        Ok(())
    }
}

//! Fields that are in an object twice. JSON does not say which one counts, and parsers differ: where
//! the values differ, no value is kept rather than a wrong one.

use serde_json::{Map, Value, map};

use super::parser::shown;
use crate::sources::Defect;

/// A field that is in an object twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Twice {
    /// The field, with its path within the object.
    pub(super) field: String,
    /// Where that is a path, its beginning.
    outermost: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Both times with the same value.
    Same,
    Different,
    /// It holds items: those of the second were not read.
    Unread,
}

impl Twice {
    /// A field that holds items: its second value was not read.
    pub(super) fn unread(field: String) -> Self {
        Self {
            field,
            outermost: None,
            kind: Kind::Unread,
        }
    }

    /// The same, in a field of the object around it.
    pub(super) fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self.outermost = Some(outer.to_owned());
        self
    }

    /// The field of the object itself.
    pub(super) fn outermost(&self) -> &str {
        self.outermost.as_deref().unwrap_or(&self.field)
    }

    /// The first that is not harmless, else the first.
    pub(super) fn worst(found: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        let all = found.into_iter().flatten();
        all.reduce(|worst, next| match worst.is_same() && !next.is_same() {
            true => next,
            false => worst,
        })
    }

    /// Whether it is harmless.
    pub(super) fn is_same(&self) -> bool {
        self.kind == Kind::Same
    }

    /// What is wrong with an item that has it.
    pub(super) fn of_item(&self) -> Defect {
        self.defect(match self.kind {
            Kind::Same => "is there twice, with the same value",
            Kind::Different | Kind::Unread => {
                "is there twice, with different values, and which one counts cannot be known; keep \
                 one of them"
            }
        })
    }

    /// What is wrong with an object that holds items and has it.
    pub(super) fn of_holder(&self) -> Defect {
        self.defect(match self.kind {
            Kind::Same => "is there twice, with the same value",
            Kind::Different => {
                "is there twice, with different values, and neither was kept; keep one of them"
            }
            Kind::Unread => "is there twice, and what is in the second was not read; merge them",
        })
    }

    fn defect(&self, reason: &str) -> Defect {
        Defect::of(shown(&self.field), reason)
    }
}

/// Puts a field into an object. Answers whether it was there already.
#[inline]
pub(super) fn put(object: &mut Map<String, Value>, name: String, value: Value) -> Option<Twice> {
    match object.entry(name) {
        map::Entry::Vacant(vacant) => {
            vacant.insert(value);
            None
        }
        map::Entry::Occupied(mut there) => {
            let kind = match *there.get() == value {
                true => Kind::Same,
                false => Kind::Different,
            };
            there.insert(value);
            let field = there.key().clone();
            Some(Twice {
                field,
                outermost: None,
                kind,
            })
        }
    }
}

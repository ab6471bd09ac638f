//! One condition of a filter, and whether a memory meets it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Candidate;
use super::values::{Case, Moment, contains, order, same, text_contains};

/// The metadata key in which the migration from mem0 keeps the expiration date.
const EXPIRATION: &str = "expiration_date";

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    User(Ids),
    Agent(Ids),
    App(Ids),
    Run(Ids),
    Memory(Ids),
    Kind(Ids),
    Role(Ids),
    Actor(Ids),
    Time(TimeOf, Times),
    Category(Ids),
    /// Some category contains this, regardless of case.
    CategoryContains(String),
    Text(String, Case),
    /// Metadata exists.
    AnyMetadata,
    /// The value of some key contains this.
    MetadataContains(Value, Case),
    Metadata(String, Values),
}

/// A condition on an id, or on a set of ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Ids {
    Present,
    Absent,
    Among(BTreeSet<String>),
    /// None of these; absent matches.
    NotAmong(BTreeSet<String>),
}

/// Which time of a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TimeOf {
    Creation,
    Update,
    Expiration,
}

/// A condition on a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Times {
    Present,
    Absent,
    After(Moment),
    From(Moment),
    Before(Moment),
    Until(Moment),
    During(Vec<Moment>),
    /// In none of these ranges; absent matches.
    NotDuring(Vec<Moment>),
}

/// A condition on a metadata value. Null counts as absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Values {
    Present,
    Absent,
    Is(Value),
    /// Another value; absent matches.
    IsNot(Value),
    Among(Vec<Value>),
    Greater(Value),
    AtLeast(Value),
    Less(Value),
    AtMost(Value),
    Contains(Value, Case),
}

impl Condition {
    pub(super) fn holds(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Self::User(asked) => asked.hold(candidate.user),
            Self::Agent(asked) => asked.hold(candidate.agent),
            Self::App(asked) => asked.hold(candidate.app),
            Self::Run(asked) => asked.hold(candidate.run),
            Self::Memory(asked) => asked.hold(candidate.ids.iter().copied()),
            Self::Kind(asked) => asked.hold(candidate.memory_type),
            Self::Role(asked) => asked.hold(candidate.role),
            Self::Actor(asked) => asked.hold(candidate.actor),
            Self::Time(of, asked) => asked.hold(of.time(candidate)),
            Self::Category(asked) => asked.hold(candidate.categories.iter().copied()),
            Self::CategoryContains(part) => candidate
                .categories
                .iter()
                .any(|category| text_contains(category, part, Case::Ignored)),
            Self::Text(part, case) => text_contains(candidate.text, part, *case),
            Self::AnyMetadata => !candidate.metadata.is_empty(),
            Self::MetadataContains(part, case) => candidate
                .metadata
                .values()
                .any(|value| contains(value, part, *case)),
            Self::Metadata(key, asked) => asked.hold(value_of(candidate.metadata, key)),
        }
    }
}

impl Ids {
    /// Whether any of these ids meets the condition.
    pub(super) fn hold<'a>(&self, there: impl IntoIterator<Item = &'a str>) -> bool {
        let mut there = there.into_iter();
        match self {
            Self::Present => there.next().is_some(),
            Self::Absent => there.next().is_none(),
            Self::Among(ids) => there.any(|id| ids.contains(id)),
            Self::NotAmong(ids) => !there.any(|id| ids.contains(id)),
        }
    }

    /// The condition that holds exactly where this one does not.
    pub(super) fn opposite(&self) -> Self {
        match self {
            Self::Present => Self::Absent,
            Self::Absent => Self::Present,
            Self::Among(ids) => Self::NotAmong(ids.clone()),
            Self::NotAmong(ids) => Self::Among(ids.clone()),
        }
    }
}

impl TimeOf {
    fn time(self, candidate: &Candidate<'_>) -> Option<Timestamp> {
        match self {
            Self::Creation => candidate.created_at,
            Self::Update => candidate.updated_at,
            Self::Expiration => value_of(candidate.metadata, EXPIRATION)?
                .as_str()
                .and_then(crate::time::parse),
        }
    }
}

impl Times {
    fn hold(&self, there: Option<Timestamp>) -> bool {
        let during = |moments: &[Moment]| {
            there.is_some_and(|time| moments.iter().any(|moment| moment.holds(time)))
        };
        match self {
            Self::Present => there.is_some(),
            Self::Absent => there.is_none(),
            Self::After(moment) => there.is_some_and(|time| time > moment.first),
            Self::From(moment) => there.is_some_and(|time| time >= moment.first),
            Self::Before(moment) => there.is_some_and(|time| time < moment.first),
            Self::Until(moment) => there.is_some_and(|time| time <= moment.last),
            Self::During(moments) => during(moments),
            Self::NotDuring(moments) => !during(moments),
        }
    }
}

impl Values {
    fn hold(&self, there: Option<&Value>) -> bool {
        let ordered = |asked: &Value, right: fn(Ordering) -> bool| {
            there
                .and_then(|there| order(there, asked))
                .is_some_and(right)
        };
        match self {
            Self::Present => there.is_some(),
            Self::Absent => there.is_none(),
            Self::Is(asked) => there.is_some_and(|there| same(there, asked)),
            Self::IsNot(asked) => !there.is_some_and(|there| same(there, asked)),
            Self::Among(asked) => {
                there.is_some_and(|there| asked.iter().any(|asked| same(there, asked)))
            }
            Self::Greater(asked) => ordered(asked, Ordering::is_gt),
            Self::AtLeast(asked) => ordered(asked, Ordering::is_ge),
            Self::Less(asked) => ordered(asked, Ordering::is_lt),
            Self::AtMost(asked) => ordered(asked, Ordering::is_le),
            Self::Contains(part, case) => there.is_some_and(|there| contains(there, part, *case)),
        }
    }
}

fn value_of<'a>(metadata: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    metadata.get(key).filter(|value| !value.is_null())
}

//! What memories of mem0 belong to.

use std::fmt;

use serde_json::{Map, Value};

/// The kinds of entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityKind {
    /// A person.
    User,
    /// An agent.
    Agent,
    /// An application.
    App,
    /// A session.
    Run,
}

impl EntityKind {
    /// All kinds. A memory of several entities is handed on with the first of them.
    pub const ALL: [Self; 4] = [Self::User, Self::Agent, Self::App, Self::Run];

    /// mem0's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::App => "app",
            Self::Run => "run",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The field by which mem0 is asked for the memories of one.
    pub(in crate::sources) fn field(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Agent => "agent_id",
            Self::App => "app_id",
            Self::Run => "run_id",
        }
    }

    /// The fields in which a memory names one: lists of mem0 Platform call the run a session.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::User => &["user_id"],
            Self::Agent => &["agent_id"],
            Self::App => &["app_id"],
            Self::Run => &["session_id", "run_id"],
        }
    }

    /// The entity of this kind that a memory names.
    pub(in crate::sources) fn of(self, memory: &Map<String, Value>) -> Option<Entity> {
        let name = self
            .fields()
            .iter()
            .find_map(|field| match memory.get(*field)? {
                Value::String(name) if !name.is_empty() => Some(name.clone()),
                Value::Number(name) => Some(name.to_string()),
                _ => None,
            })?;
        Some(Entity { kind: self, name })
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user, agent, app or run of mem0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Its id, as memories name it.
    pub name: String,
}

impl Entity {
    /// A user.
    pub fn user(name: impl Into<String>) -> Self {
        Self {
            kind: EntityKind::User,
            name: name.into(),
        }
    }

    /// Puts this entity's name into an object that names none of its kind.
    pub(super) fn complete(&self, object: &mut Map<String, Value>) {
        if self.kind.of(object).is_none() {
            object.insert(self.kind.field().to_owned(), self.name.clone().into());
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

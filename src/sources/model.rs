//! What a source yields.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where in the source an item is, for people: `line 17` of JSON Lines, `users[3].messages[17]` of
/// one document, `line 17, messages[3]` of a document on a line. Indices count from 0 as in JSON
/// paths, lines from 1 as in editors. Never holds content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub String);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something of a source cannot be used. Names fields and ids, never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// The field at fault, where it is a single one.
    pub field: Option<String>,
    /// What is wrong with the field, or with the whole item, and what to do.
    pub reason: String,
}

impl Defect {
    /// This field is wrong.
    pub fn of(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            reason: reason.into(),
        }
    }

    /// The item as a whole is wrong.
    pub fn whole(reason: impl Into<String>) -> Self {
        Self {
            field: None,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "`{field}` ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Defect {}

/// Something of a source that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub position: Position,
    /// The source's id of the item, where it has one.
    pub record: Option<String>,
    /// What it costs.
    pub severity: Severity,
    /// What is wrong.
    pub defect: Defect,
}

/// What a problem costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A record or user that was recognised is not migrated.
    Record,
    /// Something else is not migrated.
    Other,
    /// Nothing: the item is migrated all the same.
    Warning,
}

/// Identifies a [`Container`] within one source. Counted from 1.
pub type ContainerId = u64;

/// What a source yields, in the source's order.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceItem {
    /// Something to migrate.
    Entry(Entry),
    /// A container, complete. Follows everything in it.
    Container(Container),
    /// Something that cannot be used.
    Problem(Problem),
    /// A field of a document that a migration has no place for, by name.
    UnplacedField(String),
    /// Something that is no memory, and so is not migrated: what it is, in words that are the same for
    /// all of its kind.
    LeftOut(&'static str),
    /// What an id means that only the source uses.
    Explained(Explained),
}

/// An id that a source uses for itself, and explains: the number of a user in a table of users.
/// Records within the container name things by such ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Where it is explained. Before the container itself.
    pub container: ContainerId,
    /// What it identifies.
    pub kind: IdKind,
    /// The id.
    pub id: String,
    /// The name that it is known by outside.
    pub name: String,
}

/// What an id identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum IdKind {
    /// A user.
    User = 0,
    /// An agent.
    Agent = 1,
    /// An app.
    App = 2,
    /// A category, which `category_ids` of a memory name.
    Category = 3,
}

/// Something to migrate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A memory, a turn or a snapshot.
    Record(Box<SourceRecord>),
    /// The turns that a memory was made from, in order. Memories that were made from the same turns
    /// list the same ones.
    Conversation(Conversation),
    /// What a log says became of a memory: an entry of its history, or of an answer to `add`.
    Change(Box<Change>),
    /// A user.
    User {
        /// Where the user is described.
        position: Position,
        /// The description.
        user: Box<SourceUser>,
    },
}

/// An entry of a log of memories. The last one of a memory says what it is now; a deletion is final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whether it deleted the memory.
    pub deletes: bool,
    /// The memory as it was then, under its own id. Blank where it was deleted.
    pub record: SourceRecord,
}

/// The turns that a memory was made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Where they are listed.
    pub origin: Origin,
    /// In order; may be empty.
    pub turns: Vec<SourceRecord>,
}

/// Where an item comes from within its source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where it is.
    pub position: Position,
    /// The innermost container around it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// The source's id of the item that it is a part of: of the history entry that lists a turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
}

/// The kinds of snapshots, as sources call them (guide: memory type mapping; the last three are
/// kinds of Zep's own side).
pub const SNAPSHOTS: [&str; 6] = [
    "insights",
    "summary",
    "traits",
    "therapeutic_notes",
    "crisis_context",
    "progress_notes",
];

/// An object around items, and what it says of all of them: a user with messages, a session, a page
/// of memories, a whole export. Sources whose records name everything themselves yield none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Which one it is.
    pub id: ContainerId,
    /// The one around it.
    pub parent: Option<ContainerId>,
    /// Whom and what it names. What is nearer to an item takes precedence.
    pub names: Names,
    /// When the export was made, where the object says so.
    pub exported_at: Option<Timestamp>,
    /// The user of the records in it that name nobody at all: the only user of an archive or directory.
    pub user_of_rest: Option<String>,
    /// The field that leaves open what it names, where one does: whose the items in it are cannot be
    /// known.
    pub unsure: Option<String>,
    /// Why nothing in it must be shown any more, where the object says so.
    pub gone: Option<Gone>,
}

/// The user, agent, app and session that something of a source names: not trimmed, not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The session (mem0: run).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl Names {
    /// These names, and the outer ones where these are absent.
    #[must_use]
    pub fn or(self, outer: &Self) -> Self {
        let or = |inner: Option<String>, outer: &Option<String>| inner.or_else(|| outer.clone());
        Self {
            user: or(self.user, &outer.user),
            agent: or(self.agent, &outer.agent),
            app: or(self.app, &outer.app),
            session: or(self.session, &outer.session),
        }
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What kind of thing a record was in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// A memory: a sentence. With a session it goes there, else it goes to its owner's graph.
    Memory,
    /// A turn of a conversation.
    Turn,
    /// A snapshot of a user or session.
    Snapshot,
}

/// A memory, a turn or a snapshot, in the source's own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Where it comes from within the source.
    pub origin: Origin,
    /// What it was.
    pub kind: RecordKind,
    /// The source's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it names itself. The containers around it may name more.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
    /// Who speaks, in the source's word; `user` where a memory names no role.
    pub role: String,
    /// Whether the source states the role.
    #[serde(default)]
    pub states_role: bool,
    /// The speaker's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What to keep: not blank.
    pub content: String,
    /// When, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was last changed, where the source says so and it is not [`Self::created_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// What kind of memory, in the source's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_type: Option<String>,
    /// All its other fields.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// The day from which on it must not be shown. Also in the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// Why it must not be shown any more, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// What this program noted when it stored the record, where the source is a store of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredRecord>,
}

/// What this program noted of a record that it stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// Its record id, which it keeps wherever it goes.
    pub id: String,
    /// The system that it was migrated from first; the store, if it was written there.
    pub migration_source: String,
    /// The record id of the migrated record that it took the place of: a repeated migration from
    /// that system must not restore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

/// Why a record must not be shown any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Gone {
    /// Expired, replaced, archived, paused or no longer valid: migrated on request.
    Retired,
    /// Deleted: never migrated.
    Deleted,
}

impl SourceRecord {
    /// A problem of this record.
    pub fn problem(&self, severity: Severity, defect: Defect) -> Problem {
        Problem {
            position: self.origin.position.clone(),
            record: self.id.clone().or_else(|| self.origin.part_of.clone()),
            severity,
            defect,
        }
    }
}

/// A user, in the source's own words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceUser {
    /// The source's id.
    pub id: String,
    /// The full name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The role, in the source's word.
    pub role: Option<String>,
    /// All other fields, `preferences` among them.
    pub metadata: Map<String, Value>,
    /// The system that this program migrated the user from, where the source is a store of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration_source: Option<String>,
}

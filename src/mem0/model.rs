//! What a source yields.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where in the source something stands, for people: `line 17` of JSON Lines, `users[3].messages[17]`
/// of one document, `line 17, messages[3]` of a document on a line. The numbers in brackets count
/// from 0 as in JSON paths, lines from 1 as in editors. Never holds content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub String);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that cannot be migrated, and why. Names fields and ids, never what was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where it stands in the source.
    pub position: Position,
    /// The source's id of it, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What is wrong with it and what to do.
    pub reason: String,
}

/// Identifies an object that holds others, within one source. Counted from 1.
pub type FrameId = u64;

/// What is read from a source, in the order in which it stands there.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something that may become a memory or a user.
    Item(Item),
    /// An object that holds others has ended, and so is known whole. Comes after everything in it.
    Frame(Frame),
    /// Something that cannot be read.
    Problem(Problem),
}

/// One thing of a source, as it stands there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Where it stands.
    pub position: Position,
    /// The innermost object around it that says something of it: see [`Frame`].
    pub frame: Option<FrameId>,
    /// What it looks like.
    pub kind: ItemKind,
    /// The thing itself. An object, except for a snapshot, which can be any JSON.
    pub value: Value,
}

/// What a thing of a source looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A memory of mem0: a sentence.
    Memory,
    /// A turn of a conversation.
    Turn,
    /// A snapshot of a user or a session, by the key that it stood under (`insights`, `summary`,
    /// `traits` …).
    Snapshot(String),
    /// An entry of a memory's history, with the turns that it was made from.
    History,
    /// A user: all of its fields but those that hold others.
    User,
    /// An agent, app or run of mem0's list of entities.
    Entity,
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

/// An object that holds others, and what it says of all of them: a user with messages, a session,
/// a page of memories, a whole export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Which one it is.
    pub id: FrameId,
    /// The one around it.
    pub parent: Option<FrameId>,
    /// Whom and what it names. What is nearer to an item counts.
    pub named: Named,
    /// When the export was made, where the object says so.
    pub exported_at: Option<Timestamp>,
    /// Of a page of a list: whether the list goes on behind it.
    pub goes_on: Option<bool>,
    /// Its fields that have no place in a migration, by name, sorted.
    pub unplaced: Vec<String>,
}

/// Whom and what something of a source names, untouched (not trimmed, not checked).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The user.
    pub user: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// The session: mem0's run.
    pub session: Option<String>,
}

impl Named {
    /// This, and what the other one names that this does not.
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

    /// Whether it names nobody and nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an item of a source means.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Something to keep.
    Record(Box<SourceRecord>),
    /// A user.
    User(Box<SourceUser>),
    /// The turns that a memory was made from, in their order. The same ones stand with every memory
    /// that was made from them. May be empty.
    Turns(Vec<SourceRecord>),
    /// Nothing that moves: an agent, app or run in a list of entities.
    Nothing,
}

/// What kind of thing a record was in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A memory of mem0: a sentence. With a run it goes to its session, else it stands alone.
    Memory,
    /// A turn of a conversation.
    Turn,
    /// A snapshot of a user or session.
    Snapshot,
}

/// A memory, a turn or a snapshot, in the source's own words.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRecord {
    /// What it was.
    pub kind: RecordKind,
    /// The source's own id.
    pub id: Option<String>,
    /// Whom it names itself; what is around it may name more.
    pub named: Named,
    /// Who speaks, in the source's word; `user` where a sentence has none.
    pub role: String,
    /// The speaker's name.
    pub name: Option<String>,
    /// What is to be kept: not blank.
    pub content: String,
    /// When, where the source says so.
    pub created_at: Option<Timestamp>,
    /// What kind of memory, in the source's word.
    pub memory_type: Option<String>,
    /// Everything else that the source says of it.
    pub metadata: Map<String, Value>,
    /// The day from which on it is no longer to be shown. Also in the metadata.
    pub expires: Option<Date>,
    /// Whether the source says that another memory took its place.
    pub replaced: bool,
}

/// A user, in the source's own words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceUser {
    /// The source's id.
    pub id: String,
    /// The whole name.
    pub name: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// The role, in the source's word.
    pub role: Option<String>,
    /// Everything else that the source says of them, `preferences` among it.
    pub metadata: Map<String, Value>,
}

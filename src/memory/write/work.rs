//! What a job of the queue does, and its form in the file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::memory::{
    model::{
        AgentId, AppId, Change, InvalidId, MemoryKind, RecordId, Scope, SessionId, UserId, Uuid,
    },
    write::request::{Edit, Edited, NewMemories, NewTurn, Request},
};

/// It cannot be carried out by this version.
#[derive(Debug, thiserror::Error)]
#[error("another version of this program queued it, and this one cannot read it")]
pub(crate) struct Unreadable;

impl From<InvalidId> for Unreadable {
    fn from(_: InvalidId) -> Self {
        Self
    }
}

/// What a job does.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// Stores memories.
    Add(Box<Request>),
    /// Changes a stored memory.
    Change(Uuid, Change),
    /// Deletes a stored memory.
    Delete(Uuid),
}

/// The job's body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredWork {
    Add(Box<Stored>),
    Change(StoredChange),
    Delete { id: String },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredChange {
    id: String,
    text: Option<String>,
    metadata: Option<Map<String, Value>>,
}

/// A request. A field that a later version adds must have a default; one that changes its meaning
/// needs another name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    key: String,
    is_keyed: bool,
    made_at: Timestamp,
    user: Option<String>,
    agent: Option<String>,
    app: Option<String>,
    session: Option<String>,
    text: Option<String>,
    messages: Vec<StoredTurn>,
    metadata: Map<String, Value>,
    kind: Option<String>,
    created_at: Option<Timestamp>,
    edits: Vec<StoredEdit>,
}

/// Without text and fields it is a deletion.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEdit {
    of: usize,
    unsent: bool,
    text: Option<String>,
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTurn {
    role: String,
    content: String,
    name: Option<String>,
    created_at: Option<Timestamp>,
    metadata: Map<String, Value>,
}

impl Work {
    /// The job's body.
    pub(crate) fn encode(&self) -> String {
        let stored = match self {
            Self::Add(request) => StoredWork::Add(Box::new(request.stored())),
            Self::Change(id, Change { text, metadata }) => StoredWork::Change(StoredChange {
                id: id.to_string(),
                text: text.clone(),
                metadata: metadata.clone(),
            }),
            Self::Delete(id) => StoredWork::Delete { id: id.to_string() },
        };
        serde_json::to_string(&stored).unwrap_or_else(|_| unreachable!("its keys are texts"))
    }

    /// Reads a job's body.
    pub(crate) fn decode(body: &str) -> Result<Self, Unreadable> {
        Ok(match serde_json::from_str(body).map_err(|_| Unreadable)? {
            StoredWork::Add(stored) => Self::Add(Box::new(Request::read(*stored)?)),
            StoredWork::Change(StoredChange { id, text, metadata }) => {
                Self::Change(Uuid(id), Change { text, metadata })
            }
            StoredWork::Delete { id } => Self::Delete(Uuid(id)),
        })
    }
}

impl Request {
    fn stored(&self) -> Stored {
        let new = self.new.clone();
        let scope = new.scope;
        let turn = |turn: NewTurn| StoredTurn {
            role: turn.role,
            content: turn.content,
            name: turn.name,
            created_at: turn.created_at,
            metadata: turn.metadata,
        };
        Stored {
            key: self.key.to_string(),
            is_keyed: self.is_keyed,
            made_at: self.made_at,
            user: scope.user.map(|id| id.to_string()),
            agent: scope.agent.map(|id| id.to_string()),
            app: scope.app.map(|id| id.to_string()),
            session: scope.session.map(|id| id.to_string()),
            text: new.text,
            messages: new.messages.into_iter().map(turn).collect(),
            metadata: new.metadata,
            kind: new.kind.map(|kind| kind.as_str().to_owned()),
            created_at: new.created_at,
            edits: self.edits.iter().map(stored_edit).collect(),
        }
    }

    fn read(stored: Stored) -> Result<Self, Unreadable> {
        let turn = |turn: StoredTurn| NewTurn {
            role: turn.role,
            content: turn.content,
            name: turn.name,
            created_at: turn.created_at,
            metadata: turn.metadata,
        };
        let key = RecordId::new(&stored.key)?;
        Ok(Self {
            new: NewMemories {
                scope: Scope {
                    user: stored.user.map(|id| UserId::new(&id)).transpose()?,
                    agent: stored.agent.map(|id| AgentId::new(&id)).transpose()?,
                    app: stored.app.map(|id| AppId::new(&id)).transpose()?,
                    session: stored.session.map(|id| SessionId::new(&id)).transpose()?,
                },
                text: stored.text,
                messages: stored.messages.into_iter().map(turn).collect(),
                metadata: stored.metadata,
                kind: stored.kind.map(|kind| MemoryKind::new(&kind)).transpose()?,
                created_at: stored.created_at,
                idempotency_key: None,
            },
            key,
            is_keyed: stored.is_keyed,
            made_at: stored.made_at,
            edits: stored.edits.into_iter().map(edit).collect(),
        })
    }
}

fn stored_edit(Edited { of, unsent, edit }: &Edited) -> StoredEdit {
    let Change { text, metadata } = match edit.clone() {
        Edit::Delete => Change::default(),
        Edit::Update(change) => change,
    };
    StoredEdit {
        of: *of,
        unsent: *unsent,
        text,
        metadata,
    }
}

fn edit(stored: StoredEdit) -> Edited {
    let StoredEdit {
        of,
        unsent,
        text,
        metadata,
    } = stored;
    let edit = match (text, metadata) {
        (None, None) => Edit::Delete,
        (text, metadata) => Edit::Update(Change { text, metadata }),
    };
    Edited { of, unsent, edit }
}

//! The domain's types: owners, sessions, kinds, records.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use crate::zep::{GraphId, InvalidId, MAX_ID_CHARS, Owner, UserId, Uuid};
use crate::zep::{ThreadId, check_id, id_type};

/// Separates session and user in the id of a qualified thread.
const QUALIFIER: &str = "::zm::";
/// The session of messages that name none.
const DEFAULT_SESSION: &str = "default";
/// The prefix of an agent's graph id.
const AGENT_GRAPH_PREFIX: &str = "mem0-agent-";
/// The prefix of an app's marker graph id.
const APP_GRAPH_PREFIX: &str = "mem0-app-";
/// The longest record id, in characters: room for a source's id and our suffix.
const MAX_RECORD_ID_CHARS: usize = 600;

id_type!(
    /// An agent, by the application's own id.
    AgentId, "agent_id", MAX_ID_CHARS
);
id_type!(
    /// An app, by the application's own id.
    AppId, "app_id", MAX_ID_CHARS
);
id_type!(
    /// Identifies one record permanently: everything we write carries it as `zm_id`, the same on
    /// all parts of a record.
    RecordId, "idempotency_key", MAX_RECORD_ID_CHARS
);

impl RecordId {
    /// A new id for a live write: a UUIDv7.
    pub fn fresh() -> Self {
        Self::from_trusted(uuid::Uuid::now_v7().to_string())
    }

    /// The id of the `index`th message of a call with this key.
    pub fn nth(&self, index: usize) -> Self {
        Self::from_trusted(format!("{self}:{index}"))
    }

    fn from_trusted(id: String) -> Self {
        Self::new(&id).unwrap_or_else(|_| unreachable!("made of checked ids"))
    }
}

/// A session: a mem0 run, a Zep thread. Belongs to a user, unlike Zep's thread ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// The id, trimmed.
    ///
    /// # Errors
    /// [`InvalidId`] as for every id, and if it contains `::zm::`, which is reserved for qualified
    /// threads.
    pub fn new(raw: &str) -> Result<Self, InvalidId> {
        let id = check_id("session_id", raw, MAX_ID_CHARS)?;
        if id.contains(QUALIFIER) {
            return Err(InvalidId {
                field: "session_id",
                problem: format!("contains `{QUALIFIER}`, which is reserved; choose another"),
            });
        }
        Ok(Self(id))
    }

    /// The session of messages that name none.
    pub fn default_session() -> Self {
        Self(DEFAULT_SESSION.to_owned())
    }

    /// Whether this is the default session, whose thread is always qualified.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT_SESSION
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The thread with the session's plain id; it may belong to another user.
    pub fn plain_thread(&self) -> ThreadId {
        thread_id(&self.0)
    }

    /// The thread that can only belong to this user.
    pub fn qualified_thread(&self, user: &UserId) -> ThreadId {
        thread_id(&format!("{}{QUALIFIER}{user}", self.0))
    }

    /// The session id of one of this user's threads.
    pub fn of_thread(thread: &str, user: &UserId) -> String {
        thread
            .strip_suffix(user.as_str())
            .and_then(|rest| rest.strip_suffix(QUALIFIER))
            .unwrap_or(thread)
            .to_owned()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn thread_id(id: &str) -> ThreadId {
    ThreadId::new(id).unwrap_or_else(|_| unreachable!("made of checked ids"))
}

impl AgentId {
    /// The graph of this agent's own memories.
    pub fn graph(&self) -> GraphId {
        GraphId::new(&format!("{AGENT_GRAPH_PREFIX}{self}"))
            .unwrap_or_else(|_| unreachable!("made of checked ids"))
    }

    /// The agent of a graph, as it was named.
    pub fn of_graph(graph: &GraphId) -> Option<String> {
        let agent = graph.as_str().strip_prefix(AGENT_GRAPH_PREFIX)?;
        Some(agent.to_owned())
    }
}

impl AppId {
    /// The marker graph of this app. It is empty: an app's memories belong to users.
    pub fn graph(&self) -> GraphId {
        GraphId::new(&format!("{APP_GRAPH_PREFIX}{self}"))
            .unwrap_or_else(|_| unreachable!("made of checked ids"))
    }

    /// The app of a marker graph, as it was named.
    pub fn of_graph(graph: &GraphId) -> Option<String> {
        let app = graph.as_str().strip_prefix(APP_GRAPH_PREFIX)?;
        Some(app.to_owned())
    }
}

/// The entities a caller names to select memories: any of the four, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The user.
    pub user: Option<UserId>,
    /// The agent.
    pub agent: Option<AgentId>,
    /// The app.
    pub app: Option<AppId>,
    /// The session (mem0: run).
    pub session: Option<SessionId>,
}

impl Scope {
    /// The owner of the graph. The default user is put in unless an agent is named without user and
    /// session (as in mem0).
    pub fn owner(&self, default_user: &UserId) -> Owner {
        match (&self.user, &self.agent, &self.session) {
            (Some(user), _, _) => Owner::User(user.clone()),
            (None, Some(agent), None) => Owner::Graph(agent.graph()),
            (None, _, _) => Owner::User(default_user.clone()),
        }
    }
}

/// One stored record.
#[derive(Debug, Clone)]
pub struct AddedMemory {
    /// Zep's id of its first part, or the queue's.
    pub id: Uuid,
    /// The content.
    pub content: String,
}

/// A change of a memory. Absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// The new text.
    pub text: Option<String>,
    /// The new fields, replacing all old ones.
    pub metadata: Option<Map<String, Value>>,
}

/// Where records are stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a session, as messages.
    Session(UserId, SessionId),
    /// In an owner's graph, as episodes.
    Graph(Owner),
}

impl Place {
    /// The owner.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Session(user, _) => Owner::User(user.clone()),
            Self::Graph(owner) => owner.clone(),
        }
    }

    /// The session, if it is one.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Session(_, session) => Some(session),
            Self::Graph(_) => None,
        }
    }
}

/// The kind of a memory (guide: memory type mapping). Unknown kinds are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemoryKind(String);

impl MemoryKind {
    /// The known kinds, by Zep's name.
    pub const KNOWN: [&str; 7] = [
        "conversation",
        "emotional_state",
        "session_summary",
        "treatment_plan",
        "therapeutic_notes",
        "crisis_context",
        "progress_notes",
    ];

    /// A kind, by Zep's name or by mem0's, in any case.
    ///
    /// # Errors
    /// [`InvalidId`] if it is blank, has control characters or more than 100 characters.
    pub fn new(raw: &str) -> Result<Self, InvalidId> {
        let kind = check_id("memory_type", raw, 100)?.to_lowercase();
        Ok(Self(super::mapping::memory_kind(&kind).to_owned()))
    }

    /// Whether a memory of this kind replaces the one before it: a summary, a state, a plan.
    pub fn is_snapshot(&self) -> bool {
        ["emotional_state", "session_summary", "treatment_plan"].contains(&self.as_str())
    }

    /// The kind's name in Zep.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The origin of a record's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeOrigin {
    /// Stated by the source, or the time of a live write.
    #[default]
    Given,
    /// Not stated: inferred from neighbouring records.
    Inferred,
}

/// A record as it is read back: whole, regardless of the parts it was stored in.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Zep's id of its first part.
    pub id: Uuid,
    /// Its record id, if this program wrote it.
    pub record_id: Option<String>,
    /// The speaker's role, in the source's own word where there is one (`original_role`).
    pub role: String,
    /// The speaker's name.
    pub name: Option<String>,
    /// The whole content.
    pub content: String,
    /// The time; absent if the source did not state one.
    pub created_at: Option<Timestamp>,
    /// When it was last changed, here or before it was migrated.
    pub updated_at: Option<Timestamp>,
    /// The kind of memory.
    pub memory_type: Option<String>,
    /// The caller's metadata, whole, without our keys.
    pub metadata: Map<String, Value>,
    /// Whether parts are missing: the write was interrupted and not continued yet.
    pub incomplete: bool,
    /// Whether it waits here until Zep has it.
    pub pending: bool,
}

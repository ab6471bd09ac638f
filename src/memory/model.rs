//! The domain's nouns: whose memory, which session, what kind, and who asks.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use crate::memory::access::Caller;
use crate::memory::record::fit::Carrier;
pub use crate::zep::{GraphId, InvalidId, MAX_ID_CHARS, Owner, UserId, Uuid};
use crate::zep::{ThreadId, check_id, id_type};

/// Stands between session and user in the id of a thread whose plain id was taken by somebody else.
const QUALIFIER: &str = "::zm::";
/// The session of messages that name none.
const DEFAULT_SESSION: &str = "default";
/// What an agent's graph is called: this and the agent's id.
const AGENT_GRAPH_PREFIX: &str = "mem0-agent-";
/// What the graph is called that says that there is an app: this and the app's id.
const APP_GRAPH_PREFIX: &str = "mem0-app-";
/// The longest record id, in characters: room for a source's own id and our suffix.
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
    /// Identifies one record for ever: everything we write carries it as `zm_id`, all parts of one
    /// record the same.
    RecordId, "idempotency_key", MAX_RECORD_ID_CHARS
);

impl RecordId {
    /// A new one for a live write: a UUIDv7.
    pub fn fresh() -> Self {
        Self::from_trusted(uuid::Uuid::now_v7().to_string())
    }

    /// The id of the `index`th message of a call whose key this is.
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
    /// [`InvalidId`] as for every id, and if it contains `::zm::`, which is how ours are qualified.
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

    /// Where messages go that name no session.
    pub fn default_session() -> Self {
        Self(DEFAULT_SESSION.to_owned())
    }

    /// Whether this is the session of messages that name none: its thread is always qualified.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT_SESSION
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The thread of the same name, which may be another user's.
    pub fn plain_thread(&self) -> ThreadId {
        thread_id(&self.0)
    }

    /// The thread that can only be this user's.
    pub fn qualified_thread(&self, user: &UserId) -> ThreadId {
        thread_id(&format!("{}{QUALIFIER}{user}", self.0))
    }

    /// The session that a thread of this user is, as its users call it.
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
    /// The graph that holds what this agent remembers for itself.
    pub fn graph(&self) -> GraphId {
        GraphId::new(&format!("{AGENT_GRAPH_PREFIX}{self}"))
            .unwrap_or_else(|_| unreachable!("made of checked ids"))
    }

    /// The agent whose graph this is, as it was named.
    pub fn of_graph(graph: &GraphId) -> Option<String> {
        let agent = graph.as_str().strip_prefix(AGENT_GRAPH_PREFIX)?;
        Some(agent.to_owned())
    }
}

impl AppId {
    /// The graph that says that there is this app. It is empty: an app's memories are its users'.
    pub fn graph(&self) -> GraphId {
        GraphId::new(&format!("{APP_GRAPH_PREFIX}{self}"))
            .unwrap_or_else(|_| unreachable!("made of checked ids"))
    }

    /// The app that this graph tells of, as it was named.
    pub fn of_graph(graph: &GraphId) -> Option<String> {
        let app = graph.as_str().strip_prefix(APP_GRAPH_PREFIX)?;
        Some(app.to_owned())
    }
}

/// What somebody named when they asked for a memory: any of the four, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Whose memory.
    pub user: Option<UserId>,
    /// Which agent's.
    pub agent: Option<AgentId>,
    /// Of which app.
    pub app: Option<AppId>,
    /// Of which session (mem0: run).
    pub session: Option<SessionId>,
}

impl Scope {
    /// Whose graph this names. The default user is put in except where an agent stands without a
    /// user and without a session (as in mem0).
    pub fn owner(&self, default_user: &UserId) -> Owner {
        match (&self.user, &self.agent, &self.session) {
            (Some(user), _, _) => Owner::User(user.clone()),
            (None, Some(agent), None) => Owner::Graph(agent.graph()),
            (None, _, _) => Owner::User(default_user.clone()),
        }
    }
}

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a session, as messages.
    Session(UserId, SessionId),
    /// In an owner's graph, as episodes.
    Graph(Owner),
}

impl Place {
    /// Whose it is.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Session(user, _) => Owner::User(user.clone()),
            Self::Graph(owner) => owner.clone(),
        }
    }

    /// The session, where it is one.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Session(_, session) => Some(session),
            Self::Graph(_) => None,
        }
    }

    /// What a record becomes there.
    pub(crate) fn carrier(&self) -> Carrier {
        match self {
            Self::Session(..) => Carrier::Message,
            Self::Graph(_) => Carrier::Episode,
        }
    }
}

/// What kind of memory a record is (guide: memory type mapping). Others pass as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemoryKind(String);

impl MemoryKind {
    /// The known kinds, as they stand in Zep.
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

    /// The kind as it stands in Zep.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeOrigin {
    /// It was said, or it is the time of a live write.
    #[default]
    Given,
    /// Nobody said: it was taken from what stands beside the record.
    Inferred,
}

/// A record as it is read back: whole, whatever number of parts it was stored in.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Zep's id of its first part.
    pub id: Uuid,
    /// Our id, for records that we wrote.
    pub record_id: Option<String>,
    /// Who speaks, in the source's own word where it has one (`original_role`).
    pub role: String,
    /// The speaker's name.
    pub name: Option<String>,
    /// What was said, whole.
    pub content: String,
    /// When; absent where the source did not say.
    pub created_at: Option<Timestamp>,
    /// What kind of memory.
    pub memory_type: Option<String>,
    /// The caller's metadata, whole, without ours.
    pub metadata: Map<String, Value>,
    /// Whether some of its parts are missing: the write was interrupted and not continued yet.
    pub incomplete: bool,
}

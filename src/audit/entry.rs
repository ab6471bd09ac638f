//! What an entry says.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a caller was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// As the one who started this process: over stdin and stdout, or on the command line.
    Process,
    /// Not at all: a network server without authentication, for its own machine only.
    None,
    /// By a token of this server.
    Token,
    /// By a token that an issuer signed.
    Oauth,
}

impl Proof {
    /// Its name in the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::None => "none",
            Self::Token => "token",
            Self::Oauth => "oauth",
        }
    }
}

/// Who makes calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The name of the token's entry, `MCP_AUTH_TOKEN`, the issuer's subject, `local` or `operator`.
    pub name: Arc<str>,
    /// The role.
    pub role: &'static str,
    /// How the caller was recognised.
    pub proof: Proof,
}

impl Who {
    /// The operator who started this process.
    pub fn operator() -> Self {
        Self {
            name: "operator".into(),
            role: "operator",
            proof: Proof::Process,
        }
    }
}

/// Where a call arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A tool of MCP.
    Mcp,
    /// A route over HTTP.
    Http,
    /// A command of this program.
    Command,
    /// The trail itself: what became of its own files.
    Trail,
}

impl Door {
    /// Its name in the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Http => "http",
            Self::Command => "command",
            Self::Trail => "trail",
        }
    }
}

/// What was done, or was to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Memories were read.
    Read,
    /// Memories were added or changed.
    Write,
    /// Memories were migrated, or a migration was validated.
    Migrate,
    /// Memories were deleted.
    Delete,
    /// A session was opened.
    Login,
    /// A request was refused before it reached a tool or a route.
    Refusal,
    /// The trail's own files changed.
    Trail,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Migrate,
        Self::Delete,
        Self::Login,
        Self::Refusal,
        Self::Trail,
    ];

    /// Its name in the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Migrate => "migrate",
            Self::Delete => "delete",
            Self::Login => "login",
            Self::Refusal => "refusal",
            Self::Trail => "trail",
        }
    }
}

/// Whose memories. An agent's and an app's are graphs in Zep.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A user, by id.
    User(String),
    /// An agent's own memories, by the agent's id.
    Agent(String),
    /// An app, by id.
    App(String),
    /// A graph of another kind, by id.
    Graph(String),
}

impl Owner {
    /// The kind and the id.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::User(id) => ("user", id),
            Self::Agent(id) => ("agent", id),
            Self::App(id) => ("app", id),
            Self::Graph(id) => ("graph", id),
        }
    }
}

/// An owner, and the strongest right on its memories that the call used or asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedOwner {
    /// The owner.
    #[serde(flatten)]
    pub owner: Owner,
    /// The right.
    pub right: Action,
}

/// What the trail says of its own files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrailNote {
    /// These entries were removed, since they were older than is kept.
    RemovedByAge {
        /// The first entry's number.
        first: u64,
        /// The last entry's number.
        last: u64,
        /// The last entry's hash.
        last_hash: String,
    },
    /// A line that a killed process or a full disk left unfinished was cut off.
    HalfLineCut {
        /// Its length.
        bytes: u64,
    },
    /// These entries had been written, and were not there any more.
    EntriesLost {
        /// The first entry's number.
        first: u64,
        /// The last entry's number.
        last: u64,
    },
    /// The last line was not the one that had been written.
    LastLineChanged,
    /// The note of where the trail ends was not there.
    HeadMissing,
    /// So many entries could not be kept while the trail could not be written.
    EntriesDropped {
        /// How many.
        count: u64,
    },
}

/// What was done, by whom, to whose memories. Holds no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The caller's name; absent if the caller was not recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Arc<str>>,
    /// The caller's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Cow<'static, str>>,
    /// How the caller was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Proof>,
    /// Where the call arrived.
    pub door: Door,
    /// The tool, the method and the route, or the command.
    pub call: Cow<'static, str>,
    /// What was done.
    pub action: Action,
    /// Whose memories, at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<TouchedOwner>,
    /// How many owners there were beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owners_more: u64,
    /// The sessions that the call named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<String>,
    /// Ids of memories that the call named or was answered, at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// How many ids there were beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ids_more: u64,
    /// `ok`, or the code of the error.
    pub outcome: Cow<'static, str>,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// How many requests this entry stands for, if more than one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u64,
    /// What became of the trail's own files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<TrailNote>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Entry {
    /// An entry that names nobody yet.
    pub fn new(door: Door, call: impl Into<Cow<'static, str>>, action: Action) -> Self {
        Self {
            who: None,
            role: None,
            auth: None,
            door,
            call: call.into(),
            action,
            owners: Vec::new(),
            owners_more: 0,
            sessions: Vec::new(),
            ids: Vec::new(),
            ids_more: 0,
            outcome: "ok".into(),
            micros: 0,
            request: None,
            count: 0,
            note: None,
        }
    }

    /// The same, of this caller.
    #[must_use]
    pub fn by(mut self, who: &Who) -> Self {
        self.who = Some(Arc::clone(&who.name));
        self.role = Some(who.role.into());
        self.auth = Some(who.proof);
        self
    }

    /// An entry on the trail's own files.
    pub(super) fn of_trail(note: TrailNote) -> Self {
        Self {
            note: Some(note),
            ..Self::new(Door::Trail, "audit", Action::Trail)
        }
    }

    /// Its JSON, without a line break.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("texts and numbers"))
    }
}

/// In an HTTP response's extensions: how the request ended, `ok` or the code of an error. Without it the
/// status tells.
#[derive(Debug, Clone)]
pub struct OutcomeCode(pub Cow<'static, str>);

/// A line of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When the call ended.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

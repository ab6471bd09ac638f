//! Authorisation. Every service method takes a [`Caller`]; what a caller may do is decided here and
//! nowhere else.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use crate::audit::{self, Action, touched};
use crate::memory::{
    Error, Result,
    model::{AgentId, AppId, GraphId, Owner, UserId},
};

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The operator who started this process; may act for everybody. The only caller over stdio.
    Operator,
    /// The holder of a token.
    Granted(Arc<Grant>),
}

/// What a token's holder may do within their reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Read.
    Reader,
    /// Also add and change.
    Writer,
    /// Also delete, and migrate.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Writer, Self::Operator];

    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Operator => "operator",
        }
    }

    fn may(self, right: Right) -> bool {
        match right {
            Right::Read => true,
            Right::Write => self >= Self::Writer,
            Right::Delete | Right::Migrate => self >= Self::Operator,
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| "must be `reader`, `writer` or `operator`".to_owned())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An action that needs a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read memories.
    Read,
    /// Add or change memories.
    Write,
    /// Delete memories.
    Delete,
    /// Migrate memories, or validate a migration.
    Migrate,
}

impl Right {
    /// The action, for error texts.
    fn as_words(self) -> &'static str {
        match self {
            Self::Read => "reading memories",
            Self::Write => "adding and changing memories",
            Self::Delete => "deleting",
            Self::Migrate => "migrations",
        }
    }

    /// The lowest role that has this right.
    fn role(self) -> Role {
        match self {
            Self::Read => Role::Reader,
            Self::Write => Role::Writer,
            Self::Delete | Self::Migrate => Role::Operator,
        }
    }
}

/// A set of ids, or all ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Allowed<T> {
    /// All, future ones included.
    All,
    /// Only these.
    These(BTreeSet<T>),
}

impl<T: Ord> Allowed<T> {
    /// Whether the id is in the set.
    pub fn includes(&self, id: &T) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The holder's role.
    pub role: Role,
    /// The users within reach.
    pub users: Allowed<UserId>,
    /// The agents within reach: their own memories belong to no user. An operator of all users
    /// reaches all agents.
    pub agents: Allowed<AgentId>,
    /// The apps that may be listed and deleted; an app's memories belong to users. An operator of
    /// all users reaches all apps.
    pub apps: Allowed<AppId>,
}

impl Grant {
    fn reaches(&self, owner: &Owner) -> bool {
        match owner {
            Owner::User(user) => self.users.includes(user),
            Owner::Graph(_) if self.reaches_every_graph() => true,
            // Only graphs of agents and apps. An id that changes when trimmed names another graph.
            Owner::Graph(graph) => {
                let agent = AgentId::of_graph(graph)
                    .and_then(|id| AgentId::new(&id).ok())
                    .filter(|agent| agent.graph() == *graph);
                let app = AppId::of_graph(graph)
                    .and_then(|id| AppId::new(&id).ok())
                    .filter(|app| app.graph() == *graph);
                agent.is_some_and(|agent| self.agents.includes(&agent))
                    || app.is_some_and(|app| self.apps.includes(&app))
            }
        }
    }

    fn reaches_every_graph(&self) -> bool {
        self.role == Role::Operator && self.users == Allowed::All
    }
}

impl Caller {
    /// A caller who reaches nobody.
    pub fn nobody() -> Self {
        Self::Granted(Arc::new(Grant {
            role: Role::Reader,
            users: Allowed::These(BTreeSet::new()),
            agents: Allowed::These(BTreeSet::new()),
            apps: Allowed::These(BTreeSet::new()),
        }))
    }

    /// Checks a right on an owner's memories, to use it. Noted for the audit trail, also if it is refused.
    ///
    /// # Errors
    /// [`Error::Forbidden`] that says what is missing.
    pub fn may(&self, right: Right, owner: &Owner) -> Result<()> {
        note(right, owner);
        self.check(right, owner)
    }

    fn check(&self, right: Right, owner: &Owner) -> Result<()> {
        let Self::Granted(grant) = self else {
            return Ok(());
        };
        if !grant.reaches(owner) {
            let whose = match owner {
                Owner::User(user) => format!("user `{user}`"),
                Owner::Graph(graph) => match (AgentId::of_graph(graph), AppId::of_graph(graph)) {
                    (Some(agent), _) => format!("the own memories of agent `{agent}`"),
                    (None, Some(app)) => format!("app `{app}`"),
                    (None, None) => format!("graph `{graph}`"),
                },
            };
            return Err(Error::OutOfReach { whose });
        }
        self.may_at_all(right)
    }

    /// Checks a right regardless of owner.
    ///
    /// # Errors
    /// [`Error::Forbidden`] that names the role needed.
    pub fn may_at_all(&self, right: Right) -> Result<()> {
        match self {
            Self::Granted(grant) if !grant.role.may(right) => Err(Error::Forbidden {
                reason: format!(
                    "this token is a {}'s, and {} needs the role {}",
                    grant.role,
                    right.as_words(),
                    right.role()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Whether this caller may read this owner's memories. Of those that are read then, the reader makes
    /// a note.
    pub fn reaches(&self, owner: &Owner) -> bool {
        self.check(Right::Read, owner).is_ok()
    }

    /// Whether this caller reaches all users.
    pub(crate) fn reaches_every_user(&self) -> bool {
        self.listed_users().is_none()
    }

    /// The users within reach, unless all are.
    pub(crate) fn listed_users(&self) -> Option<&BTreeSet<UserId>> {
        match self {
            Self::Granted(grant) => match &grant.users {
                Allowed::These(users) => Some(users),
                Allowed::All => None,
            },
            Self::Operator => None,
        }
    }

    /// The agents within reach, unless all are.
    pub(crate) fn listed_agents(&self) -> Option<&BTreeSet<AgentId>> {
        match self {
            Self::Granted(grant) => match &grant.agents {
                _ if self.reaches_every_agent() => None,
                Allowed::These(agents) => Some(agents),
                Allowed::All => None,
            },
            Self::Operator => None,
        }
    }

    /// The graphs of agents and apps within reach, unless all are.
    pub(crate) fn listed_graphs(&self) -> Option<BTreeSet<GraphId>> {
        let agents = self.listed_agents()?;
        match self {
            Self::Granted(grant) => match &grant.apps {
                Allowed::These(apps) => {
                    let agents = agents.iter().map(AgentId::graph);
                    Some(agents.chain(apps.iter().map(AppId::graph)).collect())
                }
                Allowed::All => None,
            },
            Self::Operator => None,
        }
    }

    /// Whether this caller reaches all agents' own memories.
    pub(crate) fn reaches_every_agent(&self) -> bool {
        match self {
            Self::Operator => true,
            Self::Granted(grant) => grant.reaches_every_graph() || grant.agents == Allowed::All,
        }
    }

    /// The user meant if none is named: the caller's only user, else the server's default.
    pub(crate) fn default_user<'a>(&'a self, servers: &'a UserId) -> &'a UserId {
        match self.listed_users() {
            Some(users) if users.len() == 1 && !users.contains(servers) => {
                users.first().unwrap_or(servers)
            }
            _ => servers,
        }
    }
}

/// Notes for the audit trail that a right on an owner's memories is used, or asked for.
pub(crate) fn note(right: Right, owner: &Owner) {
    let action = match right {
        Right::Read => Action::Read,
        Right::Write => Action::Write,
        Right::Delete => Action::Delete,
        Right::Migrate => Action::Migrate,
    };
    touched::owner(action, || match owner {
        Owner::User(user) => audit::Owner::User(user.to_string()),
        Owner::Graph(graph) => match (AgentId::of_graph(graph), AppId::of_graph(graph)) {
            (Some(agent), _) => audit::Owner::Agent(agent),
            (None, Some(app)) => audit::Owner::App(app),
            (None, None) => audit::Owner::Graph(graph.to_string()),
        },
    });
}

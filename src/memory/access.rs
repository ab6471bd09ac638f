//! Who may do what. Every method of the service takes a [`Caller`], so that no door can forget to
//! say who asks; what they may is decided here and nowhere else.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use crate::memory::{
    Error, Result,
    model::{AgentId, AppId, GraphId, Owner, UserId},
};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The one who started this process, and so may act for everybody: over stdio there is nobody
    /// else.
    Operator,
    /// Somebody who showed a token.
    Granted(Arc<Grant>),
}

/// What somebody may do with what is theirs to reach.
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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Writer, Self::Operator];

    /// The word for it.
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

/// What is to be done with somebody's memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Look at them.
    Read,
    /// Add some, or change one.
    Write,
    /// Delete some.
    Delete,
    /// Move them over, or compare them with where they came from.
    Migrate,
}

impl Right {
    /// What a role is needed for, in words.
    fn as_words(self) -> &'static str {
        match self {
            Self::Read => "reading memories",
            Self::Write => "adding and changing memories",
            Self::Delete => "deleting",
            Self::Migrate => "migrations",
        }
    }

    /// The least role that has it.
    fn role(self) -> Role {
        match self {
            Self::Read => Role::Reader,
            Self::Write => Role::Writer,
            Self::Delete | Self::Migrate => Role::Operator,
        }
    }
}

/// Some of all there are, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed<T> {
    /// Everybody, those to come included.
    All,
    /// These.
    These(BTreeSet<T>),
}

impl<T: Ord> Allowed<T> {
    /// Whether it is among them.
    pub fn includes(&self, id: &T) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What its holder may do.
    pub role: Role,
    /// For whom.
    pub users: Allowed<UserId>,
    /// With which agents' own memories, which belong to no user. An operator of all users may with
    /// all.
    pub agents: Allowed<AgentId>,
    /// Which apps may be listed and deleted; the memories of an app are users'. An operator of all
    /// users reaches all.
    pub apps: Allowed<AppId>,
}

impl Grant {
    fn reaches(&self, owner: &Owner) -> bool {
        match owner {
            Owner::User(user) => self.users.includes(user),
            Owner::Graph(_) if self.reaches_every_graph() => true,
            // Only agents' and apps' graphs: others are none of ours. An id that is trimmed names
            // another graph.
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
    /// Somebody who may reach nobody.
    pub fn nobody() -> Self {
        Self::Granted(Arc::new(Grant {
            role: Role::Reader,
            users: Allowed::These(BTreeSet::new()),
            agents: Allowed::These(BTreeSet::new()),
            apps: Allowed::These(BTreeSet::new()),
        }))
    }

    /// Whether this caller may do this with this owner's memories.
    ///
    /// # Errors
    /// [`Error::Forbidden`] that says what is missing.
    pub fn may(&self, right: Right, owner: &Owner) -> Result<()> {
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
            return Err(Error::Forbidden {
                reason: format!("this token does not reach {whose}"),
            });
        }
        self.may_at_all(right)
    }

    /// Whether this caller's role has this right at all, whoever it is about.
    ///
    /// # Errors
    /// [`Error::Forbidden`] that names the role that is needed.
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

    /// Whether this caller may look at this owner's memories.
    pub fn reaches(&self, owner: &Owner) -> bool {
        self.may(Right::Read, owner).is_ok()
    }

    /// Whether this caller reaches all users, and so may look at an id whosesoever it is.
    pub(crate) fn reaches_every_user(&self) -> bool {
        self.listed_users().is_none()
    }

    /// The users whom this caller can reach, where that is a list.
    pub(crate) fn listed_users(&self) -> Option<&BTreeSet<UserId>> {
        match self {
            Self::Granted(grant) => match &grant.users {
                Allowed::These(users) => Some(users),
                Allowed::All => None,
            },
            Self::Operator => None,
        }
    }

    /// The agents whose own memories this caller can reach, where that is a list.
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

    /// The graphs of agents and apps that this caller can reach, where that is a list.
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

    /// The user that is meant where none is named: the caller's only one, else the server's.
    pub(crate) fn default_user<'a>(&'a self, servers: &'a UserId) -> &'a UserId {
        match self.listed_users() {
            Some(users) if users.len() == 1 && !users.contains(servers) => {
                users.first().unwrap_or(servers)
            }
            _ => servers,
        }
    }
}

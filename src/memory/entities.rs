//! Listing whose memories there are.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Result, fit,
    model::{AgentId, Caller, GraphId, Owner, SessionId, UserId},
    service::MemoryService,
};
use crate::zep::PageNumber;

/// The most entities of each kind that are listed. Ours.
pub const MAX_ENTITIES: usize = 1_000;
/// How many are asked for at a time.
const PAGE: u32 = 100;

/// What kind of entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityKind {
    /// A person.
    User,
    /// An agent with memories of its own.
    Agent,
    /// A session.
    Run,
}

impl EntityKind {
    /// mem0's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Run => "run",
        }
    }
}

/// Something that memories are of.
#[derive(Debug, Clone)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Its id, as the application named it.
    pub id: String,
    /// A user's name, else the id.
    pub name: String,
    /// Of a session: whose it is.
    pub user: Option<String>,
    /// Of a user: how many sessions they have, if all sessions were listed.
    pub sessions: Option<u64>,
    /// A user's fields.
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was changed last, where that is known.
    pub updated_at: Option<Timestamp>,
}

/// Whose memories there are.
#[derive(Debug, Clone, Default)]
pub struct Entities {
    /// Users, agents, then sessions; each kind oldest first, as Zep lists them.
    pub entities: Vec<Entity>,
    /// How many users there are.
    pub users: u64,
    /// How many agents have memories of their own.
    pub agents: u64,
    /// How many sessions there are.
    pub runs: u64,
    /// Whether there are more than are listed: 1,000 of each kind.
    pub truncated: bool,
}

impl MemoryService {
    /// The users, agents and sessions that there are. Apps are only named in memories, and so in no
    /// list of Zep's.
    ///
    /// # Errors
    /// Whatever the backend says.
    pub async fn entities(&self, caller: &Caller) -> Result<Entities> {
        let mut all = Entities::default();
        let mut users = self.users(caller, &mut all).await?;
        let agents = self.agents(caller, &mut all).await?;
        let runs = self.runs(caller, &mut all).await?;
        if runs.len() as u64 == all.runs {
            let mut of_user: HashMap<&str, u64> = HashMap::new();
            for user in runs.iter().filter_map(|run| run.user.as_deref()) {
                *of_user.entry(user).or_default() += 1;
            }
            for user in &mut users {
                user.sessions = Some(of_user.get(user.id.as_str()).copied().unwrap_or(0));
            }
        }
        all.entities = users;
        all.entities.extend(agents);
        all.entities.extend(runs);
        Ok(all)
    }

    async fn users(&self, caller: &Caller, all: &mut Entities) -> Result<Vec<Entity>> {
        let mut found = Vec::new();
        for number in 1.. {
            let page = self.zep().list_users(page(number)).await?;
            let last = page.users.len() < PAGE as usize;
            for user in page.users {
                let Some(id) = user.user_id else { continue };
                if !may_reach(caller, UserId::new(&id).ok().map(Owner::User)) {
                    continue;
                }
                let names = [user.first_name, user.last_name];
                let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
                found.push(Entity {
                    kind: EntityKind::User,
                    name: if name.is_empty() { id.clone() } else { name },
                    id,
                    user: None,
                    sessions: None,
                    metadata: user
                        .metadata
                        .as_ref()
                        .map(fit::unpack_flat)
                        .unwrap_or_default(),
                    created_at: user.created_at,
                    updated_at: user.updated_at,
                });
            }
            if last || found.len() >= MAX_ENTITIES {
                all.truncated |= !last;
                all.users = page.total_count.unwrap_or(0).max(found.len() as u64);
                break;
            }
        }
        Ok(found)
    }

    async fn agents(&self, caller: &Caller, all: &mut Entities) -> Result<Vec<Entity>> {
        let mut found = Vec::new();
        for number in 1.. {
            let graphs = self.zep().list_graphs(page(number)).await?.graphs;
            let last = graphs.len() < PAGE as usize;
            for graph in graphs {
                let id = graph.graph_id.and_then(|id| GraphId::new(&id).ok());
                // Graphs of other programs are none of ours.
                let Some((id, agent)) = id.and_then(|id| {
                    let agent = AgentId::of_graph(&id)?;
                    Some((id, agent))
                }) else {
                    continue;
                };
                if may_reach(caller, Some(Owner::Graph(id))) {
                    found.push(Entity {
                        kind: EntityKind::Agent,
                        name: agent.clone(),
                        id: agent,
                        user: None,
                        sessions: None,
                        metadata: Map::new(),
                        created_at: graph.created_at,
                        updated_at: None,
                    });
                }
            }
            if last || found.len() >= MAX_ENTITIES {
                all.truncated |= !last;
                break;
            }
        }
        all.agents = found.len() as u64;
        Ok(found)
    }

    async fn runs(&self, caller: &Caller, all: &mut Entities) -> Result<Vec<Entity>> {
        let mut found = Vec::new();
        for number in 1.. {
            let page = self.zep().list_threads(page(number)).await?;
            let last = page.threads.len() < PAGE as usize;
            for thread in page.threads {
                let user = thread.user_id.and_then(|id| UserId::new(&id).ok());
                // A thread whose owner Zep does not tell is nobody's.
                let (Some(id), Some(user)) = (thread.thread_id, user) else {
                    continue;
                };
                if may_reach(caller, Some(Owner::User(user.clone()))) {
                    let session = SessionId::of_thread(&id, &user);
                    found.push(Entity {
                        kind: EntityKind::Run,
                        name: session.clone(),
                        id: session,
                        user: Some(user.to_string()),
                        sessions: None,
                        metadata: Map::new(),
                        created_at: thread.created_at,
                        updated_at: None,
                    });
                }
            }
            if last || found.len() >= MAX_ENTITIES {
                all.truncated |= !last;
                all.runs = page.total_count.unwrap_or(0).max(found.len() as u64);
                break;
            }
        }
        Ok(found)
    }
}

fn page(number: u32) -> PageNumber {
    PageNumber { number, size: PAGE }
}

fn may_reach(caller: &Caller, owner: Option<Owner>) -> bool {
    owner.is_some_and(|owner| caller.reaches(&owner))
}

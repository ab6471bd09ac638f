//! Listing whose memories there are.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::memory::{
    Result,
    model::{AgentId, AppId, Caller, GraphId, Owner, SessionId, UserId},
    people::owners::MAX_OWNERS,
    read::by_id::or_nothing,
    record::fit,
    service::MemoryService,
};
use crate::zep::{self, Outcome, PageNumber};

/// The most entities of each kind that are listed. Ours.
pub const MAX_ENTITIES: usize = 1_000;
/// How many are asked for at a time.
const PAGE: u32 = 100;
/// How often it is tried again to make the graph by which an agent or app is listed; after one, two
/// and four seconds.
const RETRIES: usize = 3;
/// How long that may take in all: whoever stops the server waits for it.
const RETRIED_FOR: Duration = Duration::from_secs(20);

/// What kind of entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityKind {
    /// A person.
    User,
    /// An agent.
    Agent,
    /// An app.
    App,
    /// A session.
    Run,
}

impl EntityKind {
    /// mem0's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::App => "app",
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
    /// Users, agents, apps, then sessions; each kind oldest first, as Zep lists them.
    pub entities: Vec<Entity>,
    /// How many users there are.
    pub users: u64,
    /// How many agents there are.
    pub agents: u64,
    /// How many apps there are.
    pub apps: u64,
    /// How many sessions there are.
    pub runs: u64,
    /// Whether there are more than are listed: 1,000 of each kind, or, for a caller who reaches some
    /// users or agents only, those of the first 100 of them.
    pub truncated: bool,
}

impl MemoryService {
    /// The users, agents, apps and sessions that there are, as far as the caller reaches them; nobody
    /// else is asked about or counted. An agent or app is known by its graph, which is made with the
    /// first memory that names it, and may be empty: then its memories are users'.
    ///
    /// # Errors
    /// Whatever the backend says.
    pub async fn entities(&self, caller: &Caller) -> Result<Entities> {
        let mut all = Entities::default();
        let mut users = self.users(caller, &mut all).await?;
        let agents = self.agents_and_apps(caller, &mut all).await?;
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
        if let Some(listed) = caller.listed_users() {
            let mut found = Vec::new();
            for user in first(listed, all) {
                found.extend(or_nothing(self.zep().user(user).await)?.and_then(of_user));
            }
            found.sort_by_key(|user| user.created_at);
            all.users = found.len() as u64;
            return Ok(found);
        }
        let mut found = Vec::new();
        for number in 1.. {
            let page = self.zep().list_users(page(number)).await?;
            let last = page.users.len() < PAGE as usize;
            found.extend(page.users.into_iter().filter_map(of_user));
            if last || found.len() >= MAX_ENTITIES {
                all.truncated |= !last;
                all.users = page.total_count.unwrap_or(0).max(found.len() as u64);
                break;
            }
        }
        Ok(found)
    }

    async fn agents_and_apps(&self, caller: &Caller, all: &mut Entities) -> Result<Vec<Entity>> {
        let mut found = Vec::new();
        match caller.listed_graphs() {
            Some(listed) => {
                for graph in first(&listed, all) {
                    let graph = self.zep().graph(graph).await;
                    found.extend(or_nothing(graph)?.and_then(of_graph));
                }
                found.sort_by_key(|entity| entity.created_at);
            }
            None => self.reached_graphs(caller, all, &mut found).await?,
        }
        let (mut agents, apps): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|entity| entity.kind == EntityKind::Agent);
        all.agents = agents.len() as u64;
        all.apps = apps.len() as u64;
        agents.extend(apps);
        Ok(agents)
    }

    /// Those of all agents' and apps' graphs that the caller reaches.
    async fn reached_graphs(
        &self,
        caller: &Caller,
        all: &mut Entities,
        found: &mut Vec<Entity>,
    ) -> Result<()> {
        for number in 1.. {
            let graphs = self.zep().list_graphs(page(number)).await?.graphs;
            let last = graphs.len() < PAGE as usize;
            let reached = |graph: &zep::Graph| {
                let id = graph.graph_id.as_deref();
                let id = id.and_then(|id| GraphId::new(id).ok());
                id.is_some_and(|id| caller.reaches(&Owner::Graph(id)))
            };
            found.extend(graphs.into_iter().filter(reached).filter_map(of_graph));
            let most = |kind| {
                let of_kind = found.iter().filter(|entity| entity.kind == kind);
                of_kind.count() >= MAX_ENTITIES
            };
            if last || most(EntityKind::Agent) || most(EntityKind::App) {
                all.truncated |= !last;
                break;
            }
        }
        Ok(())
    }

    async fn runs(&self, caller: &Caller, all: &mut Entities) -> Result<Vec<Entity>> {
        if let Some(listed) = caller.listed_users() {
            let mut found = Vec::new();
            for user in first(listed, all) {
                let threads = or_nothing(self.zep().user_threads(user).await)?;
                found.extend(threads.into_iter().flatten().filter_map(of_thread));
            }
            found.sort_by_key(|run| run.created_at);
            all.truncated |= found.len() > MAX_ENTITIES;
            all.runs = found.len() as u64;
            found.truncate(MAX_ENTITIES);
            return Ok(found);
        }
        let mut found = Vec::new();
        for number in 1.. {
            let page = self.zep().list_threads(page(number)).await?;
            let last = page.threads.len() < PAGE as usize;
            found.extend(page.threads.into_iter().filter_map(of_thread));
            if last || found.len() >= MAX_ENTITIES {
                all.truncated |= !last;
                all.runs = page.total_count.unwrap_or(0).max(found.len() as u64);
                break;
            }
        }
        Ok(found)
    }
}

impl MemoryService {
    /// Tells Zep of agents and apps that memories are marked with, so that they are listed: behind the
    /// caller's back, and once for each. A memory is no less stored if that fails.
    pub(crate) fn tell_of(&self, named: BTreeSet<GraphId>) {
        for graph in named {
            if self.inner.told.contains(&graph) {
                continue;
            }
            self.inner.told.insert(graph.clone(), ());
            let service = self.clone();
            self.inner.writes.spawn(async move {
                let description = "Memories are marked with this name";
                let name = graph.as_str();
                let make = || async {
                    let made = service.zep().create_graph(&graph, name, description).await;
                    match made {
                        Err(error) if !error.is_conflict() => Err(error),
                        _ => Ok(()),
                    }
                };
                // Made twice, it is there once.
                let made = make
                    .retry(ExponentialBuilder::default().with_max_times(RETRIES))
                    .when(|error| error.outcome() != Outcome::Refused);
                let code = match tokio::time::timeout(RETRIED_FOR, made).await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => error.code(),
                    Err(_) => "no_answer",
                };
                service.inner.told.remove(&graph);
                tracing::warn!(code, "an agent or app is not listed yet");
            });
        }
    }
}

/// As many of these as are asked about.
fn first<'a, T>(
    listed: &'a BTreeSet<T>,
    all: &mut Entities,
) -> impl Iterator<Item = &'a T> + use<'a, T> {
    all.truncated |= listed.len() > MAX_OWNERS;
    listed.iter().take(MAX_OWNERS)
}

fn of_user(user: zep::User) -> Option<Entity> {
    let id = user.user_id?;
    let names = [user.first_name, user.last_name];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(Entity {
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
    })
}

/// `None` for graphs of other programs, which are none of ours.
fn of_graph(graph: zep::Graph) -> Option<Entity> {
    let id = GraphId::new(&graph.graph_id?).ok()?;
    let (kind, name) = match (AgentId::of_graph(&id), AppId::of_graph(&id)) {
        (Some(agent), _) => (EntityKind::Agent, agent),
        (None, Some(app)) => (EntityKind::App, app),
        (None, None) => return None,
    };
    Some(Entity {
        kind,
        id: name.clone(),
        name,
        user: None,
        sessions: None,
        metadata: Map::new(),
        created_at: graph.created_at,
        updated_at: None,
    })
}

/// `None` for a thread whose owner Zep does not tell: it is nobody's.
fn of_thread(thread: zep::Thread) -> Option<Entity> {
    let user = UserId::new(&thread.user_id?).ok()?;
    let session = SessionId::of_thread(&thread.thread_id?, &user);
    Some(Entity {
        kind: EntityKind::Run,
        name: session.clone(),
        id: session,
        user: Some(user.to_string()),
        sessions: None,
        metadata: Map::new(),
        created_at: thread.created_at,
        updated_at: None,
    })
}

fn page(number: u32) -> PageNumber {
    PageNumber { number, size: PAGE }
}

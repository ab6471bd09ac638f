//! Lists the entities that have memories.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::memory::{
    Result,
    access::{self, Caller, Right},
    error::if_found,
    mem0::Named,
    model::{AgentId, AppId, GraphId, Owner, SessionId, UserId},
    people::owners::MAX_OWNERS,
    record::fit,
    service::MemoryService,
};
use crate::traces;
use crate::zep::{self, Graphs, Outcome};

/// The most entities of each kind in a list. Ours.
pub const MAX_ENTITIES: usize = 1_000;
/// How often creating a marker graph is retried; after one, two and four seconds.
const RETRIES: usize = 3;
/// The time limit of that: shutting down waits for it.
const RETRIED_FOR: Duration = Duration::from_secs(20);

/// The kind of an entity.
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

/// An entity that has memories.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Its kind.
    pub kind: EntityKind,
    /// Its id, as the application named it.
    pub id: String,
    /// A user's name, else the id.
    pub name: String,
    /// For a session: its user.
    pub user: Option<String>,
    /// For a user: how many sessions they have, if all sessions were listed.
    pub sessions: Option<u64>,
    /// For a user: their fields.
    pub metadata: Map<String, Value>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was last changed, if known.
    pub updated_at: Option<Timestamp>,
}

impl Entity {
    /// Notes for the audit trail that somebody learns of it.
    fn note_read(&self) {
        let id = self.user.as_ref().unwrap_or(&self.id);
        let owner = match self.kind {
            EntityKind::User => UserId::new(id).ok().map(Owner::User),
            EntityKind::Run if self.user.is_none() => None,
            EntityKind::Run => UserId::new(id).ok().map(Owner::User),
            EntityKind::Agent => AgentId::new(id).ok().map(|it| Owner::Graph(it.graph())),
            EntityKind::App => AppId::new(id).ok().map(|it| Owner::Graph(it.graph())),
        };
        if let Some(owner) = owner {
            access::note(Right::Read, &owner);
        }
    }
}

/// The entities that have memories.
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
    /// Whether there are more than listed: more than 1,000 of a kind, or, for a caller with limited
    /// reach, more than 100 users or agents.
    pub truncated: bool,
}

impl MemoryService {
    /// Lists users, agents, apps and sessions within the caller's reach; others are neither asked
    /// for nor counted. An agent or app is known by its graph, which is created with the first
    /// memory that names it and may be empty: then its memories belong to users.
    ///
    /// # Errors
    /// The backend's error.
    pub async fn entities(&self, caller: &Caller) -> Result<Entities> {
        let all = self.reached_entities(caller).await?;
        all.entities.iter().for_each(Entity::note_read);
        Ok(all)
    }

    async fn reached_entities(&self, caller: &Caller) -> Result<Entities> {
        let mut all = Entities::default();
        if self.only_mem0().is_some() {
            self.entities_of_mem0(caller, &mut all).await?;
            return Ok(all);
        }
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
        self.entities_of_mem0(caller, &mut all).await?;
        Ok(all)
    }

    /// Adds those that mem0 lists and Zep does not.
    async fn entities_of_mem0(&self, caller: &Caller, all: &mut Entities) -> Result<()> {
        let mut found = Vec::new();
        for Named { kind, id } in self.named_in_mem0().await? {
            let owner = match kind {
                "user" => UserId::new(&id).ok().map(Owner::User),
                "agent" => AgentId::new(&id).ok().map(|it| Owner::Graph(it.graph())),
                "app" => AppId::new(&id).ok().map(|it| Owner::Graph(it.graph())),
                _ => None,
            };
            let (kind, count) = match kind {
                "user" => (EntityKind::User, &mut all.users),
                "agent" => (EntityKind::Agent, &mut all.agents),
                "app" => (EntityKind::App, &mut all.apps),
                _ => (EntityKind::Run, &mut all.runs),
            };
            let is_reached = match &owner {
                Some(owner) => caller.reaches(owner),
                // mem0 does not say whose a run is.
                None => caller.reaches_every_user(),
            };
            let is_listed = |entity: &Entity| entity.kind == kind && entity.id == id;
            if !is_reached || all.entities.iter().any(is_listed) {
                continue;
            }
            *count += 1;
            if *count > MAX_ENTITIES as u64 {
                all.truncated = true;
                continue;
            }
            found.push(Entity {
                kind,
                name: id.clone(),
                id,
                user: None,
                sessions: None,
                metadata: Map::new(),
                created_at: None,
                updated_at: None,
            });
        }
        all.entities.extend(found);
        Ok(())
    }

    async fn users(&self, caller: &Caller, all: &mut Entities) -> Result<Vec<Entity>> {
        if let Some(listed) = caller.listed_users() {
            let mut found = Vec::new();
            for user in first(listed, all) {
                found.extend(if_found(self.zep().user(user).await)?.and_then(of_user));
            }
            found.sort_by_key(|user| user.created_at);
            all.users = found.len() as u64;
            return Ok(found);
        }
        let mut found = Vec::new();
        let mut pages = self.zep().users();
        while let Some(page) = pages.next().await? {
            found.extend(page.items.into_iter().filter_map(of_user));
            if page.is_last || found.len() >= MAX_ENTITIES {
                all.truncated |= !page.is_last;
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
                    found.extend(if_found(graph)?.and_then(of_graph));
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

    /// The graphs of agents and apps within the caller's reach.
    async fn reached_graphs(
        &self,
        caller: &Caller,
        all: &mut Entities,
        found: &mut Vec<Entity>,
    ) -> Result<()> {
        let mut pages = self.zep().graphs();
        while let Some(page) = pages.next().await? {
            let reached = |graph: &zep::Graph| {
                let id = graph.graph_id.as_deref();
                let id = id.and_then(|id| GraphId::new(id).ok());
                id.is_some_and(|id| caller.reaches(&Owner::Graph(id)))
            };
            found.extend(page.items.into_iter().filter(reached).filter_map(of_graph));
            let most = |kind| {
                let of_kind = found.iter().filter(|entity| entity.kind == kind);
                of_kind.count() >= MAX_ENTITIES
            };
            if page.is_last || most(EntityKind::Agent) || most(EntityKind::App) {
                all.truncated |= !page.is_last;
                break;
            }
        }
        Ok(())
    }

    async fn runs(&self, caller: &Caller, all: &mut Entities) -> Result<Vec<Entity>> {
        if let Some(listed) = caller.listed_users() {
            let mut found = Vec::new();
            for user in first(listed, all) {
                let threads = if_found(self.zep().user_threads(user).await)?;
                found.extend(threads.into_iter().flatten().filter_map(of_thread));
            }
            found.sort_by_key(|run| run.created_at);
            all.truncated |= found.len() > MAX_ENTITIES;
            all.runs = found.len() as u64;
            found.truncate(MAX_ENTITIES);
            return Ok(found);
        }
        let mut found = Vec::new();
        let mut pages = self.zep().threads();
        while let Some(page) = pages.next().await? {
            found.extend(page.items.into_iter().filter_map(of_thread));
            if page.is_last || found.len() >= MAX_ENTITIES {
                all.truncated |= !page.is_last;
                all.runs = page.total_count.unwrap_or(0).max(found.len() as u64);
                break;
            }
        }
        Ok(found)
    }
}

impl MemoryService {
    /// Creates the marker graph of an agent or app that memories to be migrated name, so that it is
    /// listed. Returns whether it was created.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn list_named(&self, caller: &Caller, graph: &GraphId) -> Result<bool> {
        caller.may_at_all(Right::Migrate)?;
        let made = create_marker(self.zep(), graph).await?;
        self.inner.told.insert(graph.clone(), ());
        Ok(made)
    }

    /// Creates the marker graphs of agents and apps named by memories, so that they are listed: in
    /// the background, once for each. A failure does not affect the stored memory.
    pub(crate) fn tell_of(&self, named: BTreeSet<GraphId>) {
        for graph in named {
            if self.inner.told.contains(&graph) {
                continue;
            }
            self.inner.told.insert(graph.clone(), ());
            let service = self.clone();
            let telling = async move {
                // Creating it twice leaves one.
                let made = (|| create_marker(service.zep(), &graph))
                    .retry(ExponentialBuilder::default().with_max_times(RETRIES))
                    .when(|error| error.outcome() != Outcome::Refused);
                let code = match tokio::time::timeout(RETRIED_FOR, made).await {
                    Ok(Ok(_)) => return,
                    Ok(Err(error)) => error.code(),
                    Err(_) => "no_answer",
                };
                service.inner.told.remove(&graph);
                tracing::warn!(code, "an agent or app is not listed yet");
            };
            self.inner.writes.spawn(traces::carried(telling));
        }
    }
}

/// Creates a marker graph. Returns whether it was created: it may exist.
async fn create_marker(zep: &dyn Graphs, graph: &GraphId) -> zep::Result<bool> {
    let description = "Memories are marked with this name";
    match zep.create_graph(graph, graph.as_str(), description).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// As many of these as may be asked for.
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

/// `None` for graphs of other programs.
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

/// `None` for a thread without a stated owner.
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

//! Deletes all memories of a scope, and entities with everything of theirs. Continues after
//! failures and reports them.

mod removal;
pub(crate) mod waiting;

use removal::{Marked, Purge};
use waiting::Waiting;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    model::{AgentId, AppId, GraphId, Owner, Scope, SessionId, UserId},
    service::MemoryService,
};
use crate::zep;

/// How many failures are listed.
const MAX_FAILURES: usize = 20;

/// One of mem0's entities: an owner or mark of memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityId {
    /// A user.
    User(UserId),
    /// An agent.
    Agent(AgentId),
    /// An app.
    App(AppId),
    /// A session of the default user.
    Run(SessionId),
}

impl EntityId {
    /// The owner whose memories are deleted with it.
    pub fn owner(&self, default_user: &UserId) -> Owner {
        match self {
            Self::User(user) => Owner::User(user.clone()),
            Self::Agent(agent) => Owner::Graph(agent.graph()),
            Self::App(app) => Owner::Graph(app.graph()),
            Self::Run(_) => Owner::User(default_user.clone()),
        }
    }
}

/// What a purge removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Whether the user or the agent's graph itself is gone.
    pub entity: bool,
    /// Sessions, with all their messages.
    pub sessions: u64,
    /// Messages in these sessions.
    pub messages: u64,
    /// Texts outside of sessions; a long text counts once for each of its parts.
    pub texts: u64,
    /// Facts that remained after their sources were deleted.
    pub facts: u64,
    /// What could not be deleted, and why: the first 20.
    pub failures: Vec<Failure>,
    /// How many more failed.
    pub failures_not_listed: u64,
    /// Whether that was in mem0, which counts nothing and finishes in the background.
    pub in_mem0: bool,
}

/// An item that could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The item, with its id.
    pub what: String,
    /// Why.
    pub error: String,
}

impl Purged {
    /// Nothing of mem0's yet.
    pub(crate) fn in_mem0() -> Self {
        Self {
            in_mem0: true,
            ..Self::default()
        }
    }

    /// Whether everything in the scope is gone.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    fn failed(&mut self, what: String, error: &zep::Error) {
        if self.failures.len() < MAX_FAILURES {
            let error = error.to_string();
            self.failures.push(Failure { what, error });
        } else {
            self.failures_not_listed += 1;
        }
    }
}

impl MemoryService {
    /// Deletes all memories in a scope: of a user, an agent, a session, or a user's app or agent;
    /// several ids mean their intersection. The user and the agent's graph remain. What is written
    /// meanwhile waits, and stays. Once begun it completes, even if the caller is gone.
    ///
    /// # Errors
    /// [`Error::SharedScope`] if a session holds memories inside and outside of the scope, since
    /// Zep deletes sessions whole: then nothing is deleted. [`Error::NoSession`], or the backend's
    /// error before anything is deleted. Later failures, those of listing included, are in
    /// [`Purged::failures`].
    pub async fn delete_all(&self, caller: &Caller, scope: &Scope) -> Result<Purged> {
        let owner = self.owner(caller, Right::Delete, scope)?;
        let (service, of, part) = (self.clone(), owner.clone(), scope.clone());
        let in_mem0 = async move { service.delete_all_in_mem0(&of, &part).await };
        if let Some(done) = self.complete(in_mem0).await? {
            return Ok(done);
        }
        let (service, scope) = (self.clone(), scope.clone());
        self.complete_change(async move {
            let waiting = service.waiting_in(&owner, &scope).await?;
            let _alone = service.alone_with(&owner).await?;
            let purged = service.purge(owner.clone(), &scope, waiting).await;
            // An earlier call may have emptied Zep and not have come to telling mem0.
            if let Ok(_) | Err(Error::NoSession { .. }) = purged {
                service.tell_emptied(&owner, &scope).await;
            }
            purged
        })
        .await
    }

    /// Deletes what waits, and what Zep has.
    async fn purge(
        &self,
        owner: Owner,
        scope: &Scope,
        mut waiting: Vec<Waiting>,
    ) -> Result<Purged> {
        let marks = Marked {
            // An agent's own graph needs no mark of the agent.
            agent: scope
                .agent
                .clone()
                .filter(|_| matches!(owner, Owner::User(_))),
            app: scope.app.clone(),
        };
        let mut purge = Purge {
            service: self,
            owner,
            done: Purged::default(),
        };
        // Of a part of a user's memories nothing is deleted if a session is shared.
        if !marks.any() {
            self.forget_waiting(std::mem::take(&mut waiting), &mut purge.done)
                .await?;
        }
        match (&purge.owner, &scope.session) {
            (Owner::User(user), Some(session)) => {
                // A cached resolution is not enough: the thread is deleted whole.
                self.inner.sessions.forget(user, session);
                let thread = self.inner.sessions.find(self.zep(), user, session).await?;
                let Some(thread) = thread else {
                    self.forget_waiting(waiting, &mut purge.done).await?;
                    return match purge.done == Purged::default() {
                        true => Err(Error::NoSession {
                            user: user.to_string(),
                            session: session.to_string(),
                        }),
                        // All of it waited.
                        false => Ok(purge.finish()),
                    };
                };
                if marks.any() {
                    purge.marked(&marks, Some(&thread), waiting).await?;
                } else {
                    purge.thread(&thread, None).await;
                }
            }
            _ if marks.any() => purge.marked(&marks, None, waiting).await?,
            _ => purge.everything().await?,
        }
        Ok(purge.finish())
    }

    /// Deletes an entity with everything of its own, as [`MemoryService::delete_all`] does. With an
    /// agent or app, the default user's memories of it are deleted; other users' memories that name
    /// it remain.
    ///
    /// # Errors
    /// [`Error::NoEntity`] if it does not exist, or as [`MemoryService::delete_all`].
    pub async fn delete_entity(&self, caller: &Caller, entity: EntityId) -> Result<Purged> {
        let owner = entity.owner(self.default_user(caller));
        caller.may(Right::Delete, &owner)?;
        let (service, asking, of, told) =
            (self.clone(), caller.clone(), owner.clone(), entity.clone());
        let in_mem0 = async move { service.delete_entity_in_mem0(&asking, &of, &told).await };
        if let Some(done) = self.complete(in_mem0).await? {
            return Ok(done);
        }
        let told = entity.clone();
        let purged = self.delete_entity_in_zep(caller, entity).await;
        // As above.
        if let Ok(_) | Err(Error::NoEntity { .. }) = purged {
            self.tell_gone(caller, &owner, &told).await;
        }
        purged
    }

    async fn delete_entity_in_zep(&self, caller: &Caller, entity: EntityId) -> Result<Purged> {
        match entity {
            EntityId::User(user) => self.delete_user(caller, &user).await,
            EntityId::Agent(agent) => self.delete_agent(caller, &agent).await,
            EntityId::App(app) => self.delete_app(caller, app).await,
            EntityId::Run(session) => {
                let scope = Scope {
                    session: Some(session.clone()),
                    ..Scope::default()
                };
                self.delete_all(caller, &scope)
                    .await
                    .map_err(|error| match error {
                        Error::NoSession { .. } => Error::NoEntity {
                            what: format!("run `{session}` of the default user"),
                        },
                        error => error,
                    })
            }
        }
    }

    async fn delete_user(&self, caller: &Caller, user: &UserId) -> Result<Purged> {
        let owner = Owner::User(user.clone());
        caller.may(Right::Delete, &owner)?;
        let (service, user) = (self.clone(), user.clone());
        self.complete_change(async move {
            let waiting = service.waiting_in(&owner, &Scope::default()).await?;
            let _alone = service.alone_with(&owner).await?;
            let mut cleared = Purged::default();
            service.forget_waiting(waiting, &mut cleared).await?;
            let absent = || match cleared == Purged::default() {
                true => Err(Error::NoEntity {
                    what: format!("user `{user}`"),
                }),
                // All of theirs waited.
                false => Ok(cleared.clone()),
            };
            let threads = match service.zep().user_threads(&user).await {
                Err(error) if error.is_not_found() => return absent(),
                threads => threads?,
            };
            match service.zep().delete_user(&user).await {
                Err(error) if error.is_not_found() => return absent(),
                done => done?,
            }
            service.forget_all();
            service.forget_ids(&owner).await;
            Ok(Purged {
                entity: true,
                sessions: threads.len() as u64,
                ..Purged::default()
            })
        })
        .await
    }

    async fn delete_agent(&self, caller: &Caller, agent: &AgentId) -> Result<Purged> {
        let graph = agent.graph();
        caller.may(Right::Delete, &Owner::Graph(graph.clone()))?;
        let marks = Marked {
            agent: Some(agent.clone()),
            app: None,
        };
        self.delete_named(caller, marks, graph, format!("agent `{agent}`"))
            .await
    }

    async fn delete_app(&self, caller: &Caller, app: AppId) -> Result<Purged> {
        let (graph, what) = (app.graph(), format!("app `{app}`"));
        caller.may(Right::Delete, &Owner::Graph(graph.clone()))?;
        let marks = Marked {
            agent: None,
            app: Some(app),
        };
        self.delete_named(caller, marks, graph, what).await
    }

    /// Deletes the default user's memories of an agent or app, if the caller reaches that user, and
    /// then its graph: until then, it is listed.
    async fn delete_named(
        &self,
        caller: &Caller,
        marks: Marked,
        graph: GraphId,
        what: String,
    ) -> Result<Purged> {
        let user = self.owner(caller, Right::Delete, &Scope::default()).ok();
        let service = self.clone();
        self.complete_change(async move {
            let own = Owner::Graph(graph.clone());
            let of_user = match &user {
                Some(user) => service.waiting_in(user, &marks.scope()).await?,
                None => Vec::new(),
            };
            let waiting = service.waiting_in(&own, &Scope::default()).await?;
            let mut done = Purged::default();
            // Always the user first, so that two deletions cannot wait for each other.
            let mut alone = Vec::new();
            for owner in user.iter().chain([&own]) {
                alone.push(service.alone_with(owner).await?);
            }
            if let Some(owner) = user {
                let mut purge = Purge {
                    service: &service,
                    owner,
                    done,
                };
                purge.marked(&marks, None, of_user).await?;
                done = purge.finish();
                if !done.is_complete() {
                    return Ok(done);
                }
            }
            service.forget_waiting(waiting, &mut done).await?;
            match service.zep().delete_graph(&graph).await {
                Ok(()) => done.entity = true,
                Err(error) if error.is_not_found() && done == Purged::default() => {
                    return Err(Error::NoEntity { what });
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => done.failed(what, &error),
            }
            service.forget_all();
            Ok(done)
        })
        .await
    }

    /// Forgets the ids that the queue gave for memories of a deleted user.
    async fn forget_ids(&self, owner: &Owner) {
        if let Some(queue) = &self.inner.queue
            && let Err(error) = queue.forget_ids(owner).await
        {
            tracing::warn!("{error}");
        }
    }

    /// Clears the caches of threads and owners.
    fn forget_all(&self) {
        self.inner.sessions.forget_all();
        self.inner.shown.clear();
        self.inner.lists.clear();
        self.inner.repeats.clear();
        self.inner.told.clear();
    }
}

//! Deletes all memories of a scope, and entities with everything of theirs. Continues after
//! failures and reports them.

use std::collections::HashMap;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    change::delete::records_of,
    error::if_deleted,
    model::{AgentId, AppId, GraphId, Owner, Scope, SessionId, UserId, Uuid},
    record::{
        fit::{self, Ours},
        view,
    },
    service::MemoryService,
};
use crate::zep::{
    self, Episode, Metadata, SentTo, ThreadId, TimeOrder, Window, Zep, limits::PAGE_ITEMS,
};

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
        let alone = self.alone_with(&owner).await?;
        let (service, scope) = (self.clone(), scope.clone());
        self.complete(async move {
            let _alone = alone;
            service.purge(owner, &scope).await
        })
        .await
    }

    async fn purge(&self, owner: Owner, scope: &Scope) -> Result<Purged> {
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
        match (&purge.owner, &scope.session) {
            (Owner::User(user), Some(session)) => {
                // A cached resolution is not enough: the thread is deleted whole.
                self.inner.sessions.forget(user, session);
                let thread = self.inner.sessions.find(self.zep(), user, session).await?;
                let thread = thread.ok_or_else(|| Error::NoSession {
                    user: user.to_string(),
                    session: session.to_string(),
                })?;
                if marks.any() {
                    purge.marked(&marks, Some(&thread)).await?;
                } else {
                    purge.thread(&thread, None).await;
                }
            }
            _ if marks.any() => purge.marked(&marks, None).await?,
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
        let alone = self.alone_with(&owner).await?;
        let (service, user) = (self.clone(), user.clone());
        self.complete(async move {
            let _alone = alone;
            let no_entity = || Error::NoEntity {
                what: format!("user `{user}`"),
            };
            let threads = match service.zep().user_threads(&user).await {
                Err(error) if error.is_not_found() => return Err(no_entity()),
                threads => threads?,
            };
            match service.zep().delete_user(&user).await {
                Err(error) if error.is_not_found() => return Err(no_entity()),
                done => done?,
            }
            service.forget_all();
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
        // Always the user first, so that two deletions cannot wait for each other.
        let mut alone = Vec::new();
        for owner in user.iter().chain([&Owner::Graph(graph.clone())]) {
            alone.push(self.alone_with(owner).await?);
        }
        let service = self.clone();
        self.complete(async move {
            let _alone = alone;
            let mut done = Purged::default();
            if let Some(owner) = user {
                let mut purge = Purge {
                    service: &service,
                    owner,
                    done,
                };
                purge.marked(&marks, None).await?;
                done = purge.finish();
                if !done.is_complete() {
                    return Ok(done);
                }
            }
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

    /// Clears the caches of threads and owners.
    fn forget_all(&self) {
        self.inner.sessions.forget_all();
        self.inner.shown.clear();
        self.inner.lists.clear();
        self.inner.repeats.clear();
        self.inner.told.clear();
    }
}

/// Ascending, so that deleted items are behind the next page.
const DELETING_ORDER: TimeOrder = TimeOrder::OldestFirst;

/// The marks of an agent or app on memories of a user.
struct Marked {
    agent: Option<AgentId>,
    app: Option<AppId>,
}

impl Marked {
    fn any(&self) -> bool {
        self.agent.is_some() || self.app.is_some()
    }

    fn has(&self, metadata: Option<&Metadata>) -> bool {
        ours(metadata).is_some_and(|ours| {
            (self.agent.is_none() || self.agent == ours.agent)
                && (self.app.is_none() || self.app == ours.app)
        })
    }
}

/// Our metadata of a stored part.
fn ours(metadata: Option<&Metadata>) -> Option<Ours> {
    metadata.map(fit::unpack)?.ours
}

/// A purge of one owner's memories.
struct Purge<'a> {
    service: &'a MemoryService,
    owner: Owner,
    done: Purged,
}

impl<'a> Purge<'a> {
    fn zep(&self) -> &'a dyn Zep {
        self.service.zep()
    }

    fn finish(self) -> Purged {
        self.service.forget_all();
        self.done
    }

    /// Deletes all of the owner's memories.
    async fn everything(&mut self) -> Result<()> {
        if let Owner::User(user) = &self.owner {
            let threads = match self.zep().user_threads(user).await {
                // An unknown owner has nothing.
                Err(error) if error.is_not_found() => return Ok(()),
                threads => threads?,
            };
            for id in threads.into_iter().filter_map(|thread| thread.thread_id) {
                self.thread(&ThreadId::new(&id)?, None).await;
            }
        }
        // What was deleted is reported even if the rest fails.
        if let Err(error) = if_deleted(self.texts().await) {
            self.done.failed("the list of memories".into(), &error);
        }
        if let Err(error) = if_deleted(self.facts().await) {
            self.done.failed("the list of facts".into(), &error);
        }
        Ok(())
    }

    /// Deletes a thread. The number of its messages may be known.
    async fn thread(&mut self, thread: &ThreadId, messages: Option<u64>) {
        let messages = match messages {
            Some(known) => known,
            None => {
                let page = self
                    .zep()
                    .messages(thread, &Window::Last { limit: 1 })
                    .await;
                page.ok().and_then(|page| page.total_count).unwrap_or(0)
            }
        };
        match if_deleted(self.zep().delete_thread(thread).await) {
            Ok(()) => {
                self.done.sessions += 1;
                self.done.messages += messages;
            }
            Err(error) => {
                let session = view::session_of(Some(thread.as_str()), &self.owner);
                let session = session.unwrap_or_default();
                self.done.failed(format!("session {session}"), &error);
            }
        }
    }

    async fn episode(&mut self, episode: &Uuid) {
        match if_deleted(self.zep().delete_episode(episode).await) {
            Ok(()) => self.done.texts += 1,
            Err(error) => self.done.failed(format!("memory {episode}"), &error),
        }
    }

    /// Deletes all texts. Messages are skipped: they go with their threads, and a thread that
    /// cannot be deleted is reported.
    async fn texts(&mut self) -> zep::Result<()> {
        let owner = self.owner.clone();
        let mut pages = self.zep().episodes(&owner, DELETING_ORDER, PAGE_ITEMS);
        while let Some(mut page) = pages.next().await? {
            page.items.retain(|episode| episode.thread_id.is_none());
            let to = SentTo::Graph(owner.clone());
            let records = records_of(&page.items);
            self.service.tell_deleted(to, records, true).await;
            for episode in page.items {
                self.episode(&episode.uuid).await;
            }
        }
        Ok(())
    }

    /// Deletes the facts that remain.
    async fn facts(&mut self) -> zep::Result<()> {
        let owner = self.owner.clone();
        let mut pages = self.zep().facts(&owner, DELETING_ORDER, PAGE_ITEMS);
        while let Some(page) = pages.next().await? {
            for fact in page.items {
                match if_deleted(self.zep().delete_fact(&fact.uuid).await) {
                    Ok(()) => self.done.facts += 1,
                    Err(error) => self.done.failed(format!("fact {}", fact.uuid), &error),
                }
            }
        }
        Ok(())
    }

    /// The number of messages of a thread, if all of them have the marks. Deleted messages, whose
    /// words Zep keeps, have neither marks nor episodes and are not counted.
    async fn is_all_marked(
        &self,
        thread: &ThreadId,
        marked: u64,
        marks: &Marked,
    ) -> Result<Option<u64>> {
        let newest = Window::Last { limit: 1 };
        let page = self.zep().messages(thread, &newest).await?;
        match page.total_count {
            // If the thread may not be this user's any more, it stays.
            _ if !page.is_of(&self.owner) => return Ok(None),
            Some(total) if total == marked => return Ok(Some(total)),
            Some(total) if total > marked => {}
            _ => return Ok(None),
        }
        let messages = self.zep().all_messages(thread).await?.messages;
        let all = messages.iter().all(|message| {
            let metadata = message.metadata.as_ref();
            marks.has(metadata)
                || ours(metadata).is_some_and(|ours| ours.marks.deleted || ours.marks.double)
        });
        Ok(all.then_some(messages.len() as u64))
    }

    /// Deletes what has the marks: texts, and sessions whose messages all have them.
    async fn marked(&mut self, marks: &Marked, only: Option<&ThreadId>) -> Result<()> {
        let owner = self.owner.clone();
        let mut pages = self.zep().episodes(&owner, DELETING_ORDER, PAGE_ITEMS);
        let mut texts = Vec::new();
        let mut threads: HashMap<String, u64> = HashMap::new();
        loop {
            let page = match pages.next().await {
                Err(error) if error.is_not_found() => return Ok(()),
                page => page?,
            };
            let Some(page) = page else { break };
            let meant = |episode: &Episode| {
                let thread = episode.thread_id.as_deref();
                marks.has(episode.metadata.as_ref())
                    && only.is_none_or(|only| thread == Some(only.as_str()))
            };
            for episode in page.items.into_iter().filter(meant) {
                match episode.thread_id {
                    Some(thread) => *threads.entry(thread).or_default() += 1,
                    None => texts.push(episode),
                }
            }
        }
        let mut whole = Vec::new();
        let mut shared = Vec::new();
        for (thread, marked) in threads {
            let thread = ThreadId::new(&thread)?;
            match self.is_all_marked(&thread, marked, marks).await? {
                Some(total) => whole.push((thread, total)),
                None => shared.push(thread),
            }
        }
        if let Some(thread) = shared.first() {
            let session = view::session_of(Some(thread.as_str()), &self.owner);
            return Err(Error::SharedScope {
                reason: format!(
                    "{} of the sessions hold messages of this scope and others besides (`{}` is \
                     one), and Zep deletes sessions only whole. Delete single memories with \
                     delete_memory, or whole sessions with `user_id` and `run_id` alone",
                    shared.len(),
                    session.unwrap_or_default()
                ),
            });
        }
        for (thread, total) in whole {
            self.thread(&thread, Some(total)).await;
        }
        let to = SentTo::Graph(owner.clone());
        self.service
            .tell_deleted(to, records_of(&texts), true)
            .await;
        for text in texts {
            self.episode(&text.uuid).await;
        }
        Ok(())
    }
}

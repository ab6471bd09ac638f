//! Deletes what is stored of one owner, item by item, and counts it.

use std::collections::HashMap;

use super::{Purged, waiting::Waiting};
use crate::memory::{
    Error, Result,
    change::delete::records_of,
    error::if_deleted,
    model::{AgentId, AppId, Owner, Scope, Uuid},
    record::fit::{self, Ours},
    record::view,
    service::MemoryService,
};
use crate::zep::{
    self, Episode, Metadata, SentTo, ThreadId, TimeOrder, Window, Zep, limits::PAGE_ITEMS,
};

/// Ascending, so that deleted items are behind the next page.
const DELETING_ORDER: TimeOrder = TimeOrder::OldestFirst;

/// The marks of an agent or app on memories of a user.
pub(super) struct Marked {
    pub(super) agent: Option<AgentId>,
    pub(super) app: Option<AppId>,
}

impl Marked {
    pub(super) fn any(&self) -> bool {
        self.agent.is_some() || self.app.is_some()
    }

    /// The scope of what has them.
    pub(super) fn scope(&self) -> Scope {
        Scope {
            agent: self.agent.clone(),
            app: self.app.clone(),
            ..Scope::default()
        }
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
pub(super) struct Purge<'a> {
    pub(super) service: &'a MemoryService,
    pub(super) owner: Owner,
    pub(super) done: Purged,
}

impl<'a> Purge<'a> {
    fn zep(&self) -> &'a dyn Zep {
        self.service.zep()
    }

    pub(super) fn finish(self) -> Purged {
        self.service.forget_all();
        self.done
    }

    /// Deletes all of the owner's memories.
    pub(super) async fn everything(&mut self) -> Result<()> {
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
    pub(super) async fn thread(&mut self, thread: &ThreadId, messages: Option<u64>) {
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
            marks.has(metadata) || ours(metadata).is_some_and(|ours| ours.marks.is_hidden())
        });
        Ok(all.then_some(messages.len() as u64))
    }

    /// Deletes what has the marks: what waits, texts, and sessions whose messages all have them.
    pub(super) async fn marked(
        &mut self,
        marks: &Marked,
        only: Option<&ThreadId>,
        waiting: Vec<Waiting>,
    ) -> Result<()> {
        let mut found = self.find_marked(marks, only).await?;
        if self.service.forget_waiting(waiting, &mut self.done).await? {
            found = self.find_marked(marks, only).await?;
        }
        for (thread, total) in found.threads {
            self.thread(&thread, Some(total)).await;
        }
        let to = SentTo::Graph(self.owner.clone());
        let records = records_of(&found.texts);
        self.service.tell_deleted(to, records, true).await;
        for text in found.texts {
            self.episode(&text.uuid).await;
        }
        Ok(())
    }

    /// Finds what has the marks in Zep.
    ///
    /// # Errors
    /// [`Error::SharedScope`] if a session holds other messages, too.
    async fn find_marked(&self, marks: &Marked, only: Option<&ThreadId>) -> Result<FoundMarked> {
        let owner = self.owner.clone();
        let mut pages = self.zep().episodes(&owner, DELETING_ORDER, PAGE_ITEMS);
        let mut texts = Vec::new();
        let mut threads: HashMap<String, u64> = HashMap::new();
        loop {
            let page = match pages.next().await {
                Err(error) if error.is_not_found() => break,
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
        let threads = whole;
        Ok(FoundMarked { threads, texts })
    }
}

/// What has marks.
struct FoundMarked {
    /// Sessions, each with how many messages it has.
    threads: Vec<(ThreadId, u64)>,
    texts: Vec<Episode>,
}

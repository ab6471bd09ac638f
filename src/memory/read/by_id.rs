//! Finds a memory and its owner by id. Owners are looked up, not believed.

use crate::audit::touched;
use crate::memory::{
    Error, Result,
    access::{self, Caller, Right},
    error::if_found,
    model::{Owner, Scope, UserId, Uuid},
    people::owners::SIDE_BY_SIDE,
    record::assemble::whole,
    record::sources::sources,
    record::view::{self, Form, Memory},
    service::MemoryService,
};
use crate::zep::{self, Episode, Fact, RecordMark, ThreadId, Window};
use futures::{StreamExt, TryStreamExt, stream};

/// What an id names, and its owner.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) owner: Owner,
    pub(crate) what: Item,
}

/// What an id names.
#[derive(Debug)]
pub(crate) enum Item {
    /// A fact.
    Fact(Box<Fact>),
    /// A text or a turn of a conversation: all parts of the record, the named one included.
    Record(Vec<Episode>),
}

impl MemoryService {
    /// The memory as agents see it; `None` if it is deleted as far as Zep allows.
    pub(crate) async fn shown(&self, thing: Located) -> Result<Option<Memory>> {
        match thing.what {
            Item::Fact(fact) => {
                // As many as one request takes.
                let most = fact.episodes.len().min(zep::limits::FILTER_UUIDS);
                let asked = &fact.episodes[..most];
                let sources = sources(self.zep(), &thing.owner, asked).await?;
                Ok(Some(view::fact(*fact, &sources, &thing.owner)))
            }
            Item::Record(parts) => {
                let Some(first) = parts.first() else {
                    return Ok(None);
                };
                let form = Form::of_episode(first);
                let thread = first.thread_id.clone();
                Ok(whole(parts)
                    .map(|found| view::record(found, thread.as_deref(), form, &thing.owner)))
            }
        }
    }

    /// Finds what an id names, if the caller has this right on it. Memories out of reach count as
    /// absent.
    pub(crate) async fn find(
        &self,
        caller: &Caller,
        right: Right,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<Located> {
        let found = self.look_for(caller, right, id, scope).await?;
        access::note(right, &found.owner);
        Ok(found)
    }

    async fn look_for(
        &self,
        caller: &Caller,
        right: Right,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<Located> {
        caller.may_at_all(right)?;
        if scope.user.is_some() || scope.agent.is_some() {
            let owner = self.owner(caller, right, scope)?;
            let found = self.under(&owner, id).await?;
            return found.ok_or_else(|| Error::no_memory(id));
        }
        // The owner remembered from showing it, then the default owner, who has most memories: one
        // lookup finds owner and memory.
        let default = Owner::User(self.default_user(caller).clone());
        for owner in [self.inner.shown.get(id), Some(default)]
            .into_iter()
            .flatten()
        {
            if caller.reaches(&owner)
                && let Some(found) = self.under(&owner, id).await?
            {
                return Ok(found);
            }
        }
        // A caller with limited reach learns nothing of other users, not even their existence, and
        // nobody else is looked up.
        if caller.reaches_every_user()
            && let Some(owner) = self.owner_by_id(caller, id).await?
        {
            caller
                .may(right, &owner)
                .map_err(|_| Error::no_memory(id))?;
            let found = self.under(&owner, id).await?;
            return found.ok_or_else(|| Error::no_memory(id));
        }
        let everybody = self.everybody(caller).await?;
        let truncated = everybody.truncated;
        match (self.among(everybody.owners, id).await?, truncated) {
            (Some(found), _) => Ok(found),
            (None, true) => Err(too_many_to_look()),
            (None, false) => Err(Error::no_memory(id)),
        }
    }

    /// Finds what an id names among these owners' memories.
    async fn among(&self, owners: Vec<Owner>, id: &Uuid) -> Result<Option<Located>> {
        let mut asked = stream::iter(owners)
            .map(async |owner| self.under(&owner, id).await)
            .buffered(SIDE_BY_SIDE);
        while let Some(found) = asked.try_next().await? {
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Finds what an id names among an owner's memories.
    pub(crate) async fn under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Located>> {
        let (facts, episodes) =
            futures::join!(self.fact_under(owner, id), self.record_under(owner, id));
        let what = match (episodes?, facts?) {
            (Some(parts), _) => Item::Record(parts),
            (None, Some(fact)) => Item::Fact(Box::new(fact)),
            (None, None) => return Ok(None),
        };
        self.inner.shown.insert(id.clone(), owner.clone());
        Ok(Some(Located {
            owner: owner.clone(),
            what,
        }))
    }

    async fn fact_under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Fact>> {
        let found = self
            .zep()
            .facts_by_id(owner, std::slice::from_ref(id))
            .await;
        Ok(if_found(found)?.and_then(|facts| facts.into_iter().next()))
    }

    /// All parts of the record that an episode belongs to.
    async fn record_under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Vec<Episode>>> {
        let Some(episode) = self.episode_under(owner, id).await? else {
            return Ok(None);
        };
        Ok(Some(self.all_parts(owner, episode).await?))
    }

    /// All stored copies of all parts of the record of this episode, in order: a change must reach the
    /// doubles, too.
    pub(crate) async fn with_copies(
        &self,
        owner: &Owner,
        episode: Episode,
    ) -> Result<Vec<Episode>> {
        match episode.mark() {
            Some(mark) => self.all_copies(owner, episode, &mark.record).await,
            None => Ok(vec![episode]),
        }
    }

    /// All parts of the record of this episode, in order.
    pub(crate) async fn all_parts(&self, owner: &Owner, episode: Episode) -> Result<Vec<Episode>> {
        match episode.mark().filter(RecordMark::is_split) {
            Some(mark) => self.all_copies(owner, episode, &mark.record).await,
            None => Ok(vec![episode]),
        }
    }

    /// All stored copies of all parts of the record of this episode, in order: of doubles, the one
    /// that counts comes first.
    async fn all_copies(
        &self,
        owner: &Owner,
        episode: Episode,
        record: &str,
    ) -> Result<Vec<Episode>> {
        let mut parts = self.zep().find_episodes(owner, record).await?;
        // Parts of the same record id in another place belong to another record.
        parts.retain(|part| part.thread_id == episode.thread_id);
        parts.sort_by_key(|part| {
            let number = part.mark().map_or(1, |mark| mark.part.number);
            (number, part.uuid.clone())
        });
        if !parts.iter().any(|part| part.uuid == episode.uuid) {
            return Ok(vec![episode]);
        }
        Ok(parts)
    }

    /// The episode of this id, if it is this owner's.
    pub(crate) async fn episode_under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Episode>> {
        let found = self
            .zep()
            .episodes_by_id(owner, std::slice::from_ref(id))
            .await;
        Ok(if_found(found)?.and_then(|episodes| episodes.into_iter().next()))
    }

    /// Finds the owner of an otherwise unknown id: the owner of the message's thread, or of a
    /// fact's source episode. For anything else Zep states no owner: `None`, and all owners must be
    /// asked.
    async fn owner_by_id(&self, caller: &Caller, id: &Uuid) -> Result<Option<Owner>> {
        let (episode, fact) = futures::join!(self.zep().episode(id), self.zep().fact(id));
        let thread = match (if_found(episode)?, if_found(fact)?) {
            (None, None) if caller.reaches_every_agent() => return Err(Error::no_memory(id)),
            // An agent's memory out of reach and an absent one get the same answer.
            (None, None) => match self.everybody(caller).await?.truncated {
                true => return Err(too_many_to_look()),
                false => return Err(Error::no_memory(id)),
            },
            (Some(episode), _) => episode.thread_id,
            (None, Some(fact)) => match fact.episodes.first() {
                Some(source) => if_found(self.zep().episode(source).await)?
                    .and_then(|episode| episode.thread_id),
                None => None,
            },
        };
        let Some(thread) = thread else {
            return Ok(None);
        };
        let newest = Window::Last { limit: 1 };
        let page = self.zep().messages(&ThreadId::new(&thread)?, &newest).await;
        let page = if_found(page)?.ok_or_else(|| Error::no_memory(id))?;
        let user = page.user_id.ok_or_else(|| Error::no_memory(id))?;
        Ok(Some(Owner::User(UserId::new(&user)?)))
    }

    /// Remembers the owner of a shown memory, so that its id alone finds it again.
    pub(crate) fn remember(&self, memory: &Memory) {
        touched::id(memory.id.as_str());
        if self.inner.queue.is_some() && !memory.in_mem0 {
            self.inner.known.note(memory);
        }
        // An id of mem0's may lead to Zep later.
        if memory.form != Form::Entity && !memory.in_mem0 {
            self.inner
                .shown
                .insert(memory.id.clone(), memory.owner.clone());
        }
    }
}

fn too_many_to_look() -> Error {
    Error::invalid(
        "user_id",
        "is needed here: there are too many users and agents to look for a memory by its id alone; \
         pass the `user_id` (or `agent_id`) whose it is",
    )
}

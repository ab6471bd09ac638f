//! Finds a memory and its owner by id. Owners are looked up, not believed.

use crate::memory::{
    Error, Result,
    access::Right,
    model::{Caller, Owner, Scope, UserId, Uuid},
    record::assemble::{Assembled, StoredPart, assemble},
    record::view::{self, Form, Memory},
    search::candidates,
    search::query::SIDE_BY_SIDE,
    service::MemoryService,
};
use crate::zep::{self, Episode, Fact, RecordMark, ThreadId, Window};
use futures::{StreamExt, TryStreamExt, stream};

/// What an id names, and its owner.
#[derive(Debug)]
pub(crate) struct Thing {
    pub(crate) owner: Owner,
    pub(crate) what: What,
}

/// What an id names.
#[derive(Debug)]
pub(crate) enum What {
    /// A fact.
    Fact(Box<Fact>),
    /// A text or a turn of a conversation: all parts of the record, the named one included.
    Record(Vec<Episode>),
}

impl MemoryService {
    /// One memory by its id: a fact, a text, or a turn of a conversation. If the scope names a user
    /// or an agent, the memory must be theirs; otherwise the owner is looked up.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the id is not a UUID, [`Error::NoMemory`] if no memory within the
    /// caller's reach has it, or the backend's error.
    pub async fn get(&self, caller: &Caller, id: &str, scope: &Scope) -> Result<Memory> {
        let id = checked(id)?;
        let thing = self.find(caller, Right::Read, &id, scope).await?;
        let memory = self.shown(thing).await?;
        let memory = memory.ok_or_else(|| no_memory(&id))?;
        self.remember(&memory);
        Ok(memory)
    }

    /// The memory as agents see it; `None` if it is deleted as far as Zep allows.
    pub(crate) async fn shown(&self, thing: Thing) -> Result<Option<Memory>> {
        match thing.what {
            What::Fact(fact) => {
                // As many as one request takes.
                let most = fact.episodes.len().min(zep::limits::FILTER_UUIDS);
                let asked = &fact.episodes[..most];
                let sources = candidates::sources(self.zep(), &thing.owner, asked).await?;
                Ok(Some(view::fact(*fact, &sources, &thing.owner)))
            }
            What::Record(parts) => {
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
    ) -> Result<Thing> {
        caller.may_at_all(right)?;
        if scope.user.is_some() || scope.agent.is_some() {
            let owner = self.owner(caller, right, scope)?;
            let found = self.under(&owner, id).await?;
            return found.ok_or_else(|| no_memory(id));
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
            caller.may(right, &owner).map_err(|_| no_memory(id))?;
            let found = self.under(&owner, id).await?;
            return found.ok_or_else(|| no_memory(id));
        }
        let everybody = self.everybody(caller).await?;
        let truncated = everybody.truncated;
        match (self.among(everybody.owners, id).await?, truncated) {
            (Some(found), _) => Ok(found),
            (None, true) => Err(too_many_to_look()),
            (None, false) => Err(no_memory(id)),
        }
    }

    /// Finds what an id names among these owners' memories.
    async fn among(&self, owners: Vec<Owner>, id: &Uuid) -> Result<Option<Thing>> {
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
    pub(crate) async fn under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Thing>> {
        let (facts, episodes) =
            futures::join!(self.fact_under(owner, id), self.record_under(owner, id));
        let what = match (episodes?, facts?) {
            (Some(parts), _) => What::Record(parts),
            (None, Some(fact)) => What::Fact(Box::new(fact)),
            (None, None) => return Ok(None),
        };
        self.inner.shown.insert(id.clone(), owner.clone());
        Ok(Some(Thing {
            owner: owner.clone(),
            what,
        }))
    }

    async fn fact_under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Fact>> {
        let found = self
            .zep()
            .facts_by_id(owner, std::slice::from_ref(id))
            .await;
        Ok(or_nothing(found)?.and_then(|facts| facts.into_iter().next()))
    }

    /// All parts of the record that an episode belongs to.
    pub(crate) async fn record_under(
        &self,
        owner: &Owner,
        id: &Uuid,
    ) -> Result<Option<Vec<Episode>>> {
        let Some(episode) = self.episode_under(owner, id).await? else {
            return Ok(None);
        };
        Ok(Some(self.all_parts(owner, episode).await?))
    }

    /// All parts of the record of this episode, in order.
    pub(crate) async fn all_parts(&self, owner: &Owner, episode: Episode) -> Result<Vec<Episode>> {
        let Some(mark) = episode.mark().filter(RecordMark::is_split) else {
            return Ok(vec![episode]);
        };
        let mut parts = self.zep().find_episodes(owner, &mark.record).await?;
        // Parts of the same record id in another place belong to another record.
        parts.retain(|part| part.thread_id == episode.thread_id);
        parts.sort_by_key(|part| part.mark().map_or(1, |mark| mark.part.number));
        if !parts.iter().any(|part| part.uuid == episode.uuid) {
            return Ok(vec![episode]);
        }
        Ok(parts)
    }

    async fn episode_under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Episode>> {
        let found = self
            .zep()
            .episodes_by_id(owner, std::slice::from_ref(id))
            .await;
        Ok(or_nothing(found)?.and_then(|episodes| episodes.into_iter().next()))
    }

    /// Finds the owner of an otherwise unknown id: the owner of the message's thread, or of a
    /// fact's source episode. For anything else Zep states no owner: `None`, and all owners must be
    /// asked.
    async fn owner_by_id(&self, caller: &Caller, id: &Uuid) -> Result<Option<Owner>> {
        let (episode, fact) = futures::join!(self.zep().episode(id), self.zep().fact(id));
        let thread = match (or_nothing(episode)?, or_nothing(fact)?) {
            (None, None) if caller.reaches_every_agent() => return Err(no_memory(id)),
            // An agent's memory out of reach and an absent one get the same answer.
            (None, None) => match self.everybody(caller).await?.truncated {
                true => return Err(too_many_to_look()),
                false => return Err(no_memory(id)),
            },
            (Some(episode), _) => episode.thread_id,
            (None, Some(fact)) => match fact.episodes.first() {
                Some(source) => or_nothing(self.zep().episode(source).await)?
                    .and_then(|episode| episode.thread_id),
                None => None,
            },
        };
        let Some(thread) = thread else {
            return Ok(None);
        };
        let newest = Window::Last { limit: 1 };
        let page = self.zep().messages(&ThreadId::new(&thread)?, &newest).await;
        let page = or_nothing(page)?.ok_or_else(|| no_memory(id))?;
        let user = page.user_id.ok_or_else(|| no_memory(id))?;
        Ok(Some(Owner::User(UserId::new(&user)?)))
    }

    /// Remembers the owner of a shown memory, so that its id alone finds it again.
    pub(crate) fn remember(&self, memory: &Memory) {
        if memory.form != Form::Entity {
            self.inner
                .shown
                .insert(memory.id.clone(), memory.owner.clone());
        }
    }
}

/// Checks an id's form: a UUID, as Zep makes them.
pub(crate) fn checked(id: &str) -> Result<Uuid> {
    match uuid::Uuid::parse_str(id.trim()) {
        Ok(id) => Ok(Uuid(id.hyphenated().to_string())),
        Err(_) => Err(Error::invalid(
            "memory_id",
            "is no memory's id, which is a UUID; search_memories and get_memories tell ids",
        )),
    }
}

pub(crate) fn no_memory(id: &Uuid) -> Error {
    Error::NoMemory { id: id.to_string() }
}

fn too_many_to_look() -> Error {
    Error::invalid(
        "user_id",
        "is needed here: there are too many users and agents to look for a memory by its id alone; \
         pass the `user_id` (or `agent_id`) whose it is",
    )
}

/// The record assembled from these episodes; `None` if it is deleted as far as Zep allows, or its
/// first part is missing.
pub(crate) fn whole(parts: Vec<Episode>) -> Option<Assembled> {
    let parts = parts.into_iter().map(StoredPart::from).collect();
    assemble(parts).records.into_iter().next()
}

/// `None` for a 404.
pub(crate) fn or_nothing<T>(answer: zep::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

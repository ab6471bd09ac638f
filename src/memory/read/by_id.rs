//! A memory by its id: what it is, and whose. Owners are looked up, not believed.

use crate::memory::{
    Error, Result,
    access::Right,
    model::{Caller, Owner, Scope, UserId, Uuid},
    record::view::{self, Form, Memory},
    record::{
        assemble::{Assembled, StoredPart, assemble},
        fit,
    },
    search::candidates,
    search::query::SIDE_BY_SIDE,
    service::MemoryService,
};
use crate::zep::{self, Episode, Fact, Filters, Listing, ThreadId, Window, record_id};
use futures::{StreamExt, TryStreamExt, stream};

/// What an id names, and whose it is.
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
    /// A text or a turn of a conversation: all parts of the record, the named one among them.
    Record(Vec<Episode>),
}

impl MemoryService {
    /// One memory by its id: a fact, a text, or a turn of a conversation. The scope, where it names
    /// a user or an agent, says whose it must be; else that is looked up.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the id is none of Zep's, [`Error::NoMemory`] if nothing of the caller's
    /// has it, or whatever the backend says.
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
                let asked = fact.episodes.iter().take(zep::limits::FILTER_UUIDS);
                let asked = asked.cloned().collect();
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

    /// What an id names, if the caller may do this with it. What the caller does not reach is not
    /// there.
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
        // Whose it was when it was shown, and whose most are: one look tells whose it is and what.
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
        // Whoever reaches some users only is told nothing of others, not even that they are there,
        // and nobody is asked about them.
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

    /// What an id names among the memories of these.
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

    /// What an id names among an owner's memories.
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
        let listing = Listing {
            filters: Some(Filters {
                edge_uuids: Some(vec![id.clone()]),
                ..Filters::default()
            }),
            ..Listing::default()
        };
        let page = or_nothing(self.zep().list_facts(owner, &listing).await)?;
        // A filter that Zep does not honour must not make a fact somebody's.
        let found = page.and_then(|page| page.items.into_iter().find(|fact| fact.uuid == *id));
        Ok(found)
    }

    /// All parts of the record that an episode is a part of.
    pub(crate) async fn record_under(
        &self,
        owner: &Owner,
        id: &Uuid,
    ) -> Result<Option<Vec<Episode>>> {
        let Some(episode) = self.episode_under(owner, id).await? else {
            return Ok(None);
        };
        match part_of_record(&episode) {
            Some(record) => Ok(Some(self.parts_of(owner, &episode, record).await?)),
            None => Ok(Some(vec![episode])),
        }
    }

    /// All parts of a record, in order, of which one is this.
    pub(crate) async fn parts_of(
        &self,
        owner: &Owner,
        episode: &Episode,
        record: &str,
    ) -> Result<Vec<Episode>> {
        let mut parts = self.zep().find_episodes(owner, record).await?;
        // Others of the same record id are of another place.
        parts.retain(|part| part.thread_id == episode.thread_id);
        parts.sort_by_key(part_number);
        if !parts.iter().any(|part| part.uuid == episode.uuid) {
            return Ok(vec![episode.clone()]);
        }
        Ok(parts)
    }

    async fn episode_under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Episode>> {
        let listing = Listing {
            mentioned_node_uuids: Some(vec![id.clone()]),
            ..Listing::default()
        };
        let page = or_nothing(self.zep().list_episodes(owner, &listing).await)?;
        let found = page.and_then(|page| page.items.into_iter().find(|there| there.uuid == *id));
        Ok(found)
    }

    /// Whose an id is of which nothing is known: a turn is its thread's owner's, a fact is whose the
    /// episodes are that it was drawn from. Zep names no owner of anything else: then it is `None`,
    /// and all owners must be asked.
    async fn owner_by_id(&self, caller: &Caller, id: &Uuid) -> Result<Option<Owner>> {
        let (episode, fact) = futures::join!(self.zep().episode(id), self.zep().fact(id));
        let thread = match (or_nothing(episode)?, or_nothing(fact)?) {
            (None, None) if caller.reaches_every_agent() => return Err(no_memory(id)),
            // An agent's that this caller does not reach, and one that is not there, are answered
            // alike.
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

    /// Remembers whose a memory is that is shown, so that its id alone finds it again.
    pub(crate) fn remember(&self, memory: &Memory) {
        if memory.form != Form::Entity {
            self.inner
                .shown
                .insert(memory.id.clone(), memory.owner.clone());
        }
    }
}

/// An id as Zep makes them.
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

/// The whole record that these episodes are the parts of; `None` if it is deleted as far as Zep
/// allows, or its first part is missing.
pub(crate) fn whole(parts: Vec<Episode>) -> Option<Assembled> {
    let parts = parts.into_iter().map(StoredPart::from).collect();
    assemble(parts).records.into_iter().next()
}

/// The record that an episode is one part of, of several.
pub(crate) fn part_of_record(episode: &Episode) -> Option<&str> {
    let metadata = episode.metadata.as_ref()?;
    let record = record_id(Some(metadata))?;
    metadata
        .contains_key(zep::RECORD_PART_KEY)
        .then_some(record)
}

/// The number of a part as it stands in its metadata, for putting parts in order.
fn part_number(part: &Episode) -> u32 {
    let source = part.metadata.as_ref().map(fit::unpack);
    source
        .and_then(|unpacked| unpacked.part)
        .map_or(1, |part| part.number)
}

/// What is there, if it is.
pub(crate) fn or_nothing<T>(answer: zep::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

//! The state of Zep's processing of what was stored.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    beside::reading::{self, ById},
    input::memory_id,
    model::{Owner, Scope, Uuid},
    read::{by_id::Item, waiting::Named},
    record::fit,
    record::view::{self, Form, Memory},
    service::MemoryService,
};
use crate::zep::{Episode, TimeOrder, limits::PAGE_ITEMS};

/// The storing of one memory: a text, or a turn of a conversation.
#[derive(Debug, Clone)]
pub struct Event {
    /// The memory's id, or that of the stored part.
    pub id: Uuid,
    /// The form.
    pub form: Form,
    /// The owner.
    pub owner: Owner,
    /// Its session.
    pub session: Option<String>,
    /// When it happened.
    pub created_at: Option<Timestamp>,
    /// Whether Zep has drawn its facts from it.
    pub processed: bool,
    /// Whether Zep has it.
    pub delivery: Delivery,
}

/// Whether the backend has a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It has.
    Done,
    /// It waits in the queue.
    Queued,
    /// It was refused for good, with this reason, and stays in the queue.
    Refused(String),
}

impl Event {
    fn of(episode: &Episode, owner: &Owner) -> Self {
        Self {
            id: episode.uuid.clone(),
            form: Form::of_episode(episode),
            owner: owner.clone(),
            session: view::session_of(episode.thread_id.as_deref(), owner),
            created_at: episode.created_at,
            processed: episode.processed == Some(true),
            delivery: Delivery::Done,
        }
    }
}

impl Event {
    /// A memory of mem0's is there when it is listed.
    pub(crate) fn of_mem0(memory: Memory) -> Self {
        Self {
            processed: true,
            delivery: Delivery::Done,
            ..Self::waiting(memory)
        }
    }

    fn waiting(memory: Memory) -> Self {
        Self {
            form: memory.form,
            session: memory.session,
            created_at: memory.created_at,
            processed: false,
            delivery: Delivery::Queued,
            id: memory.id,
            owner: memory.owner,
        }
    }
}

impl MemoryService {
    /// The newest stored memories of an owner, by when they happened, behind those that wait: one
    /// request for each 50. While Zep does not answer, only those that wait.
    ///
    /// # Errors
    /// The backend's error.
    pub async fn events(&self, caller: &Caller, scope: &Scope, limit: usize) -> Result<Vec<Event>> {
        let owner = self.owner(caller, Right::Read, scope)?;
        self.admits(&owner).await?;
        let waiting = self.waits(&owner).await?.memories(&owner, &HashSet::new());
        let mut events: Vec<Event> = waiting.into_iter().rev().map(Event::waiting).collect();
        match self.mem0_of(&owner).await? {
            Some(mem0) => {
                let found = reading::list(mem0.as_ref(), &owner, None).await?;
                events.extend(found.memories.into_iter().map(Event::of_mem0));
            }
            None => {
                let stored = self.asked(self.stored_events(&owner, limit)).await?;
                events.extend(stored.unwrap_or_default());
            }
        }
        events.truncate(limit);
        for event in &events {
            self.inner.shown.insert(event.id.clone(), owner.clone());
        }
        Ok(events)
    }

    async fn stored_events(&self, owner: &Owner, limit: usize) -> Result<Vec<Event>> {
        let page_size = u32::try_from(limit).unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
        let mut pages = self
            .zep()
            .episodes(owner, TimeOrder::NewestFirst, page_size);
        let mut events = Vec::new();
        let mut seen = HashSet::new();
        while events.len() < limit {
            let page = match pages.next().await {
                // An unknown owner has stored nothing.
                Err(error) if error.is_not_found() => return Ok(events),
                page => page?,
            };
            let Some(page) = page else { break };
            // A deleted memory whose episode remains is hidden everywhere, and of doubles one is
            // shown.
            let shown = page.items.iter().filter(|episode| {
                let place = |mark| (episode.thread_id.clone(), mark);
                !is_hidden(episode) && episode.mark().is_none_or(|mark| seen.insert(place(mark)))
            });
            events.extend(shown.map(|episode| Event::of(episode, owner)));
        }
        Ok(events)
    }

    /// The state of one memory, all its parts together. A fact is always processed.
    ///
    /// # Errors
    /// [`crate::memory::Error::NoMemory`], or the backend's error.
    pub async fn event(&self, caller: &Caller, id: &str, scope: &Scope) -> Result<Event> {
        let id = memory_id(id)?;
        let (thing, state) = match self.named(caller, Right::Read, &id, scope).await? {
            Named::Waiting(waiting) => {
                let state = match waiting.parked() {
                    Some(why) => Delivery::Refused(why.to_owned()),
                    None => Delivery::Queued,
                };
                (waiting.located()?, state)
            }
            Named::Stored(id, scope) => {
                let id = match self.by_id(caller, Right::Read, &id, &scope).await {
                    Ok(ById::Mem0(memory)) => return Ok(Event::of_mem0(*memory)),
                    Ok(ById::Zep(id)) => match self.mem0_event(caller, &id, &scope).await? {
                        Some(event) => return Ok(event),
                        None => id,
                    },
                    Err(Error::NoMemory { .. }) => {
                        let event = self.mem0_event(caller, &id, &scope).await?;
                        return event.ok_or_else(|| Error::no_memory(&id));
                    }
                    Err(error) => return Err(error),
                };
                let thing = self.find(caller, Right::Read, &id, &scope).await?;
                (thing, Delivery::Done)
            }
        };
        self.admits(&thing.owner).await?;
        match thing.what {
            Item::Fact(fact) => Ok(Event {
                id,
                form: Form::Fact,
                owner: thing.owner,
                session: None,
                created_at: fact.created_at,
                processed: true,
                delivery: state,
            }),
            Item::Record(parts) => {
                let first = parts.first().ok_or_else(|| Error::no_memory(&id))?;
                if parts.iter().any(is_hidden) {
                    return Err(Error::no_memory(&id));
                }
                Ok(Event {
                    id,
                    processed: parts.iter().all(|part| part.processed == Some(true)),
                    delivery: state,
                    ..Event::of(first, &thing.owner)
                })
            }
        }
    }
}

/// Whether it was deleted as far as Zep allows, or is a double of another one.
fn is_hidden(episode: &Episode) -> bool {
    let ours = episode.metadata.as_ref().map(fit::unpack);
    ours.and_then(|unpacked| unpacked.ours)
        .is_some_and(|ours| ours.marks.is_hidden())
}

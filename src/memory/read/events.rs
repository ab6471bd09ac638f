//! How far Zep is with what was stored.

use jiff::Timestamp;

use crate::memory::{
    Result,
    access::Right,
    model::{Caller, Owner, Scope, Uuid},
    read::by_id::{self, What},
    record::fit,
    record::view::{self, Form},
    service::MemoryService,
};
use crate::zep::{Direction, Episode, Listing, OrderBy, limits::PAGE_ITEMS};

/// The storing of one memory: a text, or a turn of a conversation.
#[derive(Debug, Clone)]
pub struct Event {
    /// The memory's id, or that of the part that was stored.
    pub id: Uuid,
    /// What was stored.
    pub form: Form,
    /// Whose it is.
    pub owner: Owner,
    /// The session it went to.
    pub session: Option<String>,
    /// When it happened.
    pub created_at: Option<Timestamp>,
    /// Whether Zep has drawn its facts from it.
    pub processed: bool,
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
        }
    }
}

impl MemoryService {
    /// The latest things that were stored for an owner, by when they happened: one request for each
    /// 50 of them.
    ///
    /// # Errors
    /// Whatever the backend says.
    pub async fn events(&self, caller: &Caller, scope: &Scope, limit: usize) -> Result<Vec<Event>> {
        let owner = self.owner(caller, Right::Read, scope)?;
        let mut listing = Listing {
            limit: Some(u32::try_from(limit).unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS)),
            order_by: Some(OrderBy::CreatedAt),
            direction: Some(Direction::Desc),
            ..Listing::default()
        };
        let mut events = Vec::new();
        loop {
            let page = match self.zep().list_episodes(&owner, &listing).await {
                // Somebody who is not known has stored nothing.
                Err(error) if error.is_not_found() => return Ok(events),
                page => page?,
            };
            // One that is deleted, and whose episode is still there, is hidden everywhere.
            let seen = page.items.iter().filter(|episode| !is_deleted(episode));
            events.extend(seen.map(|episode| Event::of(episode, &owner)));
            match page.next_cursor {
                Some(cursor) if events.len() < limit => listing.cursor = Some(cursor),
                _ => break,
            }
        }
        events.truncate(limit);
        for event in &events {
            self.inner.shown.insert(event.id.clone(), owner.clone());
        }
        Ok(events)
    }

    /// How far Zep is with one memory, all parts of it together. A fact is always done.
    ///
    /// # Errors
    /// [`crate::memory::Error::NoMemory`], or whatever the backend says.
    pub async fn event(&self, caller: &Caller, id: &str, scope: &Scope) -> Result<Event> {
        let id = by_id::checked(id)?;
        let thing = self.find(caller, Right::Read, &id, scope).await?;
        match thing.what {
            What::Fact(fact) => Ok(Event {
                id,
                form: Form::Fact,
                owner: thing.owner,
                session: None,
                created_at: fact.created_at,
                processed: true,
            }),
            What::Record(parts) => {
                let first = parts.first().ok_or_else(|| by_id::no_memory(&id))?;
                if parts.iter().any(is_deleted) {
                    return Err(by_id::no_memory(&id));
                }
                Ok(Event {
                    id,
                    processed: parts.iter().all(|part| part.processed == Some(true)),
                    ..Event::of(first, &thing.owner)
                })
            }
        }
    }
}

/// Whether it was deleted as far as Zep allows.
fn is_deleted(episode: &Episode) -> bool {
    let ours = episode.metadata.as_ref().map(fit::unpack);
    ours.and_then(|unpacked| unpacked.ours)
        .is_some_and(|ours| ours.marks.deleted)
}

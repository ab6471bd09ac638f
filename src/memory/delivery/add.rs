//! Adding memories, by the queue where there is one.

use std::time::{Duration, Instant};

use super::waiters::Told;
use crate::audit::touched;
use crate::memory::{
    Result,
    access::{Caller, Right},
    beside::sides::Side,
    model::AddedMemory,
    queue::{Lane, NewJob, Queued},
    service::MemoryService,
    write::{
        job::Known,
        request::{Added, NewMemories, Request},
        work::Work,
    },
};

impl MemoryService {
    /// Stores memories: messages in their session (without one, in the user's default session), a
    /// text with a session as a user message, a text without one as an episode of its own. With a queue
    /// they are safe before Zep is asked, and the call waits only a while.
    ///
    /// # Errors
    /// [`crate::memory::Error::Invalid`] names the argument; nothing is written.
    /// [`crate::memory::Error::PartlyStored`] says what is stored and how to continue; not where there
    /// is a queue, which continues by itself. [`crate::memory::Error::Queue`]: nothing is kept or sent.
    pub async fn add(&self, caller: &Caller, new: NewMemories) -> Result<Added> {
        self.add_since(Instant::now(), caller, new).await
    }

    /// The same for a call that began then: what it has waited for Zep since is a part of its wait.
    ///
    /// # Errors
    /// As [`MemoryService::add`].
    pub async fn add_since(
        &self,
        begun: Instant,
        caller: &Caller,
        new: NewMemories,
    ) -> Result<Added> {
        let added = self.add_or_queue(begun, caller, new).await?;
        for memory in &added.memories {
            touched::id(memory.id.as_str());
            // Callers who name no owner mostly ask for what they just added.
            let owner = added.owner.clone();
            self.inner.shown.insert(memory.id.clone(), owner);
        }
        Ok(added)
    }

    async fn add_or_queue(
        &self,
        begun: Instant,
        caller: &Caller,
        new: NewMemories,
    ) -> Result<Added> {
        let owner = self.owner(caller, Right::Write, &new.scope)?;
        self.admits_writing(&owner, begun).await?;
        let request = Request::new(new, &owner);
        let records = request.records()?;
        if let Some(mem0) = self.only_mem0() {
            let accepted = self.add_to_only(mem0.as_ref(), &request).await?;
            return Ok(request.passed(accepted));
        }
        let Some(queue) = self.inner.queue.clone() else {
            let known = match request.is_keyed {
                true => Known::LookFirst,
                false => Known::New,
            };
            let count = records.len();
            let memories = self.write(&request, records, known, false, None).await?;
            let all: Vec<usize> = (0..count).collect();
            self.mirror(&request, &all, false).await?;
            return Ok(request.added(memories, None));
        };
        let place = request.place();
        let ids = request.ids(&records);
        let breaker = &self.inner.delivery.breaker;
        let is_away = breaker.is_away();
        let patience = match is_away {
            true => Duration::ZERO,
            false => queue.patience().saturating_sub(begun.elapsed()),
        };
        let waits_already = match ids.first().filter(|_| request.is_keyed) {
            Some(first) => match queue.find(first).await? {
                Some(Queued::Waiting(job, 0)) => match Work::decode(&job.body) {
                    Ok(Work::Add(earlier)) if earlier.is_repeated_by(&records) => Some(job.number),
                    _ => None,
                },
                _ => None,
            },
            None => None,
        };
        let waiting = match waits_already {
            Some(number) => self.inner.delivery.waiters.enter(number, true),
            None => {
                let work = Work::Add(Box::new(request.clone()));
                let job = NewJob {
                    lane: Lane {
                        owner: place.owner(),
                        session: place.session().cloned(),
                    },
                    body: work.encode(),
                    ids: ids.clone(),
                    in_doubt: false,
                };
                self.put(queue.clone(), job, work, !is_away).await?
            }
        };
        match waiting.at_most(patience).await {
            Some(Told::Settled(outcome)) => {
                let stored = outcome?;
                Ok(match stored.in_mem0 {
                    Some(accepted) => request.passed(accepted),
                    None => request.added(stored.memories, None),
                })
            }
            later => {
                if later.is_none() && !is_away {
                    breaker.suspect();
                }
                // Where it was tried first. If that fails it may be stored all the same, and is not promised.
                if !is_away {
                    queue.harden().await?;
                }
                let queued = ids.into_iter().zip(records);
                let memories = queued.map(|(id, record)| AddedMemory {
                    id,
                    content: record.content,
                });
                let for_mem0 = match self.sides() {
                    Some(_) => !matches!(self.side_of(&owner).await, Ok(Side::Zep)),
                    None => false,
                };
                Ok(Added {
                    for_mem0,
                    ..request.added(memories.collect(), Some(breaker.away()))
                })
            }
        }
    }
}

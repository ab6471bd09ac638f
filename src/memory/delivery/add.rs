//! Adding memories, by the queue where there is one.

use std::time::Duration;

use super::waiters::Told;
use crate::memory::{
    Result,
    access::{Caller, Right},
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
        let owner = self.owner(caller, Right::Write, &new.scope)?;
        let request = Request::new(new, &owner);
        let records = request.records()?;
        let Some(queue) = self.inner.queue.clone() else {
            let known = match request.is_keyed {
                true => Known::LookFirst,
                false => Known::New,
            };
            let memories = self.write(&request, records, known, false, None).await?;
            return Ok(request.added(memories, None));
        };
        let place = request.place();
        let ids = request.ids(&records);
        let breaker = &self.inner.delivery.breaker;
        let is_away = breaker.is_away();
        let patience = match is_away {
            true => Duration::ZERO,
            false => queue.patience(),
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
                self.put(queue, job, work, !is_away).await?
            }
        };
        match waiting.at_most(patience).await {
            Some(Told::Added(outcome)) => Ok(request.added(outcome?, None)),
            later => {
                if later.is_none() && !is_away {
                    breaker.suspect();
                }
                let queued = ids.into_iter().zip(records);
                let memories = queued.map(|(id, record)| AddedMemory {
                    id,
                    content: record.content,
                });
                Ok(request.added(memories.collect(), Some(breaker.away())))
            }
        }
    }
}

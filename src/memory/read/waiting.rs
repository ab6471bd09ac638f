//! A memory by its id: Zep's, or one that the queue gave.

use std::sync::Arc;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    beside::reading::ById,
    input::memory_id,
    model::{Change, Scope, Uuid},
    queue::{Job, Queue, Queued},
    read::by_id::{Item, Located},
    record::view::Memory,
    service::MemoryService,
    write::{request::Request, work::Work},
};

/// Where a memory is to be found.
pub(crate) enum Named {
    /// In the queue.
    Waiting(Box<Waiting>),
    /// In Zep, under this id, within this scope.
    Stored(Uuid, Scope),
}

/// A memory that waits in the queue.
pub(crate) struct Waiting {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) job: Job,
    pub(crate) request: Request,
    /// Which memory of the request.
    pub(crate) index: usize,
    pub(crate) id: Uuid,
}

impl MemoryService {
    /// One memory by its id: a fact, a text, or a turn of a conversation. If the scope names a user
    /// or an agent, the memory must be theirs; otherwise the owner is looked up.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the id is not a UUID, [`Error::NoMemory`] if no memory within the
    /// caller's reach has it, or the backend's error.
    pub async fn get(&self, caller: &Caller, id: &str, scope: &Scope) -> Result<Memory> {
        let id = memory_id(id)?;
        let (id, scope) = match self.named(caller, Right::Read, &id, scope).await? {
            Named::Waiting(waiting) => {
                self.admits(&waiting.job.lane.owner).await?;
                let memory = self.shown(waiting.located()?).await?;
                let mut memory = memory.ok_or_else(|| Error::no_memory(&id))?;
                memory.pending = true;
                return Ok(memory);
            }
            Named::Stored(id, scope) => (id, scope),
        };
        let id = match self.by_id(caller, Right::Read, &id, &scope).await? {
            ById::Mem0(memory) => {
                self.admits(&memory.owner).await?;
                return self.as_it_will_be(*memory).await;
            }
            ById::Zep(id) => id,
        };
        let thing = self.find(caller, Right::Read, &id, &scope).await?;
        self.admits(&thing.owner).await?;
        let memory = self.shown(thing).await?;
        let memory = memory.ok_or_else(|| Error::no_memory(&id))?;
        self.remember(&memory);
        self.as_it_will_be(memory).await
    }

    /// A stored memory with the changes that wait.
    async fn as_it_will_be(&self, memory: Memory) -> Result<Memory> {
        let (id, owner) = (memory.id.clone(), memory.owner.clone());
        let mut shown = vec![memory];
        if self.inner.queue.is_some() {
            self.waits(&owner).await?.apply(&mut shown);
        }
        shown.pop().ok_or_else(|| Error::no_memory(&id))
    }

    /// Where the memory of an id is to be found: in Zep, unless the queue gave the id.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if the queue gave it for a memory that is out of the caller's reach or not of
    /// this scope, or if its deletion waits.
    pub(crate) async fn named(
        &self,
        caller: &Caller,
        right: Right,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<Named> {
        let (mut stored, mut scope) = (id.clone(), scope.clone());
        let Some(queue) = self.inner.queue.clone() else {
            return Ok(Named::Stored(stored, scope));
        };
        // The id that the queue gave, and then Zep's.
        while let Some(found) = queue.find(&stored).await? {
            let owner = match &found {
                Queued::Waiting(job, _) => &job.lane.owner,
                Queued::Delivered(owner, _) => owner,
            };
            let named = scope.user.is_some() || scope.agent.is_some();
            if named && self.owner(caller, right, &scope)? != *owner {
                return Err(Error::no_memory(id));
            }
            caller.may(right, owner).map_err(|_| Error::no_memory(id))?;
            match found {
                Queued::Delivered(owner, zep) if zep != stored => {
                    self.inner.shown.insert(zep.clone(), owner);
                    (stored, scope) = (zep, Scope::default());
                }
                Queued::Delivered(..) => break,
                Queued::Waiting(job, index) => match Work::decode(&job.body) {
                    Ok(Work::Add(request)) => {
                        return Ok(Named::Waiting(Box::new(Waiting {
                            queue,
                            job: *job,
                            request: *request,
                            index,
                            id: id.clone(),
                        })));
                    }
                    Ok(Work::Delete(_)) if job.parked.is_none() => {
                        return Err(Error::no_memory(id));
                    }
                    Ok(Work::Change(..) | Work::Delete(_)) => break,
                    Err(unreadable) => {
                        return Err(Error::invalid("memory_id", unreadable.to_string()));
                    }
                },
            }
        }
        Ok(Named::Stored(stored, scope))
    }
}

impl Waiting {
    /// As it will be when it is stored.
    pub(crate) fn located(&self) -> Result<Located> {
        self.changed(&Change::default())
    }

    /// The same with this change.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does not fit so.
    pub(crate) fn changed(&self, change: &Change) -> Result<Located> {
        let records = self.request.records()?;
        let record = records.into_iter().nth(self.index);
        let mut record = record.ok_or_else(|| Error::no_memory(&self.id))?;
        let later = self.request.updates(self.index, false);
        later
            .chain([change])
            .for_each(|change| record.change(change));
        let place = self.request.place();
        Ok(Located {
            owner: place.owner(),
            what: Item::Record(record.as_episodes(&place, &self.id)?),
        })
    }

    /// Why Zep refused it for good, if it did.
    pub(crate) fn parked(&self) -> Option<&str> {
        self.job.parked.as_deref()
    }
}

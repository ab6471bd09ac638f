//! Changing and deleting memories: those that wait in the queue there, those that Zep has in Zep, or by
//! the queue while it does not answer.

use super::carry_out::change_of;
use super::fate::Fate;
use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    change::{
        delete::{Deleted, Removed},
        update::{Changed, said_so},
    },
    input::memory_id,
    model::{Change, Owner, Place, Scope, Uuid},
    queue::{Lane, NewJob},
    read::waiting::{Named, Waiting},
    record::{fit, view::Form},
    service::MemoryService,
    write::{
        request::{Edit, Edited},
        work::Work,
    },
};

/// What became of a change.
#[derive(Debug)]
pub enum Settled<T> {
    /// It is done.
    Done(T),
    /// Zep does not answer: it waits in the queue.
    Queued {
        /// The memory's id.
        id: Uuid,
        /// Whose it is.
        owner: Owner,
    },
}

impl MemoryService {
    /// Changes a memory, all parts of it together.
    ///
    /// A text gets a new id: Zep cannot change an episode's text, so the new text is stored with
    /// the time and fields of the old one, and the old one is deleted. Readers who find both hide
    /// the old one. Repeating an interrupted call finishes it. Once begun it completes, even if the
    /// caller is gone. An id that the queue gave stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] if nothing is to be changed, or if the text of a turn of a conversation
    /// is; [`Error::NoMemory`]; [`Error::Unfinished`] if it stopped midway and there is no queue.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        scope: &Scope,
        change: Change,
    ) -> Result<Settled<Changed>> {
        let id = memory_id(id)?;
        if change.text.is_none() && change.metadata.is_none() {
            return Err(Error::invalid(
                "text",
                "is missing; give the new `text`, the new `metadata`, or both",
            ));
        }
        if change.text.as_deref().is_some_and(fit::is_blank) {
            return Err(Error::invalid(
                "text",
                "is blank; to remove a memory use delete_memory",
            ));
        }
        loop {
            match self.named(caller, Right::Write, &id, scope).await? {
                Named::Waiting(waiting) => {
                    self.admits(&waiting.job.lane.owner).await?;
                    // It may have been delivered or changed at this moment.
                    if let Some(changed) = waiting.update(self, change.clone()).await? {
                        return Ok(Settled::Done(changed));
                    }
                }
                Named::Stored(stored, scope) => {
                    let here = self.here_or_in_zep(caller, Right::Write, &stored, &scope);
                    let stored = match here.await? {
                        Ok(here) => return self.update_here(here, change).await,
                        Err(stored) => stored,
                    };
                    let work = Work::Change(stored.clone(), change.clone());
                    let attempt = self.update_stored(caller, &stored, &scope, change);
                    let at = (Right::Write, &stored, &scope);
                    return self.now_or_queued(caller, at, attempt, work).await;
                }
            }
        }
    }

    /// Deletes a memory, all parts of it; with a change of it that is under way, what it is changed
    /// to. Once begun it completes, even if the caller is gone. Repeating an interrupted call
    /// finishes it.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::Unfinished`] if it stopped midway and there is no queue, or the
    /// backend's error.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: &str,
        scope: &Scope,
    ) -> Result<Settled<Deleted>> {
        let id = memory_id(id)?;
        loop {
            match self.named(caller, Right::Delete, &id, scope).await? {
                Named::Waiting(waiting) => {
                    if let Some(deleted) = waiting.delete().await? {
                        return Ok(Settled::Done(deleted));
                    }
                }
                Named::Stored(stored, scope) => {
                    let here = self.here_or_in_zep(caller, Right::Delete, &stored, &scope);
                    let stored = match here.await? {
                        Ok(here) => return self.delete_here(here).await,
                        Err(stored) => stored,
                    };
                    let work = Work::Delete(stored.clone());
                    let attempt = self.delete_stored(caller, &stored, &scope);
                    let at = (Right::Delete, &stored, &scope);
                    return self.now_or_queued(caller, at, attempt, work).await;
                }
            }
        }
    }

    /// Tries it for as long as a call waits, and leaves it to the queue if Zep does not answer. Both
    /// may be done at once: each finds what the other did.
    async fn now_or_queued<T>(
        &self,
        caller: &Caller,
        (right, id, scope): (Right, &Uuid, &Scope),
        attempt: impl Future<Output = Result<T>>,
        work: Work,
    ) -> Result<Settled<T>> {
        let owner = match scope.user.is_some() || scope.agent.is_some() {
            true => Some(self.owner(caller, right, scope)?),
            // Whose an unknown memory is only Zep could tell.
            false => self
                .inner
                .shown
                .get(id)
                .filter(|owner| caller.may(right, owner).is_ok()),
        };
        let (Some(queue), Some(owner)) = (self.inner.queue.clone(), owner) else {
            return attempt.await.map(Settled::Done);
        };
        let delivery = &self.inner.delivery;
        let is_tried = !delivery.breaker.is_away();
        if is_tried && let Ok(outcome) = tokio::time::timeout(queue.patience(), attempt).await {
            match outcome {
                Ok(done) => {
                    delivery.breaker.answered();
                    return Ok(Settled::Done(done));
                }
                Err(error) => match Fate::of(&error, false) {
                    Fate::Later { .. } => delivery.breaker.failed(Some(&error)),
                    Fate::Told | Fate::Parked => return Err(error),
                },
            };
        }
        let lane = Lane {
            owner: owner.clone(),
            session: None,
        };
        let job = match work {
            Work::Change(id, change) => change_of(&lane, &id, change, is_tried),
            work => NewJob {
                body: work.encode(),
                ids: vec![id.clone()],
                in_doubt: is_tried,
                lane,
            },
        };
        queue.put(job, false).await?;
        delivery.put.notify_one();
        let id = id.clone();
        Ok(Settled::Queued { id, owner })
    }
}

impl Waiting {
    /// Deletes it: it is not sent, or deleted right after. `None` if it is not in the queue as it was.
    async fn delete(self) -> Result<Option<Deleted>> {
        let (id, form, owner) = (self.id.clone(), self.form(), self.job.lane.owner.clone());
        let removed = match &self.job.lane.session {
            // If it was sent, it can only be hidden.
            Some(session) if self.job.in_doubt => Removed::FactsOnly {
                session: session.to_string(),
            },
            _ => Removed::All,
        };
        let deleted = self.edit(Edit::Delete).await?;
        Ok(deleted.then_some(Deleted {
            id,
            form,
            owner,
            removed,
            in_mem0: false,
        }))
    }

    /// Changes it: it is sent so, or changed right after. `None` if it is not in the queue as it was.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it cannot be changed so.
    async fn update(self, service: &MemoryService, change: Change) -> Result<Option<Changed>> {
        if self.form() == Form::Message && change.text.is_some() {
            return Err(said_so());
        }
        let memory = service.shown(self.changed(&change)?).await?;
        let memory = memory.ok_or_else(|| Error::no_memory(&self.id))?;
        let changed = self.edit(Edit::Update(change)).await?;
        Ok(changed.then_some(Changed {
            memory,
            previous_id: None,
        }))
    }

    /// Whether it was still in the queue as it was.
    async fn edit(mut self, edit: Edit) -> Result<bool> {
        let gone = (edit == Edit::Delete).then_some(self.index);
        self.request.edit(Edited {
            of: self.index,
            unsent: !self.job.in_doubt,
            edit,
        });
        let body = Work::Add(Box::new(self.request)).encode();
        Ok(self.queue.replace(&self.job, &body, gone).await?)
    }

    fn form(&self) -> Form {
        match self.request.place() {
            Place::Session(..) => Form::Message,
            Place::Graph(_) => Form::Episode,
        }
    }
}

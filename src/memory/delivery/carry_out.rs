//! What a job of the queue does in Zep.

use std::collections::BTreeSet;

use crate::memory::{
    Error, Result,
    access::Caller,
    beside::sides::Side,
    error::if_found,
    mem0::Accepted,
    model::{AddedMemory, Change, Place, Scope, Uuid},
    queue::{Job, Lane, NewJob, Queue, Queued},
    record::{
        assemble::whole,
        view::{self, Form},
    },
    service::MemoryService,
    write::{job::Known, request::Request, work::Work},
};

/// What a job did.
#[derive(Default)]
pub(super) struct Done {
    /// What is stored now, by index.
    pub(super) memories: Vec<(usize, AddedMemory)>,
    /// What is still to be done.
    pub(super) follow: Vec<NewJob>,
    /// What mem0 answered, if the owner is its.
    pub(super) in_mem0: Option<Accepted>,
}

impl MemoryService {
    /// Does what a claimed job says; `None` if it was deleted, or is another process's now.
    pub(super) async fn carry_out(
        &self,
        queue: &dyn Queue,
        job: &Job,
        work: Work,
    ) -> Result<Option<Done>> {
        match self.side_to_write_on(&job.lane.owner).await? {
            Side::Zep => {}
            Side::Moving => return Err(Error::Moving),
            Side::Mem0 => {
                // A deletion of everything holds the owner alone, and empties the queue first.
                let _share = self.inner.share_of(&job.lane.owner).await?;
                if !queue.holds(job.number).await? {
                    return Ok(None);
                }
                let in_mem0 = Some(self.carry_out_in_mem0(job, work).await?);
                return Ok(Some(Done {
                    in_mem0,
                    ..Done::default()
                }));
            }
        }
        match work {
            Work::Add(request) => return self.add_queued(queue, job, &request).await,
            Work::Change(id, change) => {
                let id = now_known_as(queue, id).await?;
                let id = self.moved_id(&job.lane.owner, &id).await?;
                self.inner.shown.insert(id.clone(), job.lane.owner.clone());
                let scope = Scope::default();
                match self
                    .update_stored(&Caller::Operator, &id, &scope, change)
                    .await
                {
                    // An earlier attempt did it, or it was deleted since.
                    Err(Error::NoMemory { .. }) if job.in_doubt => {}
                    changed => drop(changed?),
                }
            }
            Work::Delete(id) => {
                let id = now_known_as(queue, id).await?;
                let id = self.moved_id(&job.lane.owner, &id).await?;
                self.delete_queued(&job.lane, &id).await?;
            }
        }
        Ok(Some(Done::default()))
    }

    /// Stores the memories of a request. What certainly never reached Zep is sent as it was changed since,
    /// or not at all; what may have is changed or deleted after it.
    async fn add_queued(
        &self,
        queue: &dyn Queue,
        job: &Job,
        request: &Request,
    ) -> Result<Option<Done>> {
        // A deletion of everything holds the owner alone, and empties the queue first. If another process
        // did so in this moment, a call that was told nothing yet came after it.
        let at_once = self.inner.share_at_once(&job.lane.owner);
        let share = match at_once.filter(|_| job.is_new) {
            Some(share) => share,
            None => {
                let share = self.inner.share_of(&job.lane.owner).await?;
                if !queue.holds(job.number).await? {
                    return Ok(None);
                }
                share
            }
        };
        let (mut kept, mut indexes, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        for (index, record) in request.records()?.into_iter().enumerate() {
            match request.deletion(index) {
                Some(deletion) if deletion.unsent => {}
                Some(_) => deleted.push(record.id().to_owned()),
                None => {
                    indexes.push(index);
                    kept.push(record);
                }
            }
        }
        let known = match job.in_doubt || request.is_keyed {
            true => Known::LookFirst,
            false => Known::New,
        };
        let memories = match kept.is_empty() {
            true => Vec::new(),
            false => {
                self.write(request, kept, known, job.in_doubt, Some(share))
                    .await?
            }
        };
        self.mirror(request, &indexes, job.in_doubt).await?;
        // Deletions take their own share of the owner.
        for record in &deleted {
            self.delete_record(&job.lane, record).await?;
        }
        let memories: Vec<_> = indexes.into_iter().zip(memories).collect();
        self.note_stored(request, &memories)?;
        let follow = memories.iter().flat_map(|(index, memory)| {
            let changes = request.updates(*index, false);
            changes.map(|change| change_of(&job.lane, &memory.id, change.clone(), true))
        });
        let follow = follow.collect();
        Ok(Some(Done {
            memories,
            follow,
            in_mem0: None,
        }))
    }

    /// Keeps what was stored, for readers while Zep does not answer.
    fn note_stored(&self, request: &Request, memories: &[(usize, AddedMemory)]) -> Result<()> {
        let place = request.place();
        let records = request.records()?;
        let mut turns = Vec::new();
        for (index, memory) in memories {
            let Some(record) = records.get(*index) else {
                continue;
            };
            let parts = record.as_episodes(&place, &memory.id)?;
            let thread = parts.first().and_then(|part| part.thread_id.clone());
            let form = match place.session() {
                Some(_) => Form::Message,
                None => Form::Episode,
            };
            let Some(whole) = whole(parts) else { continue };
            turns.push(whole.record.clone());
            let memory = view::record(whole, thread.as_deref(), form, &place.owner());
            self.inner.known.note(&memory);
        }
        if let Place::Session(user, session) = &place {
            self.inner.known.note_turns(user, session, &turns);
        }
        Ok(())
    }

    /// Deletes a record that may be stored, and what may still arrive of it.
    async fn delete_record(&self, lane: &Lane, record: &str) -> Result<()> {
        self.note_deleted(lane, [record.to_owned()]).await;
        let found = self.zep().find_episodes(&lane.owner, record).await;
        let stored: Option<Vec<_>> = if_found(found)?;
        let ids: BTreeSet<Uuid> = stored.into_iter().flatten().map(|part| part.uuid).collect();
        for id in ids {
            self.delete_queued(lane, &id).await?;
        }
        Ok(())
    }

    /// Deletes what is stored under an id, if anything is.
    async fn delete_queued(&self, lane: &Lane, id: &Uuid) -> Result<()> {
        self.inner.shown.insert(id.clone(), lane.owner.clone());
        match self
            .delete_stored(&Caller::Operator, id, &Scope::default())
            .await
        {
            Err(Error::NoMemory { .. }) => Ok(()),
            deleted => deleted.map(drop),
        }
    }
}

/// The id of a memory after the changes that were carried out before: a text gets a new one.
async fn now_known_as(queue: &dyn Queue, mut id: Uuid) -> Result<Uuid> {
    while let Some(Queued::Delivered(_, newer)) = queue.find(&id).await?
        && newer != id
    {
        id = newer;
    }
    Ok(id)
}

/// A job that changes a stored memory. If it is in doubt, and there is no such memory, it is done.
pub(super) fn change_of(lane: &Lane, id: &Uuid, change: Change, in_doubt: bool) -> NewJob {
    NewJob {
        lane: lane.clone(),
        body: Work::Change(id.clone(), change).encode(),
        ids: vec![id.clone()],
        in_doubt,
    }
}

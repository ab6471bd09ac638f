//! Adds, changes and deletes memories in mem0.

use serde_json::Value;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    change::{
        delete::{Deleted, Removed},
        update::Changed,
    },
    delivery::changes::Settled,
    mem0::{Accepted, Addition, Mem0, Object, PAGE_ITEMS},
    model::{Change, Owner, Scope, Uuid},
    queue::{Job, Lane},
    record::view::{Form, Memory},
    service::MemoryService,
    write::{request::Request, work::Work},
};

use super::objects;
use super::sides::Side;
use super::{Mode, reading::ById};

/// How many pages of an owner's newest memories are looked through for one that may have been added. Ours.
const LOOKED_THROUGH: u32 = 5;

/// A memory that is mem0's, and what to do with it now.
pub(crate) enum Here {
    /// At once.
    Now(Box<Memory>),
    /// By the queue, since its owner may be moved at any moment.
    Queued(Box<Memory>),
}

impl MemoryService {
    /// The memory of this id, if it is mem0's; else its id in Zep.
    pub(crate) async fn here_or_in_zep(
        &self,
        caller: &Caller,
        right: Right,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<std::result::Result<Here, Uuid>> {
        Ok(match self.by_id(caller, right, id, scope).await? {
            ById::Zep(id) => Err(id),
            ById::Mem0(memory) => match self.side_of(&memory.owner).await? {
                Side::Mem0 if self.only_mem0().is_some() => Ok(Here::Now(memory)),
                Side::Mem0 | Side::Moving => Ok(Here::Queued(memory)),
                // Only reads fall back to mem0.
                Side::Zep => Err(id.clone()),
            },
        })
    }

    /// Adds the memories of a request to mem0, where it has everything: as mem0-mcp-server did, unless the
    /// caller's key makes it repeatable.
    pub(crate) async fn add_to_only(&self, mem0: &dyn Mem0, request: &Request) -> Result<Accepted> {
        match request.is_keyed {
            true => self.add_once_to_mem0(mem0, request, true).await,
            false => Ok(mem0.add(&addition(request, &[])?).await?),
        }
    }

    /// Adds the memories of a request to mem0, marked with its record; if it is in doubt, it is looked first
    /// whether an earlier attempt did.
    async fn add_once_to_mem0(
        &self,
        mem0: &dyn Mem0,
        request: &Request,
        in_doubt: bool,
    ) -> Result<Accepted> {
        let owner = &request.place().owner();
        let count = request.records()?.len();
        let deleted: Vec<usize> = (0..count)
            .filter(|index| request.deletion(*index).is_some())
            .collect();
        if deleted.len() == count {
            return Ok(Accepted::default());
        }
        let key = request.key.to_string();
        if in_doubt || request.is_keyed {
            let there = of_record(mem0, owner, objects::RECORD, &key, LOOKED_THROUGH).await?;
            let is_edited = !request.edits.is_empty();
            for (id, _) in there.iter().filter(|_| is_edited) {
                // Which of them was made of what was changed, mem0 does not tell: all are made again.
                match mem0.delete(id).await {
                    Err(error) if error.is_not_found() => {}
                    gone => gone?,
                }
            }
            if !there.is_empty() && !is_edited {
                return Ok(Accepted {
                    status: Some("SUCCEEDED".to_owned()),
                    event: None,
                    memories: there,
                });
            }
        }
        let mut addition = addition(request, &deleted)?;
        // It may have waited.
        let made_at = request.made_at.as_second();
        addition.timestamp.get_or_insert(made_at);
        addition
            .metadata
            .insert(objects::RECORD.to_owned(), key.into());
        let accepted = mem0.add(&addition).await?;
        if let (Some(event), Some(sides)) = (&accepted.event, self.sides()) {
            sides.sent(owner, event).await?;
        }
        Ok(accepted)
    }

    /// Does what a claimed job says in mem0.
    pub(crate) async fn carry_out_in_mem0(&self, job: &Job, work: Work) -> Result<Accepted> {
        let Some(beside) = &self.inner.beside else {
            unreachable!("nobody is mem0's without it")
        };
        let mem0 = beside.mem0.as_ref();
        match work {
            Work::Add(request) => {
                return self.add_once_to_mem0(mem0, &request, job.in_doubt).await;
            }
            Work::Change(id, change) => {
                let changed = mem0.update(
                    id.as_str(),
                    change.text.as_deref(),
                    change.metadata.as_ref(),
                );
                match changed.await {
                    Err(error) if error.is_not_found() && job.in_doubt => {}
                    Err(error) if error.is_not_found() => return Err(Error::no_memory(&id)),
                    changed => changed?,
                }
            }
            Work::Delete(id) => match mem0.delete(id.as_str()).await {
                Err(error) if error.is_not_found() => {}
                deleted => deleted?,
            },
        }
        Ok(Accepted::default())
    }

    /// Changes a memory of mem0's.
    pub(crate) async fn update_here(&self, here: Here, change: Change) -> Result<Settled<Changed>> {
        let changed = |mut memory: Memory, change: Change| {
            if let Some(text) = change.text {
                memory.text = text;
            }
            if let Some(metadata) = change.metadata {
                memory.metadata = metadata;
            }
            Settled::Done(Changed {
                memory,
                previous_id: None,
            })
        };
        match here {
            Here::Now(memory) => {
                let Some(mem0) = self.only_mem0() else {
                    unreachable!("it is mem0's")
                };
                let (text, metadata) = (change.text.as_deref(), change.metadata.as_ref());
                mem0.update(memory.id.as_str(), text, metadata).await?;
                Ok(changed(*memory, change))
            }
            Here::Queued(memory) => {
                let work = Work::Change(memory.id.clone(), change.clone());
                match self.by_queue(&memory, work).await? {
                    true => Ok(changed(*memory, change)),
                    false => Ok(Settled::Queued {
                        id: memory.id,
                        owner: memory.owner,
                    }),
                }
            }
        }
    }

    /// Deletes a memory of mem0's.
    pub(crate) async fn delete_here(&self, here: Here) -> Result<Settled<Deleted>> {
        let (memory, is_done) = match here {
            Here::Now(memory) => {
                let Some(mem0) = self.only_mem0() else {
                    unreachable!("it is mem0's")
                };
                mem0.delete(memory.id.as_str()).await?;
                (memory, true)
            }
            Here::Queued(memory) => {
                let work = Work::Delete(memory.id.clone());
                let is_done = self.by_queue(&memory, work).await?;
                (memory, is_done)
            }
        };
        self.inner.shown.remove(&memory.id);
        Ok(match is_done {
            true => Settled::Done(Deleted {
                id: memory.id,
                form: Form::Fact,
                owner: memory.owner,
                removed: Removed::All,
                in_mem0: true,
            }),
            false => Settled::Queued {
                id: memory.id,
                owner: memory.owner,
            },
        })
    }

    /// Has it done by the queue; whether it is done by now.
    async fn by_queue(&self, memory: &Memory, work: Work) -> Result<bool> {
        let lane = Lane {
            owner: memory.owner.clone(),
            session: None,
        };
        self.put_and_wait(lane, vec![memory.id.clone()], work).await
    }

    /// The owners whose side is decided, where users are moved one after the other.
    pub(crate) fn sides(&self) -> Option<&dyn super::sides::Sides> {
        match &self.inner.beside.as_ref()?.mode {
            Mode::Phased(sides) => Some(sides.as_ref()),
            Mode::Only | Mode::Kept => None,
        }
    }
}

/// Ids and texts of the memories of mem0 that were made from a record, by this mark.
pub(super) async fn of_record(
    mem0: &dyn Mem0,
    owner: &Owner,
    mark: &str,
    record: &str,
    pages: u32,
) -> Result<Vec<(String, String)>> {
    let filters = objects::filters(owner, None);
    let mut found = Vec::new();
    for page in 1..=pages {
        let listed = mem0.memories(&filters, page, PAGE_ITEMS).await?;
        let own = |object: &&Object| objects::mark(object, mark) == Some(record);
        found.extend(listed.items.iter().filter(own).filter_map(|object| {
            let text = |field: &str| Some(object.get(field)?.as_str()?.to_owned());
            Some((text("id")?, text("memory").unwrap_or_default()))
        }));
        if !listed.has_next {
            break;
        }
    }
    Ok(found)
}

/// A request in mem0's words, as mem0-mcp-server sends it, without these of its memories.
fn addition(request: &Request, without: &[usize]) -> Result<Addition> {
    let new = &request.new;
    let mut metadata = new.metadata.clone();
    if let Some(kind) = &new.kind {
        metadata
            .entry(objects::KIND.to_owned())
            .or_insert_with(|| Value::from(kind.as_str()));
    }
    let records = request.records()?;
    let mut messages = Vec::new();
    for (index, mut record) in records.into_iter().enumerate() {
        let later = request.updates(index, false);
        later.for_each(|change| record.change(change));
        if without.contains(&index) {
            continue;
        }
        let role = match new.messages.get(index) {
            Some(turn) => turn.role.clone(),
            None => "user".to_owned(),
        };
        // mem0 has the fields of a call only.
        if without.len() + 1 == new.messages.len().max(1) {
            metadata.extend(record.metadata);
        }
        messages.push((role, record.content));
    }
    // mem0 has one time for a call.
    let last = new.messages.iter().rev().find_map(|turn| turn.created_at);
    let said_at = new.created_at.or(last);
    Ok(Addition {
        of: objects::named(&new.scope),
        messages,
        metadata,
        timestamp: said_at.map(|time| time.as_second()),
        infer: true,
    })
}

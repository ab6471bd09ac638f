//! Reads an owner's memories from mem0.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    error::if_found,
    mem0::{Mem0, Named, PAGE_ITEMS},
    model::{AgentId, MemoryKind, Owner, Record, Scope, SessionId, UserId, Uuid},
    read::events::{Delivery, Event},
    read::sessions::SessionInfo,
    record::view::{Form, Memory},
    search::restriction::Restriction,
    service::MemoryService,
};

use super::objects;
use super::sides::Side;

/// The most memories that one call reads. Ours: 100 requests.
const MAX_READ: usize = 20_000;
/// The most results of a search (mem0 Platform, `top_k`).
const MAX_FOUND: u32 = 1_000;

/// An owner's memories in mem0.
pub(crate) struct InMem0 {
    /// Newest first.
    pub(crate) memories: Vec<Memory>,
    /// Whether there are more.
    pub(crate) truncated: bool,
}

/// What an id names.
pub(crate) enum ById {
    /// A memory that is mem0's.
    Mem0(Box<Memory>),
    /// What may be in Zep under this id, or another one since it was moved.
    Zep(Uuid),
}

/// All memories of an owner, or of one session.
pub(crate) async fn list(
    mem0: &dyn Mem0,
    owner: &Owner,
    session: Option<&SessionId>,
) -> Result<InMem0> {
    let filters = objects::filters(owner, session);
    let mut found = InMem0 {
        memories: Vec::new(),
        truncated: false,
    };
    for page in 1.. {
        let listed = mem0.memories(&filters, page, PAGE_ITEMS).await?;
        let memories = listed.items.into_iter().filter_map(objects::memory);
        let own = memories.filter(|memory| memory.owner == *owner);
        found.memories.extend(own);
        if !listed.has_next {
            break;
        }
        if found.memories.len() >= MAX_READ || page as usize * PAGE_ITEMS as usize >= MAX_READ {
            found.truncated = true;
            break;
        }
    }
    // A memory that is added while pages are read moves others to the next page.
    let mut seen = HashSet::new();
    found
        .memories
        .retain(|memory| seen.insert(memory.id.clone()));
    Ok(found)
}

/// What mem0 finds of an owner's memories that meets the restriction, best first.
pub(crate) async fn search(
    mem0: &dyn Mem0,
    owner: &Owner,
    restriction: &Restriction,
    (query, limit, min_score): (&str, u32, Option<f64>),
) -> Result<Vec<Memory>> {
    let session = restriction.session.as_ref().map(|(session, _)| session);
    let filters = objects::filters(owner, session);
    let is_narrow = restriction.filter.is_some()
        || restriction.agent.is_some()
        || restriction.app.is_some()
        || matches!(owner, Owner::Graph(_));
    // What mem0 is not asked to leave out is left out here.
    let top_k = if is_narrow { MAX_FOUND } else { limit };
    let found = mem0.search(query, &filters, top_k, min_score).await?;
    let memories = found.into_iter().filter_map(objects::memory);
    let mut memories: Vec<Memory> = memories
        .filter(|memory| memory.owner == *owner && restriction.admits(memory))
        .collect();
    memories.truncate(limit as usize);
    Ok(memories)
}

/// The turns of a session, oldest first.
pub(crate) async fn turns(
    mem0: &dyn Mem0,
    owner: &Owner,
    session: &SessionId,
    kind: Option<&MemoryKind>,
) -> Result<Vec<Record>> {
    let mut found = list(mem0, owner, Some(session)).await?.memories;
    found.retain(|memory| memory.session.as_deref() == Some(session.as_str()));
    found.reverse();
    let turns = found.into_iter().map(objects::turn);
    let kind = kind.map(MemoryKind::as_str);
    Ok(turns
        .filter(|turn| kind.is_none() || turn.memory_type.as_deref() == kind)
        .collect())
}

/// The sessions of an owner, newest first.
pub(crate) async fn sessions(mem0: &dyn Mem0, owner: &Owner) -> Result<Vec<SessionInfo>> {
    let mut sessions: HashMap<String, SessionInfo> = HashMap::new();
    for memory in list(mem0, owner, None).await?.memories {
        let Some(session) = memory.session else {
            continue;
        };
        let info = sessions
            .entry(session.clone())
            .or_insert_with(|| SessionInfo {
                session,
                created_at: memory.created_at,
                last_used_at: memory.created_at,
                message_count: 0,
                pending_count: 0,
            });
        info.message_count += 1;
        info.created_at = info.created_at.min(memory.created_at);
        info.last_used_at = info.last_used_at.max(memory.created_at);
    }
    let mut sessions: Vec<_> = sessions.into_values().collect();
    sessions.sort_by(|a, b| (b.last_used_at, &b.session).cmp(&(a.last_used_at, &a.session)));
    Ok(sessions)
}

impl MemoryService {
    /// Whether an id names a memory that is mem0's, within the caller's reach and the scope. What is not
    /// found there may be in Zep.
    ///
    /// # Errors
    /// [`Error::NoMemory`] for one that is out of reach; mem0's error where it has everything.
    pub(crate) async fn by_id(
        &self,
        caller: &Caller,
        right: Right,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<ById> {
        let Some(beside) = self.inner.beside.as_ref().filter(|it| it.is_read()) else {
            return Ok(ById::Zep(id.clone()));
        };
        let known = self.inner.shown.get(id);
        if let Some(owner) = &known
            && self.mem0_of(owner).await?.is_none()
        {
            return Ok(ById::Zep(id.clone()));
        }
        let is_only = self.only_mem0().is_some();
        let object = match beside.mem0.memory(id.as_str()).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() || error.status == Some(400) => {
                return match is_only {
                    true => Err(Error::no_memory(id)),
                    false => Ok(ById::Zep(id.clone())),
                };
            }
            Err(error) if is_only => return Err(error.into()),
            // mem0's failure fails no call of what is Zep's, and what is not there may be mem0's.
            Err(error) => {
                return match self.find(caller, right, id, scope).await {
                    Err(Error::NoMemory { .. }) => Err(error.into()),
                    _ => Ok(ById::Zep(id.clone())),
                };
            }
        };
        let memory = objects::memory(object).ok_or_else(|| Error::no_memory(id))?;
        let named = scope.user.is_some() || scope.agent.is_some();
        if named && self.owner(caller, right, scope)? != memory.owner {
            return Err(Error::no_memory(id));
        }
        let allowed = caller.may(right, &memory.owner);
        allowed.map_err(|_| Error::no_memory(id))?;
        if self.mem0_of(&memory.owner).await?.is_some() {
            return Ok(ById::Mem0(Box::new(memory)));
        }
        let owner = memory.owner;
        let stored = self.moved_id(&owner, id).await?;
        self.inner.shown.insert(stored.clone(), owner);
        Ok(ById::Zep(stored))
    }

    /// The id in Zep of a memory that had this one in mem0: it is its record's id.
    pub(crate) async fn moved_id(&self, owner: &Owner, id: &Uuid) -> Result<Uuid> {
        if self.sides().is_none() {
            return Ok(id.clone());
        }
        let parts = self.zep().find_episodes(owner, id.as_str()).await;
        let parts = if_found(parts)?.unwrap_or_default();
        let first = parts
            .into_iter()
            .min_by_key(|part| part.mark().map_or(1, |mark| mark.part.number));
        Ok(first.map_or_else(|| id.clone(), |part| part.uuid))
    }

    /// What mem0 says of the processing of an addition; `None` if it does not know of it, or does not say
    /// whose it is.
    ///
    /// # Errors
    /// mem0's, where it has everything.
    pub(crate) async fn mem0_event(
        &self,
        caller: &Caller,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<Option<Event>> {
        let Some(beside) = self.inner.beside.as_ref().filter(|it| it.is_read()) else {
            return Ok(None);
        };
        let event = match beside.mem0.event(id.as_str()).await {
            Ok(event) => event,
            Err(error) if self.only_mem0().is_none() || error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let payload = event.get("payload").and_then(Value::as_object);
        let Some(owner) = payload.and_then(objects::owner_of) else {
            return Ok(None);
        };
        let named = scope.user.is_some() || scope.agent.is_some();
        if (named && self.owner(caller, Right::Read, scope)? != owner)
            || caller.may(Right::Read, &owner).is_err()
        {
            return Ok(None);
        }
        let text = |field: &str| event.get(field).and_then(Value::as_str);
        Ok(Some(Event {
            id: id.clone(),
            form: Form::Fact,
            session: payload
                .and_then(|payload| payload.get("run_id"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            created_at: text("created_at").and_then(crate::time::parse),
            processed: text("status") == Some("SUCCEEDED"),
            delivery: match text("status") {
                Some("FAILED") => {
                    let why = text("error").unwrap_or("mem0 does not say why");
                    Delivery::Refused(why.to_owned())
                }
                _ => Delivery::Done,
            },
            owner,
        }))
    }

    /// The users, agents, apps and runs that mem0 lists; none where everything is Zep's.
    pub(crate) async fn named_in_mem0(&self) -> Result<Vec<Named>> {
        match &self.inner.beside {
            Some(beside) if !matches!(beside.mode, super::Mode::Kept) => {
                Ok(beside.mem0.entities().await?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Users and agents that are mem0's, beside those that Zep lists.
    pub(crate) async fn owners_in_mem0(&self, most: usize) -> Result<Vec<Owner>> {
        let Some(beside) = &self.inner.beside else {
            return Ok(Vec::new());
        };
        if matches!(beside.mode, super::Mode::Kept) {
            return Ok(Vec::new());
        }
        let mut owners = Vec::new();
        for owner in beside.owners().await? {
            if owners.len() < most && self.side_of(&owner).await? != Side::Zep {
                owners.push(owner);
            }
        }
        Ok(owners)
    }
}

impl super::Beside {
    /// The users and agents that mem0 lists.
    pub(crate) async fn owners(&self) -> Result<Vec<Owner>> {
        let entities = self.mem0.entities().await?;
        let owner = |entity: Named| match entity.kind {
            "user" => UserId::new(&entity.id).ok().map(Owner::User),
            "agent" => AgentId::new(&entity.id)
                .ok()
                .map(|agent| Owner::Graph(agent.graph())),
            _ => None,
        };
        Ok(entities.into_iter().filter_map(owner).collect())
    }
}

//! What the doors (MCP tools, the command line, later HTTP) call.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::memory::{
    Result,
    access::Right,
    model::{Caller, GraphId, Owner, Scope, UserId, Uuid},
    read::memories::{ListKey, Listed},
    sessions::Sessions,
    write::locks::Locks,
};
use crate::zep::Zep;

/// Of how many memories that were shown it is remembered whose they are: some 200 bytes each.
const KEPT_OWNERS: u64 = 10_000;

/// How long it is remembered that an episode is being deleted since another took its place. Ours:
/// longer than a search that found it may go on.
const REPLACED_FOR: Duration = Duration::from_secs(60);

/// How many lists are kept for their next pages: 2 MB each at most.
const KEPT_LISTS: u64 = 8;
/// How long a list is kept for its next pages.
const LIST_KEPT_FOR: Duration = Duration::from_secs(60);

/// Memories of people, on one backend. Cheap to clone: clones share everything.
///
/// A method that reads never makes anything. A method that writes finishes the record it is at even
/// if its future is dropped, so that no half record stays behind; [`MemoryService::settle`] waits
/// for these.
#[derive(Debug, Clone)]
pub struct MemoryService {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) zep: Arc<dyn Zep>,
    pub(crate) sessions: Sessions,
    /// Who imports for an owner.
    pub(crate) imports: Locks<Owner>,
    /// Who changes a memory.
    pub(crate) changes: Locks<Uuid>,
    /// Whose the memories are that were shown last, by their ids.
    pub(crate) shown: Cache<Uuid, Owner>,
    /// Episodes whose place others took, for as long as their deletion may take.
    pub(crate) replaced: Cache<Uuid, ()>,
    /// Lists whose pages may be asked for next.
    pub(crate) lists: Cache<ListKey, Arc<Listed>>,
    /// The agents and apps of which Zep has been told that there are.
    pub(crate) told: Cache<GraphId, ()>,
    pub(crate) writes: TaskTracker,
    default_user: UserId,
}

impl MemoryService {
    /// A service on this backend. Contacts nobody.
    pub fn new(zep: Arc<dyn Zep>, default_user: UserId) -> Self {
        Self {
            inner: Arc::new(Inner {
                zep,
                sessions: Sessions::new(),
                imports: Locks::default(),
                changes: Locks::default(),
                shown: Cache::new(KEPT_OWNERS),
                replaced: Cache::new(KEPT_OWNERS).expiring(REPLACED_FOR),
                lists: Cache::new(KEPT_LISTS).expiring(LIST_KEPT_FOR),
                told: Cache::new(KEPT_OWNERS),
                writes: TaskTracker::new(),
                default_user,
            }),
        }
    }

    /// The backend's name in answers: `zep` or `local`.
    pub fn backend(&self) -> &'static str {
        self.inner.zep.backend()
    }

    /// The user that is meant where the caller names none.
    pub fn default_user<'a>(&'a self, caller: &'a Caller) -> &'a UserId {
        caller.default_user(&self.inner.default_user)
    }

    /// Waits until every write that has begun is finished. Ends in bounded time: each write has a
    /// time-out of its own.
    pub async fn settle(&self) {
        self.inner.writes.close();
        self.inner.writes.wait().await;
        self.inner.writes.reopen();
    }

    /// Whose memory the scope names, if the caller may do this with it.
    pub(crate) fn owner(&self, caller: &Caller, right: Right, scope: &Scope) -> Result<Owner> {
        let owner = scope.owner(caller.default_user(&self.inner.default_user));
        caller.may(right, &owner)?;
        Ok(owner)
    }

    pub(crate) fn zep(&self) -> &dyn Zep {
        self.inner.zep.as_ref()
    }
}

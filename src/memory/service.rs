//! What the doors (MCP tools, the command line, later HTTP) call.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::{
    Result,
    locks::Locks,
    model::{Caller, Owner, Scope, UserId},
    sessions::Sessions,
};
use crate::zep::Zep;

/// Memories of people, on one backend. Cheap to clone: clones share everything.
///
/// A method that reads never makes anything. A method that writes finishes the record it is at even
/// if its future is dropped, so that no half record stays behind; [`MemoryService::settle`] waits
/// for these.
#[derive(Debug, Clone)]
pub struct MemoryService {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) zep: Arc<dyn Zep>,
    pub(super) sessions: Sessions,
    /// Who imports for an owner.
    pub(super) imports: Locks<Owner>,
    pub(super) writes: TaskTracker,
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
                writes: TaskTracker::new(),
                default_user,
            }),
        }
    }

    /// The backend's name in answers: `zep` or `local`.
    pub fn backend(&self) -> &'static str {
        self.inner.zep.backend()
    }

    /// The user that is meant where none is named.
    pub fn default_user(&self) -> &UserId {
        &self.inner.default_user
    }

    /// Waits until every write that has begun is finished. Ends in bounded time: each write has a
    /// time-out of its own.
    pub async fn settle(&self) {
        self.inner.writes.close();
        self.inner.writes.wait().await;
        self.inner.writes.reopen();
    }

    /// Whose memory the scope names, if the caller may reach it.
    pub(super) fn owner(&self, caller: &Caller, scope: &Scope) -> Result<Owner> {
        let owner = scope.owner(&self.inner.default_user);
        caller.may_reach(&owner)?;
        Ok(owner)
    }

    pub(super) fn zep(&self) -> &dyn Zep {
        self.inner.zep.as_ref()
    }
}

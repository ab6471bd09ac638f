//! Changes and deletions of one memory, one at a time: what a change read is still so when it
//! writes.

use tokio::sync::OwnedMutexGuard;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    model::{Owner, Scope, Uuid},
    read::by_id::{Item, Located},
    service::MemoryService,
    write::locks::Share,
};

/// A memory that nobody else changes or deletes until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    /// Its id: the one that was named, or that of the text which replaced it meanwhile.
    pub(super) id: Uuid,
    /// Its owner, and what it is.
    pub(super) found: Located,
    /// The share of its owner.
    pub(super) share: Share,
    pub(super) _lock: OwnedMutexGuard<()>,
}

impl MemoryService {
    /// Waits for a memory's turn, and finds it.
    ///
    /// A deletion that had to wait for a change of the memory goes on with what the change made of
    /// it. One that comes later does not: an agent that deletes what it replaced itself must not
    /// lose the new text.
    pub(super) async fn turn(
        &self,
        caller: &Caller,
        right: Right,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<Turn> {
        caller.may_at_all(right)?;
        let mut owner = match scope.user.is_some() || scope.agent.is_some() {
            true => self.owner(caller, right, scope)?,
            false => self.presumed_owner(caller, id),
        };
        let mut id = id.clone();
        // All parts of a record share the lock of its first part.
        let mut key = id.clone();
        let mut waited = false;
        // Only what is found under both locks counts. The first guess is mostly right.
        loop {
            let share = self.inner.share_of(&owner).await?;
            let lock = self.inner.changes.of(&key);
            let lock = match lock.clone().try_lock_owned() {
                Ok(lock) => lock,
                Err(_) => {
                    waited = true;
                    lock.lock_owned().await
                }
            };
            let found = match self.find(caller, right, &id, scope).await {
                Err(error @ Error::NoMemory { .. }) => {
                    let new = self.inner.replaced.get(&id);
                    match new.filter(|new| right == Right::Delete && waited && *new != id) {
                        Some(new) => id = new,
                        None => return Err(error),
                    }
                    key.clone_from(&id);
                    continue;
                }
                found => found?,
            };
            let found = self.with_doubles(found).await?;
            let first = found.first_id().unwrap_or(&id);
            if found.owner == owner && *first == key {
                return Ok(Turn {
                    id,
                    found,
                    share,
                    _lock: lock,
                });
            }
            key.clone_from(first);
            owner = found.owner;
        }
    }

    /// The same with the doubles of a record of one part; of a record of several they are there
    /// already.
    async fn with_doubles(&self, found: Located) -> Result<Located> {
        let Located { owner, what } = found;
        let what = match what {
            Item::Record(mut parts) if parts.len() == 1 => match parts.pop() {
                Some(only) => Item::Record(self.with_copies(&owner, only).await?),
                None => Item::Record(parts),
            },
            what => what,
        };
        Ok(Located { owner, what })
    }

    /// The owner of whom a memory probably is.
    fn presumed_owner(&self, caller: &Caller, id: &Uuid) -> Owner {
        let shown = self.inner.shown.get(id);
        shown
            .filter(|owner| caller.reaches(owner))
            .unwrap_or_else(|| Owner::User(self.default_user(caller).clone()))
    }
}

impl Located {
    /// The id under which a memory is locked.
    fn first_id(&self) -> Option<&Uuid> {
        match &self.what {
            Item::Fact(fact) => Some(&fact.uuid),
            Item::Record(parts) => parts.first().map(|part| &part.uuid),
        }
    }
}

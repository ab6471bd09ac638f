//! One lock per key, kept while it is held or awaited.

use crate::memory::model::Owner;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The locks.
#[derive(Debug)]
pub(crate) struct Locks<K, L = tokio::sync::Mutex<()>>(Mutex<HashMap<K, Weak<L>>>);

/// Writes and changes share an owner; a deletion of several memories has the owner alone. So such a
/// deletion and a write never overlap: what was begun before is deleted, what begins after stays,
/// each record whole.
pub(crate) type OwnerLocks = Locks<Owner, RwLock<()>>;

/// A write's or change's share of an owner, held until it is finished.
pub(crate) type Share = Arc<OwnedRwLockReadGuard<()>>;

/// An owner that no write or change shares.
pub(crate) type Alone = OwnedRwLockWriteGuard<()>;

impl<K, L> Default for Locks<K, L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, L: Default> Locks<K, L> {
    /// The lock of this key.
    pub(crate) fn of(&self, key: &K) -> Arc<L> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(L::default());
        locks.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }
}

/// An importer's turn for one owner. One at a time in this process: two importers would each find
/// nothing stored and write everything twice. Writes hold it until they are finished.
#[derive(Debug, Clone)]
pub struct ImportTurn {
    owner: Owner,
    _held: Arc<OwnedMutexGuard<()>>,
}

impl ImportTurn {
    /// Waits for the owner's turn.
    pub(crate) async fn wait(locks: &Locks<Owner>, owner: &Owner) -> Self {
        let held = locks.of(owner).lock_owned().await;
        Self {
            owner: owner.clone(),
            _held: Arc::new(held),
        }
    }

    /// Whose turn it is.
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }
}

//! One lock per key, kept while it is held or awaited.

use crate::memory::model::Owner;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::OwnedMutexGuard;

/// The locks.
#[derive(Debug)]
pub(crate) struct Locks<K>(Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>);

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Locks<K> {
    /// The lock of this key.
    pub(crate) fn of(&self, key: &K) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(tokio::sync::Mutex::new(()));
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

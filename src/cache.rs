//! A bounded cache shared between threads.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

/// Keeps the most recently used values up to a total weight, each for a limited time if there is one.
#[derive(Debug)]
pub(crate) struct Cache<K: Hash + Eq, V> {
    kept: Mutex<Kept<K, V>>,
    capacity: u64,
    time_to_live: Option<Duration>,
    weigh: fn(&V) -> u64,
}

#[derive(Debug)]
struct Kept<K: Hash + Eq, V> {
    entries: LruCache<K, Entry<V>>,
    weight: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: u64,
    inserted: Instant,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// A cache of this many values.
    pub(crate) fn new(capacity: u64) -> Self {
        Self::weighing(capacity, |_| 1)
    }

    /// A cache of values of this total weight.
    pub(crate) fn weighing(capacity: u64, weigh: fn(&V) -> u64) -> Self {
        Self {
            kept: Mutex::new(Kept {
                entries: LruCache::unbounded(),
                weight: 0,
            }),
            capacity,
            time_to_live: None,
            weigh,
        }
    }

    /// Keeps each value for this time after its insertion.
    #[must_use]
    pub(crate) fn expiring(mut self, after: Duration) -> Self {
        self.time_to_live = Some(after);
        self
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.current(&mut self.lock(), key)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        self.put(&mut self.lock(), key, value);
    }

    /// Replaces a value, if any, by one that is computed from it.
    pub(crate) fn update(&self, key: K, value: impl FnOnce(Option<V>) -> V) {
        let mut kept = self.lock();
        let old = self.current(&mut kept, &key);
        self.put(&mut kept, key, value(old));
    }

    pub(crate) fn remove(&self, key: &K) {
        self.lock().remove(key);
    }

    pub(crate) fn clear(&self) {
        let mut kept = self.lock();
        kept.entries.clear();
        kept.weight = 0;
    }

    /// The number of values, including expired ones that are not removed yet.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        // A panic can only leave the weight too high or too low, which bounds the cache less exactly.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self, kept: &mut Kept<K, V>, key: &K) -> Option<V> {
        let entry = kept.entries.get(key)?;
        if self.is_expired(entry) {
            kept.remove(key);
            return None;
        }
        Some(entry.value.clone())
    }

    fn put(&self, kept: &mut Kept<K, V>, key: K, value: V) {
        let weight = (self.weigh)(&value);
        let inserted = Instant::now();
        let entry = Entry {
            value,
            weight,
            inserted,
        };
        kept.weight += weight;
        if let Some(old) = kept.entries.put(key, entry) {
            kept.weight -= old.weight;
        }
        while let Some((_, oldest)) = kept.entries.peek_lru()
            && (kept.weight > self.capacity || self.is_expired(oldest))
            && let Some((_, oldest)) = kept.entries.pop_lru()
        {
            kept.weight -= oldest.weight;
        }
    }

    fn is_expired(&self, entry: &Entry<V>) -> bool {
        self.time_to_live
            .is_some_and(|limit| entry.inserted.elapsed() >= limit)
    }
}

impl<K: Hash + Eq, V> Kept<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.pop(key) {
            self.weight -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_value_makes_room() {
        let cache = Cache::new(2);
        cache.insert("a", 1);
        cache.insert("b", 2);
        assert_eq!(cache.get(&"a"), Some(1));
        cache.insert("c", 3);
        assert_eq!(cache.get(&"b"), None);
        assert_eq!((cache.get(&"a"), cache.get(&"c")), (Some(1), Some(3)));
    }

    #[test]
    fn the_weight_counts_each_value_once() {
        let cache = Cache::weighing(10, |value: &u64| *value);
        cache.insert("a", 6);
        cache.insert("a", 4);
        cache.insert("b", 6);
        assert_eq!(cache.len(), 2);
        cache.remove(&"b");
        cache.insert("c", 6);
        assert_eq!(cache.get(&"a"), Some(4));
        cache.insert("too heavy", 11);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn an_expired_value_is_not_returned_and_makes_room() {
        let cache = Cache::new(10).expiring(Duration::ZERO);
        cache.insert("a", 1);
        assert!(!cache.contains(&"a"));
        cache.insert("b", 2);
        cache.insert("c", 3);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn an_update_sees_the_old_value() {
        let cache = Cache::new(10);
        for _ in 0..3 {
            cache.update("a", |old| old.map_or(1, |old| old + 1));
        }
        assert_eq!(cache.get(&"a"), Some(3));
        cache.clear();
        assert_eq!(cache.get(&"a"), None);
    }
}

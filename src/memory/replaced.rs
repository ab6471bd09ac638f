//! Records whose text was changed: the new one names the old one, which is deleted behind it. Where
//! both are seen, the old one is hidden and its deletion finished.

use std::collections::{HashMap, HashSet};

use super::{
    model::{Owner, Uuid},
    service::MemoryService,
    shown::{self, Source},
};
use crate::zep::Fact;

/// The old ones among some episodes whose new ones are among them, too.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    ids: HashSet<Uuid>,
    /// The records of which they are the first parts.
    records: HashSet<String>,
}

impl Replaced {
    /// Those among these episodes.
    pub(super) fn among<'a>(sources: impl Iterator<Item = &'a Source> + Clone) -> Self {
        let named: HashSet<&str> = sources
            .clone()
            .filter_map(|source| source.replaces.as_deref())
            .collect();
        let mut replaced = Self::default();
        if named.is_empty() {
            return replaced;
        }
        for source in sources.filter(|source| named.contains(source.id.as_str())) {
            replaced.ids.insert(source.id.clone());
            replaced.records.extend(source.record.clone());
        }
        replaced
    }

    /// Whether this episode is an old one.
    pub(super) fn hides(&self, source: &Source) -> bool {
        self.ids.contains(&source.id)
            || source
                .record
                .as_ref()
                .is_some_and(|record| self.records.contains(record))
    }

    /// Whether this fact was drawn from old ones only.
    pub(super) fn hides_fact(&self, fact: &Fact, sources: &HashMap<Uuid, Source>) -> bool {
        if self.ids.is_empty() || fact.episodes.is_empty() {
            return false;
        }
        let known = shown::sources_of(fact, sources);
        known.len() == fact.episodes.len() && known.iter().all(|source| self.hides(source))
    }

    /// Finishes their deletion, behind the caller's back: who reads waits for nothing.
    pub(super) fn finish(&self, service: &MemoryService, owner: &Owner) {
        for id in &self.ids {
            let (service, owner, id) = (service.clone(), owner.clone(), id.clone());
            let writes = service.inner.writes.clone();
            writes.spawn(async move {
                if let Err(error) = service.delete_episodes_of(&owner, &id).await {
                    tracing::warn!(code = error.code(), "a replaced memory is still there");
                }
            });
        }
    }
}

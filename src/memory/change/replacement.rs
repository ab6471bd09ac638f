//! Records whose text was changed: the new one names the old one, which is deleted behind it. Where
//! both are seen, the old one is hidden and its deletion finished.

use std::collections::{HashMap, HashSet};

use crate::memory::{
    Result,
    model::{Owner, Uuid},
    read::by_id::whole,
    record::view::Source,
    service::MemoryService,
};
use crate::zep::Fact;

/// The old ones among some episodes whose new ones are among them, too, and whatever else of these
/// is not to be seen.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// Old ones, whose new ones are stored whole.
    ids: HashSet<Uuid>,
    /// The records of which they are the first parts, and new ones of which parts are missing.
    records: HashSet<String>,
}

impl Replaced {
    /// Those among these episodes of an owner.
    pub(crate) async fn among(
        service: &MemoryService,
        owner: &Owner,
        sources: impl Iterator<Item = &Source>,
    ) -> Result<Self> {
        let sources: Vec<&Source> = sources.collect();
        let mut new_ones: HashMap<(&str, &str), Vec<&Source>> = HashMap::new();
        for source in &sources {
            if let (Some(old), Some(record)) = (&source.replaces, &source.record) {
                new_ones.entry((old, record)).or_default().push(source);
            }
        }
        let mut replaced = Self::default();
        for ((old, record), parts) in new_ones {
            let Some(old) = sources.iter().find(|source| source.id.as_str() == old) else {
                continue;
            };
            // Parts are stored in their order: where the last one is, all are. An old one is kept, and
            // seen, until then: what is there of the new one may be all that there will ever be of it.
            let is_whole = parts.iter().any(|part| part.is_last)
                || whole(service.zep().find_episodes(owner, record).await?)
                    .is_some_and(|found| !found.record.incomplete);
            if is_whole {
                replaced.ids.insert(old.id.clone());
                replaced.records.extend(old.record.clone());
            } else {
                replaced.records.insert(record.to_owned());
            }
        }
        Ok(replaced)
    }

    /// Whether this episode is an old one, or otherwise not to be seen.
    pub(crate) fn hides(&self, source: &Source) -> bool {
        source.deleted
            || self.ids.contains(&source.id)
            || source
                .record
                .as_ref()
                .is_some_and(|record| self.records.contains(record))
    }

    /// Whether this fact was drawn from such ones only.
    pub(crate) fn hides_fact(
        &self,
        service: &MemoryService,
        fact: &Fact,
        sources: &HashMap<Uuid, Source>,
    ) -> bool {
        let is_hidden = |id: &Uuid| match sources.get(id) {
            Some(source) => self.hides(source),
            None => service.inner.replaced.contains(id),
        };
        !fact.episodes.is_empty() && fact.episodes.iter().all(is_hidden)
    }

    /// Finishes their deletion, behind the caller's back: who reads waits for nothing.
    pub(crate) fn finish(&self, service: &MemoryService, owner: &Owner) {
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

//! Hidden episodes. A new text names the old one that it replaced, which is then deleted: where both
//! are found, the old one is hidden and its deletion finished. Of doubles one is shown.

use std::collections::{HashMap, HashSet};

use crate::memory::{
    Result,
    input::memory_id,
    model::{Owner, Uuid},
    record::assemble::whole,
    record::doubles,
    record::fit,
    record::view::SourceView,
    service::MemoryService,
};
use crate::traces;
use crate::zep::{Episode, Fact};

/// The hidden ones among some episodes: replaced texts whose replacement is among them, incomplete
/// replacements, and doubles.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// Replaced texts whose replacement is stored whole, with the replacement.
    ids: HashMap<Uuid, Uuid>,
    /// The records that begin with these, and incomplete replacements.
    records: HashSet<String>,
    /// Doubles, each with the copy that is shown.
    doubles: HashMap<Uuid, Uuid>,
}

impl Replaced {
    /// Finds the hidden ones among these episodes of an owner.
    pub(crate) async fn among(
        service: &MemoryService,
        owner: &Owner,
        sources: impl Iterator<Item = &SourceView>,
    ) -> Result<Self> {
        let sources: Vec<&SourceView> = sources.collect();
        let mut new_ones: HashMap<(&str, &str), Vec<&SourceView>> = HashMap::new();
        for source in &sources {
            if let (Some(old), Some(record)) = (&source.replaces, &source.record) {
                new_ones.entry((old, record)).or_default().push(source);
            }
        }
        let mut replaced = Self {
            doubles: doubles::among(&sources),
            ..Self::default()
        };
        for ((old, record), parts) in new_ones {
            let Some(old) = sources.iter().find(|source| source.id.as_str() == old) else {
                continue;
            };
            // Parts are stored in order: if the last exists, all do. Until then the old text stays
            // and is shown: the new one may never be completed.
            let is_whole = parts.iter().any(|part| part.part.is_last())
                || whole(service.zep().find_episodes(owner, record).await?)
                    .is_some_and(|found| !found.record.incomplete);
            if is_whole {
                let new = parts.first().map(|part| part.id.clone());
                replaced.ids.extend(new.map(|new| (old.id.clone(), new)));
                replaced.records.extend(old.record.clone());
            } else {
                replaced.records.insert(record.to_owned());
            }
        }
        Ok(replaced)
    }

    /// Whether this episode is a double of another one.
    pub(crate) fn is_double(&self, source: &SourceView) -> bool {
        self.doubles.contains_key(&source.id)
    }

    /// Whether this episode is hidden regardless of its doubles.
    pub(crate) fn hides(&self, source: &SourceView) -> bool {
        source.deleted
            || self.ids.contains_key(&source.id)
            || source
                .record
                .as_ref()
                .is_some_and(|record| self.records.contains(record))
    }

    /// Whether this fact was drawn from hidden episodes only. A double hides its facts only if the
    /// copy that is shown is cited, too: otherwise they are the only ones.
    pub(crate) fn hides_fact(
        &self,
        service: &MemoryService,
        fact: &Fact,
        sources: &HashMap<Uuid, SourceView>,
        cited: &HashSet<Uuid>,
    ) -> bool {
        let is_hidden = |id: &Uuid| match sources.get(id) {
            Some(source) => {
                self.hides(source)
                    || self
                        .doubles
                        .get(id)
                        .is_some_and(|kept| cited.contains(kept))
            }
            None => service.inner.replaced.contains(id),
        };
        !fact.episodes.is_empty() && fact.episodes.iter().all(is_hidden)
    }

    /// Finishes the deletion of replaced texts in the background; readers do not wait.
    pub(crate) fn finish(&self, service: &MemoryService, owner: &Owner) {
        for (old, new) in &self.ids {
            // A change or deletion that is at it finishes by itself.
            let Ok(lock) = service.inner.changes.of(old).try_lock_owned() else {
                continue;
            };
            let (service, owner) = (service.clone(), owner.clone());
            let (old, new) = (old.clone(), new.clone());
            let writes = service.inner.writes.clone();
            let finishing = async move {
                let _lock = lock;
                if let Err(error) = service.delete_episodes_of(&owner, &old, &new).await {
                    tracing::warn!(code = error.code(), "a replaced memory is still there");
                }
            };
            writes.spawn(traces::carried(finishing));
        }
    }
}

/// The id of the text that a text replaced.
pub(crate) fn replaced_by(parts: &[Episode]) -> Option<Uuid> {
    let metadata = parts.first()?.metadata.as_ref()?;
    let replaces = fit::unpack(metadata).ours?.marks.replaces?;
    memory_id(&replaces).ok()
}

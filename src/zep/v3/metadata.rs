//! Replacing metadata, although Zep merges it: `null` removes a key (zep-cloud 3.30.0,
//! `graph.episode.update`).

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::ZepCloud;
use crate::zep::error::{Error, Result};
use crate::zep::ids::Uuid;
use crate::zep::limits;
use crate::zep::transport::Request;
use crate::zep::types::{Episode, Metadata, OWN_KEYS, RecordMark};

/// A whole set that takes the place of stored metadata.
pub(super) struct Replacing {
    new: Metadata,
    /// The stored keys that are not in the new set, each `null`.
    gone: Metadata,
}

impl Replacing {
    pub(super) fn new(
        mark: Option<&RecordMark>,
        metadata: &Metadata,
        stored: Option<&Metadata>,
    ) -> Self {
        let new = RecordMark::encode(mark, metadata);
        let gone = stored
            .into_iter()
            .flat_map(Map::keys)
            .filter(|key| !new.contains_key(*key))
            .map(|key| (key.clone(), Value::Null))
            .collect();
        Self { new, gone }
    }

    /// The whole new set.
    pub(super) fn whole(&self) -> &Metadata {
        &self.new
    }

    pub(super) fn removes_keys(&self) -> bool {
        !self.gone.is_empty()
    }

    /// The patch that does all at once, if one request takes that many keys.
    pub(super) fn in_one_patch(&self) -> Option<Metadata> {
        let mut patch = self.new.clone();
        patch.extend(self.gone.clone());
        (patch.len() <= limits::METADATA_KEYS).then_some(patch)
    }
}

impl ZepCloud {
    /// Setting metadata is the same twice, so the transport repeats it.
    pub(super) async fn patch_metadata<T: DeserializeOwned + Send>(
        &self,
        segments: &[&str],
        metadata: &Metadata,
    ) -> Result<T> {
        let request = Request::patch(segments).json(&json!({ "metadata": metadata }))?;
        self.ask(request).await
    }

    /// Removes the keys that are gone from an episode's metadata, in as many requests as that takes.
    /// Each carries this program's own keys: should a patch replace all metadata, and the next
    /// request never come, the record's mark is not lost.
    pub(super) async fn remove_keys(&self, episode: &Uuid, new: &Replacing) -> Result<()> {
        let mut left = new.gone.iter().peekable();
        while left.peek().is_some() {
            let is_ours = |(key, _): &(&String, &Value)| key.starts_with(OWN_KEYS);
            let mut patch: Metadata = owned(new.new.iter().filter(is_ours));
            let room = limits::METADATA_KEYS.saturating_sub(patch.len()).max(1);
            patch.extend(owned(left.by_ref().take(room)));
            let path = ["graph", "episodes", episode.as_str()];
            self.patch_metadata::<Episode>(&path, &patch).await?;
        }
        Ok(())
    }
}

fn owned<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Metadata {
    let owned = fields.map(|(key, value)| (key.clone(), value.clone()));
    owned.collect()
}

/// Whether an error says that a request's content, not its target, was refused.
pub(super) fn is_invalid(error: &Error) -> bool {
    matches!(error, Error::Invalid { .. })
}

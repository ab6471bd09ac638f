//! Fetches the source episodes of facts.

use std::collections::HashMap;

use crate::memory::{
    Result,
    model::{Owner, Uuid},
    record::view::SourceView,
};
use crate::zep::Graphs;

/// What facts show of these episodes of an owner.
pub(crate) async fn sources(
    graphs: &dyn Graphs,
    owner: &Owner,
    asked: &[Uuid],
) -> Result<HashMap<Uuid, SourceView>> {
    let found = graphs.episodes_by_id(owner, asked).await?;
    Ok(found
        .into_iter()
        .map(|episode| (episode.uuid.clone(), SourceView::of(episode, owner)))
        .collect())
}

//! Which of an owner's episodes meet a condition, found by reading them.

use super::{
    Result,
    condition::Condition,
    model::{Owner, Uuid},
    shown::Source,
};
use crate::zep::{
    Direction, Listing, OrderBy, Window, Zep,
    limits::{FILTER_UUIDS, PAGE_ITEMS},
};

/// How many of the newest episodes are read in search of those that meet a condition. Ours: 40
/// requests.
pub(super) const MAX_READ: usize = 2_000;
/// How many episodes a search is narrowed to. Ours: 4 requests of 256 ids.
pub(super) const MAX_NARROWED: usize = 4 * FILTER_UUIDS;

/// Episodes that meet a condition, newest first.
#[derive(Debug, Default)]
pub(super) struct Matching {
    pub(super) episodes: Vec<Uuid>,
    /// Whether there may be more.
    pub(super) truncated: bool,
}

/// The newest of an owner's episodes that meet a condition.
pub(super) async fn matching(
    zep: &dyn Zep,
    owner: &Owner,
    condition: &Condition,
) -> Result<Matching> {
    match &condition.session {
        // A session can be read for itself.
        Some((_, thread)) if condition.agent.is_none() && condition.app.is_none() => {
            let newest = Window::Last {
                limit: u32::try_from(FILTER_UUIDS).unwrap_or(u32::MAX),
            };
            let page = zep.messages(thread, &newest).await?;
            let total = page.total_count.unwrap_or(0);
            let episodes: Vec<Uuid> = page.messages.into_iter().filter_map(|m| m.uuid).collect();
            Ok(Matching {
                truncated: total > episodes.len() as u64,
                episodes,
            })
        }
        _ => listed(zep, owner, condition).await,
    }
}

async fn listed(zep: &dyn Zep, owner: &Owner, condition: &Condition) -> Result<Matching> {
    let user = match owner {
        Owner::User(user) => Some(user.as_str()),
        Owner::Graph(_) => None,
    };
    let filter = condition.filter.as_ref();
    let earliest = filter.and_then(|filter| filter.created_between().0);
    let mut listing = Listing {
        limit: Some(PAGE_ITEMS),
        order_by: Some(OrderBy::CreatedAt),
        direction: Some(Direction::Desc),
        ..Listing::default()
    };
    let mut found = Matching::default();
    let mut read = 0;
    loop {
        let page = zep.list_episodes(owner, &listing).await?;
        read += page.items.len();
        let mut too_old = false;
        for episode in page.items {
            let placed = episode.created_at;
            too_old = earliest.is_some() && placed.is_some() && placed < earliest;
            let source = Source::of(episode, owner);
            if !source.deleted && condition.admits_source(&source, user) {
                found.episodes.push(source.id);
            }
        }
        let Some(cursor) = page.next_cursor else {
            return Ok(found);
        };
        // Downwards in time: what follows is older still.
        if too_old {
            return Ok(found);
        }
        if read >= MAX_READ || found.episodes.len() >= MAX_NARROWED {
            found.truncated = true;
            found.episodes.truncate(MAX_NARROWED);
            return Ok(found);
        }
        listing.cursor = Some(cursor);
    }
}

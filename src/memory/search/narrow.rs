//! Finds the episodes of an owner that meet a restriction, by reading them.

use crate::memory::{
    Result,
    model::{Owner, Uuid},
    record::view::SourceView,
    search::restriction::Restriction,
};
use crate::zep::{
    Graphs, ThreadId, Threads, TimeOrder, Window, Zep,
    limits::{FILTER_UUIDS, PAGE_ITEMS},
};

/// How many of the newest episodes are read. Ours: 40 requests, or one for a session.
pub(crate) const MAX_READ: usize = 2_000;
/// How many episodes a search is narrowed to. Ours: 4 requests of 256 ids.
pub(crate) const MAX_NARROWED: usize = 4 * FILTER_UUIDS;

/// Episodes that meet a restriction, newest first.
#[derive(Debug, Default)]
pub(crate) struct Matching {
    pub(crate) episodes: Vec<Uuid>,
    /// Whether there may be more.
    pub(crate) truncated: bool,
}

/// The newest of an owner's episodes that meet a restriction.
pub(crate) async fn matching(
    zep: &dyn Zep,
    owner: &Owner,
    condition: &Restriction,
) -> Result<Matching> {
    match &condition.session {
        // A session can be read on its own.
        Some((_, thread)) => of_session(zep, owner, thread, condition).await,
        None => listed(zep, owner, condition).await,
    }
}

async fn of_session(
    threads: &dyn Threads,
    owner: &Owner,
    thread: &ThreadId,
    condition: &Restriction,
) -> Result<Matching> {
    let newest = Window::Last {
        limit: MAX_READ as u32,
    };
    let page = threads.messages(thread, &newest).await?;
    let read = page.messages.len() as u64;
    let mut found = Matching {
        truncated: page.total_count.is_some_and(|total| total > read),
        ..Matching::default()
    };
    let sources = page.messages.into_iter().rev();
    for source in sources.filter_map(|message| SourceView::of_message(message, thread, owner)) {
        found.admit(source, owner, condition);
    }
    found.cut();
    Ok(found)
}

async fn listed(graphs: &dyn Graphs, owner: &Owner, condition: &Restriction) -> Result<Matching> {
    let filter = condition.filter.as_ref();
    let earliest = filter.and_then(|filter| filter.created_between().0);
    let mut pages = graphs.episodes(owner, TimeOrder::NewestFirst, PAGE_ITEMS);
    let mut found = Matching::default();
    let mut read = 0;
    while let Some(page) = pages.next().await? {
        read += page.items.len();
        let mut too_old = false;
        for episode in page.items {
            let placed = episode.created_at;
            too_old = earliest.is_some() && placed.is_some() && placed < earliest;
            found.admit(SourceView::of(episode, owner), owner, condition);
        }
        // Downwards in time: what follows is older still.
        if page.is_last || too_old {
            break;
        }
        if read >= MAX_READ || found.episodes.len() >= MAX_NARROWED {
            found.truncated = true;
            break;
        }
    }
    found.cut();
    Ok(found)
}

impl Matching {
    fn admit(&mut self, source: SourceView, owner: &Owner, condition: &Restriction) {
        if !source.deleted && condition.admits_source(&source, owner) {
            self.episodes.push(source.id);
        }
    }

    /// Keeps as many as a search can be narrowed to.
    fn cut(&mut self) {
        self.truncated |= self.episodes.len() > MAX_NARROWED;
        self.episodes.truncate(MAX_NARROWED);
    }
}

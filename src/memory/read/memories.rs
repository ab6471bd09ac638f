//! Lists memories page by page: the facts in force, and every text that no listed fact cites.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::memory::{
    Away, Result,
    access::Caller,
    beside::reading as beside,
    filter::Filter,
    model::{Owner, Uuid},
    people::owners::Owners,
    read::by_id::{Item, Located},
    read::list_cache::{Entry, ListKey, Listed},
    read::listing::Reading,
    record::sources::sources,
    record::view::{self, Form, Memory},
    search::query::Selector,
    service::MemoryService,
};

/// The most memories of a page (mem0 Platform).
pub const MAX_PAGE_SIZE: u32 = 200;

/// A page of a list of memories.
#[derive(Debug, Clone)]
pub struct BrowseQuery {
    /// Which memories.
    pub filter: Filter,
    /// From 1.
    pub page: u32,
    /// 1–200.
    pub page_size: u32,
    /// Only what was known by then: [`MemoryPage::before`] of the first page, so that later pages
    /// belong to the same list although new memories arrive.
    pub before: Option<Timestamp>,
    /// Also facts that are no longer true.
    pub include_invalid: bool,
}

/// A page of memories.
#[derive(Debug, Clone)]
pub struct MemoryPage {
    /// Newest first, by when they happened.
    pub memories: Vec<Memory>,
    /// How many there are on all pages.
    pub count: usize,
    /// Whether another page follows.
    pub has_next: bool,
    /// The bound for the pages that follow.
    pub before: Timestamp,
    /// Whether there is more than was read: more than 100 owners, or more than 20,000 facts and
    /// episodes.
    pub truncated: bool,
    /// Since when Zep does not answer and why, if it did not: then only what waits here is listed.
    pub away: Option<Away>,
}

impl MemoryService {
    /// A page of memories. The first page reads all facts and episodes of the owners, since Zep
    /// neither orders facts by when they happened nor counts; the pages that follow within a minute
    /// cost two or three requests.
    ///
    /// # Errors
    /// [`Error::NotYours`], or the backend's error.
    pub async fn browse(&self, caller: &Caller, query: &BrowseQuery) -> Result<MemoryPage> {
        let listed = self.list_of(caller, query).await?;
        let size = query.page_size as usize;
        let start = (query.page as usize - 1).saturating_mul(size);
        let end = start.saturating_add(size).min(listed.entries.len());
        let entries = listed.entries.get(start..end).unwrap_or_default();
        let memories = self.shown_entries(entries).await?;
        for memory in &memories {
            self.remember(memory);
        }
        Ok(MemoryPage {
            memories,
            count: listed.entries.len(),
            has_next: end < listed.entries.len(),
            before: listed.before,
            truncated: listed.truncated,
            away: listed.away.clone(),
        })
    }

    async fn list_of(&self, caller: &Caller, query: &BrowseQuery) -> Result<Arc<Listed>> {
        let key = |before| ListKey {
            caller: caller.clone(),
            filter: query.filter.clone(),
            include_invalid: query.include_invalid,
            before,
        };
        if let Some(before) = query.before
            && let Some(listed) = self.inner.lists.get(&key(before))
        {
            return Ok(listed);
        }
        let Owners { owners, truncated } = self.owners_in_reach(caller, &query.filter).await?;
        let whose = Selector::Filter(query.filter.clone());
        let mut reading = Reading::new(self, query.before, query.include_invalid, truncated);
        for owner in owners {
            let waits = self.waits(&owner).await?;
            if let Some(mem0) = self.mem0_of(&owner).await? {
                reading
                    .in_mem0(mem0.as_ref(), owner, &whose, &waits)
                    .await?;
                continue;
            }
            if let Some(condition) = self.condition(&owner, &whose, &waits).await? {
                let (there, known) = match self.asked(reading.read(&owner, &condition)).await? {
                    Some(records) => (records, Vec::new()),
                    None => {
                        reading.listed.away = Some(self.away());
                        let from_mem0 = match self.fallback(&owner, &waits).await {
                            Some(mem0) => beside::list(mem0.as_ref(), &owner, None).await.ok(),
                            None => None,
                        };
                        let known = match from_mem0 {
                            Some(found) => {
                                reading.listed.truncated |= found.truncated;
                                found.memories
                            }
                            None => {
                                let outdated = self.outdated().await?;
                                self.inner.known.memories(&owner, outdated)
                            }
                        };
                        (HashSet::new(), known)
                    }
                };
                let mut shown = waits.memories(&owner, &there);
                shown.extend(known);
                waits.apply(&mut shown);
                reading.waiting(owner, &condition, &waits, shown);
            }
        }
        let mut listed = reading.listed;
        listed
            .entries
            .sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
        let listed = Arc::new(listed);
        // What mem0 has is held whole, and is not kept.
        let is_mem0s = |entry: &Entry| entry.waiting.as_ref().is_some_and(|it| it.in_mem0);
        if listed.away.is_none() && !listed.entries.iter().any(is_mem0s) {
            self.inner.lists.insert(key(listed.before), listed.clone());
        }
        Ok(listed)
    }

    /// The memories of a page, in order. Memories deleted since the list was made are left out.
    async fn shown_entries(&self, entries: &[Entry]) -> Result<Vec<Memory>> {
        let mut by_owner: HashMap<&Owner, (Vec<Uuid>, Vec<Uuid>)> = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.waiting.is_none()) {
            let (facts, episodes) = by_owner.entry(&entry.owner).or_default();
            let of_form = if entry.form == Form::Fact {
                facts
            } else {
                episodes
            };
            of_form.push(entry.id.clone());
        }
        let mut found: HashMap<Uuid, Memory> = HashMap::new();
        for (owner, (facts, episodes)) in by_owner {
            let mut memories = self.facts_of(owner, facts).await?;
            memories.extend(self.texts_of(owner, episodes).await?);
            self.waits(owner).await?.apply(&mut memories);
            found.extend(
                memories
                    .into_iter()
                    .map(|memory| (memory.id.clone(), memory)),
            );
        }
        let shown = entries.iter().filter_map(|entry| match &entry.waiting {
            Some(waiting) => Some(Memory::clone(waiting)),
            None => found.remove(&entry.id),
        });
        Ok(shown.collect())
    }

    /// These facts of an owner, at most 200.
    async fn facts_of(&self, owner: &Owner, ids: Vec<Uuid>) -> Result<Vec<Memory>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let facts = self.zep().facts_by_id(owner, &ids).await?;
        let cited: HashSet<&Uuid> = facts.iter().flat_map(|fact| &fact.episodes).collect();
        let cited: Vec<Uuid> = cited.into_iter().cloned().collect();
        let sources = sources(self.zep(), owner, &cited).await?;
        Ok(facts
            .into_iter()
            .map(|fact| view::fact(fact, &sources, owner))
            .collect())
    }

    /// These texts of an owner, at most 200, whole.
    async fn texts_of(&self, owner: &Owner, ids: Vec<Uuid>) -> Result<Vec<Memory>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut texts = Vec::new();
        for episode in self.zep().episodes_by_id(owner, &ids).await? {
            let thing = Located {
                owner: owner.clone(),
                what: Item::Record(self.all_parts(owner, episode).await?),
            };
            texts.extend(self.shown(thing).await?);
        }
        Ok(texts)
    }
}

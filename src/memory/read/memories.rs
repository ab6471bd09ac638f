//! Lists memories page by page: the facts in force, and every text that no listed fact cites.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::memory::{
    Away, Error, Result,
    access::Caller,
    beside::reading as beside,
    change::replacement::Replaced,
    filter::Filter,
    mem0::Mem0,
    model::{Owner, Uuid},
    people::owners::Owners,
    read::by_id::{Item, Located},
    read::list_cache::{Entry, ListKey, Listed},
    read::waits::Waits,
    record::sources::sources,
    record::view::{self, Form, Memory, SourceView},
    search::owners::restriction,
    search::query::Selector,
    search::restriction::Restriction,
    service::MemoryService,
};
use crate::zep::{Fact, Page, TimeOrder, limits::PAGE_ITEMS};

/// The most memories of a page (mem0 Platform).
pub const MAX_PAGE_SIZE: u32 = 200;
/// The most facts and episodes that one listing reads. Ours: 400 requests.
const MAX_READ: usize = 20_000;
/// The most bytes of listed content held at a time. Ours.
const MAX_HELD: usize = 32 * 1024 * 1024;

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
        let mut reading = Reading {
            service: self,
            query,
            left: MAX_READ,
            listed: Listed {
                before: query.before.unwrap_or_else(Timestamp::now),
                truncated,
                ..Listed::default()
            },
        };
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

/// Reads the entries of a list.
struct Reading<'a> {
    service: &'a MemoryService,
    query: &'a BrowseQuery,
    /// How much may still be read.
    left: usize,
    listed: Listed,
}

impl Reading<'_> {
    /// Reads what Zep has of an owner. Answers its records.
    async fn read(&mut self, owner: &Owner, condition: &Restriction) -> Result<HashSet<String>> {
        let sources = match self.episodes(owner, condition).await {
            // An unknown owner has nothing to list.
            Err(Error::Zep(error)) if error.is_not_found() => return Ok(HashSet::new()),
            sources => sources?,
        };
        let replaced = Replaced::among(self.service, owner, sources.values()).await?;
        replaced.finish(self.service, owner);
        let owner = Arc::new(owner.clone());
        let cited = self.facts(&owner, condition, &sources, &replaced).await?;
        self.texts(&owner, condition, &sources, &replaced, &cited);
        Ok(sources
            .into_values()
            .filter_map(|source| source.record)
            .collect())
    }

    /// Reads what mem0 has of an owner, and what waits.
    async fn in_mem0(
        &mut self,
        mem0: &dyn Mem0,
        owner: Owner,
        whose: &Selector,
        waits: &Waits,
    ) -> Result<()> {
        let Some((mut condition, session)) = restriction(&owner, whose) else {
            return Ok(());
        };
        let found = beside::list(mem0, &owner, session.as_ref()).await?;
        if let (Some(session), Owner::User(user)) = (session, &owner) {
            let thread = session.qualified_thread(user);
            condition.session = Some((session, thread));
        }
        self.listed.truncated |= found.truncated;
        let mut shown = waits.memories(&owner, &HashSet::new());
        shown.extend(found.memories);
        waits.apply(&mut shown);
        self.waiting(owner, &condition, waits, shown);
        Ok(())
    }

    /// Adds memories that Zep does not have yet, or could not tell. Removes those whose deletion waits.
    fn waiting(
        &mut self,
        owner: Owner,
        condition: &Restriction,
        waits: &Waits,
        memories: Vec<Memory>,
    ) {
        let entries = &mut self.listed.entries;
        entries.retain(|entry| *entry.owner != owner || !waits.is_deleted(&entry.id));
        let owner = Arc::new(owner);
        for memory in memories
            .into_iter()
            .filter(|memory| condition.admits(memory))
        {
            if self.is_known_by_then(memory.created_at) {
                self.see(memory.created_at);
                self.list(Entry {
                    time: memory.created_at,
                    form: memory.form,
                    id: memory.id.clone(),
                    owner: owner.clone(),
                    waiting: Some(Box::new(memory)),
                });
            }
        }
    }

    /// All episodes of an owner, messages included.
    async fn episodes(
        &mut self,
        owner: &Owner,
        condition: &Restriction,
    ) -> Result<HashMap<Uuid, SourceView>> {
        let zep = self.service.zep();
        let mut pages = zep.episodes(owner, TimeOrder::NewestFirst, PAGE_ITEMS);
        let mut sources = HashMap::new();
        let mut held = 0;
        while let Some(page) = pages.next().await? {
            let goes_on = self.goes_on(&page);
            for episode in page.items {
                let size = episode.content.len() + size_of(&episode.metadata);
                let mut source = SourceView::of(episode, owner);
                if condition.filter.is_none() {
                    // Content that no filter looks at is not kept.
                    held += size - source.text.len();
                    source.text = String::new();
                } else {
                    held += size;
                }
                sources.insert(source.id.clone(), source);
            }
            let held_too_much = held > MAX_HELD;
            self.listed.truncated |= goes_on && held_too_much;
            if !goes_on || held_too_much {
                break;
            }
        }
        Ok(sources)
    }

    /// Lists the facts. Returns the episodes that facts cite, whether or not those facts meet the
    /// filter.
    async fn facts(
        &mut self,
        owner: &Arc<Owner>,
        condition: &Restriction,
        sources: &HashMap<Uuid, SourceView>,
        replaced: &Replaced,
    ) -> Result<HashSet<Uuid>> {
        let zep = self.service.zep();
        let mut pages = zep.facts(owner, TimeOrder::NewestFirst, PAGE_ITEMS);
        let mut cited = HashSet::new();
        let mut of_doubles = Vec::new();
        while let Some(page) = pages.next().await? {
            let goes_on = self.goes_on(&page);
            for fact in page.items {
                if !self.is_known_by_then(fact.created_at)
                    || !(self.query.include_invalid || view::is_in_force(&fact))
                    || replaced.hides_fact(self.service, &fact, sources, &cited)
                {
                    continue;
                }
                let known = view::sources_of(&fact, sources);
                if known.iter().any(|source| replaced.is_double(source)) {
                    of_doubles.push(fact);
                    continue;
                }
                cited.extend(fact.episodes.iter().cloned());
                self.list_fact(owner, condition, sources, fact);
            }
            if !goes_on {
                break;
            }
        }
        // Only now it is known what is cited of the copies that are shown.
        for fact in of_doubles {
            if !replaced.hides_fact(self.service, &fact, sources, &cited) {
                cited.extend(fact.episodes.iter().cloned());
                self.list_fact(owner, condition, sources, fact);
            }
        }
        Ok(cited)
    }

    fn list_fact(
        &mut self,
        owner: &Arc<Owner>,
        condition: &Restriction,
        sources: &HashMap<Uuid, SourceView>,
        fact: Fact,
    ) {
        let extracted = fact.created_at;
        let known = view::sources_of(&fact, sources);
        let placed = known.iter().filter_map(|source| source.placed_at).min();
        let memory = view::fact(fact, sources, owner);
        if condition.admits_fact(&memory, &known) {
            self.list(Entry {
                time: memory
                    .created_at
                    .or(placed)
                    .or(memory.valid_at)
                    .or(extracted),
                form: Form::Fact,
                id: memory.id,
                owner: owner.clone(),
                waiting: None,
            });
            self.see(extracted);
        }
    }

    /// Lists the texts that belong to no session and that no fact cites, and the turns from which Zep has
    /// not drawn facts yet.
    fn texts(
        &mut self,
        owner: &Arc<Owner>,
        condition: &Restriction,
        sources: &HashMap<Uuid, SourceView>,
        replaced: &Replaced,
        cited: &HashSet<Uuid>,
    ) {
        let texts = || {
            sources
                .values()
                .filter(|source| source.form == Form::Episode || !source.processed)
        };
        // Parts of one record are one text: a citation or a match of one part counts for all.
        let mut cited_records = HashSet::new();
        let mut admitted_records = HashSet::new();
        for source in texts() {
            let Some(record) = source.record.as_deref() else {
                continue;
            };
            if cited.contains(&source.id) {
                cited_records.insert(record);
            }
            if condition.admits_source(source, owner) {
                admitted_records.insert(record);
            }
        }
        for source in texts() {
            let record = source.record.as_deref();
            let is_cited = cited.contains(&source.id)
                || record.is_some_and(|record| cited_records.contains(record));
            let admitted = match record {
                Some(record) => admitted_records.contains(record),
                None => condition.admits_source(source, owner),
            };
            if source.part.is_first()
                && !replaced.hides(source)
                && !replaced.is_double(source)
                && !is_cited
                && admitted
                && self.is_known_by_then(source.placed_at)
            {
                self.list(Entry {
                    time: source.placed_at,
                    form: source.form,
                    id: source.id.clone(),
                    owner: owner.clone(),
                    waiting: None,
                });
                self.see(source.placed_at);
            }
        }
    }

    fn list(&mut self, entry: Entry) {
        self.listed.entries.push(entry);
    }

    /// Whether the bound of an earlier page admits this entry.
    fn is_known_by_then(&self, time: Option<Timestamp>) -> bool {
        match (self.query.before, time) {
            (Some(before), Some(time)) => time <= before,
            _ => true,
        }
    }

    /// The bound for later pages: behind everything on this list, even if clocks differ.
    fn see(&mut self, time: Option<Timestamp>) {
        if let Some(time) = time
            && time > self.listed.before
        {
            self.listed.before = time;
        }
    }

    /// Whether the next page is read: there is one, and the bound is not reached.
    fn goes_on<T>(&mut self, page: &Page<T>) -> bool {
        self.left = self.left.saturating_sub(page.items.len());
        if page.is_last {
            return false;
        }
        self.listed.truncated |= self.left == 0;
        self.left > 0
    }
}

fn size_of(metadata: &Option<crate::zep::Metadata>) -> usize {
    metadata.as_ref().map_or(0, |metadata| {
        serde_json::to_vec(metadata).map_or(0, |json| json.len())
    })
}

//! Reads the entries of a list of memories, owner by owner: from Zep, from mem0, and from what waits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::memory::{
    Error, Result,
    beside::reading as beside,
    change::replacement::Replaced,
    mem0::Mem0,
    model::{Owner, Uuid},
    read::list_cache::{Entry, Listed},
    read::waits::Waits,
    record::view::{self, Form, Memory, SourceView},
    search::owners::restriction_in_mem0,
    search::query::Selector,
    search::restriction::Restriction,
    service::MemoryService,
};
use crate::zep::{Fact, Page, TimeOrder, limits::PAGE_ITEMS};

/// The most facts and episodes that one listing reads. Ours: 400 requests.
const MAX_READ: usize = 20_000;
/// The most bytes of listed content held at a time. Ours.
const MAX_HELD: usize = 32 * 1024 * 1024;

/// Reads the entries of a list.
pub(crate) struct Reading<'a> {
    service: &'a MemoryService,
    /// Only what was known by then.
    before: Option<Timestamp>,
    /// Also facts that are no longer true.
    include_invalid: bool,
    /// How much may still be read.
    left: usize,
    pub(crate) listed: Listed,
}

impl<'a> Reading<'a> {
    /// A list of which nothing is read yet.
    pub(crate) fn new(
        service: &'a MemoryService,
        before: Option<Timestamp>,
        include_invalid: bool,
        truncated: bool,
    ) -> Self {
        Self {
            service,
            before,
            include_invalid,
            left: MAX_READ,
            listed: Listed {
                before: before.unwrap_or_else(Timestamp::now),
                truncated,
                ..Listed::default()
            },
        }
    }

    /// Reads what Zep has of an owner. Answers its records.
    pub(crate) async fn read(
        &mut self,
        owner: &Owner,
        condition: &Restriction,
    ) -> Result<HashSet<String>> {
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
    pub(crate) async fn in_mem0(
        &mut self,
        mem0: &dyn Mem0,
        owner: Owner,
        whose: &Selector,
        waits: &Waits,
    ) -> Result<()> {
        let Some(condition) = restriction_in_mem0(&owner, whose) else {
            return Ok(());
        };
        let session = condition.session.as_ref().map(|(session, _)| session);
        let found = beside::list(mem0, &owner, session).await?;
        self.listed.truncated |= found.truncated;
        let mut shown = waits.memories(&owner, &HashSet::new());
        shown.extend(found.memories);
        waits.apply(&mut shown);
        self.waiting(owner, &condition, waits, shown);
        Ok(())
    }

    /// Adds memories that Zep does not have yet, or could not tell. Removes those whose deletion waits.
    pub(crate) fn waiting(
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
                    || !(self.include_invalid || view::is_in_force(&fact))
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
        match (self.before, time) {
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

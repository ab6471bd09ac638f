//! Candidates from one owner's graph: facts with their sources, episodes joined into whole records,
//! entities, the context block.

use std::collections::{HashMap, HashSet};

use crate::memory::{
    Away, Result,
    change::replacement::Replaced,
    model::{Owner, Uuid},
    read::waits::Waits,
    record::assemble::{StoredPart, assemble},
    record::sources::sources,
    record::view::{self, Form, Memory, SourceView},
    search::narrow::{Matching, matching},
    search::query::{SearchQuery, SearchTarget},
    search::restriction::Restriction,
    service::MemoryService,
};
use crate::zep::{
    Fact, Found, Reranker, Search, SearchScope, Window, Zep,
    limits::{FILTER_UUIDS, SEARCH_RESULTS},
};

/// How many results to ask for beyond twice the number shown. Ours.
const SPARE_RESULTS: u32 = 10;

/// What has half of the question's words comes before what Zep found. Ours.
const MUCH_ALIKE: f64 = 0.5;

/// The results from one owner's graph.
#[derive(Debug, Default)]
pub(crate) struct FoundThere {
    /// Best first.
    pub(crate) memories: Vec<Memory>,
    /// Whether more may match than was looked at.
    pub(crate) truncated: bool,
    /// The ids and records of what was found, and of what facts cite.
    pub(crate) there: Cited,
    /// Since when Zep does not answer and why, if it did not.
    pub(crate) away: Option<Away>,
}

impl FoundThere {
    /// Adds what Zep does not find yet: what is much alike comes first, the rest behind.
    pub(crate) fn add(&mut self, fresh: Vec<Memory>, limit: usize) {
        let (mut first, rest): (Vec<_>, Vec<_>) = fresh
            .into_iter()
            .partition(|memory| memory.score.is_some_and(|score| score >= MUCH_ALIKE));
        first.append(&mut self.memories);
        first.extend(rest);
        first.truncate(limit);
        self.memories = first;
    }
}

/// What facts cite.
#[derive(Debug, Default)]
pub(crate) struct Cited {
    episodes: HashSet<Uuid>,
    /// The records of these episodes, each with its session.
    records: HashSet<(Option<String>, String)>,
}

impl Cited {
    fn note(&mut self, fact: &Fact, sources: &HashMap<Uuid, SourceView>) {
        self.episodes.extend(fact.episodes.iter().cloned());
        let known = fact.episodes.iter().filter_map(|id| sources.get(id));
        self.records.extend(known.filter_map(record_in_place));
    }
}

fn record_in_place(source: &SourceView) -> Option<(Option<String>, String)> {
    let (session, record) = source.record_in_place()?;
    Some((session.map(str::to_owned), record.to_owned()))
}

/// The facts examined so far.
#[derive(Debug, Default)]
struct LookedAt {
    seen: HashSet<Uuid>,
    cited: Cited,
    /// Those that meet the restriction.
    admitted: Vec<Memory>,
}

/// Searches one owner's graph.
pub(crate) struct OwnerSearch<'a> {
    pub(crate) service: &'a MemoryService,
    pub(crate) owner: Owner,
    /// The query, shortened to Zep's limit.
    pub(crate) text: &'a str,
    pub(crate) asked: &'a SearchQuery,
    pub(crate) condition: Restriction,
    /// Decides the order of results and the meaning of scores.
    pub(crate) reranker: Reranker,
}

impl OwnerSearch<'_> {
    /// What Zep finds, and the context block where that is asked for.
    pub(crate) async fn among(&self) -> Result<(FoundThere, Option<String>)> {
        let found = match self.asked.among {
            SearchTarget::Facts => self.facts_then_episodes().await?,
            SearchTarget::Episodes => {
                let limit = self.asked.limit as usize;
                self.episodes(&Cited::default(), limit).await?
            }
            SearchTarget::Entities => self.entities().await?,
            SearchTarget::Context => return Ok((FoundThere::default(), self.context().await?)),
        };
        Ok((found, None))
    }

    /// What waits, and what Zep has but has not processed, if it is like the question: best first,
    /// without what was found.
    pub(crate) async fn fresh(
        &self,
        waits: &Waits,
        unprocessed: Vec<Memory>,
        found: &FoundThere,
    ) -> Vec<Memory> {
        let records = found.there.records.iter().map(|(_, record)| record.clone());
        let mut fresh = waits.memories(&self.owner, &records.collect());
        let mut unprocessed = unprocessed;
        waits.apply(&mut unprocessed);
        let is_there = |memory: &Memory| {
            found.there.episodes.contains(&memory.id)
                || found.memories.iter().any(|found| found.id == memory.id)
        };
        fresh.extend(unprocessed.into_iter().filter(|memory| !is_there(memory)));
        fresh.retain(|memory| self.condition.admits(memory));
        if fresh.is_empty() {
            return fresh;
        }
        let (asked, likeness) = (self.text.to_owned(), self.service.inner.likeness);
        let texts: Vec<String> = fresh.iter().map(|memory| memory.text.clone()).collect();
        let alike = tokio::task::spawn_blocking(move || likeness(&asked, &texts)).await;
        for (memory, alike) in fresh.iter_mut().zip(alike.unwrap_or_default()) {
            memory.score = Some(alike);
        }
        fresh.retain(|memory| {
            memory.score.is_some_and(|score| score > 0.0) && self.is_alike(memory.score)
        });
        let score = |memory: &Memory| memory.score.unwrap_or(0.0);
        fresh.sort_by(|a, b| score(b).total_cmp(&score(a)));
        fresh.truncate(self.asked.limit as usize);
        fresh
    }

    async fn facts_then_episodes(&self) -> Result<FoundThere> {
        let limit = self.asked.limit as usize;
        let (mut found, cited) = self.facts(limit).await?;
        if found.memories.len() < limit {
            let missing = limit - found.memories.len();
            let episodes = self.episodes(&cited, missing).await?;
            found.memories.extend(episodes.memories);
            found.there.records.extend(episodes.there.records);
        }
        found.there.episodes.extend(cited.episodes);
        found.there.records.extend(cited.records);
        Ok(found)
    }

    /// Facts, and the episodes cited by any fact found, those that do not meet the restriction
    /// included.
    async fn facts(&self, limit: usize) -> Result<(FoundThere, Cited)> {
        let mut candidates = self.candidates(&[]).await?;
        if self.condition.is_none() {
            // Sources of facts that are not shown need not be read.
            candidates.truncate(limit);
        }
        let mut sources = self.sources(&candidates).await?;
        let replaced = self.replaced(&sources).await?;
        let mut looked_at = LookedAt::default();
        self.admit(candidates, &sources, &replaced, &mut looked_at);
        let mut truncated = false;
        // Few of the best facts may meet the restriction: ask for those that can.
        if looked_at.admitted.len() < limit && !self.condition.is_none() {
            let Matching {
                episodes,
                truncated: cut,
            } = matching(self.zep(), &self.owner, &self.condition).await?;
            truncated = cut;
            for episodes in episodes.chunks(FILTER_UUIDS) {
                let narrowed = self.candidates(episodes).await?;
                sources.extend(self.sources(&narrowed).await?);
                let replaced = self.replaced(&sources).await?;
                self.admit(narrowed, &sources, &replaced, &mut looked_at);
            }
            if episodes.len() > FILTER_UUIDS {
                // Each request ranks for itself.
                let score = |memory: &Memory| memory.score.unwrap_or(0.0);
                let admitted = &mut looked_at.admitted;
                admitted.sort_by(|a, b| score(b).total_cmp(&score(a)));
            }
        }
        let LookedAt {
            admitted: mut memories,
            cited,
            ..
        } = looked_at;
        memories.truncate(limit);
        let found = FoundThere {
            memories,
            truncated,
            ..FoundThere::default()
        };
        Ok((found, cited))
    }

    /// The hidden episodes among these; deletions of replaced ones are finished.
    async fn replaced(&self, sources: &HashMap<Uuid, SourceView>) -> Result<Replaced> {
        let replaced = Replaced::among(self.service, &self.owner, sources.values()).await?;
        replaced.finish(self.service, &self.owner);
        Ok(replaced)
    }

    fn admit(
        &self,
        facts: Vec<Fact>,
        sources: &HashMap<Uuid, SourceView>,
        replaced: &Replaced,
        looked_at: &mut LookedAt,
    ) {
        let episodes = facts.iter().flat_map(|fact| &fact.episodes);
        let mut cited: HashSet<Uuid> = episodes.cloned().collect();
        cited.extend(looked_at.cited.episodes.iter().cloned());
        for fact in facts {
            if !looked_at.seen.insert(fact.uuid.clone())
                || replaced.hides_fact(self.service, &fact, sources, &cited)
            {
                continue;
            }
            looked_at.cited.note(&fact, sources);
            let known = view::sources_of(&fact, sources);
            let memory = view::fact(fact, sources, &self.owner);
            if self.condition.admits_fact(&memory, &known) {
                looked_at.admitted.push(memory);
            }
        }
    }

    /// Facts that are like the question: of these episodes, or where none are given, of all.
    async fn candidates(&self, from_episodes: &[Uuid]) -> Result<Vec<Fact>> {
        let mut facts = self.run(SearchScope::Edges, from_episodes).await?.edges;
        facts.retain(|fact| {
            (self.asked.include_invalid || view::is_in_force(fact)) && self.is_alike(fact.score)
        });
        Ok(facts)
    }

    /// The source episodes of these facts, the first ones of each fact first, in one list call.
    async fn sources(&self, facts: &[Fact]) -> Result<HashMap<Uuid, SourceView>> {
        let most = facts.iter().map(|fact| fact.episodes.len()).max();
        let mut asked = Vec::new();
        let mut seen = HashSet::new();
        for nth in 0..most.unwrap_or(0) {
            for episode in facts.iter().filter_map(|fact| fact.episodes.get(nth)) {
                if asked.len() < FILTER_UUIDS && seen.insert(episode) {
                    asked.push(episode.clone());
                }
            }
        }
        sources(self.zep(), &self.owner, &asked).await
    }

    async fn episodes(&self, cited: &Cited, limit: usize) -> Result<FoundThere> {
        let found = self.run(SearchScope::Episodes, &[]).await?;
        // Zep cannot narrow a search for episodes to some of them.
        let is_cut = !self.condition.is_none() && found.episodes.len() >= SEARCH_RESULTS as usize;
        let all: Vec<(SourceView, _)> = found
            .episodes
            .into_iter()
            .map(|episode| (SourceView::of(episode.clone(), &self.owner), episode))
            .collect();
        let sources = all.iter().map(|(source, _)| source);
        let replaced = Replaced::among(self.service, &self.owner, sources).await?;
        replaced.finish(self.service, &self.owner);
        let mut memories: Vec<Memory> = Vec::new();
        let mut seen = HashSet::new();
        for (source, episode) in all {
            if memories.len() == limit {
                break;
            }
            if replaced.hides(&source) {
                continue;
            }
            // A record is shown once: its other parts and its doubles are not.
            let record = record_in_place(&source);
            let is_cited = cited.episodes.contains(&source.id)
                || record
                    .as_ref()
                    .is_some_and(|record| cited.records.contains(record));
            let fresh = record.is_none_or(|record| seen.insert(record));
            let is_part = episode.mark().is_some_and(|mark| mark.is_split());
            if !fresh
                || is_cited
                || !self.is_alike(episode.score)
                // The part decides, except for words that may be in another part.
                || (!is_part && !self.condition.admits_source(&source, &self.owner))
            {
                continue;
            }
            let thread = episode.thread_id.clone();
            let score = episode.score;
            // If only a part was found, the whole record is shown.
            let parts = self.service.all_parts(&self.owner, episode).await?;
            if parts.iter().any(|part| cited.episodes.contains(&part.uuid)) {
                continue;
            }
            let parts = parts.into_iter().map(StoredPart::from).collect();
            let Some(whole) = assemble(parts).records.into_iter().next() else {
                continue;
            };
            let mut memory = view::record(whole, thread.as_deref(), source.form, &self.owner);
            memory.score = score;
            if self.condition.admits(&memory) {
                memories.push(memory);
            }
        }
        Ok(FoundThere {
            truncated: is_cut && memories.len() < limit,
            memories,
            there: Cited {
                records: seen,
                ..Cited::default()
            },
            away: None,
        })
    }

    async fn entities(&self) -> Result<FoundThere> {
        if !self.condition.admits_form(Form::Entity) {
            return Ok(FoundThere::default());
        }
        let found = self.run(SearchScope::Nodes, &[]).await?;
        let memories = found
            .nodes
            .into_iter()
            .filter(|entity| self.is_alike(entity.score))
            .take(self.asked.limit as usize)
            .map(|entity| view::entity(entity, &self.owner))
            .collect();
        Ok(FoundThere {
            memories,
            ..FoundThere::default()
        })
    }

    async fn context(&self) -> Result<Option<String>> {
        let context = match &self.condition.session {
            Some((_, thread)) => {
                // The thread may have changed hands since it was resolved, and its context belongs
                // to its present owner.
                let page = self
                    .zep()
                    .messages(thread, &Window::Last { limit: 1 })
                    .await?;
                if !page.is_of(&self.owner) {
                    return Ok(None);
                }
                self.zep().thread_context(thread).await?.context
            }
            None => self.run(SearchScope::Auto, &[]).await?.context,
        };
        Ok(context.filter(|context| !context.trim().is_empty()))
    }

    async fn run(&self, scope: SearchScope, from_episodes: &[Uuid]) -> Result<Found> {
        // What Zep cannot leave out for us (facts that are no longer true, parts of one record, other
        // sessions) is left out here: then more is asked for than is shown.
        let limit = match scope {
            SearchScope::Nodes => self.asked.limit,
            _ if self.condition.is_none() && self.asked.min_score.is_none() => {
                SEARCH_RESULTS.min(2 * self.asked.limit + SPARE_RESULTS)
            }
            _ => SEARCH_RESULTS,
        };
        let auto = scope == SearchScope::Auto;
        let search = Search {
            query: self.text.to_owned(),
            scope,
            limit: (!auto).then_some(limit),
            reranker: (!auto).then_some(self.reranker),
            from_episodes: from_episodes.to_vec(),
        };
        Ok(self.zep().search(&self.owner, &search).await?)
    }

    fn is_alike(&self, score: Option<f64>) -> bool {
        self.asked
            .min_score
            .is_none_or(|least| score.is_some_and(|score| score >= least))
    }

    fn zep(&self) -> &dyn Zep {
        self.service.zep()
    }
}

//! Finding in one owner's graph: facts with what their episodes say, episodes joined to whole
//! records, entities, context.

use std::collections::{HashMap, HashSet};

use serde_json::Map;

use super::{
    Result,
    fit::{self, Ours, Unpacked},
    model::{AgentId, AppId, Owner, SessionId, TimeOrigin, Uuid},
    records::{StoredPart, assemble},
    search::{Hit, HitKind, SearchQuery},
};
use crate::zep::{
    Episode, Fact, Filters, Found, Listing, Reranker, Search, SearchScope, ThreadId, Window, Zep,
    limits::{FILTER_UUIDS, SEARCH_RESULTS},
};

/// How many more results are asked for than twice as many as are shown. Ours.
const SPARE_RESULTS: u32 = 10;

/// Restrictions that Zep's search does not know.
pub(super) struct Wanted {
    pub(super) thread: Option<ThreadId>,
    pub(super) agent: Option<AgentId>,
    pub(super) app: Option<AppId>,
}

impl Wanted {
    fn everything(&self) -> bool {
        self.thread.is_none() && self.agent.is_none() && self.app.is_none()
    }

    fn matches(&self, episode: &Episode) -> bool {
        let of_thread = self
            .thread
            .as_ref()
            .is_none_or(|thread| episode.thread_id.as_deref() == Some(thread.as_str()));
        if self.agent.is_none() && self.app.is_none() {
            return of_thread;
        }
        let ours = episode
            .metadata
            .as_ref()
            .map(fit::unpack)
            .and_then(|u| u.ours);
        let is_marked = |ours: Ours| {
            (self.agent.is_none() || self.agent == ours.agent)
                && (self.app.is_none() || self.app == ours.app)
        };
        of_thread && ours.is_some_and(is_marked)
    }
}

fn unpack(episode: &Episode) -> Unpacked {
    fit::unpack(episode.metadata.as_ref().unwrap_or(&Map::new()))
}

pub(super) struct Finder<'a> {
    pub(super) zep: &'a dyn Zep,
    pub(super) owner: &'a Owner,
    pub(super) text: String,
    pub(super) asked: &'a SearchQuery,
    pub(super) wanted: Wanted,
}

impl Finder<'_> {
    pub(super) async fn facts_then_episodes(&self) -> Result<Vec<Hit>> {
        let limit = self.asked.limit as usize;
        let mut hits = self.facts(limit).await?;
        if hits.len() < limit {
            let cited: HashSet<Uuid> = hits.iter().flat_map(|hit| hit.sources.clone()).collect();
            let missing = limit - hits.len();
            hits.extend(self.episodes(&cited, missing).await?);
        }
        Ok(hits)
    }

    async fn facts(&self, limit: usize) -> Result<Vec<Hit>> {
        let mut facts = self.fact_candidates(Filters::default()).await?;
        if self.wanted.everything() {
            facts.truncate(limit);
        }
        let mut sources = self.sources(&facts).await?;
        if !self.wanted.everything() {
            facts.retain(|fact| self.is_of_scope(fact, &sources));
            // Among a user's best facts few may be of this session: ask for its own.
            if facts.len() < limit && self.wanted.thread.is_some() {
                let of_session = self.facts_of_session().await?;
                sources.extend(self.sources(&of_session).await?);
                for fact in of_session {
                    if !facts.iter().any(|known| known.uuid == fact.uuid)
                        && self.is_of_scope(&fact, &sources)
                    {
                        facts.push(fact);
                    }
                }
            }
        }
        facts.truncate(limit);
        Ok(facts
            .into_iter()
            .map(|fact| self.fact_hit(fact, &sources))
            .collect())
    }

    async fn facts_of_session(&self) -> Result<Vec<Fact>> {
        let Some(thread) = &self.wanted.thread else {
            return Ok(Vec::new());
        };
        let newest = Window::Last {
            limit: u32::try_from(FILTER_UUIDS).unwrap_or(u32::MAX),
        };
        let messages = self.zep.messages(thread, &newest).await?.messages;
        let episodes: Vec<Uuid> = messages.into_iter().filter_map(|m| m.uuid).collect();
        if episodes.is_empty() {
            return Ok(Vec::new());
        }
        self.fact_candidates(Filters {
            episode_uuids: Some(episodes),
            ..Filters::default()
        })
        .await
    }

    async fn fact_candidates(&self, filters: Filters) -> Result<Vec<Fact>> {
        let mut facts = self.run(SearchScope::Edges, filters).await?.edges;
        facts.retain(|fact| {
            let in_force = fact.invalid_at.is_none() && fact.expired_at.is_none();
            (in_force || self.asked.include_invalid) && self.is_alike(fact.score)
        });
        Ok(facts)
    }

    /// The episodes that facts were drawn from, of each fact the first ones, in one list call.
    async fn sources(&self, facts: &[Fact]) -> Result<HashMap<Uuid, Episode>> {
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
        let mut sources = HashMap::new();
        if asked.is_empty() {
            return Ok(sources);
        }
        let mut listing = Listing {
            mentioned_node_uuids: Some(asked),
            ..Listing::default()
        };
        loop {
            let page = self.zep.list_episodes(self.owner, &listing).await?;
            sources.extend(page.items.into_iter().map(|e| (e.uuid.clone(), e)));
            match page.next_cursor {
                Some(cursor) => listing.cursor = Some(cursor),
                None => return Ok(sources),
            }
        }
    }

    fn is_of_scope(&self, fact: &Fact, sources: &HashMap<Uuid, Episode>) -> bool {
        fact.episodes
            .iter()
            .filter_map(|episode| sources.get(episode))
            .any(|episode| self.wanted.matches(episode))
    }

    fn fact_hit(&self, fact: Fact, sources: &HashMap<Uuid, Episode>) -> Hit {
        let episodes: Vec<&Episode> = fact
            .episodes
            .iter()
            .filter_map(|id| sources.get(id))
            .collect();
        let unpacked: Vec<Unpacked> = episodes.iter().map(|episode| unpack(episode)).collect();
        let mut sessions = episodes.iter().map(|episode| self.session_of(episode));
        let session = sessions
            .next()
            .flatten()
            .filter(|first| sessions.all(|other| other.as_ref() == Some(first)));
        let mut callers = unpacked.iter().map(|unpacked| &unpacked.caller);
        let mut metadata = callers.next().cloned().unwrap_or_default();
        for other in callers {
            metadata.retain(|key, value| other.get(key) == Some(value));
        }
        Hit {
            id: fact.uuid,
            kind: HitKind::Fact,
            memory: fact.fact,
            score: fact.score,
            created_at: episodes
                .iter()
                .zip(&unpacked)
                .filter(|(_, unpacked)| {
                    let origin = unpacked.ours.as_ref().map(|ours| ours.marks.time);
                    origin != Some(TimeOrigin::Inferred)
                })
                .filter_map(|(episode, _)| episode.created_at)
                .min(),
            valid_at: fact.valid_at,
            invalid_at: fact.invalid_at,
            session,
            metadata,
            sources: fact.episodes,
        }
    }

    pub(super) async fn episodes(&self, cited: &HashSet<Uuid>, limit: usize) -> Result<Vec<Hit>> {
        let found = self.run(SearchScope::Episodes, Filters::default()).await?;
        let mut hits: Vec<Hit> = Vec::new();
        let mut seen = HashSet::new();
        for episode in found.episodes {
            if hits.len() == limit {
                break;
            }
            let unpacked = unpack(&episode);
            let record = unpacked.ours.as_ref().map(|ours| ours.record.to_string());
            let fresh = record
                .as_ref()
                .is_none_or(|record| seen.insert(record.clone()));
            let deleted = unpacked.ours.is_some_and(|ours| ours.marks.deleted);
            if deleted
                || !fresh
                || cited.contains(&episode.uuid)
                || !self.wanted.matches(&episode)
                || !self.is_alike(episode.score)
            {
                continue;
            }
            let parts = match (&unpacked.part, &record) {
                // Only a part was found: what is shown is the whole record.
                (Some(_), Some(record)) => self.zep.find_episodes(self.owner, record).await?,
                _ => vec![episode.clone()],
            };
            if parts.iter().any(|part| cited.contains(&part.uuid)) {
                continue;
            }
            let parts = parts.into_iter().map(StoredPart::from).collect();
            let Some(whole) = assemble(parts).records.into_iter().next() else {
                continue;
            };
            hits.push(Hit {
                id: whole.record.id,
                kind: match episode.thread_id {
                    Some(_) => HitKind::Message,
                    None => HitKind::Episode,
                },
                memory: whole.record.content,
                score: episode.score,
                created_at: whole.record.created_at,
                valid_at: None,
                invalid_at: None,
                session: self.session_of(&episode),
                metadata: whole.record.metadata,
                sources: Vec::new(),
            });
        }
        Ok(hits)
    }

    pub(super) async fn entities(&self) -> Result<Vec<Hit>> {
        let found = self.run(SearchScope::Nodes, Filters::default()).await?;
        Ok(found
            .nodes
            .into_iter()
            .filter(|entity| self.is_alike(entity.score))
            .take(self.asked.limit as usize)
            .map(|entity| Hit {
                id: entity.uuid,
                kind: HitKind::Entity,
                memory: if entity.summary.is_empty() {
                    entity.name
                } else {
                    format!("{}: {}", entity.name, entity.summary)
                },
                score: entity.score,
                created_at: entity.created_at,
                valid_at: None,
                invalid_at: None,
                session: None,
                metadata: Map::new(),
                sources: Vec::new(),
            })
            .collect())
    }

    pub(super) async fn context(&self, thread: Option<&ThreadId>) -> Result<Option<String>> {
        let context = match thread {
            Some(thread) => self.zep.thread_context(thread).await?.context,
            None => {
                self.run(SearchScope::Auto, Filters::default())
                    .await?
                    .context
            }
        };
        Ok(context.filter(|context| !context.trim().is_empty()))
    }

    async fn run(&self, scope: SearchScope, filters: Filters) -> Result<Found> {
        // What Zep cannot leave out for us (facts that are no longer true, parts of one record, other
        // sessions) is left out here: then more is asked for than is shown.
        let limit = match scope {
            SearchScope::Nodes => self.asked.limit,
            _ if self.wanted.everything() && self.asked.min_score.is_none() => {
                SEARCH_RESULTS.min(2 * self.asked.limit + SPARE_RESULTS)
            }
            _ => SEARCH_RESULTS,
        };
        let auto = scope == SearchScope::Auto;
        let search = Search {
            query: self.text.clone(),
            scope,
            limit: (!auto).then_some(limit),
            reranker: (!auto).then_some(match self.asked.min_score {
                Some(_) => Reranker::CrossEncoder,
                None => Reranker::Rrf,
            }),
            filters,
        };
        Ok(self.zep.search(self.owner, &search).await?)
    }

    fn is_alike(&self, score: Option<f64>) -> bool {
        self.asked
            .min_score
            .is_none_or(|least| score.is_some_and(|score| score >= least))
    }

    fn session_of(&self, episode: &Episode) -> Option<String> {
        let thread = episode.thread_id.as_deref()?;
        match self.owner {
            Owner::User(user) => Some(SessionId::of_thread(thread, user)),
            Owner::Graph(_) => Some(thread.to_owned()),
        }
    }
}

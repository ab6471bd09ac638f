//! Searches the owners that a query selects, side by side, and merges their results.

use futures::{StreamExt, TryStreamExt, stream};

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    beside::reading,
    filter::Within,
    mem0::Mem0,
    model::{Owner, SessionId},
    people::owners::{Owners, SIDE_BY_SIDE},
    read::waits::Waits,
    record::{fit::is_blank, view::Memory},
    search::{
        candidates::{FoundThere, OwnerSearch},
        query::{Answer, SearchQuery, SearchTarget, Selector},
        restriction::Restriction,
    },
    service::MemoryService,
};
use crate::zep::{Reranker, limits::QUERY_CHARS};

impl MemoryService {
    /// Searches. An unknown owner yields no results.
    ///
    /// One owner's graph takes one request, two if facts are few, and one more for the source
    /// episodes. Several owners are searched side by side, and their results ordered by likeness.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a blank query, [`Error::NotYours`], or the backend's error.
    pub async fn search(&self, caller: &Caller, query: SearchQuery) -> Result<Answer> {
        let (text, query_shortened) = shorten(&query.query)?;
        let Owners { owners, truncated } = match &query.whose {
            Selector::Scope(scope) => {
                let owner = self.owner(caller, Right::Read, scope)?;
                self.admits(&owner).await?;
                Owners::one(owner)
            }
            Selector::Filter(filter) => self.owners_in_reach(caller, filter).await?,
        };
        let mut answer = Answer {
            query_shortened,
            truncated,
            ..Answer::default()
        };
        let several = owners.len() > 1;
        // Ranks of different searches cannot be compared.
        let reranker = match several || query.min_score.is_some() {
            true => Reranker::CrossEncoder,
            false => Reranker::Rrf,
        };
        let found: Vec<_> = stream::iter(owners)
            .map(|owner| self.search_owner(owner, &query, &text, reranker))
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
        for (there, context) in found {
            answer.results.extend(there.memories);
            answer.truncated |= there.truncated;
            answer.away = answer.away.or(there.away);
            answer.context = answer.context.or(context);
        }
        if several {
            let score = |memory: &Memory| memory.score.unwrap_or(0.0);
            answer.results.sort_by(|a, b| score(b).total_cmp(&score(a)));
            answer.results.truncate(query.limit as usize);
        }
        for (rank, memory) in answer.results.iter_mut().enumerate() {
            // Without a score, Zep's order is the rank.
            memory.score.get_or_insert(1.0 / (rank + 1) as f64);
        }
        for memory in &answer.results {
            self.remember(memory);
        }
        Ok(answer)
    }

    async fn search_owner(
        &self,
        owner: Owner,
        query: &SearchQuery,
        text: &str,
        reranker: Reranker,
    ) -> Result<(FoundThere, Option<String>)> {
        // Before Zep is asked: what is delivered meanwhile is shown once, since its record is known.
        let waits = self.waits(&owner).await?;
        let nothing = (FoundThere::default(), None);
        if let Some(mem0) = self.mem0_of(&owner).await? {
            return self
                .search_in_mem0(mem0.as_ref(), owner, query, text, &waits)
                .await;
        }
        let Some(condition) = self.condition(&owner, &query.whose, &waits).await? else {
            return Ok(nothing);
        };
        let finder = OwnerSearch {
            service: self,
            owner,
            text,
            asked: query,
            condition,
            reranker,
        };
        let ask = async {
            let (found, unprocessed) =
                futures::join!(finder.among(), self.unprocessed(&finder.owner));
            Ok((found?, unprocessed?))
        };
        let (mut found, context, unprocessed) = match self.asked(ask).await {
            Ok(Some(((found, context), unprocessed))) => (found, context, unprocessed),
            Ok(None) => {
                let mut found = FoundThere {
                    away: Some(self.away()),
                    ..FoundThere::default()
                };
                let from_mem0 = match self.fallback(&finder.owner, &waits).await {
                    Some(mem0) => {
                        let asked = (text, query.limit, query.min_score);
                        reading::search(mem0.as_ref(), &finder.owner, &finder.condition, asked)
                            .await
                            .ok()
                    }
                    None => None,
                };
                match from_mem0 {
                    Some(memories) => {
                        found.memories = memories;
                        (found, None, Vec::new())
                    }
                    None => {
                        let outdated = self.outdated().await?;
                        let known = self.inner.known.memories(&finder.owner, outdated);
                        (found, None, known)
                    }
                }
            }
            Err(Error::Zep(error)) if error.is_not_found() => {
                (FoundThere::default(), None, Vec::new())
            }
            Err(error) => return Err(error),
        };
        waits.apply(&mut found.memories);
        let fresh = finder.fresh(&waits, unprocessed, &found).await;
        match query.among {
            SearchTarget::Entities => Ok((found, None)),
            SearchTarget::Context => Ok((
                FoundThere {
                    memories: Vec::new(),
                    ..found
                },
                with_fresh(context, &fresh),
            )),
            SearchTarget::Facts | SearchTarget::Episodes => {
                found.add(fresh, query.limit as usize);
                Ok((found, context))
            }
        }
    }

    /// Searches an owner's memories in mem0, and what waits.
    async fn search_in_mem0(
        &self,
        mem0: &dyn Mem0,
        owner: Owner,
        query: &SearchQuery,
        text: &str,
        waits: &Waits,
    ) -> Result<(FoundThere, Option<String>)> {
        let nothing = (FoundThere::default(), None);
        let Some(condition) = restriction_in_mem0(&owner, &query.whose) else {
            return Ok(nothing);
        };
        if query.among == SearchTarget::Entities {
            return Ok(nothing);
        }
        let asked = (text, query.limit, query.min_score);
        let memories = reading::search(mem0, &owner, &condition, asked).await?;
        let mut found = FoundThere {
            memories,
            ..FoundThere::default()
        };
        waits.apply(&mut found.memories);
        let finder = OwnerSearch {
            service: self,
            owner,
            text,
            asked: query,
            condition,
            reranker: Reranker::CrossEncoder,
        };
        let fresh = finder.fresh(waits, Vec::new(), &found).await;
        found.add(fresh, query.limit as usize);
        if query.among != SearchTarget::Context {
            return Ok((found, None));
        }
        let memories = std::mem::take(&mut found.memories);
        let lines = memories.iter().map(|memory| format!("- {}", memory.text));
        let block = lines.collect::<Vec<_>>().join("\n");
        Ok((found, (!block.is_empty()).then_some(block)))
    }

    /// The restriction on this owner's memories; `None` if none of them can match.
    pub(crate) async fn condition(
        &self,
        owner: &Owner,
        whose: &Selector,
        waits: &Waits,
    ) -> Result<Option<Restriction>> {
        let Some((mut condition, session)) = restriction(owner, whose) else {
            return Ok(None);
        };
        if let (Some(session), Owner::User(user)) = (session, owner) {
            let find = self.inner.sessions.find(self.zep(), user, &session);
            condition.session = match self.asked(find).await? {
                Some(Some(thread)) => Some((session, thread)),
                Some(None) if !waits.has(&session) => return Ok(None),
                // Only what waits can be of it.
                _ => {
                    let thread = session.qualified_thread(user);
                    Some((session, thread))
                }
            };
        }
        Ok(Some(condition))
    }
}

/// The restriction on an owner's memories in mem0, which has no threads.
pub(crate) fn restriction_in_mem0(owner: &Owner, whose: &Selector) -> Option<Restriction> {
    let (mut restriction, session) = restriction(owner, whose)?;
    if let (Some(session), Owner::User(user)) = (session, owner) {
        let thread = session.qualified_thread(user);
        restriction.session = Some((session, thread));
    }
    Some(restriction)
}

/// The restriction on an owner's memories, and the only session that they can be of; `None` if none of
/// them can match.
fn restriction(owner: &Owner, whose: &Selector) -> Option<(Restriction, Option<SessionId>)> {
    let mut condition = Restriction::default();
    let session = match whose {
        Selector::Scope(scope) => {
            // An agent's own graph needs no mark of the agent.
            condition.agent = scope
                .agent
                .clone()
                .filter(|_| matches!(owner, Owner::User(_)));
            condition.app = scope.app.clone();
            scope.session.clone()
        }
        Selector::Filter(filter) => match filter.within(owner) {
            Within::Nothing => return None,
            Within::Everything => None,
            Within::Some(rest) => {
                let sessions = rest.sessions();
                condition.filter = Some(rest);
                match sessions {
                    Some(sessions) if sessions.is_empty() => return None,
                    // A single session can be read on its own.
                    Some(sessions) if sessions.len() == 1 => {
                        sessions.first().and_then(|id| SessionId::new(id).ok())
                    }
                    _ => None,
                }
            }
        },
    };
    Some((condition, session))
}

/// A context block, and what Zep has not extracted yet.
fn with_fresh(context: Option<String>, fresh: &[Memory]) -> Option<String> {
    if fresh.is_empty() {
        return context;
    }
    let mut block = context.map_or_else(String::new, |context| context + "\n\n");
    block.push_str("# Said just now, not extracted yet\n");
    for memory in fresh {
        block.push_str("- ");
        block.push_str(&memory.text);
        block.push('\n');
    }
    Some(block)
}

/// Cuts a query to Zep's limit, at a word if possible.
fn shorten(query: &str) -> Result<(String, bool)> {
    let query = query.trim();
    if is_blank(query) {
        return Err(Error::invalid("query", "is blank; say what to look for"));
    }
    let Some((cut, _)) = query.char_indices().nth(QUERY_CHARS) else {
        return Ok((query.to_owned(), false));
    };
    let head = &query[..cut];
    let whole_words = match head.rfind(char::is_whitespace) {
        Some(space) if !query[cut..].starts_with(char::is_whitespace) => &head[..space],
        _ => head,
    };
    Ok((whole_words.trim_end().to_owned(), true))
}

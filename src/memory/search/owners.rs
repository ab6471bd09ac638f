//! Searches the owners that a query selects, side by side, and merges their results.

use futures::{StreamExt, TryStreamExt, stream};

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    filter::Within,
    model::{Owner, SessionId},
    people::owners::{Owners, SIDE_BY_SIDE},
    record::view::Memory,
    search::{
        candidates::{Cited, FoundThere, OwnerSearch},
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
            Selector::Scope(scope) => Owners::one(self.owner(caller, Right::Read, scope)?),
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
        let nothing = (FoundThere::default(), None);
        let Some(condition) = self.condition(&owner, &query.whose).await? else {
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
        let found = match query.among {
            SearchTarget::Facts => finder.facts_then_episodes().await,
            SearchTarget::Episodes => {
                finder
                    .episodes(&Cited::default(), query.limit as usize)
                    .await
            }
            SearchTarget::Entities => finder.entities().await,
            SearchTarget::Context => match finder.context().await {
                Ok(context) => return Ok((FoundThere::default(), context)),
                Err(error) => Err(error),
            },
        };
        match found {
            Ok(found) => Ok((found, None)),
            Err(Error::Zep(error)) if error.is_not_found() => Ok(nothing),
            Err(error) => Err(error),
        }
    }

    /// The restriction on this owner's memories; `None` if none of them can match.
    pub(crate) async fn condition(
        &self,
        owner: &Owner,
        whose: &Selector,
    ) -> Result<Option<Restriction>> {
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
                Within::Nothing => return Ok(None),
                Within::Everything => None,
                Within::Some(rest) => {
                    let sessions = rest.sessions();
                    condition.filter = Some(rest);
                    match sessions {
                        Some(sessions) if sessions.is_empty() => return Ok(None),
                        // A single session can be read on its own.
                        Some(sessions) if sessions.len() == 1 => {
                            sessions.first().and_then(|id| SessionId::new(id).ok())
                        }
                        _ => None,
                    }
                }
            },
        };
        if let (Some(session), Owner::User(user)) = (session, owner) {
            match self.inner.sessions.find(self.zep(), user, &session).await? {
                Some(thread) => condition.session = Some((session, thread)),
                None => return Ok(None),
            }
        }
        Ok(Some(condition))
    }
}

/// Cuts a query to Zep's limit, at a word if possible.
fn shorten(query: &str) -> Result<(String, bool)> {
    let query = query.trim();
    if query.is_empty() {
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

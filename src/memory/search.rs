//! Searching: facts first, and for each what the episodes say that it was drawn from.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Error, Result,
    finder::{Finder, Wanted},
    model::{Caller, Owner, Scope, Uuid},
    service::MemoryService,
};
use crate::zep::limits::QUERY_CHARS;

/// What to look through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Facts, topped up with episodes that no listed fact came from.
    Facts,
    /// What was stored, word for word.
    Episodes,
    /// People and things.
    Entities,
    /// Zep's ready-made context block.
    Context,
}

/// A question.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// Whose memory, and which part of it.
    pub scope: Scope,
    /// The question. Shortened at a word to 400 characters (Zep's limit).
    pub query: String,
    /// What to look through.
    pub among: Among,
    /// 1–50.
    pub limit: u32,
    /// Only what is at least so alike, 0–1.
    pub min_score: Option<f64>,
    /// Also facts that are no longer true.
    pub include_invalid: bool,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whose memory was searched.
    pub owner: Owner,
    /// Best first.
    pub results: Vec<Hit>,
    /// The context block of [`Among::Context`].
    pub context: Option<String>,
    /// Whether the query was shortened.
    pub query_shortened: bool,
}

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitKind {
    /// A fact.
    Fact,
    /// A text.
    Episode,
    /// A turn of a conversation.
    Message,
    /// A person or thing.
    Entity,
}

impl HitKind {
    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Episode => "episode",
            Self::Message => "message",
            Self::Entity => "entity",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Zep's id.
    pub id: Uuid,
    /// What kind of thing it is.
    pub kind: HitKind,
    /// Its words.
    pub memory: String,
    /// A likeness in 0–1 where `min_score` was given, else a rank.
    pub score: Option<f64>,
    /// When it happened: of a fact, the earliest of its sources.
    pub created_at: Option<Timestamp>,
    /// Of a fact: since when it is true.
    pub valid_at: Option<Timestamp>,
    /// Of a fact: since when it is no longer true.
    pub invalid_at: Option<Timestamp>,
    /// The session it comes from; of a fact, only if all its sources agree.
    pub session: Option<String>,
    /// The caller's metadata; of a fact, what all its sources agree on.
    pub metadata: Map<String, Value>,
    /// Of a fact: the episodes it was drawn from.
    pub sources: Vec<Uuid>,
}

impl MemoryService {
    /// Searches one owner's memory. Somebody who has none yet has nothing to find.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the query is blank; whatever the backend says.
    pub async fn search(&self, caller: &Caller, query: SearchQuery) -> Result<Answer> {
        let owner = self.owner(caller, &query.scope)?;
        let (text, query_shortened) = shorten(&query.query)?;
        let mut answer = Answer {
            owner: owner.clone(),
            results: Vec::new(),
            context: None,
            query_shortened,
        };
        let thread = match (&query.scope.session, &owner) {
            (Some(session), Owner::User(user)) => {
                match self.inner.sessions.find(self.zep(), user, session).await? {
                    Some(thread) => Some(thread),
                    None => return Ok(answer),
                }
            }
            _ => None,
        };
        let finder = Finder {
            zep: self.zep(),
            owner: &owner,
            text,
            asked: &query,
            wanted: Wanted {
                thread: thread.clone(),
                // An agent's own graph needs no mark of the agent.
                agent: query
                    .scope
                    .agent
                    .clone()
                    .filter(|_| matches!(owner, Owner::User(_))),
                app: query.scope.app.clone(),
            },
        };
        let found = match query.among {
            Among::Facts => finder.facts_then_episodes().await,
            Among::Episodes => finder.episodes(&HashSet::new(), query.limit as usize).await,
            Among::Entities => finder.entities().await,
            Among::Context => match finder.context(thread.as_ref()).await {
                Ok(context) => {
                    answer.context = context;
                    Ok(Vec::new())
                }
                Err(error) => Err(error),
            },
        };
        match found {
            Ok(results) => answer.results = results,
            Err(Error::Zep(error)) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        Ok(answer)
    }
}

/// Cuts a query to Zep's limit, at a word where there is one.
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

//! mem0's filter language.
//!
//! A [`Filter`] is parsed from the JSON that mem0's tools take, and then answers two questions. Of
//! one memory: does it match ([`Filter::matches`])? Of all of them: where can a match be at all
//! ([`Filter::reach`], [`Filter::sessions`], [`Filter::created_between`], [`Filter::ids`], each a
//! superset), so that a backend need not be read whole. It knows no backend.
//!
//! # Rules, and where they come from
//!
//! [F] is mem0's page on memory filters, [E] the one on entity-scoped memory, [A] the API reference
//! of listing memories, [P] the one of mem0's own plugin, [O] mem0's open source (`memory/main.py`,
//! and for lists as values its `vector_stores/memory.ts`), [M] `_with_default_filters` of mem0-mcp-server 0.2.1. "Ours" is where they are silent, or refuse
//! what can only mean one thing.
//!
//! | what | means | source |
//! |---|---|---|
//! | several keys of one object | all of them | [F] |
//! | `AND`, `OR` | a list of objects. `OR` must not be empty; an empty `AND` is no condition | [O], [M] |
//! | `NOT` | an object or a list of them: none of these | [F], [O] |
//! | `AND` beside `OR` beside fields | all of them; mem0 drops such an `OR` today | [F], ours |
//! | a field that is not named | is not constrained | [E], [F] |
//! | a field that is not known | an error; metadata goes inside `metadata` | [F] |
//! | `{"f": v}` | `{"f": {"eq": v}}` | [F] |
//! | `{"f": [v, w]}` | `{"f": {"in": [v, w]}}` | [F] for `memory_ids`, [O] for others |
//! | several operators of one field | all of them | [A] |
//! | `ne` | another value, or none | [F] |
//! | `"*"` | any value that is not null. As `eq`; `{"ne": "*"}` is its opposite | [F], ours |
//! | `null` | no value; `{"ne": null}` is `"*"` | ours |
//! | `in` with an empty list | nothing | ours |
//! | comparison with what is absent | false; `NOT` of it therefore true | [F] for `ne`, ours |
//!
//! Fields:
//!
//! - `user_id`, `agent_id`, `app_id`, `run_id`: `eq`, `ne`, `in`, `*` [F]. `session_id` is `run_id`
//!   (ours: the two are synonyms everywhere here).
//! - `created_at`, `updated_at`, `timestamp`, `expiration_date`: `gt`, `gte`, `lt`, `lte`, `ne`,
//!   `in`, and a bare value [F]; `eq` too (ours, mem0's earlier docs have it). `timestamp` is the
//!   time a memory is said to be of, which here is `created_at`. `expiration_date` is the metadata
//!   of that name, where the migration keeps it.
//! - A time without an offset is UTC [P]. Of a date without a time they do not say more than that
//!   [A] asks for July as `{"gte": "2024-07-01", "lte": "2024-07-31"}` and that its `end_date` is
//!   "on or before this date". So `lte`, `eq`, `ne` and `in` take the whole UTC day; `gt`, `gte` and
//!   `lt` compare with its first instant: where two readings are possible, a comparison finds what
//!   either finds.
//! - `categories`: `in` is exact, `contains` partial and regardless of case [F]; `icontains` the
//!   same; `eq` and `ne` (has it, has it not) are in [P], while [F] says that they are refused.
//! - `keywords`, and `text` and `keywords_search`, which [F] lists without a word: the memory's
//!   text; `contains` regards case, `icontains` does not [F]. A bare text is `icontains` (ours).
//! - `metadata`: `{"key": value}` is exact, nested values whole, numbers by value; only top-level
//!   keys [F]. `{"key": {operator: value}}` with `eq`, `ne`, `contains` [F], and all other operators
//!   (ours, mem0 refuses them). `contains` finds a text in a text (regarding case) or an element in
//!   a list. An object made only of operators' names is operators; `eq` takes one that is meant as
//!   a value. On all metadata at once, `{"contains": "text"}` looks into every key, and `eq`, `ne`
//!   and `contains` with an object compare all its keys (ours, [F] names the operators only).
//! - `memory_type`, `role`, `actor_id`: `eq`, `ne`, `in`, `*`, exact ([O] keeps them beside the
//!   metadata; mem0's words for kinds are understood, as everywhere here).
//! - `memory_ids`: `in` or a bare list [F]; `eq`, `ne`, and the names `memory_id` and `id` are ours.
//!
//! # The default user
//!
//! mem0-mcp-server puts the default user into a filter that has `user_id` nowhere. Here that is
//! done branch by branch ([`Filter::reach`]), so that no branch of an `OR` reaches everybody
//! unless it says so. (The hosted mem0 refuses a filter with nothing but `ne` or `NOT` on entities;
//! here it reaches what it speaks of.)
//!
//! [F]: https://docs.mem0.ai/platform/features/v2-memory-filters
//! [E]: https://docs.mem0.ai/platform/features/entity-scoped-memory
//! [A]: https://docs.mem0.ai/api-reference/memory/get-memories
//! [P]: https://github.com/mem0ai/mem0/blob/main/integrations/mem0-plugin/skills/mem0/references/api-reference.md
//! [O]: https://github.com/mem0ai/mem0
//! [M]: https://pypi.org/project/mem0-mcp-server/0.2.1/

mod condition;
mod error;
mod fields;
mod metadata;
mod parse;
mod reach;
mod settle;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::model::{Owner, UserId};
use condition::Condition;
pub use error::InvalidFilter;
pub use parse::{MAX_CONDITIONS, MAX_DEPTH, MAX_ITEMS, MAX_METADATA_DEPTH, MAX_TEXT_CHARS};
pub use reach::Reach;

/// A memory, as input of a filter.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// All ids by which it can be named; one of them must match.
    pub ids: &'a [&'a str],
    /// The text that `keywords` searches.
    pub text: &'a str,
    /// The user; none for an agent's own memory.
    pub user: Option<&'a str>,
    /// The agent in its marks, or the owner of its graph.
    pub agent: Option<&'a str>,
    /// The app in its marks.
    pub app: Option<&'a str>,
    /// The session; none for an agent's own memory.
    pub run: Option<&'a str>,
    /// When it happened. Absent if not known.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// The kind of memory, in Zep's word.
    pub memory_type: Option<&'a str>,
    /// Who said it.
    pub role: Option<&'a str>,
    /// The name of who said it.
    pub actor: Option<&'a str>,
    /// Its categories.
    pub categories: &'a [&'a str],
    /// The caller's metadata, whole.
    pub metadata: &'a Map<String, Value>,
}

/// A checked filter. Its debug output holds what the caller sent and must not be logged at `info`
/// or above.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    root: Node,
}

/// What remains of a filter for one owner's memories.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Within {
    /// None of them can match.
    Nothing,
    /// All of them match.
    Everything,
    /// This filter decides.
    Some(Filter),
}

/// The tree of a filter. An empty `All` is true, an empty `Any` is false.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Is(Condition),
}

impl Filter {
    /// Parses a filter. None or an empty object is no condition.
    ///
    /// # Errors
    /// [`InvalidFilter`] for an unknown field or operator, a value of the wrong type, an invalid
    /// id, and where a bound of this module is exceeded.
    pub fn parse(raw: Option<&Map<String, Value>>) -> Result<Self, InvalidFilter> {
        let root = match raw {
            None => Node::All(Vec::new()),
            Some(raw) => parse::filter(raw)?,
        };
        Ok(Self { root })
    }

    /// Whether a memory matches. The default user is not considered here: see [`Self::reach`].
    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        self.root.matches(candidate)
    }

    /// The owners to look into. A superset of the owners of matches, except that a branch that
    /// names no user reaches only the default user, and an agent's graph only if it names agents. A
    /// search finds the matches within this reach.
    pub fn reach(&self, default_user: &UserId) -> Reach {
        reach::reach(&self.root, default_user)
    }

    /// The filter for this owner's memories, which all have this user, or, in an agent's graph,
    /// this agent and neither user nor session. A graph must be an agent's.
    pub fn within(&self, owner: &Owner) -> Within {
        match settle::settle(&self.root, owner) {
            Node::All(rest) if rest.is_empty() => Within::Everything,
            Node::Any(rest) if rest.is_empty() => Within::Nothing,
            root => Within::Some(Self { root }),
        }
    }

    /// If a set: every match is in one of these sessions. None: matches may be in any session, or
    /// in none.
    pub fn sessions(&self) -> Option<BTreeSet<String>> {
        reach::sessions(&self.root)
    }

    /// Every match was created at or after the first and at or before the second; if either is
    /// given, every match has a time. If the first is later than the second, nothing matches.
    pub fn created_between(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        reach::created_between(&self.root)
    }

    /// If a set: every match has one of these ids.
    pub fn ids(&self) -> Option<BTreeSet<String>> {
        reach::ids(&self.root)
    }
}

impl Node {
    fn matches(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(candidate)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(candidate)),
            Self::Not(node) => !node.matches(candidate),
            Self::Is(condition) => condition.holds(candidate),
        }
    }
}

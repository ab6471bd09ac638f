//! A fact, an episode or a message as agents see it: whose, when, with what fields, from where.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::memory::{
    model::{AgentId, Owner, SessionId, TimeOrigin, Uuid},
    record::assemble::Assembled,
    record::fit::{self, Unpacked},
};
use crate::zep::{DataType, Entity, Episode, Fact, Message, ThreadId};

/// In a fact's attributes: the fields that somebody gave it, as JSON text. Until then, it shows
/// those of the episodes it was drawn from.
pub(crate) const FACT_METADATA: &str = "zm_metadata";
/// In a fact's attributes: when somebody changed it here.
pub(crate) const FACT_UPDATED: &str = "zm_updated_at";
/// The field that lists a memory's categories, as mem0's exports have it.
const CATEGORIES: &str = "categories";

/// What a memory is at Zep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A fact.
    Fact,
    /// A text.
    Episode,
    /// A turn of a conversation.
    Message,
    /// A person or thing.
    Entity,
}

impl Form {
    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Episode => "episode",
            Self::Message => "message",
            Self::Entity => "entity",
        }
    }

    /// What an episode is, seen from outside: a turn of a conversation or a text.
    pub(crate) fn of_episode(episode: &Episode) -> Self {
        let is_message = episode.thread_id.is_some() || episode.source == Some(DataType::Message);
        if is_message {
            Self::Message
        } else {
            Self::Episode
        }
    }
}

/// A memory as agents see it, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Zep's id; of a record of several parts, that of its first.
    pub id: Uuid,
    /// What it is.
    pub form: Form,
    /// Its words.
    pub text: String,
    /// Whose it is.
    pub owner: Owner,
    /// The agent named beside the user, or whose own memory it is; of a fact, if all its sources
    /// agree.
    pub agent: Option<String>,
    /// The app named beside the user; of a fact, if all its sources agree.
    pub app: Option<String>,
    /// The session it comes from; of a fact, if all its sources agree.
    pub session: Option<String>,
    /// What kind of memory it was stored as.
    pub memory_type: Option<String>,
    /// Its fields, without ours; of a fact that has none of its own, what all its sources agree on.
    pub metadata: Map<String, Value>,
    /// When it happened: of a fact, the earliest of its sources. Absent where nobody said.
    pub created_at: Option<Timestamp>,
    /// When it was changed here last.
    pub updated_at: Option<Timestamp>,
    /// Of a fact: since when it is true.
    pub valid_at: Option<Timestamp>,
    /// Of a fact: since when it is no longer true.
    pub invalid_at: Option<Timestamp>,
    /// Of a search: a likeness in 0–1 if it was asked for or several owners were searched, else a
    /// rank.
    pub score: Option<f64>,
    /// Of a fact: the episodes it was drawn from.
    pub sources: Vec<Uuid>,
    /// Whether parts of it are missing: the write was interrupted and not continued yet.
    pub incomplete: bool,
}

impl Memory {
    /// The user whose it is; none if it is an agent's own.
    pub fn user(&self) -> Option<&str> {
        user_of(&self.owner)
    }

    /// Its categories, where its fields name some.
    pub fn categories(&self) -> Vec<&str> {
        categories(&self.metadata)
    }
}

/// The user who an owner is; none of an agent's own graph.
pub(crate) fn user_of(owner: &Owner) -> Option<&str> {
    match owner {
        Owner::User(user) => Some(user.as_str()),
        Owner::Graph(_) => None,
    }
}

/// The categories that fields name.
pub(crate) fn categories(metadata: &Map<String, Value>) -> Vec<&str> {
    match metadata.get(CATEGORIES) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a fact shows of an episode that it was drawn from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) id: Uuid,
    pub(crate) text: String,
    pub(crate) session: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
    /// When it happened, as Zep has it: also where nobody said.
    pub(crate) placed_at: Option<Timestamp>,
    /// Whether it was deleted as far as Zep allows.
    pub(crate) deleted: bool,
    /// The id of the episode whose place it took.
    pub(crate) replaces: Option<String>,
    /// Whether it is the first part of its record.
    pub(crate) is_first: bool,
    /// Whether it is the last part of its record.
    pub(crate) is_last: bool,
    /// The record that it is a part of.
    pub(crate) record: Option<String>,
    pub(crate) form: Form,
}

impl Source {
    /// What can be seen of this episode of an owner.
    pub(crate) fn of(episode: Episode, owner: &Owner) -> Self {
        let Unpacked {
            ours, caller, part, ..
        } = fit::unpack(episode.metadata.as_ref().unwrap_or(&Map::new()));
        let undated = ours
            .as_ref()
            .is_some_and(|ours| ours.marks.time == TimeOrigin::Inferred);
        let marked = ours.as_ref().and_then(|ours| ours.agent.as_ref());
        Self {
            form: Form::of_episode(&episode),
            is_first: part.is_none_or(|part| part.number == 1),
            is_last: part.is_none_or(|part| part.number == part.total),
            session: session_of(episode.thread_id.as_deref(), owner),
            agent: agent_of(owner, marked),
            app: ours
                .as_ref()
                .and_then(|ours| ours.app.as_ref().map(ToString::to_string)),
            metadata: caller,
            created_at: episode.created_at.filter(|_| !undated),
            placed_at: episode.created_at,
            updated_at: ours.as_ref().and_then(|ours| ours.marks.updated),
            deleted: ours.as_ref().is_some_and(|ours| ours.marks.deleted),
            replaces: ours.as_ref().and_then(|ours| ours.marks.replaces.clone()),
            record: ours.map(|ours| ours.record.to_string()),
            id: episode.uuid,
            text: episode.content,
        }
    }

    /// What can be seen of this message of a thread of an owner's; nothing of one without an id.
    pub(crate) fn of_message(message: Message, thread: &ThreadId, owner: &Owner) -> Option<Self> {
        let episode = Episode {
            uuid: message.uuid?,
            content: message.content,
            created_at: message.created_at,
            metadata: message.metadata,
            processed: message.processed,
            role: message.name,
            role_type: Some(message.role),
            source: Some(DataType::Message),
            source_description: None,
            thread_id: Some(thread.as_str().to_owned()),
            score: None,
        };
        Some(Self::of(episode, owner))
    }
}

/// The session that a thread of this owner is.
pub(crate) fn session_of(thread: Option<&str>, owner: &Owner) -> Option<String> {
    let thread = thread?;
    Some(match owner {
        Owner::User(user) => SessionId::of_thread(thread, user),
        Owner::Graph(_) => thread.to_owned(),
    })
}

/// The agent of a memory: the one that it is marked with, or whose graph it is in.
fn agent_of(owner: &Owner, marked: Option<&AgentId>) -> Option<String> {
    let own = match owner {
        Owner::Graph(graph) => AgentId::of_graph(graph),
        Owner::User(_) => None,
    };
    marked.map(ToString::to_string).or(own)
}

/// A fact with what its sources say. Sources that are not known are passed over.
pub(crate) fn fact(fact: Fact, sources: &HashMap<Uuid, Source>, owner: &Owner) -> Memory {
    let own = own_fields(&fact);
    let known = sources_of(&fact, sources);
    Memory {
        form: Form::Fact,
        agent: agreed(&known, |source| source.agent.as_ref()).cloned(),
        app: agreed(&known, |source| source.app.as_ref()).cloned(),
        session: agreed(&known, |source| source.session.as_ref()).cloned(),
        memory_type: None,
        metadata: own.metadata.unwrap_or_else(|| shared_fields(&known)),
        created_at: known.iter().filter_map(|source| source.created_at).min(),
        updated_at: own.updated_at,
        owner: owner.clone(),
        id: fact.uuid,
        text: fact.fact,
        valid_at: fact.valid_at,
        invalid_at: fact.invalid_at,
        score: fact.score,
        sources: fact.episodes,
        incomplete: false,
    }
}

/// Whether a fact is still true, as far as Zep knows.
pub(crate) fn is_in_force(fact: &Fact) -> bool {
    fact.invalid_at.is_none() && fact.expired_at.is_none()
}

/// The sources of a fact that are known.
pub(crate) fn sources_of<'a>(fact: &Fact, sources: &'a HashMap<Uuid, Source>) -> Vec<&'a Source> {
    let known = fact.episodes.iter().filter_map(|id| sources.get(id));
    known.collect()
}

/// What somebody gave a fact itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnFields {
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// What somebody gave a fact itself.
pub(crate) fn own_fields(fact: &Fact) -> OwnFields {
    let text = |key: &str| fact.attributes.as_ref()?.get(key)?.as_str();
    OwnFields {
        metadata: text(FACT_METADATA).and_then(|text| serde_json::from_str(text).ok()),
        updated_at: text(FACT_UPDATED).and_then(|text| text.parse().ok()),
    }
}

/// What all sources say, if they say the same.
fn agreed<'a, T: PartialEq + ?Sized>(
    sources: &[&'a Source],
    what: impl Fn(&'a Source) -> Option<&'a T>,
) -> Option<&'a T> {
    let (first, rest) = sources.split_first()?;
    let said = what(first)?;
    rest.iter()
        .all(|other| what(other) == Some(said))
        .then_some(said)
}

/// The fields that all sources have with the same value.
fn shared_fields(sources: &[&Source]) -> Map<String, Value> {
    let Some((first, rest)) = sources.split_first() else {
        return Map::new();
    };
    let mut shared = first.metadata.clone();
    for other in rest {
        shared.retain(|key, value| other.metadata.get(key) == Some(value));
    }
    shared
}

/// A whole record of a session or of an owner's graph.
pub(crate) fn record(found: Assembled, thread: Option<&str>, form: Form, owner: &Owner) -> Memory {
    let Assembled { record, ours, .. } = found;
    let marked = ours.as_ref().and_then(|ours| ours.agent.as_ref());
    Memory {
        form,
        agent: agent_of(owner, marked),
        app: ours
            .as_ref()
            .and_then(|ours| ours.app.as_ref().map(ToString::to_string)),
        session: session_of(thread, owner),
        memory_type: record.memory_type,
        metadata: record.metadata,
        created_at: record.created_at,
        updated_at: ours.and_then(|ours| ours.marks.updated),
        owner: owner.clone(),
        id: record.id,
        text: record.content,
        valid_at: None,
        invalid_at: None,
        score: None,
        sources: Vec::new(),
        incomplete: record.incomplete,
    }
}

/// A person or thing that Zep recognised.
pub(crate) fn entity(entity: Entity, owner: &Owner) -> Memory {
    Memory {
        form: Form::Entity,
        agent: agent_of(owner, None),
        app: None,
        session: None,
        memory_type: None,
        metadata: Map::new(),
        created_at: entity.created_at,
        updated_at: None,
        owner: owner.clone(),
        id: entity.uuid,
        text: if entity.summary.is_empty() {
            entity.name
        } else {
            format!("{}: {}", entity.name, entity.summary)
        },
        valid_at: None,
        invalid_at: None,
        score: entity.score,
        sources: Vec::new(),
        incomplete: false,
    }
}

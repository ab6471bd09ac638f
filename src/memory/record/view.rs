//! Memories as agents see them: facts, episodes and messages with owner, time, fields and sources.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::memory::{
    model::{AgentId, Owner, SessionId, TimeOrigin, Uuid},
    record::assemble::{Assembled, speaker},
    record::fit::{self, Unpacked},
};
use crate::zep::{self, DataType, Entity, Episode, Fact, Message, PartNo, ThreadId};

/// In a fact's attributes: fields set on the fact itself, as JSON text. Without it, the fact shows
/// the fields of its source episodes.
pub(crate) const FACT_METADATA: &str = "zm_metadata";
/// In a fact's attributes: when it was last changed here.
pub(crate) const FACT_UPDATED: &str = "zm_updated_at";
/// The field that lists a memory's categories, as in mem0's exports.
const CATEGORIES: &str = "categories";

/// The form of a memory in Zep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A fact.
    Fact,
    /// A text.
    Episode,
    /// A turn of a conversation.
    Message,
    /// An entity: a person or thing.
    Entity,
}

impl Form {
    /// The form's name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Episode => "episode",
            Self::Message => "message",
            Self::Entity => "entity",
        }
    }

    /// The form of an episode: a turn of a conversation or a text.
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
    /// Zep's id; for a record of several parts, that of the first.
    pub id: Uuid,
    /// What it is.
    pub form: Form,
    /// Its text.
    pub text: String,
    /// The owner.
    pub owner: Owner,
    /// The agent named beside the user, or the owner; for a fact, if all its sources agree.
    pub agent: Option<String>,
    /// The app named beside the user; for a fact, if all its sources agree.
    pub app: Option<String>,
    /// The session it comes from; for a fact, if all its sources agree.
    pub session: Option<String>,
    /// The kind of memory; for a fact, if all its sources agree.
    pub memory_type: Option<String>,
    /// Who said it, in the word it was stored with, where that is known; for a fact, if all its
    /// sources agree.
    pub role: Option<String>,
    /// The name of who said it; for a fact, if all its sources agree.
    pub name: Option<String>,
    /// Its fields, without our keys; for a fact without fields of its own, those on which all
    /// sources agree.
    pub metadata: Map<String, Value>,
    /// When it happened; for a fact, the earliest time of its sources. Absent if not known.
    pub created_at: Option<Timestamp>,
    /// When it was last changed, here or before it was migrated; for a fact, the latest change of it
    /// or its sources.
    pub updated_at: Option<Timestamp>,
    /// Whether it is a fact that was changed here, and has fields of its own.
    pub is_changed_fact: bool,
    /// For a fact: since when it is true.
    pub valid_at: Option<Timestamp>,
    /// For a fact: since when it is no longer true.
    pub invalid_at: Option<Timestamp>,
    /// In a search: a likeness in 0–1 if one was asked for or several owners were searched, else a
    /// rank.
    pub score: Option<f64>,
    /// For a fact: the episodes it was drawn from.
    pub sources: Vec<Uuid>,
    /// Whether parts are missing: the write was interrupted and not continued yet.
    pub incomplete: bool,
    /// Whether it waits here until Zep has it.
    pub pending: bool,
    /// Whether mem0 has it, and not Zep.
    pub in_mem0: bool,
}

impl Memory {
    /// The user who owns it; none for an agent's own.
    pub fn user(&self) -> Option<&str> {
        user_of(&self.owner)
    }

    /// Its categories, from its fields.
    pub fn categories(&self) -> Vec<&str> {
        categories(&self.metadata)
    }
}

/// The user of an owner; none for an agent's graph.
pub(crate) fn user_of(owner: &Owner) -> Option<&str> {
    match owner {
        Owner::User(user) => Some(user.as_str()),
        Owner::Graph(_) => None,
    }
}

/// The categories in these fields.
pub(crate) fn categories(metadata: &Map<String, Value>) -> Vec<&str> {
    match metadata.get(CATEGORIES) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a fact shows of one of its source episodes.
#[derive(Debug, Clone)]
pub(crate) struct SourceView {
    pub(crate) id: Uuid,
    pub(crate) text: String,
    pub(crate) session: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) memory_type: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
    /// When it happened, as Zep has it, inferred times included.
    pub(crate) placed_at: Option<Timestamp>,
    /// Whether it is hidden: deleted as far as Zep allows, a double of another episode, or no memory.
    pub(crate) deleted: bool,
    /// The id of the episode it replaced.
    pub(crate) replaces: Option<String>,
    /// Which part of its record it is.
    pub(crate) part: PartNo,
    /// The record it belongs to.
    pub(crate) record: Option<String>,
    pub(crate) form: Form,
    /// Whether Zep has drawn its facts from it, as far as it says so.
    pub(crate) processed: bool,
}

impl SourceView {
    /// The view of an owner's episode.
    pub(crate) fn of(episode: Episode, owner: &Owner) -> Self {
        let Unpacked {
            ours, caller, part, ..
        } = fit::unpack(episode.metadata.as_ref().unwrap_or(&Map::new()));
        let undated = ours
            .as_ref()
            .is_some_and(|ours| ours.marks.time == TimeOrigin::Inferred);
        let marked = ours.as_ref().and_then(|ours| ours.agent.as_ref());
        let form = Form::of_episode(&episode);
        let (role, name) = speaker(ours.as_ref());
        // Only messages have a speaker in Zep's own fields.
        let zeps_role = episode
            .role_type
            .filter(|_| form == Form::Message)
            .map(zep::Role::as_str);
        let zeps_name = episode.role.as_deref().filter(|_| form == Form::Message);
        Self {
            form,
            processed: episode.processed != Some(false),
            memory_type: ours
                .as_ref()
                .and_then(|ours| ours.memory_type.as_ref())
                .map(|kind| kind.as_str().to_owned()),
            role: role.or(zeps_role).map(str::to_owned),
            name: name.or(zeps_name).map(str::to_owned),
            part,
            session: session_of(episode.thread_id.as_deref(), owner),
            agent: agent_of(owner, marked),
            app: ours
                .as_ref()
                .and_then(|ours| ours.app.as_ref().map(ToString::to_string)),
            metadata: caller,
            created_at: episode.created_at.filter(|_| !undated),
            placed_at: episode.created_at,
            updated_at: ours.as_ref().and_then(|ours| ours.marks.updated),
            deleted: ours.as_ref().is_some_and(|ours| ours.marks.is_hidden()),
            replaces: ours.as_ref().and_then(|ours| ours.marks.replaces.clone()),
            record: ours.map(|ours| ours.record.to_string()),
            id: episode.uuid,
            text: episode.content,
        }
    }

    /// The record it belongs to, and in which session: the same id in another session is another
    /// record.
    pub(crate) fn record_in_place(&self) -> Option<(Option<&str>, &str)> {
        Some((self.session.as_deref(), self.record.as_deref()?))
    }

    /// The view of a message in an owner's thread; none for one without an id.
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

/// The session of one of this owner's threads.
pub(crate) fn session_of(thread: Option<&str>, owner: &Owner) -> Option<String> {
    let thread = thread?;
    Some(match owner {
        Owner::User(user) => SessionId::of_thread(thread, user),
        Owner::Graph(_) => thread.to_owned(),
    })
}

/// The agent of a memory: the one in its marks, or the owner of its graph.
fn agent_of(owner: &Owner, marked: Option<&AgentId>) -> Option<String> {
    let own = match owner {
        Owner::Graph(graph) => AgentId::of_graph(graph),
        Owner::User(_) => None,
    };
    marked.map(ToString::to_string).or(own)
}

/// A fact with what its sources say. Unknown sources are skipped.
pub(crate) fn fact(fact: Fact, sources: &HashMap<Uuid, SourceView>, owner: &Owner) -> Memory {
    let own = own_fields(&fact);
    let known = sources_of(&fact, sources);
    Memory {
        form: Form::Fact,
        agent: agreed(&known, |source| source.agent.as_ref()).cloned(),
        app: agreed(&known, |source| source.app.as_ref()).cloned(),
        session: agreed(&known, |source| source.session.as_ref()).cloned(),
        memory_type: agreed(&known, |source| source.memory_type.as_ref()).cloned(),
        role: agreed(&known, |source| source.role.as_ref()).cloned(),
        name: agreed(&known, |source| source.name.as_ref()).cloned(),
        is_changed_fact: own.updated_at.is_some(),
        metadata: own.metadata.unwrap_or_else(|| shared_fields(&known)),
        created_at: known.iter().filter_map(|source| source.created_at).min(),
        updated_at: own
            .updated_at
            .max(known.iter().filter_map(|source| source.updated_at).max()),
        owner: owner.clone(),
        id: fact.uuid,
        text: fact.fact,
        valid_at: fact.valid_at,
        invalid_at: fact.invalid_at,
        score: fact.score,
        sources: fact.episodes,
        incomplete: false,
        pending: false,
        in_mem0: false,
    }
}

/// Whether a fact is still true, as far as Zep knows.
pub(crate) fn is_in_force(fact: &Fact) -> bool {
    fact.invalid_at.is_none() && fact.expired_at.is_none()
}

/// The known sources of a fact.
pub(crate) fn sources_of<'a>(
    fact: &Fact,
    sources: &'a HashMap<Uuid, SourceView>,
) -> Vec<&'a SourceView> {
    let known = fact.episodes.iter().filter_map(|id| sources.get(id));
    known.collect()
}

/// The fields set on a fact itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnFields {
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// Whether a fact was changed here.
pub(crate) fn is_changed_fact(fact: &Fact) -> bool {
    own_fields(fact).updated_at.is_some()
}

/// Reads the fields set on a fact itself.
pub(crate) fn own_fields(fact: &Fact) -> OwnFields {
    let text = |key: &str| fact.attributes.as_ref()?.get(key)?.as_str();
    OwnFields {
        metadata: text(FACT_METADATA).and_then(|text| serde_json::from_str(text).ok()),
        updated_at: text(FACT_UPDATED).and_then(|text| text.parse().ok()),
    }
}

/// The value on which all sources agree.
fn agreed<'a, T: PartialEq + ?Sized>(
    sources: &[&'a SourceView],
    what: impl Fn(&'a SourceView) -> Option<&'a T>,
) -> Option<&'a T> {
    let (first, rest) = sources.split_first()?;
    let said = what(first)?;
    rest.iter()
        .all(|other| what(other) == Some(said))
        .then_some(said)
}

/// The fields on which all sources agree.
fn shared_fields(sources: &[&SourceView]) -> Map<String, Value> {
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
    let (role, name) = match form {
        Form::Message => (Some(record.role), record.name),
        // A text has none of Zep's roles.
        _ => {
            let (role, name) = speaker(ours.as_ref());
            (role.map(str::to_owned), name.map(str::to_owned))
        }
    };
    Memory {
        form,
        agent: agent_of(owner, marked),
        app: ours
            .as_ref()
            .and_then(|ours| ours.app.as_ref().map(ToString::to_string)),
        session: session_of(thread, owner),
        memory_type: record.memory_type,
        role,
        name,
        is_changed_fact: false,
        metadata: record.metadata,
        created_at: record.created_at,
        updated_at: record.updated_at,
        owner: owner.clone(),
        id: record.id,
        text: record.content,
        valid_at: None,
        invalid_at: None,
        score: None,
        sources: Vec::new(),
        incomplete: record.incomplete,
        pending: record.pending,
        in_mem0: false,
    }
}

/// An entity that Zep recognised.
pub(crate) fn entity(entity: Entity, owner: &Owner) -> Memory {
    Memory {
        form: Form::Entity,
        agent: agent_of(owner, None),
        app: None,
        session: None,
        memory_type: None,
        role: None,
        name: None,
        is_changed_fact: false,
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
        pending: false,
        in_mem0: false,
    }
}

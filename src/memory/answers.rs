//! The shapes in which all doors answer: mem0's fields, so that code that reads mem0's answers goes
//! on working, and ours beside them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Away, Delivery, Error, Event, Failure, Memory, Purged,
    model::{Owner, Uuid},
    service::MEM0,
};

/// One memory.
#[derive(Debug, Serialize)]
pub struct MemoryAnswer {
    /// Its id, for the tools that take one.
    id: String,
    /// fact, episode (a text), message (a turn of a conversation) or entity.
    kind: &'static str,
    /// Its words.
    memory: String,
    /// Whose memory it is; null for an agent's own.
    user_id: Option<String>,
    /// The agent that it belongs to.
    agent_id: Option<String>,
    /// The app that it belongs to.
    app_id: Option<String>,
    /// The conversation it comes from: the same as `session_id`.
    run_id: Option<String>,
    /// The conversation it comes from.
    session_id: Option<String>,
    /// What kind of memory it was stored as.
    memory_type: Option<String>,
    /// Who said it.
    role: Option<String>,
    /// The name of who said it.
    actor_id: Option<String>,
    /// The fields that it was stored with.
    metadata: Map<String, Value>,
    /// Its categories, where its fields name some.
    categories: Vec<String>,
    /// When it happened; null if not known.
    created_at: Option<String>,
    /// When it was changed last.
    updated_at: Option<String>,
    /// Of a search: a likeness in 0–1 with `min_score` or several users, else only a rank.
    score: Option<f64>,
    /// Of a fact: since when it is true.
    valid_at: Option<String>,
    /// Of a fact: since when it is no longer true.
    invalid_at: Option<String>,
    /// Of a fact: the ids of the memories it was drawn from.
    sources: Vec<String>,
    /// That it waits here until Zep has it.
    pending: Option<bool>,
    /// `mem0`, if it is there and not in Zep.
    backend: Option<&'static str>,
}

/// How much of a memory an answer tells. What is null or empty is left out, but for the fields that
/// mem0 always gives: code that reads them must find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// As found by mem0's search, which tells the run as `run_id`.
    Found,
    /// As listed by mem0, which tells the run as `session_id`.
    Listed,
    /// One memory, whole, with both.
    Whole,
    /// As found by our own search, without what only mem0's callers expect.
    Brief,
}

impl Telling {
    /// The fields that are told even if they are null or empty.
    fn always(self) -> &'static [&'static str] {
        match self {
            Self::Found => &[
                "user_id",
                "agent_id",
                "app_id",
                "run_id",
                "metadata",
                "categories",
                "created_at",
                "updated_at",
                "score",
            ],
            Self::Listed | Self::Whole => &[
                "user_id",
                "agent_id",
                "app_id",
                "session_id",
                "metadata",
                "categories",
                "created_at",
                "updated_at",
            ],
            Self::Brief => &["metadata", "created_at"],
        }
    }

    /// The fields that are told only on request: they repeat another, or few callers need them.
    fn on_request(self) -> &'static [&'static str] {
        match self {
            Self::Found => &["session_id", "sources"],
            Self::Listed => &["run_id", "sources"],
            Self::Whole => &[],
            Self::Brief => &["run_id"],
        }
    }
}

impl MemoryAnswer {
    /// The fields of the answer: those chosen, or those that this kind of answer tells and `also`.
    pub fn told(
        self,
        telling: Telling,
        chosen: Option<&[String]>,
        also: &[&str],
    ) -> Map<String, Value> {
        let valid_at = self.valid_at.clone();
        let updated_at = self.updated_at.clone();
        let repeats = |name: &str, of: &Option<String>| match name {
            "valid_at" => valid_at == *of,
            "updated_at" => updated_at == *of,
            _ => false,
        };
        // What is usual in a session is told by `get_session`, and here on request only.
        let in_session = self.session_id.is_some() && telling != Telling::Whole;
        let is_usual = |name: &str, value: &Value| match name {
            "role" => value == "user" && (in_session || telling == Telling::Brief),
            "actor_id" => in_session,
            "memory_type" => value == "conversation" && in_session,
            _ => false,
        };
        let created_at = self.created_at.clone();
        let Ok(Value::Object(mut fields)) = serde_json::to_value(self) else {
            return Map::new();
        };
        fields.retain(|name, value| {
            let name = name.as_str();
            if let Some(chosen) = chosen {
                return chosen.iter().any(|field| field == name);
            }
            let empty = match value {
                Value::Null => true,
                Value::Array(list) => list.is_empty(),
                Value::Object(object) => object.is_empty(),
                _ => false,
            };
            let wanted = also.contains(&name) || !telling.on_request().contains(&name);
            let told = !empty && wanted && !repeats(name, &created_at) && !is_usual(name, value);
            told || telling.always().contains(&name)
        });
        fields
    }
}

impl From<Memory> for MemoryAnswer {
    fn from(memory: Memory) -> Self {
        Self {
            kind: memory.form.as_str(),
            user_id: memory.user().map(str::to_owned),
            categories: memory.categories().into_iter().map(str::to_owned).collect(),
            id: memory.id.to_string(),
            memory: memory.text,
            agent_id: memory.agent,
            app_id: memory.app,
            run_id: memory.session.clone(),
            session_id: memory.session,
            memory_type: memory.memory_type,
            role: memory.role,
            actor_id: memory.name,
            metadata: memory.metadata,
            created_at: text(memory.created_at),
            updated_at: text(memory.updated_at.or(memory.created_at)),
            score: memory
                .score
                .map(|score| (score * 1_000.0).round() / 1_000.0),
            valid_at: text(memory.valid_at),
            invalid_at: text(memory.invalid_at),
            sources: memory.sources.iter().map(Uuid::to_string).collect(),
            pending: memory.pending.then_some(true),
            backend: memory.in_mem0.then_some(MEM0),
        }
    }
}

/// That Zep does not answer, beside what is known here.
#[derive(Debug, Default, Serialize)]
pub struct Stale {
    /// That more may be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<bool>,
    /// Since when Zep does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_since: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_because: Option<String>,
}

impl From<Option<Away>> for Stale {
    fn from(away: Option<Away>) -> Self {
        let because = "Zep does not answer: only what waits here is shown.";
        Self {
            stale: away.as_ref().map(|_| true),
            stale_since: text(away.as_ref().map(|away| away.since)),
            stale_because: away.map(|away| match away.reason {
                Some(reason) => format!("{because} {reason}"),
                None => because.to_owned(),
            }),
        }
    }
}

/// The storing of one memory, in mem0's fields.
#[derive(Debug, Serialize)]
pub struct EventAnswer {
    /// The memory's id.
    id: String,
    /// The same.
    event_id: String,
    /// Always ADD.
    event_type: &'static str,
    /// SUCCEEDED: its facts can be found. PENDING: Zep is still extracting them. QUEUED: it waits here
    /// until Zep answers. FAILED: Zep refused it.
    status: &'static str,
    /// Why Zep refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What it is: episode, message or fact.
    kind: &'static str,
    user_id: Option<String>,
    session_id: Option<String>,
    /// The memory that was stored.
    results: Vec<EventResult>,
    /// When what is remembered happened.
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct EventResult {
    id: String,
    event: &'static str,
}

impl From<Event> for EventAnswer {
    fn from(event: Event) -> Self {
        let id = event.id.to_string();
        let created_at = text(event.created_at);
        Self {
            event_id: id.clone(),
            event_type: "ADD",
            status: match (&event.delivery, event.processed) {
                (Delivery::Queued, _) => "QUEUED",
                (Delivery::Refused(_), _) => "FAILED",
                (Delivery::Done, true) => "SUCCEEDED",
                (Delivery::Done, false) => "PENDING",
            },
            reason: match event.delivery {
                Delivery::Refused(why) => Some(why),
                Delivery::Done | Delivery::Queued => None,
            },
            kind: event.form.as_str(),
            user_id: match event.owner {
                Owner::User(user) => Some(user.to_string()),
                Owner::Graph(_) => None,
            },
            session_id: event.session,
            results: vec![EventResult {
                id: id.clone(),
                event: "ADD",
            }],
            updated_at: created_at.clone(),
            created_at,
            id,
        }
    }
}

/// What a deletion removed.
#[derive(Debug, Serialize)]
pub struct DeletionAnswer {
    /// What happened, in a sentence.
    message: &'static str,
    /// Whether everything in the scope is gone.
    complete: bool,
    /// What was removed.
    removed: RemovedAnswer,
    /// What could not be deleted, and why.
    failures: Vec<FailureAnswer>,
    /// How many more could not.
    failures_not_listed: u64,
    /// Where it was stored.
    backend: &'static str,
}

#[derive(Debug, Serialize)]
struct RemovedAnswer {
    /// Whether the user or the agent's graph itself is gone.
    entity: bool,
    /// Conversations, with all their messages.
    sessions: u64,
    /// Messages in them; null where the user was deleted as a whole.
    messages: Option<u64>,
    /// Memories outside of conversations; null where the owner was deleted as a whole.
    memories: Option<u64>,
    /// Facts that were left when their sources were gone.
    facts: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FailureAnswer {
    what: String,
    error: String,
}

impl DeletionAnswer {
    /// The answer to deleting an owner as a whole, whose content was not counted.
    pub fn of_owner(purged: Purged, backend: &'static str) -> Self {
        if purged.in_mem0 {
            return Self::of_mem0(purged);
        }
        let mut answer = Self::new(purged, backend);
        let removed = &mut answer.removed;
        (removed.messages, removed.memories, removed.facts) = (None, None, None);
        answer
    }

    /// mem0 counts nothing, and finishes in the background.
    fn of_mem0(purged: Purged) -> Self {
        Self {
            message: "mem0 deletes them now; this may take some time.",
            complete: true,
            removed: RemovedAnswer {
                entity: purged.entity,
                sessions: 0,
                messages: None,
                memories: None,
                facts: None,
            },
            failures: Vec::new(),
            failures_not_listed: 0,
            backend: MEM0,
        }
    }

    /// The answer to deleting what is in a scope.
    pub fn new(purged: Purged, backend: &'static str) -> Self {
        let complete = purged.is_complete();
        if purged.in_mem0 {
            return Self::of_mem0(purged);
        }
        let failures = purged.failures.into_iter();
        Self {
            message: match complete {
                true => "Memories deleted successfully!",
                false => {
                    "Not everything could be deleted: see `failures`, and call again to go on."
                }
            },
            complete,
            removed: RemovedAnswer {
                entity: purged.entity,
                sessions: purged.sessions,
                messages: Some(purged.messages),
                memories: Some(purged.texts),
                facts: Some(purged.facts),
            },
            failures: failures
                .map(|Failure { what, error }| FailureAnswer { what, error })
                .collect(),
            failures_not_listed: purged.failures_not_listed,
            backend,
        }
    }
}

/// How many characters of an error's text are kept from its beginning. Ours are shorter; a parser's can
/// repeat a value of any length.
const MAX_DETAIL_CHARS: usize = 2_000;
/// The same from its end, where a parser says what it expected.
const MAX_DETAIL_END_CHARS: usize = 200;

/// An error, for the agent or program that reads it: `{"error", "detail", "status"?}`.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorAnswer {
    /// A short, stable name.
    pub error: &'static str,
    /// What went wrong, whether trying again helps, what to change.
    pub detail: String,
    /// The HTTP status that Zep answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Of a write that stopped on the way: what was stored.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    progress: Option<WriteProgress>,
}

#[derive(Debug, Clone, Serialize)]
struct WriteProgress {
    stored: Vec<String>,
    stored_count: usize,
    total_count: usize,
    in_doubt: bool,
    idempotency_key: String,
}

impl ErrorAnswer {
    /// An error with a name of its own.
    pub fn new(error: &'static str, detail: String) -> Self {
        Self {
            error,
            detail: shortened(detail),
            status: None,
            progress: None,
        }
    }

    /// An argument that cannot be accepted.
    pub fn argument(detail: String) -> Self {
        Self::new("invalid_argument", detail)
    }
}

impl From<Error> for ErrorAnswer {
    fn from(error: Error) -> Self {
        let progress = match &error {
            Error::PartlyStored(stopped) => Some(WriteProgress {
                stored: stopped.stored.clone(),
                stored_count: stopped.stored.len(),
                total_count: stopped.total,
                in_doubt: stopped.in_doubt,
                idempotency_key: stopped.idempotency_key.clone(),
            }),
            _ => None,
        };
        Self {
            status: error.status(),
            progress,
            ..Self::new(error.code(), error.to_string())
        }
    }
}

/// A text whose middle is left out if it is long.
fn shortened(text: String) -> String {
    let start = text.char_indices().nth(MAX_DETAIL_CHARS);
    let end = text.char_indices().nth_back(MAX_DETAIL_END_CHARS - 1);
    match (start, end) {
        (Some((start, _)), Some((end, _))) if start < end => {
            format!("{}…{}", &text[..start], &text[end..])
        }
        _ => text,
    }
}

/// RFC 3339 UTC.
fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

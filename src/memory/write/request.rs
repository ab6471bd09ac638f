//! Adding memories: the request, the answer, and where records go.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    model::{MemoryKind, Owner, Place, RecordId, Scope, SessionId},
    record::draft::{self, Draft},
    record::fit::{Carrier, Level, Ours, Speaker},
    service::MemoryService,
    write::job::{AddedMemory, Known, WriteJob},
};
use crate::zep;

/// The most messages of one call.
pub const MAX_MESSAGES: usize = 1_000;

/// Memories to add.
#[derive(Debug, Clone, Default)]
pub struct NewMemories {
    /// The owner.
    pub scope: Scope,
    /// A plain text. Not stored if there are messages (as in mem0).
    pub text: Option<String>,
    /// Turns of a conversation, oldest first.
    pub messages: Vec<NewTurn>,
    /// The caller's own fields, kept whole with every record of the call.
    pub metadata: Map<String, Value>,
    /// What kind of memory it is.
    pub kind: Option<MemoryKind>,
    /// When it happened; now, if left out.
    pub created_at: Option<Timestamp>,
    /// Makes the call repeatable: what an earlier call with the same key stored is not stored
    /// again.
    pub idempotency_key: Option<RecordId>,
}

/// One turn of a conversation.
#[derive(Debug, Clone)]
pub struct NewTurn {
    /// The speaker's role, in any word that the guide maps.
    pub role: String,
    /// What was said.
    pub content: String,
    /// The speaker's name.
    pub name: Option<String>,
    /// When it was said; the time of the call, if left out.
    pub created_at: Option<Timestamp>,
    /// Fields of this turn alone, which take precedence over the call's.
    pub metadata: Map<String, Value>,
}

/// What was stored.
#[derive(Debug, Clone)]
pub struct Added {
    /// The owner.
    pub owner: Owner,
    /// The session, if it went to one.
    pub session: Option<SessionId>,
    /// One for each record, in the order given.
    pub memories: Vec<AddedMemory>,
    /// Whether a text was given beside messages and therefore not stored.
    pub text_ignored: bool,
}

impl MemoryService {
    /// Stores memories: messages in their session (without one, in the user's default session), a
    /// text with a session as a user message, a text without one as an episode of its own.
    ///
    /// # Errors
    /// [`crate::memory::Error::Invalid`] names the argument; nothing is written.
    /// [`crate::memory::Error::PartlyStored`] says what is stored and how to continue.
    pub async fn add(&self, caller: &Caller, new: NewMemories) -> Result<Added> {
        let owner = self.owner(caller, Right::Write, &new.scope)?;
        let conversation = !new.messages.is_empty();
        let text_ignored = conversation && new.text.is_some();
        let place = match (&owner, new.scope.session.clone()) {
            (Owner::User(user), Some(session)) => Place::Session(user.clone(), session),
            (Owner::User(user), None) if conversation => {
                Place::Session(user.clone(), SessionId::default_session())
            }
            _ => Place::Graph(owner.clone()),
        };
        let session = place.session().cloned();
        let known = match new.idempotency_key {
            Some(_) => Known::LookFirst,
            None => Known::New,
        };
        let key = new.idempotency_key.clone().unwrap_or_else(RecordId::fresh);
        let write = WriteJob {
            service: self.clone(),
            records: drafts(new, &key, Carrier::at(&place))?,
            place,
            key,
            known,
            turn: None,
            share: None,
        };
        let memories = write.finish_even_if_dropped().await?;
        Ok(Added {
            owner,
            session,
            memories,
            text_ignored,
        })
    }
}

/// Turns a call into records, and checks that each fits.
fn drafts(new: NewMemories, key: &RecordId, carrier: Carrier) -> Result<Vec<Draft>> {
    let NewMemories {
        scope,
        text,
        messages,
        metadata,
        kind,
        created_at,
        idempotency_key: _,
    } = new;
    let now = draft::now();
    let mut ours = Ours::new(key.clone());
    ours.memory_type = kind;
    // An agent's own graph needs no mark of the agent.
    ours.agent = scope
        .agent
        .filter(|_| scope.user.is_some() || scope.session.is_some());
    ours.app = scope.app;
    if messages.is_empty() {
        let content = text.ok_or_else(|| {
            Error::invalid("text", "is missing; give `text`, `messages`, or both")
        })?;
        let record = Draft {
            ours,
            role: zep::Role::User,
            name: None,
            content,
            created_at: created_at.unwrap_or(now),
            metadata,
            carrier,
        };
        record
            .fit(Level::Normal)
            .map_err(|error| draft::named(&error, "text", "metadata"))?;
        return Ok(vec![record]);
    }
    if messages.len() > MAX_MESSAGES {
        let problem = format!(
            "has {} entries; one call takes at most {MAX_MESSAGES}: send them in several calls",
            messages.len()
        );
        return Err(Error::invalid("messages", problem));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(index, turn)| {
            let mut ours = ours.clone();
            ours.record = key.nth(index);
            // Undated turns of one call get consecutive times.
            let said = turn.created_at.or(created_at);
            let time = said.unwrap_or_else(|| after(now, index));
            let record = of_turn(turn, ours, &metadata, time, carrier);
            record.fit(Level::Normal).map_err(|error| {
                let content = format!("messages[{index}].content");
                draft::named(&error, &content, "metadata")
            })?;
            Ok(record)
        })
        .collect()
}

fn of_turn(
    turn: NewTurn,
    mut ours: Ours,
    metadata: &Map<String, Value>,
    created_at: Timestamp,
    carrier: Carrier,
) -> Draft {
    let speaker = Speaker {
        role: turn.role,
        name: turn.name,
    };
    let (role, name) = draft::spoken(speaker, &mut ours, carrier);
    let mut metadata = metadata.clone();
    metadata.extend(turn.metadata);
    Draft {
        ours,
        role,
        name,
        content: turn.content,
        created_at,
        metadata,
        carrier,
    }
}

fn after(time: Timestamp, index: usize) -> Timestamp {
    let later = SignedDuration::from_micros(i64::try_from(index).unwrap_or(0));
    time.checked_add(later).unwrap_or(time)
}

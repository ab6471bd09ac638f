//! Adding memories: the request, the answer, and where records go.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::memory::{
    Result,
    access::Right,
    model::{Caller, MemoryKind, Owner, Place, RecordId, Scope, SessionId, Uuid},
    record::draft::Outgoing,
    service::MemoryService,
    write::job::{Known, Write},
};

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

/// One stored record.
#[derive(Debug, Clone)]
pub struct AddedMemory {
    /// Zep's id of its first part.
    pub id: Uuid,
    /// The content.
    pub content: String,
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
        let write = Write {
            service: self.clone(),
            records: Outgoing::of_call(new, &key, place.carrier())?,
            place,
            key,
            known,
            turn: None,
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

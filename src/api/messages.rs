//! What is said in a session: adding it, and clearing it.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::call::{Answer, Call, Done, created, ok, scope_of};
use super::error::{About, ApiError, Failing};
use super::given::{Arguments, Field, Given, Kind, PathId, needed, optional};
use super::paths::InSession;
use super::sessions::Whose;
use super::words::{MemoryType, MessageRole, TYPE_FIELD};
use crate::memory::access::Right;
use crate::memory::model::{SessionId, UserId};
use crate::memory::{NewMemories, NewTurn};

/// Something that is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user_id": "3f0c…", "session_id": "9a41…", "role": "user",
    "content": "I slept better this week.", "metadata": {"mood": 6}
}))]
pub(super) struct NewMessage {
    /// Whose memory it is.
    user_id: String,
    /// In which conversation; one that does not exist is made.
    session_id: String,
    /// What is said.
    #[schema(min_length = 1, max_length = 1_000_000)]
    content: String,
    /// Who says it.
    #[schema(value_type = MessageRole)]
    role: String,
    /// What kind of memory it is; `conversation` if left out.
    #[schema(value_type = Option<MemoryType>)]
    memory_type: Option<String>,
    /// The application's own fields.
    metadata: Option<Map<String, Value>>,
}

impl Arguments for NewMessage {
    const FIELDS: &'static [Field] = &[
        needed("user_id", Kind::Text),
        needed("session_id", Kind::Text),
        needed("content", Kind::Text),
        needed("role", Kind::Text),
        optional("memory_type", Kind::Text),
        optional("metadata", Kind::Json),
    ];
    const WHOLE_BODY: Option<&'static str> = Some("metadata");
}

/// The same, where the path names the session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user_id": "3f0c…", "role": "user", "content": "I slept better this week."}))]
pub(super) struct NewMessageHere {
    /// Whose memory it is.
    user_id: String,
    /// What is said.
    #[schema(min_length = 1, max_length = 1_000_000)]
    content: String,
    /// Who says it.
    #[schema(value_type = MessageRole)]
    role: String,
    /// What kind of memory it is; `conversation` if left out.
    #[schema(value_type = Option<MemoryType>)]
    memory_type: Option<String>,
    /// The application's own fields.
    metadata: Option<Map<String, Value>>,
}

impl Arguments for NewMessageHere {
    const FIELDS: &'static [Field] = &[
        needed("user_id", Kind::Text),
        needed("content", Kind::Text),
        needed("role", Kind::Text),
        optional("memory_type", Kind::Text),
        optional("metadata", Kind::Json),
    ];
    const WHOLE_BODY: Option<&'static str> = Some("metadata");
}

impl NewMessageHere {
    fn in_session(self, session_id: String) -> NewMessage {
        NewMessage {
            session_id,
            user_id: self.user_id,
            content: self.content,
            role: self.role,
            memory_type: self.memory_type,
            metadata: self.metadata,
        }
    }
}

/// A message that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AddedBody {
    /// True.
    pub(super) success: bool,
    /// What was done.
    message: &'static str,
    /// The id of the message; it stays valid.
    pub(super) memory_id: String,
    /// `stored`, or `queued`: it is safe on the server's disk, and goes to Zep as soon as that answers.
    #[schema(value_type = Stored)]
    pub(super) status: &'static str,
}

/// Where something is that was added.
#[derive(ToSchema)]
#[allow(dead_code)] // Described only.
#[schema(rename_all = "lowercase")]
pub(super) enum Stored {
    /// In its backend.
    Stored,
    /// On the server's disk, until its backend answers.
    Queued,
}

async fn add_message(call: &Call, new: NewMessage) -> Answer<AddedBody> {
    let begun = Instant::now();
    let role = MessageRole::read("body", "role", &new.role)?;
    let kind = match &new.memory_type {
        Some(word) => MemoryType::read("body", TYPE_FIELD, word)?,
        None => MemoryType::Conversation,
    };
    let user = UserId::new(&new.user_id).map_err(crate::memory::Error::from);
    let user = user.about(About::User)?;
    let session = SessionId::new(&new.session_id).map_err(crate::memory::Error::from);
    let session = session.about(About::Session)?;
    let owner = crate::memory::model::Owner::User(user.clone());
    call.caller.may(Right::Write, &owner).about(About::User)?;
    // A note on a session can follow when it is over; nothing more is said in it.
    if kind == MemoryType::Conversation {
        let admitted = call.memories().admits_turn(&user, &session, begun).await;
        admitted.about(About::Session)?;
    }
    let turn = NewTurn {
        role: role.as_str().to_owned(),
        content: new.content,
        name: None,
        created_at: None,
        metadata: Map::new(),
    };
    let scope = scope_of(user, session);
    let added = add(call, begun, scope, turn, kind, new.metadata).await?;
    created(AddedBody {
        message: "Message added to memory",
        ..added
    })
}

/// Adds one turn to a session, for a call that began then.
pub(super) async fn add(
    call: &Call,
    begun: Instant,
    scope: crate::memory::model::Scope,
    turn: NewTurn,
    kind: MemoryType,
    metadata: Option<Map<String, Value>>,
) -> Result<AddedBody, ApiError> {
    let new = NewMemories {
        scope,
        messages: vec![turn],
        metadata: metadata.unwrap_or_default(),
        kind: Some(kind.kind()),
        ..NewMemories::default()
    };
    let added = call.memories().add_since(begun, &call.caller, new).await;
    let added = added.map_err(ApiError::of_message)?;
    let first = added.memories.into_iter().next();
    Ok(AddedBody {
        success: true,
        message: "Stored",
        memory_id: first
            .map(|memory| memory.id.to_string())
            .unwrap_or_default(),
        status: match added.queued {
            Some(_) => "queued",
            None => "stored",
        },
    })
}

/// Add a message
///
/// To a conversation, which is made if it does not exist. Refused with 404 in a session that was closed or
/// is over.
#[utoipa::path(
    post, path = "/api/memory/messages", tag = "messages", operation_id = "add_message",
    request_body = NewMessage,
    responses((status = 201, body = AddedBody, description = "The message"))
)]
pub(super) async fn add_to_any(call: Call, given: Given<NewMessage>) -> Answer<AddedBody> {
    add_message(&call, given.0).await
}

/// Add a message to this session
#[utoipa::path(
    post, path = "/api/v1/memory/{session_id}/messages", tag = "messages",
    operation_id = "add_message_to_session",
    params(InSession),
    request_body = NewMessageHere,
    responses((status = 201, body = AddedBody, description = "The message"))
)]
pub(super) async fn add_to_this(
    call: Call,
    id: PathId,
    given: Given<NewMessageHere>,
) -> Answer<AddedBody> {
    add_message(&call, given.0.in_session(id.0)).await
}

/// Clear a session
///
/// Deletes what was said in it, wholly, with the session; operators only.
#[utoipa::path(
    delete, path = "/api/v1/memory/{session_id}", tag = "messages", operation_id = "clear_session",
    params(InSession, Whose),
    responses((status = 200, body = Done, description = "Deleted"))
)]
pub(super) async fn clear(call: Call, id: PathId, given: Given<Whose>) -> Answer<Done> {
    let user = given.0.user_id.as_deref();
    let (user, session) = call.session(Right::Delete, user, &id.0, "query").await?;
    let purged = call
        .memories()
        .clear_session(&call.caller, &user, &session)
        .await;
    let purged = purged.about(About::Session)?;
    match purged.failures.first() {
        None => ok(Done::saying("Session memory cleared")),
        Some(failure) => Err(ApiError::unfinished(&failure.error)),
    }
}

/// Clear a session, as the original server named it
#[utoipa::path(
    post, path = "/api/memory/sessions/{session_id}/clear", tag = "messages",
    operation_id = "clear_session_by_post",
    params(InSession, Whose),
    responses((status = 200, body = Done, description = "Deleted"))
)]
pub(super) async fn clear_by_post(call: Call, id: PathId, given: Given<Whose>) -> Answer<Done> {
    clear(call, id, given).await
}

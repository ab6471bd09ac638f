//! What is said in a session: adding it, its history, its counts, and clearing it.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::call::{Answer, Call, Done, created, ok, scope_of};
use super::error::{About, ApiError, Failing};
use super::given::{Arguments, Field, Given, Kind, PathId, needed, optional};
use super::sessions::Whose;
use super::words::{MemoryType, MessageRole, Order};
use crate::memory::access::Right;
use crate::memory::model::{Record, SessionId, UserId};
use crate::memory::{
    Cursor, MAX_RECORDS, NewMemories, NewTurn, PageOf, SessionPage, SessionQuery, Summary, input,
};

/// Messages of a page where none are named (Memory API).
const DEFAULT_MESSAGES: u32 = 50;
/// In the metadata of a message in a history, beside the application's own.
const TYPE_FIELD: &str = "memory_type";
/// How the cursor of a history begins that goes back in time.
const BACK: &str = "back:";
/// How many messages more are read on the way back than were shown: others may have been added since.
const ADDED_SINCE: u32 = 100;
/// How far back pages go from the newest message. Ours: each reads all that is newer.
const MAX_BACK: u32 = 20_000;

/// Something that is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user_id": "3f0c…", "session_id": "9a41…", "role": "user",
    "content": "I slept better this week.", "metadata": {"mood": 6}
}))]
pub(super) struct NewMessage {
    /// Whose memory it is.
    #[schema(min_length = 1, max_length = 500)]
    user_id: String,
    /// In which conversation; one that does not exist is made.
    #[schema(min_length = 1, max_length = 500)]
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
    #[schema(min_length = 1, max_length = 500)]
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

/// Which part of a history.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryPage {
    user_id: Option<String>,
    limit: Option<i64>,
    memory_type: Option<String>,
    order: Option<String>,
    cursor: Option<String>,
}

impl Arguments for HistoryPage {
    const FIELDS: &'static [Field] = &[
        optional("user_id", Kind::Text),
        optional("limit", Kind::Integer),
        optional("memory_type", Kind::Text),
        optional("order", Kind::Text),
        optional("cursor", Kind::Text),
    ];
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

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageBody {
    /// Its id.
    id: String,
    /// What was said.
    content: String,
    /// Who said it.
    role: String,
    /// When.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    /// What kind of memory it is.
    memory_type: Option<String>,
    /// The application's own fields, and `memory_type`.
    metadata: Map<String, Value>,
    /// Whether it waits on the server's disk until Zep answers.
    pending: bool,
}

impl From<Record> for MessageBody {
    fn from(record: Record) -> Self {
        let mut metadata = record.metadata;
        if let Some(kind) = &record.memory_type {
            metadata
                .entry(TYPE_FIELD)
                .or_insert_with(|| kind.as_str().into());
        }
        Self {
            id: record.id.to_string(),
            content: record.content,
            role: record.role,
            timestamp: record.created_at.map(|time| time.to_string()),
            memory_type: record.memory_type,
            metadata,
            pending: record.pending,
        }
    }
}

/// A part of a history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryBody {
    /// True.
    success: bool,
    /// Which conversation.
    session_id: String,
    /// Whose.
    user_id: Option<String>,
    /// Its messages.
    messages: Vec<MessageBody>,
    /// The `cursor` of the next page; null where there is none.
    next_cursor: Option<String>,
    /// Whether Zep does not answer, so that there may be more.
    stale: bool,
}

/// How many messages a session has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CountBody {
    /// True.
    success: bool,
    /// Which conversation.
    session_id: String,
    /// How many.
    count: usize,
}

/// The counts of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatsBody {
    /// True.
    success: bool,
    /// Which conversation.
    session_id: String,
    /// Its counts.
    stats: Stats,
}

/// Counts.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Stats {
    /// How many messages.
    total_messages: usize,
    /// How many of each kind; `unknown` for those without.
    memory_types: std::collections::BTreeMap<String, usize>,
    /// When the first was said.
    #[schema(format = DateTime)]
    first_message: Option<String>,
    /// When the last was said.
    #[schema(format = DateTime)]
    last_message: Option<String>,
}

impl From<Summary> for Stats {
    fn from(summary: Summary) -> Self {
        let named = |kind: Option<String>| kind.unwrap_or_else(|| "unknown".to_owned());
        let kinds = summary.by_kind.into_iter();
        Self {
            total_messages: summary.record_count,
            memory_types: kinds.map(|(kind, count)| (named(kind), count)).collect(),
            first_message: summary.first.map(|time| time.to_string()),
            last_message: summary.last.map(|time| time.to_string()),
        }
    }
}

async fn add_message(call: &Call, new: NewMessage) -> Answer<AddedBody> {
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
        let open = call.memories().check_open(&user, &session).await;
        open.about(About::Session)?;
    }
    let turn = NewTurn {
        role: role.as_str().to_owned(),
        content: new.content,
        name: None,
        created_at: None,
        metadata: Map::new(),
    };
    let added = add(call, scope_of(user, session), turn, kind, new.metadata).await?;
    created(AddedBody {
        message: "Message added to memory",
        ..added
    })
}

/// Adds one turn to a session.
pub(super) async fn add(
    call: &Call,
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
    let added = call.memories().add(&call.caller, new).await;
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
    params(("session_id" = String, Path, min_length = 1, max_length = 500)),
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

/// Read a history
///
/// The newest messages, oldest first. With `order`, from the beginning (`asc`) or from the end (`desc`), page
/// by page.
#[utoipa::path(
    get, path = "/api/v1/memory/{session_id}/history", tag = "messages", operation_id = "get_history",
    params(
        ("session_id" = String, Path, min_length = 1, max_length = 500),
        ("user_id" = Option<String>, Query, min_length = 1, max_length = 500, description = "Whose, where several users have a session of this name"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "Messages of a page; 50 if left out"),
        ("memory_type" = Option<MemoryType>, Query, description = "Only this kind"),
        ("order" = Option<Order>, Query, description = "From the beginning, or from the end"),
        ("cursor" = Option<String>, Query, max_length = 500, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = HistoryBody, description = "Messages"))
)]
pub(super) async fn history(
    call: Call,
    id: PathId,
    given: Given<HistoryPage>,
) -> Answer<HistoryBody> {
    let Given(page) = given;
    let limit = input::in_range("limit", page.limit, 1..=MAX_RECORDS, DEFAULT_MESSAGES);
    let limit = limit.asked_about(About::Session)?;
    let kind = page.memory_type.as_deref();
    let kind = kind
        .map(|word| MemoryType::read("query", TYPE_FIELD, word))
        .transpose()?;
    let order = page.order.as_deref();
    let order = order
        .map(|word| Order::read("query", "order", word))
        .transpose()?;
    let found = call
        .session(Right::Read, page.user_id.as_deref(), &id.0, "query")
        .await;
    let (user, session) = match found {
        Ok(found) => found,
        Err(error) if call.api.compat && error.is_missing() => return ok(HistoryBody::empty(id.0)),
        Err(error) => return Err(error),
    };
    let leads_back = page.cursor.as_deref().and_then(shown_of);
    let back = match (order, &page.cursor, leads_back) {
        (Some(Order::Desc), None, _) => Some((0, None)),
        (None | Some(Order::Desc), Some(_), Some(back)) => Some(back),
        (Some(Order::Asc), Some(_), Some(_)) => return Err(astray()),
        _ => None,
    };
    let place: Option<Cursor> = match (&back, &page.cursor) {
        (None, Some(cursor)) => Some(cursor.parse().asked_about(About::Session)?),
        _ => None,
    };
    if place.is_some() && order == Some(Order::Desc) {
        return Err(astray());
    }
    let query = SessionQuery {
        scope: scope_of(user.clone(), session.clone()),
        page: match (&back, order, &page.cursor) {
            (Some((shown, _)), ..) => PageOf::Last {
                count: (shown + limit + ADDED_SINCE).min(MAX_BACK),
            },
            (None, None, None) => PageOf::Last { count: limit },
            (None, ..) => PageOf::Forward {
                cursor: place,
                limit,
            },
        },
        kind: kind.map(MemoryType::kind),
        include_context: false,
        include_summary: false,
    };
    let read = match call.memories().session(&call.caller, query).await {
        Err(crate::memory::Error::Invalid { field, .. }) if field == "cursor" => {
            return Err(astray());
        }
        Err(error) => {
            let error = ApiError::of(error, About::Session, "query");
            match call.api.compat && error.is_missing() {
                true => return ok(HistoryBody::empty(id.0)),
                false => return Err(error),
            }
        }
        Ok(read) => read,
    };
    ok(match back {
        Some(back) => HistoryBody::backwards(read, back, limit)?,
        None => HistoryBody::forwards(read),
    })
}

impl HistoryBody {
    /// That of a session that is not there, as the original answered it.
    fn empty(session_id: String) -> Self {
        Self {
            success: true,
            session_id,
            user_id: None,
            messages: Vec::new(),
            next_cursor: None,
            stale: false,
        }
    }

    fn forwards(page: SessionPage) -> Self {
        Self {
            success: true,
            session_id: page.session.to_string(),
            user_id: Some(page.user.to_string()),
            messages: page.records.into_iter().map(MessageBody::from).collect(),
            next_cursor: page.next_cursor.map(|cursor| cursor.to_string()),
            stale: page.away.is_some(),
        }
    }

    /// The page before the message that was shown last, newest first.
    fn backwards(
        mut page: SessionPage,
        (shown, last): (u32, Option<String>),
        limit: u32,
    ) -> Result<Self, ApiError> {
        let mut records = std::mem::take(&mut page.records);
        if let Some(last) = last {
            let at = records.iter().position(|record| record.id.as_str() == last);
            let at = at.ok_or_else(astray)?;
            records.truncate(at);
        }
        records.reverse();
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let shown = shown.saturating_add(records.len() as u32);
        let last = records.last().map(|record| record.id.to_string());
        Ok(Self {
            next_cursor: last
                .filter(|_| more)
                .map(|last| format!("{BACK}{shown}:{last}")),
            messages: records.into_iter().map(MessageBody::from).collect(),
            ..Self::forwards(page)
        })
    }
}

/// How many messages were shown on the way back, and the last of them.
fn shown_of(cursor: &str) -> Option<(u32, Option<String>)> {
    let (shown, last) = cursor.strip_prefix(BACK)?.split_once(':')?;
    uuid::Uuid::parse_str(last).ok()?;
    Some((shown.parse().ok()?, Some(last.to_owned())))
}

/// A cursor that does not lead to where it did, or was made for the other order.
fn astray() -> ApiError {
    let detail =
        "`cursor` does not lead into this session, or not in this order; start again without it";
    ApiError::new(StatusCode::CONFLICT, "stale_cursor", detail)
}

/// The counts over a session.
async fn summary(call: &Call, user: Option<&str>, session: &str) -> Result<Stats, ApiError> {
    let (user, session) = call.session(Right::Read, user, session, "query").await?;
    let query = SessionQuery {
        scope: scope_of(user, session),
        page: PageOf::Last { count: 1 },
        kind: None,
        include_context: false,
        include_summary: true,
    };
    let page = call.memories().session(&call.caller, query).await;
    let page = page.asked_about(About::Session)?;
    Ok(page.summary.map(Stats::from).unwrap_or_default())
}

/// Count messages
#[utoipa::path(
    get, path = "/api/v1/memory/{session_id}/history/count", tag = "messages",
    operation_id = "count_messages",
    params(
        ("session_id" = String, Path, min_length = 1, max_length = 500),
        ("user_id" = Option<String>, Query, min_length = 1, max_length = 500, description = "Whose, where several users have a session of this name"),
    ),
    responses((status = 200, body = CountBody, description = "The count"))
)]
pub(super) async fn count(call: Call, id: PathId, given: Given<Whose>) -> Answer<CountBody> {
    let stats = summary(&call, given.0.user_id.as_deref(), &id.0).await?;
    ok(CountBody {
        success: true,
        session_id: id.0,
        count: stats.total_messages,
    })
}

/// Count what a session has
#[utoipa::path(
    get, path = "/api/v1/memory/{session_id}/stats", tag = "messages", operation_id = "get_stats",
    params(
        ("session_id" = String, Path, min_length = 1, max_length = 500),
        ("user_id" = Option<String>, Query, min_length = 1, max_length = 500, description = "Whose, where several users have a session of this name"),
    ),
    responses((status = 200, body = StatsBody, description = "Counts and times"))
)]
pub(super) async fn stats(call: Call, id: PathId, given: Given<Whose>) -> Answer<StatsBody> {
    let stats = match summary(&call, given.0.user_id.as_deref(), &id.0).await {
        Err(error) if call.api.compat && error.is_missing() => Stats::default(),
        stats => stats?,
    };
    ok(StatsBody {
        success: true,
        session_id: id.0,
        stats,
    })
}

/// Clear a session
///
/// Deletes what was said in it, wholly, with the session; operators only.
#[utoipa::path(
    delete, path = "/api/v1/memory/{session_id}", tag = "messages", operation_id = "clear_session",
    params(
        ("session_id" = String, Path, min_length = 1, max_length = 500),
        ("user_id" = Option<String>, Query, min_length = 1, max_length = 500, description = "Whose, where several users have a session of this name"),
    ),
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
    params(
        ("session_id" = String, Path, min_length = 1, max_length = 500),
        ("user_id" = Option<String>, Query, min_length = 1, max_length = 500, description = "Whose, where several users have a session of this name"),
    ),
    responses((status = 200, body = Done, description = "Deleted"))
)]
pub(super) async fn clear_by_post(call: Call, id: PathId, given: Given<Whose>) -> Answer<Done> {
    clear(call, id, given).await
}

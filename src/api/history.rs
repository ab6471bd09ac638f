//! What was said in a session: its history, page by page, and its counts.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::call::{Answer, Call, ok, scope_of};
use super::error::{About, ApiError, Failing};
use super::given::{Arguments, Field, Given, Kind, PathId, optional};
use super::paths::InSession;
use super::sessions::Whose;
use super::words::{MemoryType, Order, TYPE_FIELD};
use crate::memory::access::Right;
use crate::memory::model::Record;
use crate::memory::{self, Cursor, MAX_RECORDS, PageOf, SessionPage, SessionQuery, Summary, input};

/// Messages of a page where none are named (Memory API).
const DEFAULT_MESSAGES: u32 = 50;
/// How the cursor of a history begins that goes back in time.
const BACK: &str = "back:";
/// How many messages more are read on the way back than were shown: others may have been added since.
const ADDED_SINCE: u32 = 100;
/// How far back pages go from the newest message. Ours: each reads all that is newer.
const MAX_BACK: u32 = 20_000;

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryPage {
    /// Whose, where several users have a session of this name.
    user_id: Option<String>,
    /// Messages of a page; 50 if left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Only this kind.
    #[param(value_type = Option<MemoryType>)]
    memory_type: Option<String>,
    /// From the beginning, or from the end.
    #[param(value_type = Option<Order>)]
    order: Option<String>,
    /// `next_cursor` of the page before.
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

/// Read a history
///
/// The newest messages, oldest first. With `order`, from the beginning (`asc`) or from the end (`desc`), page
/// by page.
#[utoipa::path(
    get, path = "/api/v1/memory/{session_id}/history", tag = "messages", operation_id = "get_history",
    params(InSession, HistoryPage),
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
    let query = |page| SessionQuery {
        scope: scope_of(user.clone(), session.clone()),
        page,
        kind: kind.map(MemoryType::kind),
        include_context: false,
        include_summary: false,
    };
    let read = async |page| match call.memories().session(&call.caller, query(page)).await {
        Err(memory::Error::Invalid { field, .. }) if field == "cursor" => Err(astray()),
        read => read.asked_about(About::Session),
    };
    let Some((shown, last)) = back else {
        let page = match (order, &page.cursor) {
            (None, None) => PageOf::Last { count: limit },
            _ => PageOf::Forward {
                cursor: place,
                limit,
            },
        };
        return match read(page).await {
            Err(error) if call.api.compat && error.is_missing() => ok(HistoryBody::empty(id.0)),
            read => ok(HistoryBody::forwards(read?)),
        };
    };
    let near = shown.saturating_add(limit + ADDED_SINCE).min(MAX_BACK);
    for count in [near, MAX_BACK] {
        let page = read(PageOf::Last { count }).await?;
        if let Some(page) = HistoryBody::backwards(page, shown, last.as_deref(), limit) {
            return ok(page);
        }
    }
    // More was added since than is looked through, or the message was deleted.
    Err(astray())
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

    /// The page before the message that was shown last, newest first; `None` if that one was not read.
    fn backwards(
        mut page: SessionPage,
        shown: u32,
        last: Option<&str>,
        limit: u32,
    ) -> Option<Self> {
        let mut records = std::mem::take(&mut page.records);
        if let Some(last) = last {
            let at = records
                .iter()
                .position(|record| record.id.as_str() == last)?;
            records.truncate(at);
        }
        records.reverse();
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let shown = shown.saturating_add(records.len() as u32);
        let last = records.last().map(|record| record.id.to_string());
        Some(Self {
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
    params(InSession, Whose),
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
    params(InSession, Whose),
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

//! `get_session`: read a conversation back.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{
        self, MAX_RECORDS, PageOf, SessionQuery, Summary,
        answers::Stale,
        input::{self, EntityIds},
        model::{MemoryKind, Record},
    },
};

/// Messages of a page by default.
const DEFAULT_RECORDS: u32 = 50;

/// Which part of which conversation to read.
#[derive(Debug, Deserialize, JsonSchema)]
struct GetSessionArgs {
    /// Which; `default` holds messages stored without one.
    session_id: String,
    /// The default user if left out.
    user_id: Option<String>,
    /// Messages of a page; 50 if left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// The newest so many, instead of a page.
    #[schemars(range(min = 1, max = 200))]
    last: Option<i64>,
    /// Only this kind; of a snapshot the newest.
    memory_type: Option<String>,
    /// Also a block of text for a prompt.
    include_context: Option<bool>,
    /// Also counts and times of the whole.
    summary: Option<bool>,
}

/// A page of a conversation.
#[derive(Debug, Serialize)]
struct GetSessionAnswer {
    /// Which conversation.
    session_id: String,
    /// Whose.
    user_id: String,
    /// Whole messages, oldest first.
    messages: Vec<SessionMessage>,
    /// How many messages Zep stores in the conversation. A message longer than 4,000 characters is
    /// stored in parts and counts once for each.
    total_count: u64,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// How many messages wait until Zep has them, if any do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_count: Option<usize>,
    /// `mem0`, where it is mem0's: then these are its memories of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'static str>,
    #[serde(flatten)]
    stale: Stale,
    /// The ready-made block, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    /// The counts, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<SessionSummary>,
}

/// One message, whole.
#[derive(Debug, Serialize)]
struct SessionMessage {
    /// Its id, for the tools that take one.
    id: String,
    /// Who speaks, in the word it was stored with.
    role: String,
    /// The speaker's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What was said.
    content: String,
    /// When; null if not known.
    created_at: Option<String>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// What kind of memory it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_type: Option<String>,
    /// The fields that it was stored with.
    metadata: Map<String, Value>,
    /// Whether parts of it are missing, because storing it was interrupted.
    incomplete: bool,
    /// That it waits here until Zep has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<bool>,
}

/// Counts over a whole conversation.
#[derive(Debug, Serialize)]
struct SessionSummary {
    /// Whole messages.
    message_count: usize,
    /// Messages by memory type; `none` for those without.
    by_memory_type: Map<String, Value>,
    /// The earliest time.
    first_message_at: Option<String>,
    /// The latest time.
    last_message_at: Option<String>,
}

#[tool_router(router = get_session_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "get_session",
        title = "Read a session",
        description = "Read a conversation back, word for word and in order: page by page \
                       (`cursor`), or its end (`last`). For what is known: search_memory. \
                       list_sessions names conversations.",
        input_schema = schema::of::<GetSessionArgs>(),
        output_schema = schema::answer(&[
            ("messages", "array", "Oldest first."),
            ("total_count", "integer", "Messages stored."),
        ]),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_session(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: GetSessionArgs = arguments::parse(arguments)?;
        let page = self
            .memories()
            .session(&self.caller(), args.into_query()?)
            .await?;
        arguments::answer(GetSessionAnswer {
            session_id: page.session.to_string(),
            user_id: page.user.to_string(),
            backend: page.in_mem0.then_some("mem0"),
            messages: page.records.into_iter().map(SessionMessage::from).collect(),
            total_count: page.total_count,
            pending_count: (page.pending > 0).then_some(page.pending),
            stale: Stale::from(page.away),
            next_cursor: page.next_cursor.map(|cursor| cursor.to_string()),
            context: page.context,
            summary: page.summary.map(SessionSummary::from),
        })
    }
}

impl GetSessionArgs {
    fn into_query(self) -> Result<SessionQuery, memory::Error> {
        let scope = EntityIds {
            user_id: self.user_id.as_deref(),
            session_id: Some(&self.session_id),
            ..EntityIds::default()
        }
        .scope()?;
        let kind = input::kind(self.memory_type.as_deref())?;
        let page = match (self.last, self.cursor, self.limit) {
            // Of what replaces what came before it, the newest is meant.
            (None, None, None) if kind.as_ref().is_some_and(MemoryKind::is_snapshot) => {
                PageOf::Last { count: 1 }
            }
            (None, cursor, limit) => PageOf::Forward {
                cursor: cursor.as_deref().map(str::parse).transpose()?,
                limit: input::in_range("limit", limit, 1..=MAX_RECORDS, DEFAULT_RECORDS)?,
            },
            (last, None, None) => PageOf::Last {
                count: input::in_range("last", last, 1..=MAX_RECORDS, DEFAULT_RECORDS)?,
            },
            (Some(_), _, _) => {
                return Err(memory::Error::invalid(
                    "last",
                    "cannot be combined with `limit` or `cursor`; give either",
                ));
            }
        };
        Ok(SessionQuery {
            scope,
            page,
            kind,
            include_context: self.include_context.unwrap_or(false),
            include_summary: self.summary.unwrap_or(false),
        })
    }
}

impl From<Record> for SessionMessage {
    fn from(record: Record) -> Self {
        Self {
            id: record.id.to_string(),
            role: record.role,
            name: record.name,
            content: record.content,
            created_at: record.created_at.map(|time| time.to_string()),
            updated_at: record.updated_at.map(|time| time.to_string()),
            memory_type: record.memory_type,
            metadata: record.metadata,
            incomplete: record.incomplete,
            pending: record.pending.then_some(true),
        }
    }
}

impl From<Summary> for SessionSummary {
    fn from(summary: Summary) -> Self {
        Self {
            message_count: summary.record_count,
            by_memory_type: summary
                .by_kind
                .into_iter()
                .map(|(kind, count)| (kind.unwrap_or_else(|| "none".into()), count.into()))
                .collect(),
            first_message_at: summary.first.map(|time| time.to_string()),
            last_message_at: summary.last.map(|time| time.to_string()),
        }
    }
}

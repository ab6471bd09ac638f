//! `list_sessions`: which conversations there are.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{
        SessionInfo,
        answers::Stale,
        input::{self, EntityIds},
    },
};

/// The most sessions of an answer: each costs a request.
const MAX_SESSIONS: u32 = 100;
/// Sessions listed by default.
const DEFAULT_SESSIONS: u32 = 20;

/// Whose conversations to list.
#[derive(Debug, Deserialize, JsonSchema)]
struct ListSessionsArgs {
    /// The default user if left out.
    user_id: Option<String>,
    /// 20 if left out.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<i64>,
    /// How many to skip.
    #[schemars(range(min = 0))]
    offset: Option<i64>,
}

/// A user's conversations.
#[derive(Debug, Serialize)]
struct ListSessionsAnswer {
    /// Whose.
    user_id: String,
    /// Newest first.
    sessions: Vec<ListedSession>,
    /// How many the user has in all.
    total_count: usize,
    #[serde(flatten)]
    stale: Stale,
}

/// One conversation.
#[derive(Debug, Serialize)]
struct ListedSession {
    /// Its id, for get_session.
    session_id: String,
    /// How many messages Zep stores in it.
    message_count: u64,
    /// How many more wait here until Zep has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_count: Option<u64>,
    /// When it was begun.
    created_at: Option<String>,
    /// The time of its newest message.
    last_used_at: Option<String>,
}

#[tool_router(router = list_sessions_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "list_sessions",
        title = "List sessions",
        description = "List somebody's conversations, newest first, with counts and times. \
                       Read one with get_session.",
        input_schema = schema::of::<ListSessionsArgs>(),
        output_schema = schema::answer(&[
            ("sessions", "array", "Newest first."),
            ("total_count", "integer", "Of all."),
        ]),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_sessions(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: ListSessionsArgs = arguments::parse(arguments)?;
        let scope = EntityIds {
            user_id: args.user_id.as_deref(),
            ..EntityIds::default()
        }
        .scope()?;
        let limit = input::in_range("limit", args.limit, 1..=MAX_SESSIONS, DEFAULT_SESSIONS)?;
        let offset = input::in_range("offset", args.offset, 0..=u32::MAX, 0)?;
        let list = self
            .memories()
            .sessions(&self.caller(), &scope, offset as usize, limit as usize)
            .await?;
        arguments::answer(ListSessionsAnswer {
            user_id: list.user.to_string(),
            sessions: list.sessions.into_iter().map(ListedSession::from).collect(),
            total_count: list.total_count,
            stale: Stale::from(list.away),
        })
    }
}

impl From<SessionInfo> for ListedSession {
    fn from(info: SessionInfo) -> Self {
        Self {
            session_id: info.session,
            message_count: info.message_count,
            pending_count: (info.pending_count > 0).then_some(info.pending_count),
            created_at: info.created_at.map(|time| time.to_string()),
            last_used_at: info.last_used_at.map(|time| time.to_string()),
        }
    }
}

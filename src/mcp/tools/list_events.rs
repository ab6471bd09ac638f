//! `list_events`: what was stored last, and how far Zep is with it.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{
        answers::EventAnswer,
        input::{self, EntityIds},
    },
};

/// Events listed by default.
const DEFAULT_EVENTS: u32 = 20;
/// The most that are listed: two requests.
const MAX_EVENTS: u32 = 100;

/// Whose.
#[derive(Debug, Deserialize, JsonSchema)]
struct ListEventsArgs {
    /// The default user if left out.
    user_id: Option<String>,
    /// Alone: the agent's own.
    agent_id: Option<String>,
    /// 20 if left out.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<i64>,
}

/// What was stored last.
#[derive(Debug, Serialize)]
struct ListEventsAnswer {
    /// How many are listed.
    count: usize,
    /// Always null: ask for more with `limit`.
    next: Option<String>,
    /// Always null.
    previous: Option<String>,
    /// Newest first.
    results: Vec<EventAnswer>,
}

#[tool_router(router = list_events_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "list_events",
        title = "List events",
        description = "List what was stored last, and whether Zep has drawn its facts from it: \
                       for what a search does not find yet.",
        input_schema = schema::of::<ListEventsArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_events(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: ListEventsArgs = arguments::parse(arguments)?;
        let scope = EntityIds::of(&args.user_id, &args.agent_id).scope()?;
        let limit = input::in_range("limit", args.limit, 1..=MAX_EVENTS, DEFAULT_EVENTS)?;
        let events = self
            .memories()
            .events(&self.caller(), &scope, limit as usize)
            .await?;
        arguments::answer(ListEventsAnswer {
            count: events.len(),
            next: None,
            previous: None,
            results: events.into_iter().map(EventAnswer::from).collect(),
        })
    }
}

//! `get_event_status`: how far Zep is with one memory.

use rmcp::{
    handler::server::common::schema_for_type,
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::list_events::EventAnswer;
use crate::mcp::{
    answers::answer,
    arguments::{self, Named},
    error::ToolError,
    server::MemoryServer,
};

/// Which memory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetEventStatusArgs {
    /// The memory's id, as add_memory answered it.
    event_id: String,
    /// Whose it is, if you know: spares looking that up.
    user_id: Option<String>,
    /// The agent whose own it is, if you know.
    agent_id: Option<String>,
}

#[tool_router(router = get_event_status_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "get_event_status",
        title = "Get the status of an event",
        description = "Tell whether Zep has drawn its facts from one stored memory yet: `status` \
                       is PENDING or SUCCEEDED. The event's id is the memory's.",
        input_schema = schema_for_type::<GetEventStatusArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_event_status(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: GetEventStatusArgs = arguments::parse(arguments)?;
        let scope = Named {
            user_id: args.user_id.as_deref(),
            agent_id: args.agent_id.as_deref(),
            ..Named::default()
        }
        .scope()?;
        let event = self
            .memories()
            .event(&self.caller(), &args.event_id, &scope)
            .await?;
        answer(EventAnswer::from(event))
    }
}

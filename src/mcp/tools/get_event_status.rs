//! `get_event_status`: how far Zep is with one memory.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::{arguments, error::ToolError, schema, server::MemoryServer};
use crate::memory::{answers::EventAnswer, input::EntityIds};

/// Which memory.
#[derive(Debug, Deserialize, JsonSchema)]
struct GetEventStatusArgs {
    /// The memory's id.
    event_id: String,
    /// Its owner, if known.
    user_id: Option<String>,
    /// Its owner, if an agent.
    agent_id: Option<String>,
}

#[tool_router(router = get_event_status_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "get_event_status",
        title = "Get the status of an event",
        description = "Tell whether Zep has drawn its facts from one stored memory: PENDING or \
                       SUCCEEDED.",
        input_schema = schema::of::<GetEventStatusArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_event_status(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: GetEventStatusArgs = arguments::parse(arguments)?;
        let scope = EntityIds::of(&args.user_id, &args.agent_id).scope()?;
        let event = self
            .memories()
            .event(&self.caller(), &args.event_id, &scope)
            .await?;
        arguments::answer(EventAnswer::from(event))
    }
}

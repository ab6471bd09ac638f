//! `get_memory`: one memory by its id.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::{arguments, error::ToolError, schema, server::MemoryServer};
use crate::memory::{
    answers::{MemoryAnswer, Telling},
    input::EntityIds,
};

/// Which memory.
#[derive(Debug, Deserialize, JsonSchema)]
struct GetMemoryArgs {
    /// Its id.
    memory_id: String,
    /// Its owner, if known.
    user_id: Option<String>,
    /// Its owner, if an agent.
    agent_id: Option<String>,
}

#[tool_router(router = get_memory_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "get_memory",
        title = "Get one memory",
        description = "Fetch one memory by its id: a fact, an episode (a text) or a message (a \
                       turn).",
        input_schema = schema::of::<GetMemoryArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_memory(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: GetMemoryArgs = arguments::parse(arguments)?;
        let scope = EntityIds::of(&args.user_id, &args.agent_id).scope()?;
        let memory = self
            .memories()
            .get(&self.caller(), &args.memory_id, &scope)
            .await?;
        arguments::answer(MemoryAnswer::from(memory).told(Telling::Whole, None, &[]))
    }
}

//! `update_memory`: change the words or the fields of a memory.

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
        Change, Settled,
        answers::{MemoryAnswer, Telling},
        input::EntityIds,
    },
};

/// Which memory, and what of it to change.
#[derive(Debug, Deserialize, JsonSchema)]
struct UpdateMemoryArgs {
    /// Its id.
    memory_id: String,
    /// The new words.
    text: Option<String>,
    /// The new fields, in place of all old ones.
    metadata: Option<Map<String, Value>>,
    /// Its owner, if known.
    user_id: Option<String>,
    /// Its owner, if an agent.
    agent_id: Option<String>,
}

/// The changed memory.
#[derive(Debug, Serialize)]
struct UpdateMemoryAnswer {
    /// That it worked.
    message: &'static str,
    /// QUEUED: it waits until Zep answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// As it is now.
    #[serde(flatten)]
    memory: Map<String, Value>,
    /// Its id before, if it changed: a text gets a new id with new words.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_id: Option<String>,
    /// Where it is stored.
    backend: &'static str,
}

#[tool_router(router = update_memory_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "update_memory",
        title = "Update a memory",
        description = "Replace the `text`, the `metadata`, or both, of one memory. A text gets \
                       a new `id`, which the answer tells. A turn keeps its words: add what is \
                       right with add_memory.",
        input_schema = schema::of::<UpdateMemoryArgs>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn update_memory(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: UpdateMemoryArgs = arguments::parse(arguments)?;
        let scope = EntityIds::of(&args.user_id, &args.agent_id).scope()?;
        let change = Change {
            text: args.text,
            metadata: args.metadata,
        };
        let changed = self
            .memories()
            .update(&self.caller(), &args.memory_id, &scope, change)
            .await?;
        let backend = self.memories().backend();
        arguments::answer(match changed {
            Settled::Done(changed) => UpdateMemoryAnswer {
                message: "Memory updated successfully!",
                backend: match changed.memory.in_mem0 {
                    true => "mem0",
                    false => backend,
                },
                status: None,
                memory: MemoryAnswer::from(changed.memory).told(Telling::Whole, None, &[]),
                previous_id: changed.previous_id.map(|id| id.to_string()),
            },
            Settled::Queued { id, .. } => UpdateMemoryAnswer {
                message: "Zep does not answer now. The change is safe here and is made as soon as it does.",
                status: Some("QUEUED"),
                memory: Map::from_iter([("id".to_owned(), id.to_string().into())]),
                previous_id: None,
                backend,
            },
        })
    }
}

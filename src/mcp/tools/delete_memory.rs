//! `delete_memory`: delete one memory, and say what is gone.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{Deleted, Removed, Settled, input::EntityIds, model::Uuid},
};

/// Which memory.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeleteMemoryArgs {
    /// Its id.
    memory_id: String,
    /// Its owner, if known.
    user_id: Option<String>,
    /// Its owner, if an agent.
    agent_id: Option<String>,
}

/// What is gone.
#[derive(Debug, Serialize)]
struct DeleteMemoryAnswer {
    /// That it worked.
    message: &'static str,
    /// The memory's id.
    id: String,
    /// What it was: fact, episode or message.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// queued: it waits until Zep answers. all; fact_only: its sources are still stored; facts_only: the words of a turn are still
    /// stored, hidden.
    removed: &'static str,
    /// What is still there, and how to remove it, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Of a fact: the memories it was drawn from, which are still stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
    /// Where it was stored.
    backend: &'static str,
}

#[tool_router(router = delete_memory_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "delete_memory",
        title = "Delete a memory",
        description = "Delete one memory, once the person confirmed which. `removed` says how \
                       much is gone: what a fact was drawn from stays.",
        input_schema = schema::of::<DeleteMemoryArgs>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_memory(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: DeleteMemoryArgs = arguments::parse(arguments)?;
        let scope = EntityIds::of(&args.user_id, &args.agent_id).scope()?;
        let deleted = self
            .memories()
            .delete(&self.caller(), &args.memory_id, &scope)
            .await?;
        let backend = self.memories().backend();
        arguments::answer(match deleted {
            Settled::Done(deleted) if deleted.in_mem0 => DeleteMemoryAnswer::new(deleted, "mem0"),
            Settled::Done(deleted) => DeleteMemoryAnswer::new(deleted, backend),
            Settled::Queued { id, .. } => DeleteMemoryAnswer::queued(&id, backend),
        })
    }
}

impl DeleteMemoryAnswer {
    fn queued(id: &Uuid, backend: &'static str) -> Self {
        Self {
            message: "Zep does not answer now. The memory is hidden, and deleted as soon as it does.",
            id: id.to_string(),
            kind: None,
            removed: "queued",
            detail: None,
            sources: Vec::new(),
            backend,
        }
    }

    fn new(deleted: Deleted, backend: &'static str) -> Self {
        let (removed, detail, sources) = match deleted.removed {
            Removed::All => ("all", None, Vec::new()),
            Removed::FactOnly { sources } => (
                "fact_only",
                Some(
                    "The memories that this fact was drawn from are still stored; delete those in \
                     `sources`, too, if they are to be forgotten."
                        .to_owned(),
                ),
                sources.iter().map(ToString::to_string).collect(),
            ),
            Removed::FactsOnly { session } => (
                "facts_only",
                Some(format!(
                    "Zep cannot delete a single turn: its facts are gone, and its words are hidden \
                     from all tools but still stored in session `{session}`. To remove them \
                     wholly, delete the session: delete_entities with `run_id`, or \
                     delete_all_memories with `user_id` and `run_id`."
                )),
                Vec::new(),
            ),
        };
        Self {
            message: "Memory deleted successfully!",
            id: deleted.id.to_string(),
            kind: Some(deleted.form.as_str()),
            removed,
            detail,
            sources,
            backend,
        }
    }
}

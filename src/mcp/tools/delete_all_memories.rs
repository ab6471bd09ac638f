//! `delete_all_memories`: delete all memories in a scope, and keep the user.

use rmcp::{RoleServer, model::JsonObject, service::RequestContext, tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    mcp::{
        arguments,
        confirm::{Answered, Confirmed, in_words},
        error::ToolError,
        schema,
        server::MemoryServer,
    },
    memory::{access::Right, answers::DeletionAnswer, input::EntityIds},
};

/// Whose memories.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeleteAllMemoriesArgs {
    /// The user.
    user_id: Option<String>,
    /// Alone: the agent's own.
    agent_id: Option<String>,
    /// The app.
    app_id: Option<String>,
    /// The conversation.
    run_id: Option<String>,
}

#[tool_router(router = delete_all_memories_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "delete_all_memories",
        title = "Delete all memories in a scope",
        description = "Delete all memories of a user, agent, app or run for good; the user \
                       stays. Several ids: only what belongs to all of them. Only after the \
                       person asked for exactly this. For one memory: delete_memory.",
        input_schema = schema::of::<DeleteAllMemoriesArgs>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_all_memories(
        &self,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Answered, ToolError> {
        let args: DeleteAllMemoriesArgs = arguments::parse(arguments)?;
        let named = EntityIds {
            user_id: args.user_id.as_deref(),
            agent_id: args.agent_id.as_deref(),
            app_id: args.app_id.as_deref(),
            run_id: args.run_id.as_deref(),
            ..EntityIds::default()
        };
        let scope = named.deletion_scope()?;
        // Rights are checked before the person is asked.
        let caller = self.caller();
        let default_user = self.memories().default_user(&caller);
        caller.may(Right::Delete, &scope.owner(default_user))?;
        let names_nobody = named.named().next().is_none();
        let whose = match names_nobody {
            true => format!("the default user “{default_user}”"),
            false => in_words(named),
        };
        let question = format!(
            "Delete all memories of {whose} for good? They cannot be restored. (Backend: {})",
            self.memories().backend()
        );
        match self.confirm(&context, &question, named).await? {
            Confirmed::Asking(response) => return Ok(Answered::Asking(response)),
            Confirmed::NotAsked if names_nobody => {
                return Err(ToolError::failed(
                    "scope_missing",
                    format!(
                        "say whose memories: `user_id`, `agent_id`, `app_id` or `run_id`; nothing \
                         was deleted. The default user's, `{default_user}`, must be named, too"
                    ),
                ));
            }
            Confirmed::Yes | Confirmed::NotAsked => {}
        }
        let purged = self.memories().delete_all(&caller, &scope).await?;
        let deletion = DeletionAnswer::new(purged, self.memories().backend());
        Ok(Answered::Done(arguments::answer(deletion)?))
    }
}

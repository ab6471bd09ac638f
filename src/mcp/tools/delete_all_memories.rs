//! `delete_all_memories`: delete all memories in a scope, and keep the user.

use rmcp::{
    RoleServer, handler::server::common::schema_for_type, model::JsonObject,
    service::RequestContext, tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    mcp::{
        answers::answer,
        arguments::{self, Named},
        confirm::{Answered, Confirmed, NamedIds},
        error::ToolError,
        server::MemoryServer,
    },
    memory::{Failure, Purged, access::Right},
};

/// Whose memories.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteAllMemoriesArgs {
    /// This user's. With others: only what is of all of them at once.
    user_id: Option<String>,
    /// Alone: the agent's own memories. With a user: what the agent stored for them.
    agent_id: Option<String>,
    /// What was stored for this app.
    app_id: Option<String>,
    /// What belongs to this conversation.
    run_id: Option<String>,
}

/// What is gone.
#[derive(Debug, Serialize)]
pub(super) struct DeletionAnswer {
    /// What happened, in a sentence.
    message: String,
    /// Whether all that was to be removed is gone.
    complete: bool,
    /// What was removed.
    removed: RemovedAnswer,
    /// What could not be deleted, and why.
    failures: Vec<FailureAnswer>,
    /// How many more could not.
    failures_not_listed: u64,
    /// Where it was stored.
    backend: &'static str,
}

#[derive(Debug, Serialize)]
struct RemovedAnswer {
    /// Whether the user or the agent's graph itself is gone.
    entity: bool,
    /// Conversations, with all their messages.
    sessions: u64,
    /// Messages in them; null where the user was deleted as a whole.
    messages: Option<u64>,
    /// Memories outside of conversations; null where the owner was deleted as a whole.
    memories: Option<u64>,
    /// Facts that were left when their sources were gone.
    facts: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FailureAnswer {
    what: String,
    error: String,
}

#[tool_router(router = delete_all_memories_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "delete_all_memories",
        title = "Delete all memories in a scope",
        description = "Delete every memory of a user, agent, app or conversation for good, but keep \
                       the user. Several ids mean what belongs to all of them at once. Only after \
                       the person has asked for exactly this; they may be asked to confirm. The \
                       answer says what is gone. For one memory use delete_memory.",
        input_schema = schema_for_type::<DeleteAllMemoriesArgs>(),
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
        let named = NamedIds::among(&arguments);
        let args: DeleteAllMemoriesArgs = arguments::parse(arguments)?;
        let scope = Named {
            user_id: args.user_id.as_deref(),
            agent_id: args.agent_id.as_deref(),
            app_id: args.app_id.as_deref(),
            run_id: args.run_id.as_deref(),
            ..Named::default()
        }
        .scope_of_deletion()?;
        // Whoever may not is not asked first.
        let caller = self.caller();
        let default_user = self.memories().default_user(&caller);
        caller.may(Right::Delete, &scope.owner(default_user))?;
        let whose = match named.is_empty() {
            true => format!("the default user “{default_user}”"),
            false => named.in_words(),
        };
        let question = format!(
            "Delete all memories of {whose} for good? They cannot be restored. (Backend: {})",
            self.memories().backend()
        );
        match self.confirm(&context, &question, &named).await? {
            Confirmed::Asking(response) => return Ok(Answered::Asking(response)),
            Confirmed::NotAsked if named.is_empty() => {
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
        let deletion = DeletionAnswer::new(purged, false, self.memories().backend());
        Ok(Answered::Done(answer(deletion)?))
    }
}

impl DeletionAnswer {
    /// Where the owner was deleted as a whole, nobody counted what it held.
    pub(super) fn new(purged: Purged, as_a_whole: bool, backend: &'static str) -> Self {
        let complete = purged.is_complete();
        let counted = |count: u64| (!as_a_whole).then_some(count);
        Self {
            message: match complete {
                true => "Memories deleted successfully!".to_owned(),
                false => {
                    "Not everything could be deleted: see `failures`, and call again to go on."
                        .to_owned()
                }
            },
            complete,
            removed: RemovedAnswer {
                entity: purged.entity,
                sessions: purged.sessions,
                messages: counted(purged.messages),
                memories: counted(purged.texts),
                facts: counted(purged.facts),
            },
            failures: purged
                .failures
                .into_iter()
                .map(FailureAnswer::from)
                .collect(),
            failures_not_listed: purged.failures_not_listed,
            backend,
        }
    }
}

impl From<Failure> for FailureAnswer {
    fn from(failure: Failure) -> Self {
        Self {
            what: failure.what,
            error: failure.error,
        }
    }
}

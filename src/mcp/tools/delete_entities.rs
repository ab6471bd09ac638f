//! `delete_entities`: delete a user, agent, app or conversation with everything that is theirs.

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
    memory::{EntityId, access::Right, answers::DeletionAnswer, input::EntityIds, model::Scope},
};

/// Which one: exactly one of the four.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeleteEntitiesArgs {
    /// The user.
    user_id: Option<String>,
    /// Its own memory, and the default user's of it.
    agent_id: Option<String>,
    /// The default user's of this app.
    app_id: Option<String>,
    /// The default user's conversation.
    run_id: Option<String>,
}

#[tool_router(router = delete_entities_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "delete_entities",
        title = "Delete a user, agent, app or run",
        description = "Remove one user, agent, app or run with all its memories for good. \
                       Exactly one id. Only after the person asked for exactly this. To keep \
                       the user: delete_all_memories.",
        input_schema = schema::of::<DeleteEntitiesArgs>(),
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn delete_entities(
        &self,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Answered, ToolError> {
        let args: DeleteEntitiesArgs = arguments::parse(arguments)?;
        let named = EntityIds {
            user_id: args.user_id.as_deref(),
            agent_id: args.agent_id.as_deref(),
            app_id: args.app_id.as_deref(),
            run_id: args.run_id.as_deref(),
            ..EntityIds::default()
        };
        let entity = only_entity(named.deletion_scope()?)?;
        // Rights are checked before the person is asked.
        let caller = self.caller();
        caller.may(
            Right::Delete,
            &entity.owner(self.memories().default_user(&caller)),
        )?;
        let question = format!(
            "Delete {} with all memories for good? They cannot be restored. (Backend: {})",
            in_words(named),
            self.memories().backend()
        );
        if let Confirmed::Asking(response) = self.confirm(&context, &question, named).await? {
            return Ok(Answered::Asking(response));
        }
        let as_a_whole = matches!(entity, EntityId::User(_));
        let purged = self.memories().delete_entity(&caller, entity).await?;
        let backend = self.memories().backend();
        let deletion = match as_a_whole {
            true => DeletionAnswer::of_owner(purged, backend),
            false => DeletionAnswer::new(purged, backend),
        };
        Ok(Answered::Done(arguments::answer(deletion)?))
    }
}

/// The entity of a scope that names exactly one.
fn only_entity(scope: Scope) -> Result<EntityId, ToolError> {
    match scope {
        Scope {
            user: Some(user),
            agent: None,
            app: None,
            session: None,
        } => Ok(EntityId::User(user)),
        Scope {
            user: None,
            agent: Some(agent),
            app: None,
            session: None,
        } => Ok(EntityId::Agent(agent)),
        Scope {
            user: None,
            agent: None,
            app: Some(app),
            session: None,
        } => Ok(EntityId::App(app)),
        Scope {
            user: None,
            agent: None,
            app: None,
            session: Some(session),
        } => Ok(EntityId::Run(session)),
        scope if scope == Scope::default() => Err(ToolError::failed(
            "scope_missing",
            "Provide user_id, agent_id, app_id, or run_id before calling delete_entities.".into(),
        )),
        _ => Err(ToolError::argument(
            "several ids are given, and delete_entities takes exactly one; nothing was \
             deleted. To delete what belongs to all of them at once use delete_all_memories"
                .into(),
        )),
    }
}

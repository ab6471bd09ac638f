//! `list_entities`: whose memories there are.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{Entity, MAX_ENTITIES},
};

// Some hosts refuse a schema without `properties`, even if there are none.
/// Nothing to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("properties" = {}))]
struct ListEntitiesArgs {}

/// Whose memories there are.
#[derive(Debug, Serialize)]
struct ListEntitiesAnswer {
    /// How many are listed.
    count: usize,
    /// Always null: all are in one answer, up to 1,000 of each type.
    next: Option<String>,
    /// Always null.
    previous: Option<String>,
    /// Users, agents, apps, then conversations.
    results: Vec<EntityAnswer>,
    /// How many users there are.
    total_users: u64,
    /// How many agents there are.
    total_agents: u64,
    /// How many apps there are.
    total_apps: u64,
    /// How many conversations there are.
    total_runs: u64,
    /// Whether there are more than are listed.
    truncated: bool,
    /// A note on a list that was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One entity.
#[derive(Debug, Serialize)]
struct EntityAnswer {
    id: String,
    /// A user's name, else the id.
    name: String,
    /// user, agent, app or run.
    r#type: &'static str,
    /// Of a run: whose conversation it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Of a user: how many conversations they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_runs: Option<u64>,
    /// mem0's owner of an entity: here the user of a run, else the id itself.
    owner: String,
    metadata: Map<String, Value>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[tool_router(router = list_entities_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "list_entities",
        title = "List entities",
        description = "List whose memories there are: users, agents, apps, runs. Finds \
                       somebody's exact id.",
        input_schema = schema::of::<ListEntitiesArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list_entities(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let ListEntitiesArgs {} = arguments::parse(arguments)?;
        let found = self.memories().entities(&self.caller()).await?;
        let note = found.truncated.then(|| {
            format!("there are more: at most {MAX_ENTITIES} of each type are listed, oldest first")
        });
        arguments::answer(ListEntitiesAnswer {
            count: found.entities.len(),
            next: None,
            previous: None,
            results: found.entities.into_iter().map(EntityAnswer::from).collect(),
            total_users: found.users,
            total_agents: found.agents,
            total_apps: found.apps,
            total_runs: found.runs,
            truncated: found.truncated,
            note,
        })
    }
}

impl From<Entity> for EntityAnswer {
    fn from(entity: Entity) -> Self {
        let created_at = entity.created_at.map(|time| time.to_string());
        Self {
            r#type: entity.kind.as_str(),
            owner: entity.user.clone().unwrap_or_else(|| entity.id.clone()),
            name: entity.name,
            id: entity.id,
            user_id: entity.user,
            total_runs: entity.sessions,
            metadata: entity.metadata,
            updated_at: entity
                .updated_at
                .map(|time| time.to_string())
                .or_else(|| created_at.clone()),
            created_at,
        }
    }
}

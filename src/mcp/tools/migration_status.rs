//! `migration_status`: how far a migration is that runs in the background.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::{arguments, error::ToolError, schema, server::MemoryServer};
use crate::memory::access::Right;

/// Which migration.
#[derive(Debug, Deserialize, JsonSchema)]
struct MigrationStatusArgs {
    /// From migrate_user.
    run: String,
    /// Stop it.
    cancel: Option<bool>,
}

#[tool_router(router = migration_status_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "migration_status",
        title = "Migration status",
        description = "How far a migration in the background is: its `report` at the end.",
        input_schema = schema::of::<MigrationStatusArgs>(),
        output_schema = schema::answer(&[
            ("state", "string", "running, done, failed or stopped."),
            ("report", "object", "At the end."),
        ]),
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn migration_status(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: MigrationStatusArgs = arguments::parse(arguments)?;
        let caller = self.caller();
        caller.may_at_all(Right::Migrate)?;
        let Some(run) = self.moves().runs().find(args.run.trim(), &caller) else {
            return Err(ToolError::failed(
                "not_found",
                "this server runs no such migration; if it was restarted, call migrate_user again: it \
                 continues where it stopped"
                    .into(),
            ));
        };
        if args.cancel.unwrap_or_default() {
            run.stop.cancel();
        }
        arguments::answer(run.status())
    }
}

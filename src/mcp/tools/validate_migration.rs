//! `validate_migration`: prove that a user's memories arrived.

use rmcp::{
    RoleServer,
    model::{CallToolResult, JsonObject},
    service::RequestContext,
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    mcp::{
        arguments, error::ToolError, incoming::InlineData, progress::ProgressReporter, schema,
        server::MemoryServer,
    },
    moves::{MoveArgs, UserArg},
};

/// Whose memories to compare, and with what.
#[derive(Debug, Deserialize, JsonSchema)]
struct ValidateMigrationArgs {
    /// As in migrate_user.
    user: UserArg,
    /// Only this.
    session_id: Option<String>,
    /// As in migrate_user.
    #[schemars(with = "Option<Map<String, Value>>")]
    data: Option<Value>,
    /// As in migrate_user.
    file: Option<String>,
    /// Whether these were migrated, too.
    include_expired: Option<bool>,
}

#[tool_router(router = validate_migration_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "validate_migration",
        title = "Validate a migration",
        description = "Compare what is stored of a user with its source, record by record. \
                       `valid` only if nothing is missing, doubled, changed or added; `issues` \
                       names each difference. Changes nothing.",
        input_schema = schema::of::<ValidateMigrationArgs>(),
        output_schema = schema::answer(&[
            ("valid", "boolean", "Whether nothing differs."),
            ("issues", "array", "Each difference."),
            ("memory_count", "integer", "Compared."),
        ]),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn validate_migration(
        &self,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ToolError> {
        let args: ValidateMigrationArgs = arguments::parse(arguments)?;
        let args = MoveArgs {
            user: args.user,
            data: InlineData::export(&context, args.data),
            file: args.file,
            sessions: args.session_id.into_iter().collect(),
            dry_run: false,
            include_expired: args.include_expired.unwrap_or_default(),
            append: false,
        };
        let cancelled = CancellationToken::new();
        let _cancel_on_drop = cancelled.clone().drop_guard();
        let progress = ProgressReporter::new(&context);
        let watch = progress.watch();
        let caller = self.caller();
        let comparison = self.moves().validate(&caller, args, watch, &cancelled);
        arguments::answer(progress.during(comparison).await?)
    }
}

//! `migrate_user`: move a user's memories over.

use rmcp::{
    RoleServer,
    model::{CallToolResponse, CreateTaskResult, JsonObject},
    service::RequestContext,
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Tool,
    mcp::{
        arguments, error::ToolError, incoming::InlineData, progress::ProgressReporter, schema,
        server::MemoryServer, task::as_task,
    },
    moves::{MoveArgs, MoveError, UserArg, shortened},
};

/// Whose memories to move, and from where.
#[derive(Debug, Deserialize, JsonSchema)]
struct MigrateUserArgs {
    /// The user.
    user: UserArg,
    /// Inline: an export of mem0, {"results": […]}, or {"messages": […], "sessions": [{"id",
    /// "messages"}], "insights", "summary", "traits"}.
    #[schemars(with = "Option<Map<String, Value>>")]
    data: Option<Value>,
    /// Or an export in the server's import directory. Neither: mem0 itself.
    file: Option<String>,
    /// Only these.
    session_ids: Option<Vec<String>>,
    /// Only report.
    dry_run: Option<bool>,
    /// Also expired and replaced memories.
    include_expired: Option<bool>,
    /// Allow older turns behind newer ones.
    append: Option<bool>,
    /// Answer at once; see migration_status.
    background: Option<bool>,
}

#[tool_router(router = migrate_user_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "migrate_user",
        title = "Migrate a user",
        description = "Move a user's conversations and memories here from mem0, word for word. \
                       Safe to repeat. Try `dry_run` first, check with validate_migration. \
                       `success` false: `errors` says what is not moved.",
        input_schema = schema::of::<MigrateUserArgs>(),
        output_schema = schema::answer(&[
            ("success", "boolean", "Whether all is moved."),
            ("errors", "array", "What is not, and why."),
            ("memories_migrated", "integer", "Stored now."),
            ("already_there", "integer", "Stored before."),
        ]),
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn migrate_user(
        &self,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ToolError> {
        let args: MigrateUserArgs = arguments::parse(arguments)?;
        let background = args.background;
        let args = MoveArgs {
            user: args.user,
            data: InlineData::export(&context, args.data),
            file: args.file,
            sessions: args.session_ids.unwrap_or_default(),
            dry_run: args.dry_run.unwrap_or_default(),
            include_expired: args.include_expired.unwrap_or_default(),
            append: args.append.unwrap_or_default(),
        };
        let moving = self.moves().prepare(&self.caller(), args)?;
        // A client that follows tasks need not keep the call open.
        let follows_tasks = context
            .client_capabilities()
            .is_some_and(|client| client.supports_tasks());
        if background.unwrap_or(follows_tasks) {
            // The call ends before the run does, which has an entry of its own.
            let tool = Some(Tool::MigrateUser);
            let audited = self.audited(tool, None, &context).await?;
            let run = self.moves().begin(moving, audited)?;
            return Ok(match follows_tasks {
                true => CreateTaskResult::new(as_task(&run).task).into(),
                false => arguments::answer(run.status())?.into(),
            });
        }
        // A cancelled call is dropped: reading ends with it, and the request in flight completes in
        // the background.
        let cancelled = CancellationToken::new();
        let _cancel_on_drop = cancelled.clone().drop_guard();
        let progress = ProgressReporter::new(&context);
        let run = moving.run(progress.watch(), &cancelled);
        let outcome = progress.during(run).await;
        self.moves().runs().count(&outcome, &cancelled);
        let outcome = outcome.map_err(MoveError::from)?;
        Ok(arguments::answer(shortened(outcome.report))?.into())
    }
}

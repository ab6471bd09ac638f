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
        arguments,
        error::ToolError,
        migration::{UserArg, shortened},
        progress::ProgressReporter,
        schema,
        server::MemoryServer,
    },
    memory::model::Owner,
    migration::Request,
    sources::Nothing,
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
        let user = self.may_migrate(&args.user)?;
        let source = self.source(&args.user, args.data, args.file.as_deref(), &context)?;
        let request = Request {
            dry_run: args.dry_run.unwrap_or_default(),
            include_expired: args.include_expired.unwrap_or_default(),
            append: args.append.unwrap_or_default(),
            ..args.user.request(&args.session_ids.unwrap_or_default())?
        };
        self.memories().needs_zep()?;
        let migrator = self.migrator();
        let mut moved = Vec::new();
        let source = match source {
            Some(export) => export,
            None => match self.configured_source(&request)? {
                Some(mem0) => {
                    let is_moved = self.memories().moves_in_phases() && request.is_whole();
                    moved.extend(is_moved.then(|| Owner::User(user.clone())));
                    mem0
                }
                None => Box::new(Nothing),
            },
        };
        // A client that follows tasks need not keep the call open.
        let follows_tasks = context
            .client_capabilities()
            .is_some_and(|client| client.supports_tasks());
        if args.background.unwrap_or(follows_tasks) {
            // The call ends before the run does, which has an entry of its own.
            let audited = self
                .audited(Some(Tool::MigrateUser), None, &context)
                .await?;
            let runs = self.runs().clone();
            let run = self.runs().begin(user, move |run| async move {
                let stop = run.stop.clone();
                let moving = async {
                    match moved.is_empty() {
                        true => migrator.run(source, &request, false, run, &stop).await,
                        false => {
                            migrator
                                .move_over(source, &request, moved, run, &stop)
                                .await
                        }
                    }
                };
                let done = audited.during(moving).await;
                runs.count(&done);
                let is_well = done.as_ref().is_ok_and(|done| done.report.success);
                audited.end(if is_well { "ok" } else { "failed" }).await;
                done
            })?;
            return Ok(match follows_tasks {
                true => CreateTaskResult::new(run.as_task().task).into(),
                false => arguments::answer(run.status())?.into(),
            });
        }
        // A cancelled call is dropped: reading ends with it, and the request in flight completes in
        // the background.
        let cancelled = CancellationToken::new();
        let _cancel_on_drop = cancelled.clone().drop_guard();
        let progress = ProgressReporter::new(&context);
        let watch = progress.watch();
        let run = async {
            match moved.is_empty() {
                true => {
                    migrator
                        .run(source, &request, false, watch, &cancelled)
                        .await
                }
                false => {
                    migrator
                        .move_over(source, &request, moved, watch, &cancelled)
                        .await
                }
            }
        };
        let outcome = progress.during(run).await;
        self.runs().count(&outcome);
        let outcome = outcome?;
        Ok(arguments::answer(shortened(outcome.report))?.into())
    }
}

//! `migrate_user`: move a user's memories over.

use rmcp::{
    RoleServer, handler::server::wrapper::Json, model::JsonObject, service::RequestContext, tool,
    tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    mcp::{
        arguments,
        error::ToolError,
        migration::{UserArg, shorten},
        progress::ProgressReporter,
        schema,
        server::MemoryServer,
    },
    migration::{Report, Request},
    sources::{Nothing, Source},
};

/// Whose memories to move, and from where.
#[derive(Debug, Deserialize, JsonSchema)]
struct MigrateUserArgs {
    /// The user.
    user: UserArg,
    /// Their memories, inline: an export of mem0 (`{"results": […]}` or a list of memories), or
    /// `{"messages": […], "sessions": [{"id", "messages"}], "insights", "summary", "traits"}`.
    /// Records that name nobody are taken for this user's, if no other user is named.
    #[schemars(with = "Option<Map<String, Value>>")]
    data: Option<Value>,
    /// Their memories in an export file on the server, by its name in the import directory. It may
    /// hold other users, too, who are left out.
    file: Option<String>,
    /// Only these sessions (runs).
    session_ids: Option<Vec<String>>,
    /// Only look: the report says what would be done.
    dry_run: Option<bool>,
    /// Also move memories that are expired or were replaced.
    include_expired: Option<bool>,
    /// Put older turns behind newer ones in sessions that are in use already, which is refused
    /// otherwise.
    append: Option<bool>,
}

#[tool_router(router = migrate_user_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "migrate_user",
        title = "Migrate a user",
        description = "Move a user with their conversations and memories from mem0 into this \
                       memory, word for word, with their times and metadata. Safe to repeat: what \
                       is there already is recognised and not stored again. Try `dry_run` first; \
                       check with validate_migration afterwards. `success` false means that \
                       something is not moved: `errors` says what and why.",
        input_schema = schema::of::<MigrateUserArgs>(),
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
    ) -> Result<Json<Report>, ToolError> {
        let args: MigrateUserArgs = arguments::parse(arguments)?;
        self.may_migrate(&args.user)?;
        let source = self.source(&args.user, args.data, args.file.as_deref(), &context)?;
        let request = Request {
            dry_run: args.dry_run.unwrap_or_default(),
            include_expired: args.include_expired.unwrap_or_default(),
            append: args.append.unwrap_or_default(),
            ..args.user.request(&args.session_ids.unwrap_or_default())?
        };
        // A cancelled call is dropped: reading ends with it, and the request in flight completes in
        // the background.
        let cancelled = CancellationToken::new();
        let _cancel_on_drop = cancelled.clone().drop_guard();
        let migrator = self.migrator();
        let source: Box<dyn Source> = match source {
            Some(export) => Box::new(export),
            None => Box::new(Nothing),
        };
        let progress = ProgressReporter::new(&context);
        let watch = progress.watch();
        let run = migrator.run(source, &request, false, watch, &cancelled);
        let outcome = progress.during(run).await?;
        let mut report = outcome.report;
        report.errors_not_listed += shorten(&mut report.errors);
        report.warnings_not_listed += shorten(&mut report.warnings);
        report.notes_not_listed += shorten(&mut report.notes);
        Ok(Json(report))
    }
}

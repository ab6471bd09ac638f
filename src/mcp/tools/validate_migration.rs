//! `validate_migration`: prove that a user's memories arrived.

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
    migration::{Request, Validation},
};

/// Whose memories to compare, and with what.
#[derive(Debug, Deserialize, JsonSchema)]
struct ValidateMigrationArgs {
    /// The user, as given to migrate_user: their id, and the fields to compare.
    user: UserArg,
    /// Only this session.
    session_id: Option<String>,
    /// The source, inline, as given to migrate_user.
    #[schemars(with = "Option<Map<String, Value>>")]
    data: Option<Value>,
    /// The source as an export file in the server's import directory, as given to migrate_user.
    file: Option<String>,
    /// Whether expired and replaced memories were migrated, too.
    include_expired: Option<bool>,
}

#[tool_router(router = validate_migration_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "validate_migration",
        title = "Validate a migration",
        description = "Compare what is stored of a user with the source it was migrated from, \
                       record by record: the user and their fields, sessions, count, times, \
                       metadata, content, order. `valid` is true only if nothing is missing, \
                       doubled, changed or added; `issues` names each difference by record id and \
                       field. Changes nothing.",
        input_schema = schema::of::<ValidateMigrationArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn validate_migration(
        &self,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Validation>, ToolError> {
        let args: ValidateMigrationArgs = arguments::parse(arguments)?;
        self.may_migrate(&args.user)?;
        let Some(source) = self.source(&args.user, args.data, args.file.as_deref(), &context)?
        else {
            return Err(ToolError::argument(
                "give the source to compare with, the same as to migrate_user: `data` or `file`"
                    .into(),
            ));
        };
        let sessions: Vec<String> = args.session_id.into_iter().collect();
        let request = Request {
            include_expired: args.include_expired.unwrap_or_default(),
            ..args.user.request(&sessions)?
        };
        let cancelled = CancellationToken::new();
        let _cancel_on_drop = cancelled.clone().drop_guard();
        let migrator = self.migrator();
        let progress = ProgressReporter::new(&context);
        let watch = progress.watch();
        let comparison = migrator.validate(Box::new(source), &request, watch, &cancelled);
        let mut validation = progress.during(comparison).await?;
        validation.issues_not_listed += shorten(&mut validation.issues);
        validation.source_problems_not_listed += shorten(&mut validation.source_problems);
        Ok(Json(validation))
    }
}

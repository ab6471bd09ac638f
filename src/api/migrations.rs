//! Migrations of a user: beginning, following, stopping and checking them. The run ids are those of the
//! tools.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::call::{Answer, Call, ok};
use super::error::{About, ApiError, Failing, FieldProblem, internal};
use super::given::{Arguments, Field, Given, Kind, Nothing, PathId, needed, optional};
use super::paths::OfRun;
use crate::audit::{Action, Door};
use crate::memory::access::Right;
use crate::migration::Unwatched;
use crate::moves::{Inline, MoveArgs, MoveError, Run, State, Status, UserArg};

/// A migration to be begun.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user": {"id": "ann"}, "data": {"results": [{"id": "m1", "memory": "likes tea", "user_id": "ann"}]}
}))]
pub(super) struct NewMigration {
    /// Whose memories.
    user: UserArg,
    /// The export itself: what mem0 answered, or an application's own dump of the user.
    #[schema(value_type = Option<Value>)]
    data: Option<Value>,
    /// Or a file in the server's import directory. Neither: the mem0 of the server's settings.
    file: Option<String>,
    /// Only these sessions.
    session_ids: Option<Vec<String>>,
    /// Only report what would be moved.
    dry_run: Option<bool>,
    /// Also what expired or was replaced.
    include_expired: Option<bool>,
    /// Allow older turns behind newer ones.
    append: Option<bool>,
}

impl Arguments for NewMigration {
    const FIELDS: &'static [Field] = &[
        needed("user", Kind::Json),
        optional("data", Kind::Json),
        optional("file", Kind::Text),
        optional("session_ids", Kind::Json),
        optional("dry_run", Kind::Boolean),
        optional("include_expired", Kind::Boolean),
        optional("append", Kind::Boolean),
    ];
}

impl From<NewMigration> for MoveArgs {
    fn from(new: NewMigration) -> Self {
        Self {
            user: new.user,
            data: new.data.map(Inline::Value),
            file: new.file,
            sessions: new.session_ids.unwrap_or_default(),
            dry_run: new.dry_run.unwrap_or_default(),
            include_expired: new.include_expired.unwrap_or_default(),
            append: new.append.unwrap_or_default(),
        }
    }
}

/// How far a migration is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MigrationBody {
    /// True.
    success: bool,
    /// Its id.
    run_id: String,
    /// Whether it is under way, or how it ended.
    state: State,
    /// What it does.
    phase: Option<&'static str>,
    /// How many records of that are done.
    done: Option<u64>,
    /// Of how many.
    total: Option<u64>,
    /// Why there is no report: it failed, or was stopped, before anything was written.
    error: Option<String>,
}

/// What a migration did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportBody {
    /// True.
    success: bool,
    /// Its id.
    run_id: String,
    /// As the tools and the command line report it.
    #[schema(value_type = Object)]
    report: Map<String, Value>,
}

/// Whether everything arrived.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ValidationResult {
    /// True.
    success: bool,
    /// Whether nothing is missing, doubled, changed or added.
    valid: bool,
    /// As the tools and the command line report it.
    #[schema(value_type = Object)]
    validation: Map<String, Value>,
}

impl From<&Run> for MigrationBody {
    fn from(run: &Run) -> Self {
        let Status {
            run,
            state,
            phase,
            done,
            total,
            error,
            ..
        } = run.status();
        Self {
            success: true,
            run_id: run,
            state,
            phase,
            done,
            total,
            error,
        }
    }
}

fn failed(error: MoveError) -> ApiError {
    match error {
        MoveError::Memory(error) => ApiError::of(error, About::User, "body"),
        // Of the user: what else there is was checked before.
        MoveError::Argument(detail) => {
            let problem = FieldProblem::new("body", "user", "value_error", detail);
            ApiError::fields(vec![problem])
        }
        MoveError::Source(detail) => ApiError::new(StatusCode::CONFLICT, "source_unusable", detail),
        MoveError::Failed(name @ "too_many_migrations", detail) => {
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, name, detail)
        }
        MoveError::Failed(name, detail) => ApiError::new(StatusCode::BAD_REQUEST, name, detail),
    }
}

fn object(value: &impl Serialize) -> Result<Map<String, Value>, ApiError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) | Err(_) => Err(internal()),
    }
}

impl Call {
    fn run(&self, id: &str) -> Result<Arc<Run>, ApiError> {
        self.caller
            .may_at_all(Right::Migrate)
            .asked_about(About::Migration)?;
        let run = self.api.moves.runs().find(id.trim(), &self.caller);
        run.ok_or_else(|| ApiError::missing(About::Migration))
    }
}

/// Begin a migration
///
/// Of one user, word for word; it continues in the background. Beginning it again continues what was
/// stopped, and stores nothing twice. Operators only.
#[utoipa::path(
    post, path = "/api/v1/migrations", tag = "migrations", operation_id = "start_migration",
    request_body = NewMigration,
    responses((status = 202, body = MigrationBody, description = "It is under way"))
)]
pub(super) async fn start(call: Call, given: Given<NewMigration>) -> Answer<MigrationBody> {
    let moves = &call.api.moves;
    let moving = moves
        .prepare(&call.caller, given.0.into())
        .map_err(failed)?;
    // The call ends before the run does, which has an entry of its own.
    let name = "POST /api/v1/migrations";
    let entry = call.api.trail.begin(
        &call.who,
        Door::Http,
        name,
        Action::Migrate,
        Some(uuid::Uuid::now_v7().to_string()),
    );
    let entry = entry.await.map_err(|unwritable| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        ApiError::new(status, "audit_unavailable", unwritable.to_string())
    })?;
    let run = moves.begin(moving, entry).map_err(failed)?;
    Ok((StatusCode::ACCEPTED, axum::Json(MigrationBody::from(&*run))))
}

/// How far a migration is
#[utoipa::path(
    get, path = "/api/v1/migrations/{run_id}", tag = "migrations", operation_id = "get_migration",
    params(OfRun),
    responses((status = 200, body = MigrationBody, description = "How far it is"))
)]
pub(super) async fn status(call: Call, id: PathId, _: Given<Nothing>) -> Answer<MigrationBody> {
    ok(MigrationBody::from(&*call.run(&id.0)?))
}

/// What a migration did
#[utoipa::path(
    get, path = "/api/v1/migrations/{run_id}/report", tag = "migrations",
    operation_id = "get_migration_report",
    params(OfRun),
    responses((status = 200, body = ReportBody, description = "The report; 409 while it is under way"))
)]
pub(super) async fn report(call: Call, id: PathId, _: Given<Nothing>) -> Answer<ReportBody> {
    let status = call.run(&id.0)?.status();
    let Some(report) = status.report else {
        let (name, detail) = match status.error {
            Some(error) if status.state == State::Stopped => ("migration_stopped", error),
            Some(error) => ("migration_failed", error),
            None => (
                "running",
                "it is under way; ask again when it has ended".to_owned(),
            ),
        };
        return Err(ApiError::new(StatusCode::CONFLICT, name, detail));
    };
    ok(ReportBody {
        success: true,
        run_id: status.run,
        report: object(&report)?,
    })
}

/// Stop a migration
///
/// After its requests in flight. Beginning it again continues it.
#[utoipa::path(
    post, path = "/api/v1/migrations/{run_id}/cancel", tag = "migrations",
    operation_id = "cancel_migration",
    params(OfRun),
    responses((status = 200, body = MigrationBody, description = "It stops"))
)]
pub(super) async fn cancel(call: Call, id: PathId, _: Given<Nothing>) -> Answer<MigrationBody> {
    let run = call.run(&id.0)?;
    run.stop.cancel();
    ok(MigrationBody::from(&*run))
}

/// Check that a user's memories arrived
///
/// Compares what is stored with the source, record by record; changes nothing. Operators only.
#[utoipa::path(
    post, path = "/api/v1/migrations/validate", tag = "migrations", operation_id = "validate_migration",
    request_body = NewMigration,
    responses((status = 200, body = ValidationResult, description = "The comparison"))
)]
pub(super) async fn validate(call: Call, given: Given<NewMigration>) -> Answer<ValidationResult> {
    let cancelled = CancellationToken::new();
    // Reading ends with the call.
    let _cancel_on_drop = cancelled.clone().drop_guard();
    let (moves, watch) = (&call.api.moves, Arc::new(Unwatched));
    let validation = moves
        .validate(&call.caller, given.0.into(), watch, &cancelled)
        .await;
    let validation = validation.map_err(failed)?;
    ok(ValidationResult {
        success: true,
        valid: validation.valid,
        validation: object(&validation)?,
    })
}

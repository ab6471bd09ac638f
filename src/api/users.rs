//! Users.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::call::{Answer, Call, Done, created, ok};
use super::error::{About, ApiError, Failing};
use super::given::{Arguments, Field, Given, Kind, Nothing, PathId, needed, optional};
use super::paths::OfUser;
use super::sessions::SessionBody;
use super::words::{UserRole, UserStatus};
use crate::memory::model::UserId;
use crate::memory::person::{Person, PersonChange, Status};
use crate::memory::{EntityId, input};

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "ann@example.com", "name": "Ann Example", "role": "patient",
    "metadata": {"language": "de"}
}))]
pub(super) struct NewUser {
    /// The address.
    #[schema(min_length = 1, max_length = 320)]
    email: String,
    /// The whole name.
    #[schema(min_length = 1, max_length = 500)]
    name: String,
    /// What they are; `patient` if left out.
    #[schema(value_type = Option<UserRole>)]
    role: Option<String>,
    /// The application's own fields.
    metadata: Option<Map<String, Value>>,
}

impl Arguments for NewUser {
    const FIELDS: &'static [Field] = &[
        needed("email", Kind::Text),
        needed("name", Kind::Text),
        optional("role", Kind::Text),
        optional("metadata", Kind::Json),
    ];
    const WHOLE_BODY: Option<&'static str> = Some("metadata");
}

/// A change of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ann Sample", "status": "suspended"}))]
pub(super) struct UserChange {
    /// The whole name.
    #[schema(min_length = 1, max_length = 500)]
    name: Option<String>,
    /// Whether their memories may be used; operators only.
    #[schema(value_type = Option<UserStatus>)]
    status: Option<String>,
    /// Fields to be added or replaced.
    metadata: Option<Map<String, Value>>,
}

impl Arguments for UserChange {
    const FIELDS: &'static [Field] = &[
        optional("name", Kind::Text),
        optional("status", Kind::Text),
        optional("metadata", Kind::Json),
    ];
    const WHOLE_BODY: Option<&'static str> = Some("metadata");
}

/// Which of a user's sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionsPage {
    /// Of so many of their sessions; 50 if left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// From this one on.
    #[param(minimum = 0, maximum = 1_000_000)]
    offset: Option<i64>,
}

impl Arguments for SessionsPage {
    const FIELDS: &'static [Field] = &[
        optional("limit", Kind::Integer),
        optional("offset", Kind::Integer),
    ];
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserBody {
    /// True.
    success: bool,
    /// Their id, for all other calls.
    user_id: String,
    /// The address.
    email: Option<String>,
    /// The whole name.
    name: Option<String>,
    /// What they are, in the application's word.
    #[schema(example = "patient")]
    role: String,
    /// Whether their memories may be used.
    #[schema(value_type = UserStatus)]
    status: &'static str,
    /// When they were made.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When they were changed last.
    #[schema(format = DateTime)]
    last_login: Option<String>,
    /// The application's own fields.
    metadata: Map<String, Value>,
}

impl From<Person> for UserBody {
    fn from(person: Person) -> Self {
        Self {
            success: true,
            user_id: person.id.to_string(),
            email: person.email,
            name: person.name,
            role: person.role,
            status: person.status.as_str(),
            created_at: person.created_at.map(|time| time.to_string()),
            last_login: person.last_login.map(|time| time.to_string()),
            metadata: person.metadata,
        }
    }
}

/// A user's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionsBody {
    /// True.
    success: bool,
    /// Whose.
    user_id: String,
    /// Those that are neither closed nor over, newest first.
    sessions: Vec<SessionBody>,
    /// How many sessions the user has, the others included: pages are counted in these.
    total: usize,
}

fn user_id(raw: &str) -> Result<UserId, ApiError> {
    UserId::new(raw).map_err(|error| ApiError::of(error.into(), About::User, "path"))
}

/// Make a user
///
/// Under a new id. Needs a token that reaches everybody.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", operation_id = "create_user",
    request_body = NewUser,
    responses((status = 201, body = UserBody, description = "The user"))
)]
pub(super) async fn create(call: Call, given: Given<NewUser>) -> Answer<UserBody> {
    let Given(new) = given;
    let role = new.role.as_deref().unwrap_or("patient");
    let role = UserRole::read("body", "role", role)?;
    let metadata = new.metadata.unwrap_or_default();
    let (email, name) = (&new.email, &new.name);
    let made = call
        .memories()
        .add_person(&call.caller, email, name, role.as_str(), metadata);
    created(UserBody::from(made.await.about(About::User)?))
}

/// Read a user
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}", tag = "users", operation_id = "get_user",
    params(OfUser),
    responses((status = 200, body = UserBody, description = "The user"))
)]
pub(super) async fn read(call: Call, id: PathId, _: Given<Nothing>) -> Answer<UserBody> {
    let user = user_id(&id.0)?;
    let person = call.memories().person(&call.caller, &user).await;
    ok(UserBody::from(person.asked_about(About::User)?))
}

/// Change a user
///
/// Fields of `metadata` are added or replaced; their last login is now.
#[utoipa::path(
    put, path = "/api/v1/users/{user_id}", tag = "users", operation_id = "update_user",
    params(OfUser),
    request_body = Option<UserChange>,
    responses((status = 200, body = Done, description = "Changed"))
)]
pub(super) async fn change(call: Call, id: PathId, given: Given<UserChange>) -> Answer<Done> {
    let user = user_id(&id.0)?;
    let Given(change) = given;
    let status = change.status.as_deref();
    let status = status
        .map(|word| UserStatus::read("body", "status", word))
        .transpose()?;
    let change = PersonChange {
        name: change.name,
        status: status.map(|status| match status {
            UserStatus::Active => Status::Active,
            UserStatus::Inactive => Status::Inactive,
            UserStatus::Suspended => Status::Suspended,
            UserStatus::Deleted => Status::Deleted,
        }),
        metadata: change.metadata.unwrap_or_default(),
    };
    let changed = call
        .memories()
        .change_person(&call.caller, &user, change)
        .await;
    changed.about(About::User)?;
    ok(Done::saying("User updated"))
}

/// Delete a user
///
/// Wholly, with all their memories and sessions; operators only. To keep them, set `status` instead.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}", tag = "users", operation_id = "delete_user",
    params(OfUser),
    responses((status = 200, body = Done, description = "Deleted"))
)]
pub(super) async fn delete(call: Call, id: PathId, _: Given<Nothing>) -> Answer<Done> {
    let user = EntityId::User(user_id(&id.0)?);
    let purged = call.memories().delete_entity(&call.caller, user).await;
    let purged = purged.asked_about(About::User)?;
    match purged.failures.first() {
        None => ok(Done::saying("User deleted")),
        Some(failure) => Err(ApiError::unfinished(&failure.error)),
    }
}

/// List a user's open sessions
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/sessions", tag = "users", operation_id = "list_user_sessions",
    params(OfUser, SessionsPage),
    responses((status = 200, body = SessionsBody, description = "Open sessions"))
)]
pub(super) async fn sessions(
    call: Call,
    id: PathId,
    given: Given<SessionsPage>,
) -> Answer<SessionsBody> {
    let user = user_id(&id.0)?;
    let Given(page) = given;
    let limit = input::in_range("limit", page.limit, 1..=200, 50).asked_about(About::User)?;
    let offset = input::in_range("offset", page.offset, 0..=1_000_000, 0);
    let offset = offset.asked_about(About::User)? as usize;
    let memories = call.memories();
    let open = memories
        .open_sessions(&call.caller, &user, offset, limit as usize)
        .await;
    let (open, total) = open.asked_about(About::User)?;
    ok(SessionsBody {
        success: true,
        user_id: user.to_string(),
        sessions: open.into_iter().map(SessionBody::from).collect(),
        total,
    })
}

//! Sessions: with a time-out, and an end.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::call::{Answer, Call, Done, created, ok};
use super::error::{About, Failing};
use super::given::{Arguments, Field, Given, Kind, PathId, needed, optional};
use super::paths::InSession;
use crate::memory::access::Right;
use crate::memory::input;
use crate::memory::model::UserId;
use crate::memory::opened::{MAX_TIMEOUT_MINUTES, OpenSession, Opening};

/// The time-out of a session that names none, in minutes (Memory API).
const TIMEOUT_MINUTES: u32 = 30;

/// A session to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user_id": "3f0c…", "timeout_minutes": 50}))]
pub(super) struct NewSession {
    /// Whose.
    user_id: String,
    /// From where.
    #[schema(max_length = 500)]
    ip_address: Option<String>,
    /// With which program.
    #[schema(max_length = 500)]
    user_agent: Option<String>,
    /// So many minutes after the newest message it is over; 30 if left out.
    #[schema(minimum = 0, maximum = 1440)]
    timeout_minutes: Option<i64>,
}

impl Arguments for NewSession {
    const FIELDS: &'static [Field] = &[
        needed("user_id", Kind::Text),
        optional("ip_address", Kind::Text),
        optional("user_agent", Kind::Text),
        optional("timeout_minutes", Kind::Integer),
    ];
}

/// Whose session, where the session itself does not say it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// Whose, where several users have a session of this name; of a memory it saves looking for its owner.
    pub(super) user_id: Option<String>,
}

impl Arguments for Whose {
    const FIELDS: &'static [Field] = &[optional("user_id", Kind::Text)];
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionBody {
    /// Its id, for all other calls.
    session_id: String,
    /// Whose.
    user_id: String,
    /// When it was opened.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When it is over, unless something is said before. Null for one that was only written to.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was written to or read last.
    #[schema(format = DateTime)]
    last_activity: Option<String>,
}

impl From<OpenSession> for SessionBody {
    fn from(session: OpenSession) -> Self {
        Self {
            session_id: session.session.to_string(),
            user_id: session.user.to_string(),
            created_at: session.created_at.map(|time| time.to_string()),
            expires_at: session.expires_at.map(|time| time.to_string()),
            last_activity: session.last_activity.map(|time| time.to_string()),
        }
    }
}

/// A session that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoundSession {
    /// True.
    success: bool,
    #[serde(flatten)]
    session: SessionBody,
}

impl From<OpenSession> for FoundSession {
    fn from(session: OpenSession) -> Self {
        Self {
            success: true,
            session: session.into(),
        }
    }
}

/// Open a session
///
/// Under a new id. Each message prolongs it; after its time-out, or once it is closed, nothing more can be
/// said in it. What was said stays, and can be read.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions", operation_id = "create_session",
    request_body = NewSession,
    responses((status = 201, body = FoundSession, description = "The session"))
)]
pub(super) async fn open(call: Call, given: Given<NewSession>) -> Answer<FoundSession> {
    let Given(new) = given;
    let user = UserId::new(&new.user_id).map_err(crate::memory::Error::from);
    let user = user.about(About::User)?;
    let most = 0..=MAX_TIMEOUT_MINUTES;
    let minutes = input::in_range(
        "timeout_minutes",
        new.timeout_minutes,
        most,
        TIMEOUT_MINUTES,
    );
    let opening = Opening {
        timeout_minutes: minutes.about(About::User)?,
        ip_address: new.ip_address,
        user_agent: new.user_agent,
    };
    let opened = call
        .memories()
        .open_session(&call.caller, &user, opening)
        .await;
    created(FoundSession::from(opened.about(About::User)?))
}

/// Read a session
///
/// One that is closed or over is not found. Its conversation is: read its history.
#[utoipa::path(
    get, path = "/api/v1/sessions/{session_id}", tag = "sessions", operation_id = "get_session",
    params(InSession, Whose),
    responses((status = 200, body = FoundSession, description = "The session"))
)]
pub(super) async fn read(call: Call, id: PathId, given: Given<Whose>) -> Answer<FoundSession> {
    let user = given.0.user_id.as_deref();
    let found = call.session(Right::Read, user, &id.0, "query").await;
    let (user, session) = found.map_err(|error| error.in_words_of(About::OpenSession))?;
    let open = call
        .memories()
        .open_session_of(&call.caller, Some(&user), &session)
        .await;
    ok(FoundSession::from(open.asked_about(About::OpenSession)?))
}

/// Close a session
#[utoipa::path(
    post, path = "/api/v1/sessions/{session_id}/close", tag = "sessions", operation_id = "close_session",
    params(InSession, Whose),
    responses((status = 200, body = Done, description = "Closed"))
)]
pub(super) async fn close(call: Call, id: PathId, given: Given<Whose>) -> Answer<Done> {
    let user = given.0.user_id.as_deref();
    let (user, session) = call.session(Right::Write, user, &id.0, "body").await?;
    let closed = call
        .memories()
        .close_session(&call.caller, Some(&user), &session)
        .await;
    closed.about(About::Session)?;
    ok(Done::saying("Session closed"))
}

//! Errors, in FastAPI's shapes: `{"detail": "…"}`, and for fields that cannot be accepted
//! `{"detail": [{"loc", "msg", "type"}]}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::audit::OutcomeCode;
use crate::memory::answers::ErrorAnswer;
use crate::memory::{self, queue::QueueError};
use crate::zep;

/// After how many seconds a call is worth repeating that failed because something did not answer. Ours.
const RETRY_AFTER_SECS: u16 = 5;

/// What a call was about, for the words of a 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A user.
    User,
    /// A session.
    Session,
    /// A session that may have been closed, or be over.
    OpenSession,
    /// A memory.
    Memory,
    /// A migration.
    Migration,
}

impl About {
    /// That it is not there, in the Memory API's words.
    fn missing(self) -> &'static str {
        match self {
            Self::User => "User not found",
            Self::Session => "Session not found",
            Self::OpenSession => "Session not found or expired",
            Self::Memory => "Memory not found",
            Self::Migration => "Migration not found",
        }
    }
}

/// Why a call failed. In the extensions of its response, too.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: Detail,
}

/// What is told of it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    Fields(Vec<FieldProblem>),
}

/// A field that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct FieldProblem {
    /// Where it is: `body`, `query` or `path`, then its name.
    #[schema(example = json!(["body", "role"]))]
    pub(super) loc: Vec<String>,
    /// What is wrong with it, and what it may be.
    pub(super) msg: String,
    /// A short, stable name for that: `missing`, `extra_forbidden`, `enum`, `value_error`.
    pub(super) r#type: &'static str,
}

/// The type of the problem of a word that is none of a list's.
pub(super) const NO_SUCH_WORD: &str = "enum";

impl FieldProblem {
    /// A problem of a field, where it was sent.
    pub(super) fn new(
        place: &str,
        field: &str,
        r#type: &'static str,
        msg: impl Into<String>,
    ) -> Self {
        Self {
            loc: vec![place.to_owned(), field.to_owned()],
            msg: msg.into(),
            r#type,
        }
    }
}

/// A call that failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// What went wrong, and what to do.
    pub(super) detail: String,
    /// A short, stable name for it.
    pub(super) error: String,
}

/// A call with fields that cannot be accepted. Nothing was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ValidationBody {
    /// Each of them.
    pub(super) detail: Vec<FieldProblem>,
    /// `validation_error`.
    pub(super) error: String,
}

impl ApiError {
    /// A failure with this status.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: Detail::Text(detail.into()),
        }
    }

    /// That it is not there.
    pub(super) fn missing(about: About) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", about.missing())
    }

    /// The failure of a call that adds one message. What the service names by its place in a list is
    /// that message's.
    pub(super) fn of_message(error: memory::Error) -> Self {
        let error = match error {
            memory::Error::Invalid { field, problem } => memory::Error::Invalid {
                field: field.replace("messages[0].", ""),
                problem,
            },
            error => error,
        };
        Self::of(error, About::Session, "body")
    }

    /// The failure of a call that adds one text, which it calls `content`.
    pub(super) fn of_text(error: memory::Error) -> Self {
        let error = match error {
            memory::Error::Invalid { field, problem } if field == "text" => {
                memory::Error::invalid("content", problem)
            }
            error => error,
        };
        Self::of(error, About::User, "body")
    }

    /// That not everything was done, and why.
    pub(super) fn unfinished(why: &str) -> Self {
        let detail = format!("not everything was deleted; make the same call again. Cause: {why}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unfinished", detail)
    }

    /// Whether it says that something is not there.
    pub(super) fn is_missing(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The same, with a 404 in these words.
    pub(super) fn in_words_of(self, about: About) -> Self {
        match self.status {
            StatusCode::NOT_FOUND => Self::missing(about),
            _ => self,
        }
    }

    /// Fields that cannot be accepted.
    pub(super) fn fields(problems: Vec<FieldProblem>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "validation_error",
            detail: Detail::Fields(problems),
        }
    }

    /// The failure of a call about this, whose fields came from there. What belongs to others is not
    /// there.
    pub(super) fn of(error: memory::Error, about: About, place: &str) -> Self {
        use memory::Error;
        let status = match &error {
            Error::Invalid { field, problem } => {
                let problem = format!("`{field}` {problem}");
                let problem = FieldProblem::new(place, field, "value_error", problem);
                return Self::fields(vec![problem]);
            }
            Error::NotYours { .. }
            | Error::OutOfReach { .. }
            | Error::NoSession { .. }
            | Error::NoMemory { .. }
            | Error::NoEntity { .. } => return Self::missing(about),
            Error::SessionOver { .. } => return Self::missing(About::OpenSession),
            Error::Forbidden { .. } | Error::Suspended { .. } => StatusCode::FORBIDDEN,
            Error::SharedScope { .. } | Error::Moving => StatusCode::CONFLICT,
            Error::Zep(zep::Error::Conflict { .. }) => StatusCode::CONFLICT,
            Error::Zep(zep::Error::Invalid { .. }) => StatusCode::BAD_REQUEST,
            Error::Queue(QueueError::Full { .. } | QueueError::Unusable { .. })
            | Error::Unfinished { .. }
            | Error::PartlyStored(_)
            | Error::Undecided
            | Error::Mem0(_)
            | Error::Zep(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let answer = ErrorAnswer::from(error);
        Self::new(status, answer.error, answer.detail)
    }

    /// The same as the original server answered it: 400 for everything, with the status in the text.
    pub(super) fn like_the_original(self) -> Response {
        let detail = match self.detail {
            Detail::Fields(problems) => match problems.first() {
                // `ValueError` of a Python enum.
                Some(problem) if problem.r#type == NO_SUCH_WORD => problem.msg.clone(),
                _ => return Self::fields(problems).into_response(),
            },
            Detail::Text(text) if self.status == StatusCode::BAD_REQUEST => text,
            Detail::Text(text) => format!("{}: {text}", self.status.as_u16()),
        };
        Self::new(StatusCode::BAD_REQUEST, self.code, detail).into_response()
    }
}

/// Says what a call was about, where it failed.
pub(super) trait Failing<T> {
    /// The failure of a call about this, whose fields were in its body.
    fn about(self, about: About) -> Result<T, ApiError>;
    /// The same of one whose fields were in its query.
    fn asked_about(self, about: About) -> Result<T, ApiError>;
}

impl<T> Failing<T> for memory::Result<T> {
    fn about(self, about: About) -> Result<T, ApiError> {
        self.map_err(|error| ApiError::of(error, about, "body"))
    }

    fn asked_about(self, about: About) -> Result<T, ApiError> {
        self.map_err(|error| ApiError::of(error, about, "query"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            detail: &'a Detail,
            error: &'static str,
        }
        let body = Json(Body {
            detail: &self.detail,
            error: self.code,
        });
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE || self.code == "moving" {
            let wait = HeaderValue::from(RETRY_AFTER_SECS);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        let code = OutcomeCode(self.code.into());
        response.extensions_mut().insert(code);
        response.extensions_mut().insert(self);
        response
    }
}

/// A value that a serializer refused: none of ours does.
pub(super) fn internal() -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "the server made a mistake; other calls still work",
    )
}

/// The JSON text of a value that is kept in a message.
pub(super) fn json_text(value: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|_| internal())
}

/// An object from a JSON text that was kept in a message.
pub(super) fn json_object(text: &str) -> Option<serde_json::Map<String, Value>> {
    serde_json::from_str(text).ok()
}

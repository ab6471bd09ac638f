//! Reads requests as leniently as Zep does, and writes answers without nulls.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ApiError, ApiResult};
use crate::json::{self, Bounds};
use crate::local::CursorPage;
use crate::zep::{GraphId, Owner, ThreadId, UserId, Uuid};

/// The largest request body in bytes: 350 batch items of 10,000 characters are 3.5 MB, and up to
/// four times that outside ASCII.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// The bounds of a body. 350 batch items with 10 metadata keys each have 6,000 values.
static BODY: Bounds = Bounds {
    depth: 120,
    values: 64 * 1024,
    parts: &[],
};

/// The header with the next page's cursor (zep-cloud 3.30.0, `graph.edge.get_by_user_id`).
const NEXT_CURSOR: HeaderName = HeaderName::from_static("zep-next-cursor");

/// Fields with the application's own content, in which nulls are kept.
const FREE_FORM: [&str; 2] = ["metadata", "attributes"];

/// A JSON body. Unknown fields are ignored. An empty body is `{}`: the official client sends it so.
pub(super) struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes: Bytes = request.extract().await.map_err(
            |rejection: axum::extract::rejection::BytesRejection| {
                ApiError::new(rejection.status(), rejection.body_text())
            },
        )?;
        let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        json::from_slice(json, &BODY)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format_args!("invalid body: {error}")))
    }
}

/// The query string. Unknown parameters are ignored.
pub(super) struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| ApiError::bad_request(rejection.body_text()))
    }
}

/// The id in the path, percent-decoded once.
pub(super) struct PathId<T>(pub T);

impl<S: Send + Sync, T: FromPath> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(parameters) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
        // Every route that reads an id has exactly one parameter.
        let (name, value) = parameters.into_iter().next().unwrap_or_default();
        T::from_path(&name, value).map(Self)
    }
}

/// An id that a path can hold.
pub(super) trait FromPath: Sized {
    /// The id from the parameter of this name.
    fn from_path(name: &str, value: String) -> ApiResult<Self>;
}

impl FromPath for String {
    fn from_path(_: &str, value: String) -> ApiResult<Self> {
        Ok(value)
    }
}

impl FromPath for Uuid {
    fn from_path(_: &str, value: String) -> ApiResult<Self> {
        Ok(Self(value))
    }
}

impl FromPath for UserId {
    fn from_path(_: &str, value: String) -> ApiResult<Self> {
        Ok(Self::new(&value)?)
    }
}

impl FromPath for ThreadId {
    fn from_path(_: &str, value: String) -> ApiResult<Self> {
        Ok(Self::new(&value)?)
    }
}

impl FromPath for GraphId {
    fn from_path(_: &str, value: String) -> ApiResult<Self> {
        Ok(Self::new(&value)?)
    }
}

impl FromPath for Owner {
    fn from_path(name: &str, value: String) -> ApiResult<Self> {
        match name {
            "user_id" => UserId::from_path(name, value).map(Self::User),
            _ => GraphId::from_path(name, value).map(Self::Graph),
        }
    }
}

/// An answer: 200 and the value as JSON. Absent fields are omitted, because the official client
/// refuses a null where it expects a value.
pub(super) struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_value(self.0) {
            Ok(mut value) => {
                drop_nulls(&mut value);
                Json(value).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                ApiError::internal().into_response()
            }
        }
    }
}

/// 201 and what was created.
pub(super) fn created<T: Serialize>(thing: T) -> (StatusCode, Answer<T>) {
    (StatusCode::CREATED, Answer(thing))
}

/// Zep's answer without a result (zep-cloud 3.30.0, `SuccessResponse`).
#[derive(Serialize)]
pub(super) struct Success {
    message: &'static str,
}

/// 200 and a message.
pub(super) fn success(message: &'static str) -> Answer<Success> {
    Answer(Success { message })
}

/// A page of a listing: a bare array, with the next page's cursor in a header.
pub(super) fn listed<T: Serialize>(page: CursorPage<T>) -> ApiResult<Response> {
    let mut response = Answer(page.items).into_response();
    if let Some(cursor) = page.next_cursor {
        let cursor = HeaderValue::from_str(&cursor).map_err(|_| ApiError::internal())?;
        response.headers_mut().insert(NEXT_CURSOR, cursor);
    }
    Ok(response)
}

/// A time in a request: RFC 3339, as in Zep.
pub(super) fn time(field: &str, raw: Option<&str>) -> ApiResult<Option<jiff::Timestamp>> {
    raw.map(|raw| {
        raw.parse().map_err(|_| {
            ApiError::bad_request(format_args!(
                "{field} must be an RFC 3339 time, such as 2024-06-15T10:30:00Z"
            ))
        })
    })
    .transpose()
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields
                .iter_mut()
                .filter(|(name, _)| !FREE_FORM.contains(&name.as_str()))
                .for_each(|(_, field)| drop_nulls(field));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

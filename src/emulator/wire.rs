//! How requests come in and answers go out: bodies, queries and ids read as leniently as Zep reads
//! them, answers written without nulls.

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ApiError, ApiResult};
use crate::local::CursorPage;

/// The next page's cursor in an answer's head (zep-cloud 3.30.0, `graph.edge.get_by_user_id`).
const NEXT_CURSOR: HeaderName = HeaderName::from_static("zep-next-cursor");

/// Fields that an application fills as it likes: a null in them is theirs.
const FREE_FORM: [&str; 2] = ["metadata", "attributes"];

/// A JSON body. Unknown fields pass, and no body at all reads as `{}`, which is what the official
/// client means by it.
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
        serde_json::from_slice(json)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format_args!("invalid body: {error}")))
    }
}

/// The query string. Unknown parameters pass.
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

/// The one id of a path, percent-decoded once.
pub(super) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(segment)| Self(segment))
            .map_err(|rejection: PathRejection| ApiError::bad_request(rejection.body_text()))
    }
}

/// An answer: 200 and the value as JSON, absent fields left out rather than sent as null, since the
/// official client refuses a null where it expects a value.
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

/// 201 and the new thing.
pub(super) fn created<T: Serialize>(thing: T) -> (StatusCode, Answer<T>) {
    (StatusCode::CREATED, Answer(thing))
}

/// What Zep answers where there is nothing to show (zep-cloud 3.30.0, `SuccessResponse`).
#[derive(Serialize)]
pub(super) struct Success {
    message: &'static str,
}

/// 200 and a word.
pub(super) fn success(message: &'static str) -> Answer<Success> {
    Answer(Success { message })
}

/// A page of a listing: a bare array, with the next page's cursor in the head.
pub(super) fn listed<T: Serialize>(page: CursorPage<T>) -> ApiResult<Response> {
    let mut response = Answer(page.items).into_response();
    if let Some(cursor) = page.next_cursor {
        let cursor = HeaderValue::from_str(&cursor).map_err(|_| ApiError::internal())?;
        response.headers_mut().insert(NEXT_CURSOR, cursor);
    }
    Ok(response)
}

/// A time in a request, as Zep takes it: RFC 3339.
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

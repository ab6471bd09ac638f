//! Who gets past the login: requests with a session, and forms with its CSRF token.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::fields::Fields;
use super::layout;
use super::state::Ui;

/// The largest form, in bytes. Ours: an id, a token and a few words.
const MAX_FORM_BYTES: usize = 16 * 1024;
/// How long a form may take to arrive. Ours.
const FORM_WITHIN: Duration = Duration::from_secs(10);

/// The fields of a form, in a request's extensions.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(pub(super) Arc<Fields>);

/// Reads a form.
///
/// # Errors
/// The answer, if it is too large, too slow, or sent by a page from elsewhere.
pub(super) async fn form(headers: &HeaderMap, body: Body) -> Result<Fields, Box<Response>> {
    // Browsers say where a request comes from (Fetch Metadata); programs need not.
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(Box::new(refused("A page from elsewhere sent this form.")));
    }
    let read = tokio::time::timeout(FORM_WITHIN, to_bytes(body, MAX_FORM_BYTES)).await;
    match read {
        Ok(Ok(bytes)) => Ok(Fields::read(&String::from_utf8_lossy(&bytes))),
        Ok(Err(_)) => Err(Box::new(layout::alone(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too large",
            "This form is larger than any of ours.",
        ))),
        Err(_) => Err(Box::new(layout::alone(
            StatusCode::REQUEST_TIMEOUT,
            "Too slow",
            "The form did not arrive in time.",
        ))),
    }
}

fn refused(why: &str) -> Response {
    layout::alone(StatusCode::FORBIDDEN, "Refused", why)
}

/// Middleware around everything but the login: passes on a request with its session, and a form that
/// carries the session's CSRF token. Others see the login; nothing is done for them.
pub(super) async fn signed_in(State(ui): State<Arc<Ui>>, request: Request, next: Next) -> Response {
    let Some(session) = ui.sessions.find(request.headers()).await else {
        return Redirect::to("/ui/login").into_response();
    };
    let (mut parts, mut body) = request.into_parts();
    if parts.method == Method::POST {
        let fields = match form(&parts.headers, std::mem::take(&mut body)).await {
            Ok(fields) => fields,
            Err(answer) => return *answer,
        };
        if !session.gave(fields.raw("csrf")) {
            let mut refused = refused(
                "This form is not one that this session was given, or it is too old. Nothing was done: go \
                 back, reload the page and try again.",
            );
            refused.extensions_mut().insert(session.who.clone());
            return refused;
        }
        parts.extensions.insert(Form(Arc::new(fields)));
    }
    parts.extensions.insert(session);
    next.run(Request::from_parts(parts, body)).await
}

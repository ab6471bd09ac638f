//! Signing in and out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::guard;
use super::host::{Denied, Host};
use super::layout;
use super::session::{self, Session};
use super::state::Ui;
use super::visit::Visit;
use crate::audit::{Action, Door};

/// To the page, without the slash.
pub(super) async fn home() -> Redirect {
    Redirect::to("/ui")
}

/// The form.
pub(super) async fn show(
    State(ui): State<Arc<Ui>>,
    Extension(host): Extension<Arc<dyn Host>>,
    request: Request,
) -> Response {
    if ui.sessions.find(request.headers()).await.is_some() {
        return Redirect::to("/ui").into_response();
    }
    answer(StatusCode::OK, &*host, None)
}

fn answer(status: StatusCode, host: &dyn Host, problem: Option<&str>) -> Response {
    let body = html! {
        @if let Some(problem) = problem {
            div.trouble role="alert" { p id="problem" { strong { "✗ " } (problem) } }
        }
        form.stack method="post" action="/ui/login" {
            @if host.needs_token() { (asks(problem.is_some())) } @else {
                p.notice {
                    strong { "No token is configured. " }
                    "Everybody who can connect from this machine may open this page."
                }
            }
            button type="submit" { @if host.needs_token() { "Sign in" } @else { "Open the page" } }
        }
        p.dim { "This page is for operators of all users. What is done on it is in the audit trail." }
    };
    layout::outside(status, "Operators' page", &body)
}

fn asks(is_wrong: bool) -> Markup {
    html! {
        // For what keeps passwords: it wants a name with each.
        input type="text" name="username" value="operator" autocomplete="username" hidden;
        label for="token" { "Token" }
        input id="token" name="token" type="password" autocomplete="current-password" required
            autofocus spellcheck="false" maxlength="8000"
            aria-invalid=[is_wrong.then_some("true")]
            aria-describedby=[is_wrong.then_some("problem")];
    }
}

/// Signs somebody in.
pub(super) async fn sign_in(
    State(ui): State<Arc<Ui>>,
    Extension(host): Extension<Arc<dyn Host>>,
    request: Request,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|peer| peer.0.ip());
    let (parts, body) = request.into_parts();
    let fields = match guard::form(&parts.headers, body).await {
        Ok(fields) => fields,
        Err(answer) => return *answer,
    };
    let admitted = match host.admit(fields.raw("token").trim(), peer).await {
        Ok(admitted) => admitted,
        Err(denied) => return refuse(&*host, denied),
    };
    let who = admitted.who.clone();
    let call = "POST /ui/login";
    let request = Some(uuid::Uuid::now_v7().to_string());
    let entry = ui
        .trail
        .begin(&who, Door::Http, call, Action::Login, request)
        .await;
    let entry = match entry {
        Ok(entry) => entry,
        Err(unwritable) => {
            let why = unwritable.to_string();
            return answer(StatusCode::SERVICE_UNAVAILABLE, &*host, Some(&why));
        }
    };
    // A session from before does not outlive a new one in the same browser.
    if let Some(before) = ui.sessions.find(&parts.headers).await {
        ui.sessions.end(&before);
    }
    let Some(id) = ui.sessions.open(admitted) else {
        entry.end("internal_error").await;
        let why = "The operating system provides no random numbers.";
        return answer(StatusCode::SERVICE_UNAVAILABLE, &*host, Some(why));
    };
    entry.end("ok").await;
    with_cookie(
        Redirect::to("/ui").into_response(),
        &session::given(&id, host.is_encrypted()),
    )
}

/// Refusals are noted in the trail by their status, as those of all other requests.
fn refuse(host: &dyn Host, denied: Denied) -> Response {
    match denied {
        Denied::Wrong => answer(
            StatusCode::UNAUTHORIZED,
            host,
            Some("This token is unknown, expired or revoked."),
        ),
        Denied::NotOperator(who) => {
            let why = "This token is not one of the role operator for all users.";
            let mut refused = answer(StatusCode::FORBIDDEN, host, Some(why));
            refused.extensions_mut().insert(who);
            refused
        }
        Denied::Wait(wait) => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let why = format!(
                "Too many wrong tokens came from this address. Try again in {seconds} seconds."
            );
            let mut refused = answer(StatusCode::TOO_MANY_REQUESTS, host, Some(&why));
            let headers = refused.headers_mut();
            headers.insert("retry-after", HeaderValue::from(seconds));
            refused
        }
        Denied::Unavailable => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            host,
            Some("The token cannot be checked at the moment. Try again soon."),
        ),
    }
}

/// Signs somebody out.
pub(super) async fn sign_out(visit: Visit) -> Response {
    let entry = visit.begin(Action::Login).await;
    let session: &Session = &visit.session;
    // Also where the trail cannot be written: nobody is kept signed in.
    visit.ui.sessions.end(session);
    if let Ok(entry) = entry {
        entry.end("ok").await;
    }
    with_cookie(
        Redirect::to("/ui/login").into_response(),
        &session::taken_back(visit.host.is_encrypted()),
    )
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    // Hexadecimal digits and our words are valid header text.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

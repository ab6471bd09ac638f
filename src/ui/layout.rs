//! The frame of all pages.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::session::Session;
use super::text::Text;
use super::visit::{Trouble, Visit};

/// The panels, by path and name.
const PANELS: [(&str, &str); 5] = [
    ("/ui", "Health"),
    ("/ui/people", "People"),
    ("/ui/migrations", "Migrations"),
    ("/ui/trail", "Audit trail"),
    ("/ui/tokens", "Tokens"),
];

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (Text(title)) " – zep-mcp-server" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/ui/style.css";
                script src="/ui/live.js" defer {}
            }
            body { (body) }
        }
    }
}

/// A page of somebody who is signed in. `panel` is the path of the panel it belongs to.
pub(super) fn page(visit: &Visit, panel: &str, title: &str, body: &Markup) -> Response {
    let who = &visit.session.who;
    let framed = html! {
        a.skip href="#main" { "Skip to the content" }
        header.top {
            p.brand { "zep-mcp-server " span.badge.plain { (visit.memories().backend()) } }
            nav aria-label="Panels" {
                ul {
                    @for (path, name) in PANELS {
                        li { a href=(path) aria-current=[(path == panel).then_some("page")] { (name) } }
                    }
                }
            }
            form.out method="post" action="/ui/logout" {
                (csrf(&visit.session))
                span.dim { "Signed in as " (Text(&who.name)) }
                button.plain type="submit" { "Sign out" }
            }
        }
        main id="main" tabindex="-1" {
            @if !visit.host.needs_token() {
                p.notice role="note" {
                    strong { "No token is configured. " }
                    "Everybody who can connect from this machine may open this page."
                }
            }
            h1 { (Text(title)) }
            (body)
        }
        footer.foot { "zep-mcp-server " (env!("CARGO_PKG_VERSION")) }
    };
    Html(document(title, &framed).into_string()).into_response()
}

/// A page of somebody who is not signed in.
pub(super) fn alone(status: StatusCode, title: &str, text: &str) -> Response {
    let body = html! { p { (Text(text)) } p { a href="/ui" { "To the page" } } };
    outside(status, title, &body)
}

/// The same with any content.
pub(super) fn outside(status: StatusCode, title: &str, body: &Markup) -> Response {
    let framed = html! { main.alone id="main" { h1 { (title) } (body) } };
    (status, Html(document(title, &framed).into_string())).into_response()
}

/// What every form carries.
pub(super) fn csrf(session: &Session) -> Markup {
    html! { input type="hidden" name="csrf" value=(session.csrf); }
}

/// Why something cannot be shown.
pub(super) fn trouble(trouble: &Trouble) -> Markup {
    html! {
        div.trouble role="alert" {
            p { strong { "✗ " } (Text(&trouble.detail)) }
        }
    }
}

//! Tokens in use: whose they are and what they reach, never the tokens or their hashes.

use axum::response::Response;
use jiff::Timestamp;
use maud::html;

use super::shown::{moment, nothing};
use super::text::Text;
use super::visit::{Page, Trouble, Visit};

/// `GET /ui/tokens`.
pub(super) async fn show(visit: Visit) -> Response {
    visit.audited("/ui/tokens", page(&visit)).await
}

async fn page(visit: &Visit) -> Page {
    let tokens = visit.host.tokens().await;
    let tokens =
        tokens.ok_or_else(|| Trouble::failed("the file of tokens cannot be read at present"))?;
    let now = Timestamp::now();
    let body = html! {
        p { "Tokens that an issuer signs are not listed: they are known when they are used." }
        @if tokens.is_empty() { (nothing("No token is configured.")) } @else {
            div.wide tabindex="0" role="region" aria-label="Tokens" {
                table {
                    thead { tr {
                        th scope="col" { "name" }
                        th scope="col" { "role" }
                        th scope="col" { "reaches" }
                        th scope="col" { "expires" }
                        th scope="col" { "last used, by this process" }
                    } }
                    tbody {
                        @for token in &tokens {
                            tr {
                                th scope="row" { (Text(&token.name)) }
                                td { (token.role) }
                                td { (Text(&token.reach)) }
                                td { @match token.expires {
                                    None => "never",
                                    Some(at) => {
                                        (moment(Some(at)))
                                        @if at <= now { " " span.badge.bad { "✗ expired" } }
                                    }
                                } }
                                td { @match token.used_at {
                                    None => span.dim { "not yet" },
                                    Some(at) => (moment(Some(at))),
                                } }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(("Tokens".into(), body))
}

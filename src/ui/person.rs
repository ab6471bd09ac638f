//! One user: their fields, their status, and their sessions.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::fields::link;
use super::layout;
use super::shown::{count, moment, nothing, pages};
use super::text::Text;
use super::visit::{Page, Trouble, Visit};
use crate::memory::SessionList;
use crate::memory::model::{Scope, UserId};
use crate::memory::person::Person;

/// How many sessions are on a page. Ours: Zep takes a request for each.
const ON_A_PAGE: usize = 25;

/// `GET /ui/user`.
pub(super) async fn show(visit: Visit) -> Response {
    visit.audited("/ui/people", page(&visit)).await
}

async fn page(visit: &Visit) -> Page {
    let user = UserId::new(visit.query.raw("id")).map_err(Trouble::invalid)?;
    let caller = &visit.session.caller;
    let person = visit.memories().person(caller, &user).await?;
    let number = visit.query.number("page", 1, 100_000);
    let scope = Scope {
        user: Some(user.clone()),
        ..Scope::default()
    };
    let start = (number - 1) * ON_A_PAGE;
    // The sessions of one who is suspended are not read; the user is shown all the same.
    let listed = visit
        .memories()
        .sessions(caller, &scope, start, ON_A_PAGE)
        .await
        .map_err(Trouble::from);
    let body = html! {
        p { a href="/ui/people" { "← All users" } }
        (fields(&person))
        section {
            h2 { "Sessions" }
            @match &listed {
                Ok(list) => (sessions(&user, list, number)),
                Err(trouble) => (layout::trouble(trouble)),
            }
        }
    };
    Ok((format!("User {user}"), body))
}

fn fields(person: &Person) -> Markup {
    let (sign, class) = match person.status.admits() {
        true => ("✓", "good"),
        false => ("✗", "bad"),
    };
    html! {
        dl.pairs {
            div { dt { "Status" } dd { span.badge.(class) { (sign) " " (person.status.as_str()) } } }
            div { dt { "Role" } dd { (Text(&person.role)) } }
            div { dt { "Name" } dd { (known(person.name.as_deref())) } }
            div { dt { "Address" } dd { (known(person.email.as_deref())) } }
            div { dt { "Created" } dd { (moment(person.created_at)) } }
            div { dt { "Last login" } dd { (moment(person.last_login)) } }
        }
        @if !person.metadata.is_empty() {
            details { summary { "Further fields" } (json(&person.metadata)) }
        }
    }
}

fn known(text: Option<&str>) -> Markup {
    html! {
        @match text {
            Some(text) => span dir="auto" { (Text(text)) },
            None => span.dim { "not known" },
        }
    }
}

/// Fields as JSON.
pub(super) fn json(fields: &Map<String, Value>) -> Markup {
    let text = serde_json::to_string_pretty(fields).unwrap_or_default();
    html! { pre.json tabindex="0" { (Text(text)) } }
}

fn sessions(user: &UserId, list: &SessionList, number: usize) -> Markup {
    let has_next = list.total_count > number * ON_A_PAGE;
    html! {
        @if let Some(away) = &list.away {
            p.notice {
                "Zep does not answer since " (moment(Some(away.since)))
                ": only sessions in which something waits are listed."
            }
        }
        @if list.sessions.is_empty() { (nothing("This user has no sessions.")) } @else {
            p { (count(list.total_count as u64)) " in all" }
            div.wide tabindex="0" role="region" aria-label="Sessions" {
                table {
                    thead { tr {
                        th scope="col" { "session" }
                        th.number scope="col" { "messages" }
                        th.number scope="col" { "waiting" }
                        th scope="col" { "last used" }
                        th scope="col" { "created" }
                    } }
                    tbody {
                        @for session in &list.sessions {
                            tr {
                                th scope="row" {
                                    a href=(link(
                                        "/ui/session",
                                        &[("user", user.as_str()), ("id", &session.session)],
                                    )) { (Text(&session.session)) }
                                }
                                td.number { (count(session.message_count)) }
                                td.number { (count(session.pending_count)) }
                                td { (moment(session.last_used_at)) }
                                td { (moment(session.created_at)) }
                            }
                        }
                    }
                }
            }
            (pages("/ui/user", &[("id", user.as_str())], number, has_next))
        }
    }
}

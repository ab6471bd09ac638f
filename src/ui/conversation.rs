//! One session: what was said, the newest snapshots, and the facts drawn from it.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::fields::link;
use super::layout;
use super::person;
use super::shown::{count, moment, nothing, pages_of};
use super::text::Text;
use super::visit::{Page, Trouble, Visit};
use crate::memory::filter::Filter;
use crate::memory::model::{MemoryKind, Record, Scope, SessionId, UserId};
use crate::memory::{BrowseQuery, Cursor, MemoryPage, PageOf, SessionPage, SessionQuery};

/// How many records are on a page.
const ON_A_PAGE: u32 = 50;
/// How many facts are on a page.
const FACTS_ON_A_PAGE: u32 = 50;
/// The last page of facts. Ours: each page is read anew from the first on.
const LAST_OF_FACTS: usize = 1_000;
/// The kinds of snapshots, and their names.
const SNAPSHOTS: [(&str, &str); 3] = [
    ("session_summary", "Summary"),
    ("emotional_state", "Emotional state"),
    ("treatment_plan", "Treatment plan"),
];

/// `GET /ui/session`.
pub(super) async fn show(visit: Visit) -> Response {
    visit.audited("/ui/people", page(&visit)).await
}

async fn page(visit: &Visit) -> Page {
    let user = UserId::new(visit.query.raw("user")).map_err(Trouble::invalid)?;
    let session = SessionId::new(visit.query.raw("id")).map_err(Trouble::invalid)?;
    let cursor = visit.query.get("cursor").map(str::parse::<Cursor>);
    let is_newest = visit.query.get("newest").is_some();
    let part = match is_newest {
        true => PageOf::Last { count: ON_A_PAGE },
        false => PageOf::Forward {
            cursor: cursor.transpose()?,
            limit: ON_A_PAGE,
        },
    };
    let said = read(visit, &user, &session, part, None).await?;
    let snapshots = snapshots(visit, &user, &session).await;
    let number = visit.query.number("facts", 1, LAST_OF_FACTS);
    let facts = facts(visit, &user, &session, number).await;
    let here = [("user", user.as_str()), ("id", session.as_str())];
    let to = |name: &str, value: &str| link("/ui/session", &[here[0], here[1], (name, value)]);
    // The conversation stays where it is while facts are turned over.
    let shown = ["cursor", "newest"].map(|name| (name, visit.query.raw(name)));
    let stays = [here[0], here[1], shown[0], shown[1]];
    let body = html! {
        p { a href=(link("/ui/user", &[("id", user.as_str())])) { "← User " (Text(user.as_str())) } }
        (away(&said))
        div.beside {
            section {
                h2 { "Conversation" }
                p {
                    (count(said.total_count)) " messages"
                    @if said.pending > 0 { ", " (count(said.pending as u64)) " wait until Zep has them" }
                    @if said.in_mem0 { "; in mem0, which keeps memories and not the turns" }
                }
                @if said.records.is_empty() { (nothing("Nothing was said here.")) } @else {
                    ol.said { @for record in &said.records { (turn(record)) } }
                }
                nav.pages aria-label="Pages of the conversation" {
                    @if is_newest || visit.query.get("cursor").is_some() {
                        a href=(link("/ui/session", &here)) { "← From the beginning" }
                    }
                    @if let Some(next) = &said.next_cursor {
                        @if !is_newest { a rel="next" href=(to("cursor", &next.to_string())) { "Next →" } }
                        a href=(to("newest", "1")) { "The newest" }
                    }
                }
            }
            div {
                section {
                    h2 { "Snapshots" }
                    @for (name, found) in &snapshots { (snapshot(name, found)) }
                }
                section {
                    h2 { "Facts" }
                    @match &facts {
                        Ok(page) => {
                            (known(page))
                            (pages_of("facts", "/ui/session", &stays, number, page.has_next))
                        }
                        Err(trouble) => (layout::trouble(trouble)),
                    }
                }
            }
        }
    };
    Ok((format!("Session {session}"), body))
}

async fn read(
    visit: &Visit,
    user: &UserId,
    session: &SessionId,
    page: PageOf,
    kind: Option<MemoryKind>,
) -> Result<SessionPage, Trouble> {
    let query = SessionQuery {
        scope: Scope {
            user: Some(user.clone()),
            session: Some(session.clone()),
            ..Scope::default()
        },
        page,
        kind,
        include_context: false,
        include_summary: false,
    };
    Ok(visit
        .memories()
        .session(&visit.session.caller, query)
        .await?)
}

type Snapshot = (&'static str, Result<Option<Record>, Trouble>);

async fn snapshots(visit: &Visit, user: &UserId, session: &SessionId) -> Vec<Snapshot> {
    let mut found = Vec::new();
    for (kind, name) in SNAPSHOTS {
        let newest = async {
            let kind = MemoryKind::new(kind).map_err(Trouble::invalid)?;
            let last = PageOf::Last { count: 1 };
            let page = read(visit, user, session, last, Some(kind)).await?;
            Ok(page.records.into_iter().next_back())
        };
        found.push((name, newest.await));
    }
    found
}

async fn facts(
    visit: &Visit,
    user: &UserId,
    session: &SessionId,
    page: usize,
) -> Result<MemoryPage, Trouble> {
    let filter = Map::from_iter([
        ("user_id".to_owned(), json!(user.as_str())),
        ("run_id".to_owned(), json!(session.as_str())),
    ]);
    let query = BrowseQuery {
        filter: Filter::parse(Some(&filter)).map_err(Trouble::invalid)?,
        page: page as u32,
        page_size: FACTS_ON_A_PAGE,
        before: None,
        include_invalid: false,
    };
    let memories = visit.memories();
    Ok(memories.browse(&visit.session.caller, &query).await?)
}

fn away(said: &SessionPage) -> Markup {
    html! {
        @if let Some(away) = &said.away {
            p.notice {
                "Zep does not answer since " (moment(Some(away.since))) ": only what waits is shown."
            }
        }
    }
}

fn turn(record: &Record) -> Markup {
    let side = match record.role.as_str() {
        "user" => "theirs",
        "assistant" => "ours",
        _ => "other",
    };
    let kind = record.memory_type.as_deref();
    html! {
        li.(side) {
            p.who {
                strong { (Text(&record.role)) }
                @if let Some(name) = &record.name { " " span dir="auto" { (Text(name)) } }
                @if let Some(kind) = kind.filter(|kind| *kind != "conversation") {
                    " " span.badge.plain { (Text(kind)) }
                }
                @if record.pending { " " span.badge.warn { "waits" } }
                @if record.incomplete { " " span.badge.warn { "parts are missing" } }
                " " (moment(record.created_at))
            }
            p.words dir="auto" { (Text(&record.content)) }
            @if !record.metadata.is_empty() {
                details { summary { "Fields" } (person::json(&record.metadata)) }
            }
        }
    }
}

fn snapshot(name: &str, found: &Result<Option<Record>, Trouble>) -> Markup {
    html! {
        h3 { (name) }
        @match found {
            Err(trouble) => (layout::trouble(trouble)),
            Ok(None) => (nothing("None was stored.")),
            Ok(Some(record)) => {
                @match serde_json::from_str::<Map<String, Value>>(&record.content) {
                    Ok(fields) => (pairs(&fields)),
                    Err(_) => p.words dir="auto" { (Text(&record.content)) },
                }
                p.dim { (moment(record.created_at)) }
            }
        }
    }
}

/// The fields of a snapshot, lists as lists.
fn pairs(fields: &Map<String, Value>) -> Markup {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    html! {
        dl.fields {
            @for (name, value) in fields {
                dt { (Text(name.replace('_', " "))) }
                dd dir="auto" {
                    @match value {
                        Value::Array(items) => ul { @for item in items { li { (Text(text(item))) } } },
                        Value::Object(items) => ul {
                            @for (name, item) in items { li { (Text(name)) ": " (Text(text(item))) } }
                        },
                        other => (Text(text(other))),
                    }
                }
            }
        }
    }
}

fn known(page: &MemoryPage) -> Markup {
    html! {
        @if page.memories.is_empty() { (nothing("No fact was drawn from this session.")) } @else {
            ul.facts {
                @for memory in &page.memories {
                    li {
                        p.words dir="auto" { (Text(&memory.text)) }
                        p.dim { (memory.form.as_str()) ", " (moment(memory.created_at)) }
                    }
                }
            }
        }
    }
}

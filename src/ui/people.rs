//! Users, sessions, agents and apps, with a search for ids.

use axum::response::Response;
use maud::{Markup, html};

use super::fields::link;
use super::shown::{count, moment, nothing, pages};
use super::text::Text;
use super::visit::{Page, Visit};
use crate::memory::{Entities, Entity, EntityKind};

/// How many are on a page.
const ON_A_PAGE: usize = 50;
/// Each kind, with its word in the query and its name.
const KINDS: [(EntityKind, &str, &str); 4] = [
    (EntityKind::User, "user", "Users"),
    (EntityKind::Run, "run", "Sessions"),
    (EntityKind::Agent, "agent", "Agents"),
    (EntityKind::App, "app", "Apps"),
];

/// `GET /ui/people`.
pub(super) async fn show(visit: Visit) -> Response {
    visit.audited("/ui/people", page(&visit)).await
}

async fn page(visit: &Visit) -> Page {
    let all = visit.memories().entities(&visit.session.caller).await?;
    let wanted = visit.query.get("q").unwrap_or_default();
    let (kind, word, _) = KINDS
        .into_iter()
        .find(|(_, word, _)| visit.query.get("kind") == Some(word))
        .unwrap_or(KINDS[0]);
    let needle = wanted.to_lowercase();
    let is_meant = |it: &&Entity| it.kind == kind && it.id.to_lowercase().contains(needle.as_str());
    let found: Vec<&Entity> = all.entities.iter().filter(is_meant).collect();
    let number = visit.query.number("page", 1, 1_000_000);
    let start = (number - 1).saturating_mul(ON_A_PAGE);
    let shown: Vec<&&Entity> = found.iter().skip(start).take(ON_A_PAGE).collect();
    let has_next = found.len() > start.saturating_add(ON_A_PAGE);
    let body = html! {
        (search(wanted, word))
        (kinds(&all, wanted, word))
        @if all.truncated {
            p.notice { "There are more than are listed here. An id that is known can be opened at once." }
        }
        @if !wanted.is_empty() && kind == EntityKind::User {
            p { a href=(link("/ui/user", &[("id", wanted)])) { "Open the user with exactly this id" } }
        }
        @if shown.is_empty() {
            (nothing(if wanted.is_empty() { "There are none yet." } else { "No id contains this." }))
        } @else {
            p role="status" { (count(found.len() as u64)) " found" }
            (table(kind, &shown))
            (pages("/ui/people", &[("kind", word), ("q", wanted)], number, has_next))
        }
    };
    Ok(("People".into(), body))
}

fn search(wanted: &str, word: &str) -> Markup {
    html! {
        form.bar role="search" method="get" action="/ui/people" {
            input type="hidden" name="kind" value=(word);
            div {
                label for="q" { "Part of an id" }
                input id="q" name="q" type="search" value=(Text(wanted)) maxlength="500" spellcheck="false"
                    autocomplete="off";
            }
            button type="submit" { "Search" }
        }
    }
}

fn kinds(all: &Entities, wanted: &str, word: &str) -> Markup {
    let counted = |kind| match kind {
        EntityKind::User => all.users,
        EntityKind::Run => all.runs,
        EntityKind::Agent => all.agents,
        EntityKind::App => all.apps,
    };
    html! {
        nav.kinds aria-label="Kinds" {
            ul {
                @for (kind, theirs, name) in KINDS {
                    li {
                        a href=(link("/ui/people", &[("kind", theirs), ("q", wanted)]))
                            aria-current=[(theirs == word).then_some("true")] {
                            (name) " " span.count { (count(counted(kind))) }
                        }
                    }
                }
            }
        }
    }
}

fn table(kind: EntityKind, shown: &[&&Entity]) -> Markup {
    let of_user = kind == EntityKind::User;
    let of_run = kind == EntityKind::Run;
    html! {
        div.wide tabindex="0" role="region" aria-label="What was found" {
            table {
                thead { tr {
                    th scope="col" { "id" }
                    @if of_user { th.number scope="col" { "sessions" } }
                    @if of_run { th scope="col" { "user" } }
                    th scope="col" { "created" }
                } }
                tbody {
                    @for entity in shown {
                        tr {
                            th scope="row" { (named(entity)) }
                            @if of_user {
                                td.number { (entity.sessions.map_or("–".into(), count)) }
                            }
                            @if of_run {
                                td { @if let Some(user) = &entity.user {
                                    a href=(link("/ui/user", &[("id", user)])) { (Text(user)) }
                                } }
                            }
                            td { (moment(entity.created_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// An id, as a link where there is a page of it.
fn named(entity: &Entity) -> Markup {
    let target = match (entity.kind, &entity.user) {
        (EntityKind::User, _) => Some(link("/ui/user", &[("id", &entity.id)])),
        (EntityKind::Run, Some(user)) => {
            Some(link("/ui/session", &[("user", user), ("id", &entity.id)]))
        }
        _ => None,
    };
    html! {
        @match target {
            Some(target) => a href=(target) { (Text(&entity.id)) },
            None => (Text(&entity.id)),
        }
    }
}

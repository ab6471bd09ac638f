//! The audit trail: searched, and verified.

use std::collections::VecDeque;

use axum::response::Response;
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};

use super::fields::{Fields, link};
use super::layout::{csrf, trouble};
use super::shown::{count, moment, nothing};
use super::text::Text;
use super::visit::{Page, Trouble, Visit};
use crate::audit::{self, Action, Filter, Line, Owner, ReadError, Verdict};

/// How many entries are on a page.
const ON_A_PAGE: usize = 100;
/// How many ids of an entry are shown.
const MAX_IDS: usize = 20;
/// The fields of the search, but for the action: name, label, and whether it is a time.
const FIELDS: [(&str, &str, &str); 6] = [
    ("user", "User", ""),
    ("who", "Who did it", ""),
    ("outcome", "Outcome", "ok, forbidden …"),
    ("id", "Id of a memory, session or request", ""),
    ("since", "From", "2026-01-31 or 2026-01-31T12:00:00Z"),
    ("until", "Before", "2026-01-31 or 2026-01-31T12:00:00Z"),
];

/// `GET /ui/trail`.
pub(super) async fn show(visit: Visit) -> Response {
    visit.audited("/ui/trail", page(&visit, None)).await
}

/// `POST /ui/trail/verify`: reads the whole trail.
pub(super) async fn verify(visit: Visit) -> Response {
    let checked = async {
        let directory = visit.ui.trail.directory().ok_or_else(off)?.to_owned();
        let read = visit
            .reading(move || audit::verify(&directory, None))
            .await?;
        let verdict = read.map_err(Trouble::failed)?;
        page(&visit, Some(verdict)).await
    };
    visit.audited("/ui/trail", checked).await
}

fn off() -> Trouble {
    Trouble::missing("there is no audit trail: ZEP_MCP_AUDIT is off, or there is no data directory")
}

/// The entries of a page, newest first, and whether there are older ones.
struct Found {
    lines: Vec<Line>,
    has_older: bool,
    uncertain: u64,
    unreadable: u64,
}

async fn page(visit: &Visit, verdict: Option<Verdict>) -> Page {
    let fields = &visit.query;
    let before = fields.get("before").and_then(|seq| seq.parse::<u64>().ok());
    let found = match filter(fields) {
        Ok(filter) => search(visit, filter, before).await,
        Err(trouble) => Err(trouble),
    };
    let body = html! {
        (verification(visit, verdict.as_ref()))
        (form(fields))
        section {
            h2 { "Entries" }
            @match &found {
                Err(problem) => (trouble(problem)),
                Ok(found) if found.lines.is_empty() => (nothing("No entry is like this.")),
                Ok(found) => (entries(fields, found)),
            }
        }
    };
    Ok(("Audit trail".into(), body))
}

fn filter(fields: &Fields) -> Result<Filter, Trouble> {
    let text = |name: &str| fields.get(name).map(str::to_owned);
    let action = fields.get("action").map(|word| {
        let known = Action::ALL.into_iter().find(|it| it.as_str() == word);
        known.ok_or_else(|| Trouble::invalid("this action is not known"))
    });
    let time = |name: &str| fields.get(name).map(read_time).transpose();
    Ok(Filter {
        owner: text("user").map(Owner::User),
        since: time("since")?,
        until: time("until")?,
        who: text("who"),
        call: None,
        action: action.transpose()?,
        outcome: text("outcome"),
        id: text("id"),
    })
}

/// A moment, or the beginning of a day in UTC.
fn read_time(text: &str) -> Result<Timestamp, Trouble> {
    let day = || {
        let day = text.parse::<Date>().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let moment = text.parse().ok().or_else(day);
    moment.ok_or_else(|| {
        Trouble::invalid("a time is a day (2026-01-31) or a moment (2026-01-31T12:00:00Z)")
    })
}

async fn search(visit: &Visit, filter: Filter, before: Option<u64>) -> Result<Found, Trouble> {
    let directory = visit.ui.trail.directory().ok_or_else(off)?.to_owned();
    let read = visit.reading(move || {
        let mut newest: VecDeque<Line> = VecDeque::new();
        let mut has_older = false;
        let found = audit::search(&directory, &filter, |line, _| {
            if before.is_none_or(|before| line.seq < before) {
                if newest.len() == ON_A_PAGE {
                    newest.pop_front();
                    has_older = true;
                }
                newest.push_back(line.clone());
            }
            Ok(())
        });
        let counts = match found {
            // Nothing was noted yet.
            Err(ReadError::None(_)) => audit::Found::default(),
            found => found?,
        };
        Ok::<_, ReadError>(Found {
            lines: newest.into_iter().rev().collect(),
            has_older,
            uncertain: counts.uncertain,
            unreadable: counts.unreadable,
        })
    });
    read.await?.map_err(Trouble::failed)
}

fn verification(visit: &Visit, verdict: Option<&Verdict>) -> Markup {
    html! {
        section {
            h2 { "Verification" }
            @match verdict {
                None => p { "Whether an entry was changed, removed or moved is found by reading all of them." },
                Some(verdict) => div.(if verdict.intact { "notice" } else { "trouble" }) role="status" {
                    p {
                        strong { (if verdict.intact { "✓ Intact: " } else { "✗ Not intact: " }) }
                        (count(verdict.entries)) " entries in " (count(verdict.files as u64)) " files, from "
                        (moment(verdict.first_at)) " to " (moment(verdict.last_at)) "."
                    }
                    @for problem in &verdict.problems {
                        p {
                            (Text(problem.file.display().to_string()))
                            @if let Some(line) = problem.line { ", line " (line) }
                            ": " (Text(&problem.what))
                        }
                    }
                    @if let Some(hash) = &verdict.last_hash { p.dim { "Last hash: " code { (Text(hash)) } } }
                }
            }
            form method="post" action="/ui/trail/verify" {
                (csrf(&visit.session))
                button type="submit" { "Verify now" }
            }
        }
    }
}

fn form(fields: &Fields) -> Markup {
    let chosen = fields.get("action").unwrap_or_default();
    html! {
        section {
            h2 { "Search" }
            form.grid role="search" method="get" action="/ui/trail" {
                @for (name, label, hint) in FIELDS {
                    div {
                        label for=(name) { (label) }
                        input id=(name) name=(name) value=(Text(fields.get(name).unwrap_or_default()))
                            placeholder=[Some(hint).filter(|hint| !hint.is_empty())]
                            maxlength="500" autocomplete="off" spellcheck="false";
                    }
                }
                div {
                    label for="action" { "Action" }
                    select id="action" name="action" {
                        option value="" { "any" }
                        @for action in Action::ALL {
                            option value=(action.as_str()) selected[action.as_str() == chosen] {
                                (action.as_str())
                            }
                        }
                    }
                }
                div.end { button type="submit" { "Search" } }
            }
        }
    }
}

fn entries(fields: &Fields, found: &Found) -> Markup {
    let older = found.lines.last().map(|line| line.seq.to_string());
    let older = older.filter(|_| found.has_older).map(|before| {
        let mut query = vec![("before", before.as_str())];
        let names = FIELDS.iter().map(|(name, ..)| *name).chain(["action"]);
        query.extend(names.filter_map(|name| Some((name, fields.get(name)?))));
        link("/ui/trail", &query)
    });
    html! {
        @if found.uncertain > 0 {
            p.notice { (count(found.uncertain)) " more entries may be like this: they have more ids than they list." }
        }
        @if found.unreadable > 0 {
            p.trouble { "✗ " (count(found.unreadable)) " lines cannot be read: verify the trail." }
        }
        div.wide tabindex="0" role="region" aria-label="Entries" {
            table {
                thead { tr {
                    th scope="col" { "number" }
                    th scope="col" { "when" }
                    th scope="col" { "who" }
                    th scope="col" { "what" }
                    th scope="col" { "whose" }
                    th scope="col" { "outcome" }
                } }
                tbody { @for line in &found.lines { (row(line)) } }
            }
        }
        @if let Some(older) = older {
            nav.pages aria-label="Pages" { a rel="next" href=(older) { "Older →" } }
        }
    }
}

fn row(Line { seq, at, entry }: &Line) -> Markup {
    let is_well = matches!(&*entry.outcome, "ok" | "begun");
    html! {
        tr {
            th scope="row" { (seq) }
            td { (moment(Some(*at))) }
            td {
                (Text(entry.who.as_deref().unwrap_or("not recognised")))
                @if let Some(role) = &entry.role { br; span.dim { (Text(role)) } }
            }
            td {
                strong { (entry.action.as_str()) } br;
                code { (Text(&entry.call)) }
                @if entry.count > 1 { " × " (count(entry.count)) }
            }
            td {
                @for touched in entry.owners.iter().take(MAX_IDS) {
                    @let (kind, id) = touched.owner.parts();
                    div { span.dim { (kind) " " } (Text(id)) }
                }
                @for session in entry.sessions.iter().take(MAX_IDS) {
                    div { span.dim { "session " } (Text(session)) }
                }
                @let more = entry.owners.len().saturating_sub(MAX_IDS) as u64 + entry.owners_more;
                @if more > 0 { div.dim { "and " (count(more)) " more" } }
            }
            td { span.badge.(if is_well { "good" } else { "bad" }) {
                (if is_well { "✓ " } else { "✗ " }) (Text(&entry.outcome))
            } }
        }
    }
}

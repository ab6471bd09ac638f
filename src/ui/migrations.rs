//! Migrations: those of the ledger, and those under way in this process.

use std::sync::Arc;

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::fields::link;
use super::layout::csrf;
use super::live::{self, Told};
use super::shown::{count, moment, nothing, pages};
use super::text::Text;
use super::visit::{Page, Trouble, Visit};
use crate::audit::Action;
use crate::migration::history::{self, RunLine};
use crate::migration::ledger::RunState;
use crate::moves::State;

/// How many runs are on a page.
const ON_A_PAGE: usize = 25;

/// `GET /ui/migrations`.
pub(super) async fn show(visit: Visit) -> Response {
    visit.audited("/ui/migrations", page(&visit)).await
}

/// The runs of the ledger; none without a data directory.
async fn runs(visit: &Visit) -> Result<Vec<RunLine>, Trouble> {
    let Some(directory) = visit.ui.moves.data_dir().map(Arc::clone) else {
        return Ok(Vec::new());
    };
    let read = visit.reading(move || history::runs(&directory)).await?;
    read.map_err(Trouble::failed)
}

async fn page(visit: &Visit) -> Page {
    let runs = runs(visit).await?;
    let number = visit.query.number("page", 1, 1_000_000);
    let start = (number - 1).saturating_mul(ON_A_PAGE);
    let has_next = runs.len() > start.saturating_add(ON_A_PAGE);
    let shown: Vec<&RunLine> = runs.iter().skip(start).take(ON_A_PAGE).collect();
    let body = html! {
        (under_way(visit, &live::told(visit)))
        section {
            h2 { "All runs" }
            @if shown.is_empty() {
                (nothing("No migration was run with this data directory yet."))
            } @else {
                (table(&shown))
                (pages("/ui/migrations", &[], number, has_next))
            }
        }
    };
    Ok(("Migrations".into(), body))
}

/// What this process does, kept up to date by our script.
pub(super) fn under_way(visit: &Visit, told: &[Told]) -> Markup {
    html! {
        section id="live" data-events="/ui/migrations/events" {
            h2 { "Of this process" }
            @if told.is_empty() { (nothing("Nothing was begun since the start of this process.")) }
            ul.live {
                @for one in told { (progress(visit, one)) }
            }
            p.dim {
                span id="live-state" role="status" { "Progress is as of when this page was loaded." }
            }
        }
    }
}

fn progress(visit: &Visit, told: &Told) -> Markup {
    let name = format!("{} of run {}", told.phase.unwrap_or("progress"), told.run);
    html! {
        li data-run=(told.run) data-kind=(told.kind) data-state=(state_word(told.state)) {
            p {
                strong { (told.kind) } " "
                @match &told.ledger {
                    Some(id) => a href=(link("/ui/migrations/run", &[("id", id)])) { code { (told.run) } },
                    None => code { (told.run) },
                }
                " "
                span.badge.(state_class(told.state)).state { (state_word(told.state)) }
            }
            @if told.state == State::Running {
                progress aria-label=(name) max=[told.total] value=[told.total.and(told.done)] {}
                p.how {
                    (told.phase.unwrap_or("begins"))
                    @if let Some(done) = told.done { ": " (done) }
                    @if let Some(total) = told.total { " of " (total) }
                }
                @if told.kind == live::MIGRATION { (stopping(visit, told)) }
            }
        }
    }
}

/// The form that stops a migration.
fn stopping(visit: &Visit, told: &Told) -> Markup {
    html! {
        form method="post" action="/ui/migrations/stop" {
            (csrf(&visit.session))
            input type="hidden" name="run" value=(told.run);
            button type="submit" aria-label=(format!("Stop run {}", told.run)) { "Stop" }
        }
    }
}

/// `POST /ui/migrations/stop`. What is moved stays, and the same migration begun again goes on from there.
pub(super) async fn stop(visit: Visit) -> Response {
    let panel = "/ui/migrations";
    let call = match visit.begin(Action::Migrate).await {
        Ok(call) => call,
        Err(trouble) => return visit.show(panel, Err(trouble)),
    };
    let (runs, caller) = (visit.ui.moves.runs(), &visit.session.caller);
    let find = async { runs.find(visit.form.raw("run"), caller) };
    let Some(run) = call.during(find).await else {
        call.end("not_found").await;
        let missing = Trouble::missing("this process has no such migration");
        return visit.show(panel, Err(missing));
    };
    run.stop.cancel();
    call.end("ok").await;
    Redirect::to(panel).into_response()
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Stopped => "stopped",
        State::Done => "done",
        State::Failed => "failed",
    }
}

fn state_class(state: State) -> &'static str {
    match state {
        State::Running => "plain",
        State::Stopped => "warn",
        State::Done => "good",
        State::Failed => "bad",
    }
}

/// A run's state: its sign and word, and how it is coloured.
pub(super) fn of_ledger(state: RunState) -> (&'static str, &'static str) {
    match state {
        RunState::Running => ("under way", "plain"),
        RunState::Stopped => ("stopped", "warn"),
        RunState::Done => ("✓ done", "good"),
        RunState::Failed => ("✗ not complete", "bad"),
        RunState::Undone => ("undone", "plain"),
    }
}

fn table(shown: &[&RunLine]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="All runs" {
            table {
                thead { tr {
                    th scope="col" { "run" }
                    th scope="col" { "state" }
                    th scope="col" { "begun" }
                    th.number scope="col" { "moved" }
                    th.number scope="col" { "failed" }
                    th.number scope="col" { "left" }
                    th scope="col" { "validation" }
                    th scope="col" { "from" }
                } }
                tbody {
                    @for run in shown {
                        tr {
                            th scope="row" {
                                a href=(link("/ui/migrations/run", &[("id", &run.run)])) {
                                    code { (Text(&run.run)) }
                                }
                            }
                            td {
                                @let (word, class) = of_ledger(run.state);
                                span.badge.(class) { (word) }
                            }
                            td { (moment(Some(run.begun_at))) }
                            td.number { (count(run.moved)) }
                            td.number { (count(run.failed)) }
                            td.number { (count(run.left)) }
                            td { (match run.valid {
                                Some(true) => "✓ valid",
                                Some(false) => "✗ not valid",
                                None => "–",
                            }) }
                            td { (Text(&run.source)) }
                        }
                    }
                }
            }
        }
    }
}

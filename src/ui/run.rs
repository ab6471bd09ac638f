//! One run: its report with charts, and its rollback.

use std::sync::Arc;

use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, PreEscaped, html};

use super::fields::link;
use super::layout::csrf;
use super::live;
use super::migrations::{of_ledger, under_way};
use super::shown::{count, moment};
use super::text::Text;
use super::visit::{Page, Trouble, Visit};
use crate::audit::Action;
use crate::migration::Receipt;
use crate::migration::history::{self, HistoryError, RunHistory};
use crate::migration::ledger::RunState;

/// `GET /ui/migrations/run`.
pub(super) async fn show(visit: Visit) -> Response {
    visit.audited("/ui/migrations", page(&visit)).await
}

async fn found(visit: &Visit, name: &str) -> Result<RunHistory, Trouble> {
    let none = || Trouble::missing("there is no such run in the ledger");
    let directory = visit.ui.moves.data_dir().map(Arc::clone).ok_or_else(none)?;
    let name = name.to_owned();
    let read = visit.reading(move || history::run(&directory, &name, None));
    read.await?.map_err(|error| match error {
        HistoryError::Ledger(error) => Trouble::failed(error),
        error => Trouble::missing(error),
    })
}

async fn page(visit: &Visit) -> Page {
    let run = found(visit, visit.query.raw("id").trim()).await?;
    Ok((
        format!("Migration {}", run.line.run),
        report(visit, &run, None),
    ))
}

fn report(visit: &Visit, run: &RunHistory, problem: Option<&str>) -> Markup {
    let line = &run.line;
    let (word, class) = of_ledger(line.state);
    let mut told = live::told(visit);
    told.retain(|one| one.ledger.as_ref() == Some(&line.run));
    // Our own markup: each text in it was escaped where it was put in.
    let sections = PreEscaped(history::sections(run));
    html! {
        p { a href="/ui/migrations" { "← All runs" } }
        p { span.badge.(class) { (word) } }
        p {
            strong { (Text(if line.source.is_empty() { &line.source_system } else { &line.source })) }
            " → " strong { (Text(&line.target)) }
        }
        p.dim {
            (moment(Some(line.begun_at)))
            @if let Some(ended) = line.ended_at { " – " (moment(Some(ended))) }
        }
        @if !told.is_empty() { (under_way(visit, &told)) }
        (receipt(visit, run))
        div.report { (sections) }
        (asks(visit, run, problem))
    }
}

/// How a rollback by this process ended.
fn receipt(visit: &Visit, run: &RunHistory) -> Markup {
    let Some(undoing) = visit.ui.moves.rollbacks().find(&run.line.run) else {
        return html! {};
    };
    html! {
        @match undoing.ended() {
            None => {}
            Some(Err(why)) => div.trouble role="alert" {
                p { strong { "✗ The rollback failed: " } (Text(why)) }
            },
            Some(Ok(undone)) => {
                @let receipt: &Receipt = &undone.receipt;
                div.notice role="status" {
                    p {
                        strong { (if receipt.complete { "✓ Rolled back. " } else { "✗ Not all is removed. " }) }
                        (count(receipt.records_removed)) " records, "
                        (count(receipt.sessions_removed)) " sessions and "
                        (count(receipt.users_removed)) " users were removed; "
                        (count(receipt.kept.len() as u64 + receipt.kept_not_listed))
                        " records were changed since and stay."
                    }
                    @if undone.given_back > 0 {
                        p { (count(undone.given_back as u64)) " users and agents are mem0's again." }
                    }
                }
            }
        }
    }
}

/// The form that starts a rollback.
fn asks(visit: &Visit, run: &RunHistory, problem: Option<&str>) -> Markup {
    let id = &run.line.run;
    let is_possible = !matches!(run.line.state, RunState::Running | RunState::Undone);
    let under_way = visit.ui.moves.rollbacks().is_under_way(id);
    let records = run.totals.moved + run.totals.left;
    html! {
        section.danger {
            h2 id="rollback" { "Roll back" }
            @if under_way { p { "It is being rolled back." } }
            @else if !is_possible {
                p.dim { "Only a run that has ended, and is not undone, can be rolled back." }
            } @else {
                @if let Some(problem) = problem {
                    div.trouble role="alert" { p id="wrong" { strong { "✗ " } (problem) } }
                }
                p {
                    "Removes what this run wrote: " (count(records)) " records. What was changed since stays. "
                    "This cannot be taken back."
                }
                form.stack method="post" action="/ui/migrations/rollback" {
                    (csrf(&visit.session))
                    input type="hidden" name="run" value=(id);
                    label for="typed" { "Type the run's id to go on: " code { (id) } }
                    input id="typed" name="typed" required autocomplete="off" spellcheck="false"
                        autocapitalize="off" maxlength="100"
                        aria-invalid=[problem.map(|_| "true")]
                        aria-describedby=[problem.map(|_| "wrong")];
                    button.bad type="submit" { "Roll back this run" }
                }
            }
        }
    }
}

/// `POST /ui/migrations/rollback`. Needs the whole id twice: as the form has it, and typed.
pub(super) async fn roll_back(visit: Visit) -> Response {
    let panel = "/ui/migrations";
    let run = match found(&visit, visit.form.raw("run")).await {
        Ok(run) if run.line.run == visit.form.raw("run") => run,
        Ok(_) => return visit.show(panel, Err(Trouble::invalid("the run's whole id is needed"))),
        Err(trouble) => return visit.show(panel, Err(trouble)),
    };
    let id = &run.line.run;
    if visit.form.raw("typed").trim() != id {
        let problem = "This is not the run's id. Nothing was removed.";
        let title = format!("Migration {id}");
        let page = visit.show(panel, Ok((title, report(&visit, &run, Some(problem)))));
        return (axum::http::StatusCode::BAD_REQUEST, page).into_response();
    }
    let call = match visit.begin(Action::Delete).await {
        Ok(call) => call,
        Err(trouble) => return visit.show(panel, Err(trouble)),
    };
    // It may take long and be interrupted, so that its beginning has an entry of its own.
    let mut begun = crate::audit::Entry::new(
        crate::audit::Door::Http,
        "POST /ui/migrations/rollback",
        Action::Delete,
    )
    .by(&visit.session.who);
    begun.outcome = "begun".into();
    visit.ui.trail.record(&begun).await;
    let caller = visit.session.caller.clone();
    match visit.ui.moves.roll_back(&caller, &run, call) {
        Ok(()) => Redirect::to(&link("/ui/migrations/run", &[("id", id)])).into_response(),
        Err(why) => visit.show(panel, Err(Trouble::failed(why))),
    }
}

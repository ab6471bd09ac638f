//! Whether the server is well: its backend, what it answered, what waits, and what is left of Zep's limit.

use std::time::{Duration, Instant};

use axum::response::Response;
use maud::{Markup, html};

use super::shown::{count, moment, nothing};
use super::text::Text;
use super::visit::Visit;
use crate::audit::State as TrailState;
use crate::metrics::requests::{self, Requests};

/// How long the backend may take to answer.
const WITHIN: Duration = Duration::from_secs(3);
/// The most routes that are listed, the busiest first.
const MAX_ROUTES: usize = 40;

/// `GET /ui`.
pub(super) async fn show(visit: Visit) -> Response {
    let metrics = visit.host.metrics().await;
    let body = html! {
        dl.tiles {
            (backend(&visit).await)
            (limit(&visit))
            (queue(&visit).await)
            (migrations(&visit))
            (trail(&visit))
        }
        (requests(&metrics))
    };
    visit.show("/ui", Ok(("Health".into(), body)))
}

fn tile(name: &str, class: &str, value: &Markup, more: &Markup) -> Markup {
    html! { div.(class) { dt { (name) } dd { (value) } dd.more { (more) } } }
}

async fn backend(visit: &Visit) -> Markup {
    let begun = Instant::now();
    let checked = tokio::time::timeout(WITHIN, visit.memories().check()).await;
    let took = format!("{:.1} ms", begun.elapsed().as_secs_f64() * 1_000.0);
    let name = visit.memories().backend();
    let name = html! { "Backend: " (name) ". " };
    match checked {
        Ok(Ok(())) => tile(
            "Backend",
            "good",
            &html! { "✓ answers" },
            &html! { (name) "It took " (took) "." },
        ),
        Ok(Err(error)) => tile(
            "Backend",
            "bad",
            &html! { "✗ fails" },
            &html! { (name) (Text(error.to_string())) },
        ),
        Err(_) => tile(
            "Backend",
            "bad",
            &html! { "✗ no answer" },
            &html! { (name) "It did not answer within " (WITHIN.as_secs()) " seconds." },
        ),
    }
}

fn limit(visit: &Visit) -> Markup {
    let Some(stats) = visit.memories().stats() else {
        let none = html! { "This backend has none." };
        return tile("Rate limit", "plain", &html! { "–" }, &none);
    };
    let value = match (stats.left_this_minute, stats.per_minute) {
        (Some(left), Some(all)) => {
            html! { (count(left)) " of " (count(all)) " left" }
        }
        _ => html! { "not known" },
    };
    let more = html! {
        (count(stats.requests)) " requests to Zep, " (count(stats.retries)) " of them again. Waited "
        (format!("{:.1} s", stats.waited.as_secs_f64())) "."
    };
    tile("Rate limit", "plain", &value, &more)
}

async fn queue(visit: &Visit) -> Markup {
    match visit.memories().queued().await {
        None => tile(
            "Queue",
            "plain",
            &html! { "–" },
            &html! { "Nothing waits: writes go to the backend at once." },
        ),
        Some(Err(error)) => tile(
            "Queue",
            "bad",
            &html! { "✗ cannot be read" },
            &html! { (Text(error.to_string())) },
        ),
        Some(Ok(counts)) => {
            let class = if counts.refused > 0 { "bad" } else { "good" };
            let more = html! {
                @if counts.refused > 0 {
                    "✗ " (count(counts.refused)) " were refused for good: see " code { "queue list" } ". "
                }
                @match counts.oldest {
                    Some(oldest) => { "The oldest waits since " (moment(Some(oldest))) "." }
                    None => { "Everything is delivered." }
                }
            };
            let value = html! { (count(counts.waiting)) " wait" };
            tile("Queue", class, &value, &more)
        }
    }
}

fn migrations(visit: &Visit) -> Markup {
    let counts = visit.ui.moves.runs().counts();
    let class = if counts.failed > 0 { "bad" } else { "plain" };
    let more = html! {
        "Of this process: " (count(counts.done)) " done, " (count(counts.failed)) " failed, "
        (count(counts.stopped)) " stopped."
    };
    let value = html! { (count(counts.running)) " under way" };
    tile("Migrations", class, &value, &more)
}

fn trail(visit: &Visit) -> Markup {
    match visit.ui.trail.state() {
        TrailState::Off => tile(
            "Audit trail",
            "bad",
            &html! { "✗ off" },
            &html! { "Nothing that is done is noted." },
        ),
        TrailState::Well => tile(
            "Audit trail",
            "good",
            &html! { "✓ is written" },
            &html! { a href="/ui/trail" { "Search it" } },
        ),
        TrailState::Failing { problem, waiting } => tile(
            "Audit trail",
            "bad",
            &html! { "✗ cannot be written" },
            &html! { (Text(problem)) ". " (count(waiting as u64)) " entries wait." },
        ),
    }
}

fn requests(metrics: &str) -> Markup {
    let routes = requests::routes(metrics);
    let all = Requests::of_all(routes.values());
    let mut routes: Vec<(&String, &Requests)> =
        routes.iter().filter(|(_, it)| it.requests > 0).collect();
    routes.sort_by_key(|(name, route)| (std::cmp::Reverse(route.requests), name.as_str()));
    let within = |route: &Requests, share: f64| match route.within(share) {
        Some(seconds) => format!("≤ {} ms", seconds * 1_000.0),
        None => "> 10 s".to_owned(),
    };
    html! {
        section {
            h2 { "Requests since the start" }
            @if routes.is_empty() { (nothing("No request was answered yet.")) } @else {
                p {
                    (count(all.requests)) " requests, "
                    @if all.failed > 0 { strong.bad { "✗ " (count(all.failed)) " failed" } }
                    @else { "✓ none of them failed" }
                    " (status 5xx)."
                }
                div.wide tabindex="0" role="region" aria-label="Requests by route" {
                    table {
                        thead { tr {
                            th scope="col" { "route" }
                            th.number scope="col" { "requests" }
                            th.number scope="col" { "failed" }
                            th.number scope="col" { "half of them" }
                            th.number scope="col" { "95 of 100" }
                        } }
                        tbody {
                            @for (name, route) in routes.iter().take(MAX_ROUTES) {
                                tr {
                                    th scope="row" { code { (Text(name)) } }
                                    td.number { (count(route.requests)) }
                                    td.number { (count(route.failed)) }
                                    td.number { (within(route, 0.5)) }
                                    td.number { (within(route, 0.95)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

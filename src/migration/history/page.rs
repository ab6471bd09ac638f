//! A run as a web page of one file: no script, nothing from elsewhere, readable on a phone, in print and
//! in the dark.

use std::fmt::Write;

use serde_json::Value;

use super::chart::{self, Cell};
use super::markup::{Text, count, duration, time};
use super::{RunHistory, RunLine};
use crate::migration::ledger::RunState;

/// The most users that the matrix of the validation shows, those that differ first.
const MAX_ROWS: usize = 200;
/// The most sessions, reasons and differences that the page lists each.
const MAX_LINES: usize = 500;

/// The style of the page.
pub const STYLE: &str = include_str!("page.css");

/// The page of a run.
pub fn page(history: &RunHistory) -> String {
    let line = &history.line;
    let mut page = String::new();
    let title = format!("Migration {}", line.run);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"robots\" content=\"noindex\"><title>{}</title><style>{STYLE}</style></head><body><main>",
        Text(&title)
    );
    head(&mut page, line);
    page.push_str(&sections(history));
    page.push_str(
        "<footer>Names ids, fields and counts, never what a memory says.</footer></main></body></html>\n",
    );
    page
}

/// What is on the page below its head, as HTML in which every text is escaped.
pub fn sections(history: &RunHistory) -> String {
    let mut page = String::new();
    tiles(&mut page, &history.line);
    charts(&mut page, history);
    validation(&mut page, &history.validation);
    reasons(&mut page, history);
    rollback(&mut page, &history.rollback);
    users(&mut page, history);
    notes(&mut page, history);
    page
}

fn head(page: &mut String, line: &RunLine) {
    let (word, class) = match line.state {
        RunState::Running => ("under way", "plain"),
        RunState::Stopped => ("stopped: the same command goes on", "warn"),
        RunState::Done => ("✓ done", "good"),
        RunState::Failed => ("✗ not complete", "bad"),
        RunState::Undone => ("undone", "plain"),
    };
    let source = match line.source.is_empty() {
        true => line.source_system.as_str(),
        false => line.source.as_str(),
    };
    let ended = line.ended_at.map(|at| format!(" – {}", time(at)));
    let _ = write!(
        page,
        "<header><h1>Migration <span class=\"badge {class}\">{word}</span></h1>\
         <p><strong>{}</strong> → <strong>{}</strong></p><p class=\"dim\">{}{}<br>run <code>{}</code></p></header>",
        Text(source),
        Text(&line.target),
        time(line.begun_at),
        ended.unwrap_or_default(),
        Text(&line.run)
    );
}

fn tiles(page: &mut String, line: &RunLine) {
    let verdict = match line.valid {
        Some(true) => "✓ valid",
        Some(false) => "✗ not valid",
        None => "not validated",
    };
    let tiles = [
        ("moved", count(line.moved)),
        ("already there", count(line.already_there)),
        ("split", count(line.split)),
        ("skipped", count(line.skipped + line.expired)),
        ("failed", count(line.failed)),
        ("left", count(line.left)),
        ("users", count(line.users)),
        ("requests", count(line.requests)),
        ("fewest possible", count(line.least_requests)),
        ("waited", duration(line.wait_secs)),
        ("took", duration(line.duration_secs)),
        ("records a second", count(line.rate.max(0.0) as u64)),
        ("validation", verdict.to_owned()),
    ];
    page.push_str("<dl class=\"tiles\">");
    for (name, value) in tiles {
        let _ = write!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    page.push_str("</dl>");
}

fn charts(page: &mut String, history: &RunHistory) {
    page.push_str("<div class=\"charts\">");
    section(page, "Progress over time");
    match chart::progress(&history.progress) {
        Some(svg) => page.push_str(&svg),
        None => page.push_str("<p class=\"dim\">Too quick, or too few records, for a chart.</p>"),
    }
    page.push_str("</section>");
    section(page, "Records by type");
    match chart::bars("Records by type", &history.by_type) {
        Some(svg) => page.push_str(&svg),
        None => page.push_str("<p class=\"dim\">No record was stored.</p>"),
    }
    page.push_str("</section></div>");
}

fn validation(page: &mut String, validation: &Value) {
    section(page, "Validation");
    let Some(checks) = validation["checks"].as_array() else {
        page.push_str("<p class=\"dim\">The run was not validated.</p></section>");
        return;
    };
    let number = |value: &Value| count(value.as_u64().unwrap_or(0));
    if let Some(sample) = validation["sample"].as_object() {
        let _ = write!(
            page,
            "<p>Only a sample was compared: {} of {} records.</p>",
            number(&sample["records"]),
            number(&sample["of"])
        );
    }
    table(page, &["check", "expected", "found", ""]);
    for check in checks {
        let passed = check["passed"].as_bool() == Some(true);
        let (class, sign) = if passed {
            ("good", "✓")
        } else {
            ("bad", "✗")
        };
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td><span class=\"badge {class}\">{sign}</span></td></tr>",
            Text(words(&check["name"])),
            number(&check["expected"]),
            number(&check["found"])
        );
    }
    page.push_str("</table></div>");
    matrix(page, validation);
    let issues = validation["issues"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let not_listed = validation["issues_not_listed"].as_u64().unwrap_or(0);
    if !issues.is_empty() {
        page.push_str("<h3>Differences</h3>");
        table(page, &["user", "session", "record", "difference"]);
        for issue in issues.iter().take(MAX_LINES) {
            let text = |field: &str| issue[field].as_str().unwrap_or("").to_owned();
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td>{} {}</td></tr>",
                Text(text("owner")),
                Text(text("session")),
                Text(text("record")),
                Text(text("field")),
                Text(text("detail"))
            );
        }
        page.push_str("</table></div>");
        let left = not_listed + issues.len().saturating_sub(MAX_LINES) as u64;
        more(page, left);
    }
    page.push_str("</section>");
}

/// The users, and for each check whether it passed.
fn matrix(page: &mut String, validation: &Value) {
    let users = validation["users"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let Some(columns) = users.first().and_then(|user| user["checks"].as_array()) else {
        return;
    };
    let columns: Vec<String> = columns.iter().map(|check| words(&check["name"])).collect();
    let rows: Vec<(String, Vec<Cell>)> = users
        .iter()
        .take(MAX_ROWS)
        .map(|user| {
            let checks = user["checks"].as_array().into_iter().flatten();
            let cells =
                checks.map(
                    |check| match (check["passed"].as_bool(), check["expected"].as_u64()) {
                        (Some(true), Some(0) | None) => Cell::Empty,
                        (Some(true), _) => Cell::Good,
                        _ => Cell::Bad,
                    },
                );
            let name = user["owner"].as_str().unwrap_or("").to_owned();
            (name, cells.collect())
        })
        .collect();
    page.push_str("<h3>Users and checks</h3>");
    page.push_str(&chart::matrix("Users and checks", &columns, &rows));
    let all = validation["users_ok"].as_u64().unwrap_or(0)
        + validation["users_differing"].as_u64().unwrap_or(0);
    more(page, all.saturating_sub(rows.len() as u64));
}

fn reasons(page: &mut String, history: &RunHistory) {
    if history.reasons.is_empty() {
        return;
    }
    section(page, "Errors and warnings");
    table(page, &["", "count", "reason"]);
    for reason in &history.reasons {
        let class = if reason.severity == "error" {
            "bad"
        } else {
            "warn"
        };
        let _ = write!(
            page,
            "<tr><td><span class=\"badge {class}\">{}</span></td><td class=\"number\">{}</td>\
             <td>{}</td></tr>",
            reason.severity,
            count(reason.count),
            Text(&reason.reason)
        );
    }
    page.push_str("</table></div></section>");
}

fn rollback(page: &mut String, receipt: &Value) {
    let Some(receipt) = receipt.as_object() else {
        return;
    };
    section(page, "Rollback");
    table(page, &["", ""]);
    for (field, value) in receipt {
        let shown = match value {
            Value::Number(number) if number.is_u64() => count(number.as_u64().unwrap_or(0)),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            Value::Bool(is_so) => (if *is_so { "yes" } else { "no" }).to_owned(),
            Value::Array(items) => count(items.len() as u64),
            Value::Null | Value::Object(_) => continue,
        };
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td></tr>",
            Text(field.replace('_', " ")),
            Text(shown)
        );
    }
    page.push_str("</table></div></section>");
}

fn users(page: &mut String, history: &RunHistory) {
    if history.users_listed.is_empty() {
        return;
    }
    section(page, "Users and sessions");
    table(
        page,
        &[
            "user", "session", "moved", "split", "failed", "left", "undone",
        ],
    );
    let mut room = MAX_LINES;
    let mut left = history.sessions_not_listed;
    for user in &history.users_listed {
        for session in &user.sessions {
            if room == 0 {
                left += 1;
                continue;
            }
            room -= 1;
            let records = session.records;
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{}</td>",
                Text(&user.owner),
                Text(session.session.as_deref().unwrap_or("–"))
            );
            for number in [
                records.moved,
                records.split,
                records.failed,
                records.left,
                records.undone,
            ] {
                let _ = write!(page, "<td class=\"number\">{}</td>", count(number));
            }
            page.push_str("</tr>");
        }
    }
    page.push_str("</table></div>");
    more(page, left);
    page.push_str("</section>");
}

fn notes(page: &mut String, history: &RunHistory) {
    if history.notes.is_empty() {
        return;
    }
    section(page, "Notes");
    page.push_str("<ul>");
    for note in history.notes.iter().take(MAX_LINES) {
        let _ = write!(page, "<li>{}</li>", Text(note));
    }
    page.push_str("</ul></section>");
}

fn section(page: &mut String, title: &str) {
    let _ = write!(page, "<section><h2>{title}</h2>");
}

fn table(page: &mut String, heads: &[&str]) {
    // What scrolls must be reached with the keyboard.
    page.push_str("<div class=\"wide\" tabindex=\"0\"><table><tr>");
    for head in heads {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr>");
}

fn more(page: &mut String, left: u64) {
    if left > 0 {
        let _ = write!(page, "<p class=\"dim\">and {} more</p>", count(left));
    }
}

/// A name of ours in words.
fn words(name: &Value) -> String {
    name.as_str().unwrap_or("").replace('_', " ")
}

//! What the page does: migrations shown live, rollbacks, the trail and the tokens.

use std::time::Duration;

use serde_json::{Value, json};

use super::Browser;
use crate::common::program::{World, on_both_backends};
use crate::common::{PATIENCE, wait_until};

on_both_backends!(a_rollback_needs_the_run_s_id_and_removes_what_the_run_wrote);

fn a_rollback_needs_the_run_s_id_and_removes_what_the_run_wrote(world: &World) {
    let browser = Browser::of(world).signed_in();
    browser.migrate(3);
    let run = browser.newest_run();
    let path = format!("/ui/migrations/run?id={run}");
    let page = browser.get(&path);
    for word in [
        "Records by type",
        "Users and sessions",
        "Roll back this run",
        "done",
    ] {
        assert!(page.text.contains(word), "{word}");
    }
    let csrf = page.csrf();
    let rollback = "/ui/migrations/rollback";
    let said = || browser.page("/ui/people").contains("moved");
    for typed in ["", "undo", &run[..8]] {
        let fields = [
            ("csrf", csrf.as_str()),
            ("run", run.as_str()),
            ("typed", typed),
        ];
        let shown = browser.post(rollback, &fields);
        assert_eq!(shown.status, 400, "{typed}: {}", shown.text);
        assert!(shown.text.contains("Nothing was removed"));
    }
    let unknown = [
        ("csrf", csrf.as_str()),
        ("run", "0000000000"),
        ("typed", "0000000000"),
    ];
    assert_eq!(browser.post(rollback, &unknown).status, 404);
    assert!(said());
    let fields = [
        ("csrf", csrf.as_str()),
        ("run", run.as_str()),
        ("typed", run.as_str()),
    ];
    let shown = browser.post(rollback, &fields);
    assert_eq!(shown.status, 303, "{}", shown.text);
    wait_until("it is undone", || {
        browser.page(&path).contains("✓ Rolled back")
    });
    assert!(browser.page("/ui/migrations").contains("undone"));
    assert!(!said(), "the user that the run made is gone");
    let trail = browser.page("/ui/trail?action=delete");
    assert!(trail.contains("POST /ui/migrations/rollback") && trail.contains("begun"));
}

#[test]
fn progress_arrives_as_it_happens() {
    let world = World::emulated_with(&["--latency", "20"]);
    let browser = Browser::of(&world).signed_in();
    let url = format!("{}/ui/migrations/events", browser.server.url);
    let cookie = browser.cookie.clone().unwrap();
    let mut stream = browser.runtime.block_on(async {
        let request = browser.client.get(&url).header("cookie", cookie);
        let answer = request.timeout(PATIENCE).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        answer
    });
    let run = browser.begin_migration(200);
    let mut states = Vec::new();
    browser.runtime.block_on(async {
        let mut text = String::new();
        while states.last().is_none_or(|state| state == "running") {
            let chunk = stream.chunk().await.unwrap().expect("it goes on");
            text.push_str(str::from_utf8(&chunk).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data:")) {
                    let told: Value = serde_json::from_str(data).unwrap();
                    let one = told.as_array().unwrap().iter().find(|it| it["run"] == *run);
                    states.extend(one.map(|it| it["state"].as_str().unwrap().to_owned()));
                }
                text = rest.to_owned();
            }
        }
    });
    assert_eq!(
        states.last().map(String::as_str),
        Some("done"),
        "{states:?}"
    );
    assert!(states.iter().any(|state| state == "running"), "{states:?}");
    // A stream that is open does not hold up the end.
    let ended = browser.runtime.block_on(browser.server.stop());
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
}

#[test]
fn the_trail_is_searched_and_verified_and_the_tokens_are_listed_without_secrets() {
    let world = World::embedded();
    let browser = Browser::of(&world).signed_in();
    browser.api(
        "POST",
        "/api/memory/add",
        &json!({"content": "likes tea", "user_id": "ann"}),
    );
    let page = browser.get("/ui/trail?user=ann");
    assert!(page.text.contains("POST /api/memory/add"));
    assert!(!page.text.contains("likes tea"));
    let shown = browser.post("/ui/trail/verify", &[("csrf", &page.csrf())]);
    assert!(shown.text.contains("✓ Intact"), "{}", shown.text);
    assert!(
        browser
            .page("/ui/trail?user=nobody")
            .contains("No entry is like this")
    );
    assert!(
        browser
            .page("/ui/trail?since=tomorrow")
            .contains("a time is a day")
    );
    let tokens = browser.page("/ui/tokens");
    for word in [
        "operator",
        "reader",
        "narrow",
        "users: ann",
        "all users",
        "never",
        "not yet",
    ] {
        assert!(tokens.contains(word), "{word}");
    }
    for secret in ["sha256", &crate::api::token("reader")] {
        assert!(!tokens.contains(secret));
    }
}

#[test]
fn health_tells_of_the_backend_requests_and_the_queue() {
    let world = World::emulated();
    let browser = Browser::of(&world).signed_in();
    browser.api(
        "POST",
        "/api/memory/add",
        &json!({"content": "likes tea", "user_id": "ann"}),
    );
    let page = browser.page("/ui");
    for word in [
        "✓ answers",
        "Backend: zep",
        "Queue",
        "Rate limit",
        "POST /api/memory/add",
        "≤ ",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
}

//! What the page does with migrations: shown live, stopped, validated, undone.

use std::time::Duration;

use serde_json::{Value, json};

use super::Browser;
use crate::beside::Both;
use crate::common::program::{World, on_both_backends};
use crate::common::service::Service;
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
fn a_migration_is_stopped_and_goes_on_when_it_is_begun_again() {
    let world = World::emulated();
    let browser = Browser::of(&world).signed_in();
    let service = Service::of(&world);
    // It is not over before it is stopped: its first write is answered late, but in time.
    service.next(&json!({"method": "POST", "fault": {"kind": "latency", "ms": 15_000}}));
    let run = browser.begin_migration(30);
    let state = |run: &str| {
        let path = format!("/api/v1/migrations/{run}");
        browser.api("GET", &path, &Value::Null)["state"].clone()
    };
    let csrf = browser.get("/ui/migrations").csrf();
    let stop = |run: &str| {
        let fields = [("csrf", csrf.as_str()), ("run", run)];
        browser.post("/ui/migrations/stop", &fields)
    };
    wait_until("the ledger has it", || {
        browser
            .page("/ui/migrations")
            .contains("/ui/migrations/run?id=")
    });
    let report = format!("/ui/migrations/run?id={}", browser.newest_run());
    let live = |page: &str| page.contains("id=\"live\"") && page.contains(&run);
    assert!(live(&browser.page(&report)), "its page follows it");
    assert_eq!(stop("another").status, 404);
    assert_eq!(state(&run), "running");
    assert_eq!(stop(&run).status, 303);
    let trail = browser.page("/ui/trail?action=migrate");
    assert_eq!(trail.matches("POST /ui/migrations/stop").count(), 2);
    wait_until("it is stopped", || state(&run) == "stopped");
    assert!(browser.page(&report).contains("stopped"));
    let again = browser.migrate(30);
    assert_eq!(state(&again), "done");
    assert!(browser.page(&report).contains("✓ done"), "the same run");
}

#[test]
fn the_validation_of_each_user_is_shown() {
    let world = World::embedded();
    let memory = |user: &str, n: u32| json!({"id": format!("{user}{n}"), "memory": format!("remembers {n}"), "user_id": user});
    let memories = [memory("ann", 1), memory("ann", 2), memory("bob", 1)];
    let export = world.directory().join("export.json");
    std::fs::write(&export, json!({"results": memories}).to_string()).unwrap();
    let mut migrate = world.command();
    migrate
        .args(["migrate", "--validate", "--file"])
        .arg(&export);
    let output = migrate.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let browser = Browser::of(&world).signed_in();
    assert!(browser.page("/ui/migrations").contains("✓ valid"));
    let page = browser.page(&format!("/ui/migrations/run?id={}", browser.newest_run()));
    let (_, matrix) = page.split_once("Validation").expect("the section");
    for word in ["ann", "bob", "✓"] {
        assert!(matrix.contains(word), "{word}: {page}");
    }
    assert!(!page.contains("The run was not validated"));
}

#[test]
fn a_rollback_gives_those_back_who_were_moved_in_phases() {
    let both = Both::new();
    both.remembers("ann", &["likes tea"]);
    let mut command = both.command("phased");
    command
        .args(["serve", "--api", "--port", "0"])
        .env("LOG_LEVEL", "info");
    let browser = Browser::start(&mut command).signed_in_with(&[]);
    let asked = json!({"user": {"id": "ann"}});
    let begun = browser.anonymous("POST", "/api/v1/migrations", &asked);
    let path = format!("/api/v1/migrations/{}", begun["run_id"].as_str().unwrap());
    wait_until("she is moved", || {
        browser.anonymous("GET", &path, &Value::Null)["state"] == "done"
    });
    let run = browser.newest_run();
    let page = browser.get(&format!("/ui/migrations/run?id={run}"));
    let fields = [
        ("csrf", page.csrf()),
        ("run", run.clone()),
        ("typed", run.clone()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    assert_eq!(browser.post("/ui/migrations/rollback", &fields).status, 303);
    wait_until("she is mem0's again", || {
        let page = browser.page(&format!("/ui/migrations/run?id={run}"));
        page.contains("1 users and agents are mem0's again")
    });
    let mut client = both.connect("phased");
    let (texts, backends) = crate::beside::listed(&mut client, "ann");
    assert_eq!(texts, ["likes tea"]);
    assert_eq!(backends, ["mem0"]);
}

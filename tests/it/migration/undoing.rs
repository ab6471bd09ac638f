//! Undoing a run: what it wrote is removed, and nothing else; then the same migrates again.

use serde_json::{Value, json};

use super::cli::{Ended, export, exported, file_of, run};
use crate::common::on_both_backends;
use crate::common::program::World;
use crate::common::service::Service;

on_both_backends!(
    what_a_run_wrote_is_removed_and_migrates_again,
    what_others_wrote_and_changed_stays,
    a_dry_run_removes_nothing,
    one_user_can_be_undone_alone,
    what_an_agent_deleted_stays_deleted,
    missing_records_are_repaired_and_undone_ones_are_not,
);

/// Migrates a file. Answers the run's id.
fn migrated(world: &World, file: &str) -> String {
    let report = run(world, &["migrate", "--file", file, "--json"]).report(0);
    report["run"].as_str().unwrap().to_owned()
}

fn rollback(world: &World, id: &str, more: &[&str]) -> Ended {
    let arguments = [&["rollback", "--run", id, "--yes", "--json"][..], more].concat();
    run(world, &arguments)
}

fn count(world: &World, file: &str) -> u64 {
    let found = run(world, &["validate", "--file", file, "--json"]).json();
    found["memory_count"].as_u64().unwrap()
}

fn what_a_run_wrote_is_removed_and_migrates_again(world: &World) {
    let file = exported(world);
    let id = migrated(world, &file);
    let receipt = rollback(world, &id, &[]).report(0);
    assert_eq!(receipt["complete"], true, "{receipt:#}");
    assert_eq!(receipt["users_removed"], 2, "{receipt:#}");
    assert_eq!(receipt["records_removed"], 9);
    assert_eq!(receipt["messages_hidden"], 0);
    let mut agent = world.connect();
    let entities = agent.call("list_entities", json!({}));
    assert!(!entities.to_string().contains("\"ana\""), "{entities}");

    let again = rollback(world, &id, &[]).report(0);
    assert_eq!(again["undone_before"], true, "{again:#}");
    let listed = run(world, &["report", "--json"]).report(0);
    assert_eq!(listed["runs"][0]["state"], "undone", "{listed:#}");
    let one = run(world, &["report", "--run", &id[..18], "--json"]).report(0);
    assert_eq!(one["rollback"]["records_removed"], 9, "{one:#}");
    assert_eq!(one["totals"]["undone"], 9);

    let arguments = ["migrate", "--file", &file, "--validate", "--json"];
    let moved = run(world, &arguments).report(0);
    assert_eq!(moved["memories_migrated"], 9, "{moved:#}");
    assert_ne!(moved["run"], json!(id));
}

/// An export of one user with two texts and a session.
fn small() -> Value {
    json!({"users": [{
        "id": "cleo",
        "memories": [{"id": "tea", "memory": "Likes tea"}, {"id": "cat", "memory": "Has a cat"}],
        "sessions": [{"id": "friday", "messages": [
            {"role": "user", "content": "I slept well", "timestamp": "2025-03-07T09:00:00Z"},
            {"role": "assistant", "content": "Good", "timestamp": "2025-03-07T09:00:05Z"},
        ]}],
    }]})
}

fn what_others_wrote_and_changed_stays(world: &World) {
    let file = file_of(world, &small());
    let id = migrated(world, &file);
    let mut agent = world.connect();
    agent.call(
        "add_memory",
        json!({"user_id": "cleo", "run_id": "friday", "messages": [
            {"role": "user", "content": "And today, too"}]}),
    );
    agent.call(
        "add_memory",
        json!({"user_id": "cleo", "text": "Lives in Lisbon"}),
    );
    let listed = agent.call("get_memories", json!({"user_id": "cleo"}));
    let memories = listed["results"].as_array().unwrap();
    let tea = memories
        .iter()
        .find(|one| one["memory"] == "Likes tea")
        .unwrap_or_else(|| panic!("{listed:#}"));
    let changed = json!({"memory_id": tea["id"], "text": "Likes green tea", "user_id": "cleo"});
    agent.call("update_memory", changed);

    let receipt = rollback(world, &id, &[]).report(0);
    assert_eq!(receipt["users_removed"], 0, "{receipt:#}");
    assert_eq!(receipt["sessions_removed"], 0);
    assert_eq!(
        receipt["records_removed"], 3,
        "two turns and one text: {receipt:#}"
    );
    let kept = receipt["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 1, "{receipt:#}");
    assert_eq!(
        kept[0]["record"].as_str().unwrap().split('@').next(),
        Some("tea")
    );
    let said = agent.read_session("cleo", "friday");
    let said: Vec<_> = said.iter().map(|turn| &turn["content"]).collect();
    assert_eq!(said, ["And today, too"]);
    let listed = agent
        .call("get_memories", json!({"user_id": "cleo"}))
        .to_string();
    for stays in ["Likes green tea", "Lives in Lisbon"] {
        assert!(listed.contains(stays), "{stays}: {listed}");
    }
    for gone in ["Has a cat", "I slept well"] {
        assert!(!listed.contains(gone), "{gone}: {listed}");
    }
    // The same migrates again what was removed, and only that.
    let arguments = ["migrate", "--file", &file, "--append", "--json"];
    let again = run(world, &arguments).report(0);
    assert_eq!(again["memories_migrated"], 3, "{again:#}");
    let said = agent.read_session("cleo", "friday");
    assert_eq!(said.len(), 3, "{said:#?}");
}

fn a_dry_run_removes_nothing(world: &World) {
    let file = exported(world);
    let id = migrated(world, &file);
    let looked = rollback(world, &id, &["--dry-run"]).report(0);
    assert_eq!(looked["dry_run"], true);
    assert_eq!(looked["users_removed"], 2, "{looked:#}");
    assert_eq!(looked["records_removed"], 9);
    let found = run(world, &["validate", "--file", &file, "--json"]).report(0);
    assert_eq!(found["valid"], true);
    let second = run(world, &["migrate", "--file", &file, "--json"]).report(0);
    assert_eq!(second["memories_migrated"], 0, "{second:#}");
}

fn one_user_can_be_undone_alone(world: &World) {
    let file = exported(world);
    let id = migrated(world, &file);
    let receipt = rollback(world, &id, &["--user", "ben"]).report(0);
    assert_eq!(receipt["users_removed"], 1, "{receipt:#}");
    assert_eq!(receipt["records_removed"], 3);
    assert_eq!(count(world, &file), 6);
    let again = run(world, &["migrate", "--file", &file, "--validate", "--json"]).report(0);
    assert_eq!(again["memories_migrated"], 3, "{again:#}");
}

fn what_an_agent_deleted_stays_deleted(world: &World) {
    let file = file_of(world, &small());
    let id = migrated(world, &file);
    let mut agent = world.connect();
    let listed = agent.call("get_memories", json!({"user_id": "cleo"}));
    let memories = listed["results"].as_array().unwrap();
    let cat = memories
        .iter()
        .find(|one| one["memory"] == "Has a cat")
        .unwrap();
    let delete = |id: &Value| json!({"memory_id": id, "user_id": "cleo"});
    let deleted = agent.call("delete_memory", delete(&cat["id"]));
    // The fact is gone; the text that it was drawn from is a memory of its own.
    agent.call("delete_memory", delete(&deleted["sources"][0]));
    let receipt = rollback(world, &id, &[]).report(0);
    assert_eq!(receipt["deleted_before"], 1, "{receipt:#}");
    assert_eq!(receipt["users_removed"], 1);
    run(world, &["migrate", "--file", &file, "--json"]).report(0);
    let listed = agent
        .call("get_memories", json!({"user_id": "cleo"}))
        .to_string();
    assert!(listed.contains("Likes tea"), "{listed}");
    assert!(
        !listed.contains("Has a cat"),
        "it was deleted on purpose: {listed}"
    );
}

fn missing_records_are_repaired_and_undone_ones_are_not(world: &World) {
    let file = exported(world);
    let repair = |more: &[&str], code: i32| {
        let repair = ["validate", "--file", &file, "--repair", "--json"];
        run(world, &[&repair[..], more].concat()).report(code)
    };
    // Nothing is there yet, and nobody has deleted anything.
    let first = repair(&[], 0);
    assert_eq!(first["before"]["valid"], false);
    assert_eq!(first["report"]["memories_migrated"], 9, "{first:#}");
    assert_eq!(first["validation"]["valid"], true);
    let id = first["report"]["run"].as_str().unwrap();
    assert_eq!(repair(&[], 0)["report"], Value::Null, "nothing is missing");

    rollback(world, id, &["--user", "ben"]).report(0);
    let left = repair(&[], 1);
    assert_eq!(left["left_undone"], 3, "{left:#}");
    assert_eq!(left["report"]["memories_migrated"], 0);
    run(world, &["migrate", "--file", &file, "--json"]).report(0);

    let mut agent = world.connect();
    agent.call(
        "delete_all_memories",
        json!({"user_id": "ana", "run_id": "monday"}),
    );
    let left = repair(&[], 1);
    assert_eq!(left["left_deleted"], 3, "{left:#}");
    let restored = repair(&["--restore-deleted"], 0);
    assert_eq!(restored["report"]["memories_migrated"], 3, "{restored:#}");
}

#[test]
fn a_rollback_asks_first_and_names_what_is_wrong() {
    let world = World::embedded();
    let file = exported(&world);
    let id = migrated(&world, &file);
    let asked = run(&world, &["rollback", "--run", &id]);
    assert_eq!(asked.code, 2, "{}", asked.stdout);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let nobody = run(&world, &["rollback", "--run", "0", "--yes"]);
    assert_eq!(nobody.code, 2);
    assert_eq!(count(&world, &file), 9);
}

#[test]
fn a_killed_rollback_goes_on() {
    let world = World::emulated_with(&["--latency", "40"]);
    let mut other = export();
    // A user who is there already is not removed whole: each record takes requests.
    let turns: Vec<_> = (0..60)
        .map(|n| {
            json!({"role": "user", "content": format!("turn {n}"),
                        "timestamp": format!("2025-03-03T10:{n:02}:00Z")})
        })
        .collect();
    other["users"][0]["sessions"][0]["messages"] = json!(turns);
    let file = file_of(&world, &other);
    let mut agent = world.connect();
    agent.call(
        "add_memory",
        json!({"user_id": "ana", "run_id": "monday", "messages": [
        {"role": "user", "content": "before", "timestamp": "2025-03-01T10:00:00Z"}]}),
    );
    let arguments = ["migrate", "--file", &file, "--append", "--json"];
    let report = run(&world, &arguments).report(0);
    let id = report["run"].as_str().unwrap().to_owned();
    let moved = report["memories_migrated"].as_u64().unwrap();
    let mut child = world
        .command()
        .args(["rollback", "--run", &id, "--yes"])
        .spawn()
        .unwrap();
    let route = "DELETE /api/v2/graph/episodes/{uuid}";
    crate::common::wait_until("it removes", || world.requests_to(route) > 5);
    child.kill().unwrap();
    child.wait().unwrap();
    // A migration in between doubles nothing.
    let receipt = rollback(&world, &id, &[]).report(0);
    assert_eq!(receipt["complete"], true, "{receipt:#}");
    let said = agent.read_session("ana", "monday");
    let said: Vec<_> = said.iter().map(|turn| &turn["content"]).collect();
    assert_eq!(said, ["before"]);
    let again = run(&world, &arguments).report(0);
    assert_eq!(again["memories_migrated"], moved, "{again:#}");
    assert_eq!(agent.read_session("ana", "monday").len(), 61);
}

#[test]
fn a_record_that_lost_a_part_is_completed_by_a_repair_that_may() {
    let world = World::emulated();
    let long = json!([{"id": "long", "user_id": "cleo", "memory": "She counts. ".repeat(2_000)}]);
    let file = file_of(&world, &long);
    migrated(&world, &file);
    let service = Service::of(&world);
    let parts = || {
        let path = ["graph", "episodes", "user", "cleo"];
        let (_, listed) = service.call("GET", &path, None);
        let parts = listed["episodes"].as_array().unwrap().iter();
        let mut parts: Vec<_> = parts
            .map(|part| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&part["metadata"]["zm_part"]), text(&part["uuid"]))
            })
            .collect();
        parts.sort();
        parts
    };
    let whole: Vec<_> = parts().into_iter().map(|(number, _)| number).collect();
    assert_eq!(whole, ["1/3", "2/3", "3/3"]);
    service.call("DELETE", &["graph", "episodes", &parts()[1].1], None);

    let repair = |more: &[&str], code: i32| {
        let repair = ["validate", "--file", &file, "--repair", "--json"];
        run(&world, &[&repair[..], more].concat()).report(code)
    };
    let left = repair(&[], 1);
    assert_eq!(left["left_deleted"], 1, "{left:#}");
    assert_eq!(parts().len(), 2);
    repair(&["--restore-deleted"], 0);
    let now: Vec<_> = parts().into_iter().map(|(number, _)| number).collect();
    assert_eq!(now, whole);
}

//! What a validation says: of each user and session, of a sample, and of batches under way.

use serde_json::{Value, json};

use super::cli::{check, export, exported, file_of, run};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    each_user_and_session_gets_a_verdict,
    a_sample_is_no_proof_and_the_same_each_time,
    a_sample_finds_what_differs,
);

fn user<'a>(validation: &'a Value, owner: &str) -> &'a Value {
    let users = validation["users"].as_array().unwrap();
    users.iter().find(|user| user["owner"] == owner).unwrap()
}

fn each_user_and_session_gets_a_verdict(world: &World) {
    let file = exported(world);
    run(world, &["migrate", "--file", &file, "--json"]).report(0);
    let mut other = export();
    other["users"][1]["messages"][0]["content"] = json!("no");
    let monday = &mut other["users"][0]["sessions"][0]["messages"];
    let said = json!({"role": "user", "content": "one more", "timestamp": "2025-03-03T09:02:00Z"});
    monday.as_array_mut().unwrap().push(said);
    let file = file_of(world, &other);
    let found = run(world, &["validate", "--file", &file, "--json"]).report(1);
    assert_eq!(found["users_ok"], 0);
    assert_eq!(found["users_differing"], 2, "{found:#}");
    let ana = user(&found, "user ana");
    assert_eq!((&ana["expected"], &ana["found"]), (&json!(7), &json!(6)));
    assert_eq!(ana["verdict"], "1 missing");
    let sessions = ana["sessions"].as_array().unwrap();
    assert_eq!(sessions[0]["session"], "monday", "what differs comes first");
    assert_eq!(sessions[0]["verdict"], "1 missing");
    assert_eq!(sessions[1]["verdict"], "ok");
    // Its id is made of its content.
    let ben = user(&found, "user ben");
    assert_eq!(ben["verdict"], "1 missing, 1 not in the source");
    let counts = ben["checks"].as_array().unwrap();
    let counted = counts.iter().find(|one| one["name"] == "message_count");
    assert_eq!(counted.unwrap()["passed"], false);
    let all = check(&found, "message_count");
    assert_eq!(all["expected"], 10);

    let table = run(world, &["validate", "--file", &file]);
    assert!(
        table.stdout.contains("✗ user ana: 6 of 7, 1 missing"),
        "{}",
        table.stdout
    );
}

fn a_sample_is_no_proof_and_the_same_each_time(world: &World) {
    let file = exported(world);
    let sample = |seed: &str| {
        let arguments = [
            "validate", "--file", &file, "--sample", "3", "--seed", seed, "--json",
        ];
        run(world, &arguments).report(1)
    };
    let missing = |found: &Value| -> Vec<String> {
        let issues = found["issues"].as_array().unwrap();
        let mut ids: Vec<_> = issues.iter().map(|one| one["record"].to_string()).collect();
        ids.sort();
        ids
    };
    // Nothing is migrated yet: all that is compared is missing.
    let chosen = missing(&sample("0"));
    assert_eq!(chosen.len(), 3, "{chosen:?}");
    assert_eq!(missing(&sample("0")), chosen);
    let others = (1..9).map(|seed| missing(&sample(&seed.to_string())));
    assert!(others.into_iter().any(|ids| ids != chosen));

    run(world, &["migrate", "--file", &file]);
    let arguments = ["validate", "--file", &file, "--sample", "3", "--json"];
    let found = run(world, &arguments).report(0);
    assert_eq!(found["valid"], false, "a sample proves nothing of the rest");
    assert_eq!(
        found["sample"],
        json!({"records": 3, "of": 9, "seed": 0, "as_in_source": true})
    );
    assert_eq!(check(&found, "content")["found"], 3, "{found:#}");
    let table = run(world, &["validate", "--file", &file, "--sample", "3"]);
    let last = table.stdout.lines().last().unwrap();
    assert_eq!(
        last,
        "✓ a sample of 3 of 9 records is as in the export; the others were not compared"
    );
}

fn a_sample_finds_what_differs(world: &World) {
    let file = exported(world);
    run(world, &["migrate", "--file", &file]);
    let mut other = export();
    for user in other["users"].as_array_mut().unwrap() {
        user["name"] = json!("Somebody");
    }
    let messages = &mut other["users"][0]["sessions"][0]["messages"];
    messages[0]["metadata"] = json!({"mood": "tense"});
    let file = file_of(world, &other);
    let arguments = ["validate", "--file", &file, "--sample", "9", "--json"];
    let found = run(world, &arguments).report(1);
    assert_eq!(found["sample"]["as_in_source"], false);
    let issues = found["issues"].as_array().unwrap();
    assert_eq!(issues.len(), 1, "{found:#}");
    assert_eq!(issues[0]["field"], "metadata");
}

#[test]
fn a_sample_takes_a_request_for_each_record_at_most() {
    let world = World::emulated();
    let memories: Vec<_> = (0..400)
        .map(|n| json!({"id": format!("m{n}"), "memory": format!("Memory {n}"), "user_id": "ana"}))
        .collect();
    let file = file_of(&world, &json!({ "results": memories }));
    run(&world, &["migrate", "--file", &file, "--json"]).report(0);
    let arguments = ["validate", "--file", &file, "--sample", "4", "--json"];
    let found = run(&world, &arguments).report(0);
    assert_eq!(found["sample"]["records"], 4);
    // Two more ask for batches under way.
    assert!(found["requests"].as_u64() <= Some(6), "{found:#}");
}

#[test]
fn a_validation_waits_for_batches_that_are_being_processed() {
    let world = World::emulated();
    let service = crate::common::service::Service::of(&world);
    let file = exported(&world);
    run(&world, &["migrate", "--file", &file, "--json"]).report(0);
    // A batch of a migration whose messages are slow to process.
    world.behave(&json!({"processing_delay_ms": 3_000}));
    let (status, batch) = service.call(
        "POST",
        &["batches"],
        Some(&json!({"metadata": {"zm_run": "r"}})),
    );
    assert!(status < 300, "{batch}");
    let id = batch["batch_id"].as_str().unwrap();
    let item = json!({"type": "thread_message", "thread_id": "monday", "role": "user",
                      "content": "late", "created_at": "2025-03-03T09:05:00Z"});
    let (status, added) = service.call(
        "POST",
        &["batches", id, "items"],
        Some(&json!({"items": [item]})),
    );
    assert!(status < 300, "{added}");
    let (status, started) = service.call("POST", &["batches", id, "process"], None);
    assert!(status < 300, "{started}");
    let found = run(&world, &["validate", "--file", &file, "--json"]).report(1);
    let note = found["notes"][0].as_str().unwrap();
    assert!(
        note.starts_with("waited") && note.contains("1 batches"),
        "{note}"
    );
    let issues = found["issues"].as_array().unwrap();
    assert_eq!(
        issues.len(),
        1,
        "what the batch brought was seen: {found:#}"
    );
}

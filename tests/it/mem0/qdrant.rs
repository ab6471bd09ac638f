//! The Qdrant server of mem0's library.

use serde_json::{Value, json};

use super::{Moved, run, stored};
use crate::common::mem0_stand_in::{KEY, StandIn, What};
use crate::common::program::World;

const ALWAYS: usize = usize::MAX;
const SCROLL: &str = "points/scroll";
/// What is in the requests for the pages after the first.
const LATER: &str = r#""offset""#;

fn with_points(user: &str, count: usize) -> StandIn {
    let qdrant = StandIn::start();
    add(&qdrant, user, count);
    qdrant
}

fn add(qdrant: &StandIn, user: &str, count: usize) {
    for _ in 0..count {
        qdrant.point("mem0", json!({"user_id": user}));
    }
}

fn migrate_into(world: &World, qdrant: &StandIn, arguments: &[&str]) -> Moved {
    run(
        world,
        &qdrant.url,
        "qdrant",
        &[&["--validate"], arguments].concat(),
    )
}

fn migrate(qdrant: &StandIn, arguments: &[&str]) -> Moved {
    migrate_into(&World::embedded(), qdrant, arguments)
}

fn scrolls(qdrant: &StandIn) -> Vec<Value> {
    let calls = qdrant.calls_to(SCROLL).into_iter();
    calls.map(|call| call.body).collect()
}

#[test]
fn every_point_arrives_page_by_page_without_its_vector() {
    let qdrant = with_points("ann", 2_001);
    qdrant.point("mem0", json!({"agent_id": "bot"}));
    qdrant.point(
        "mem0",
        json!({"user_id": "ben", "agent_id": "bot", "run_id": "r", "role": "assistant",
            "actor_id": "bot", "mood": "calm", "updated_at": "2025-02-01T00:00:00Z"}),
    );
    // An application's own ids, before all UUIDs.
    let payload = json!({"data": "by number", "user_id": 7});
    qdrant.state().qdrant.add("mem0", json!(1), payload);
    let world = World::embedded();
    migrate_into(&world, &qdrant, &[]).has_all(2_004);
    assert_eq!(stored(&world, json!({"user_id": "7"})), ["by number"]);
    let mut agent = world.connect();
    let page = agent.call("get_memories", json!({"filters": {"user_id": "ben"}}));
    let memory = &page["results"][0];
    assert_eq!(
        memory["metadata"],
        json!({"hash": memory["metadata"]["hash"], "mood": "calm"})
    );
    assert_eq!(memory["updated_at"], "2025-02-01T00:00:00Z", "{memory:#}");
    let scrolls = scrolls(&qdrant);
    assert_eq!(scrolls.len(), 3);
    for scroll in &scrolls {
        assert_eq!(scroll["limit"], 1_000);
        assert_eq!(scroll["with_vector"], false);
        assert_eq!(scroll["filter"], Value::Null);
    }
}

#[test]
fn qdrant_is_asked_for_the_selected_only() {
    let qdrant = with_points("ann", 3);
    add(&qdrant, "ben", 2);
    qdrant.point("mem0", json!({"user_id": "ann", "run_id": "trip"}));
    let world = World::embedded();
    migrate_into(&world, &qdrant, &["--user", "ann"]).has_all(4);
    assert!(stored(&world, json!({"user_id": "ben"})).is_empty());
    let any = json!([{"key": "user_id", "match": {"any": ["ann"]}}]);
    assert_eq!(scrolls(&qdrant)[0]["filter"], json!({"should": any}));

    let run = StandIn::start();
    add(&run, "ann", 3);
    run.point("mem0", json!({"user_id": "ann", "run_id": "trip"}));
    migrate(&run, &["--session", "trip"]).has_all(1);
    assert_eq!(scrolls(&run)[0]["filter"]["should"][0]["key"], "run_id");
}

#[test]
fn a_server_that_refuses_filters_and_long_pages_is_read_all_the_same() {
    let qdrant = with_points("ann", 250);
    add(&qdrant, "ben", 2);
    qdrant.state().qdrant.has_no_index = true;
    qdrant.state().qdrant.most_a_page = Some(100);
    let world = World::embedded();
    migrate_into(&world, &qdrant, &["--user", "ann"]).has_all(250);
    assert!(stored(&world, json!({"user_id": "ben"})).is_empty());
}

#[test]
fn points_of_others_than_were_asked_for_are_not_migrated() {
    let qdrant = with_points("ann", 2);
    let other = json!({"id": "00000009-0000-4000-8000-000000000009",
        "payload": {"data": "a secret", "user_id": "ben"}});
    let page = json!({"result": {"points": [other], "next_page_offset": null}});
    qdrant.fault(SCROLL, 1, What::Fields(page));
    let moved = migrate(&qdrant, &["--user", "ann"]);
    assert_eq!(moved.report["success"], false, "{:#}", moved.report);
    assert_eq!(moved.report["memories_migrated"], 0, "{:#}", moved.report);
    assert!(
        moved.errors()[0].starts_with("collection mem0, page 1, points[0]: ")
            && moved.errors()[0].contains("another one than Qdrant was asked for"),
        "{:#?}",
        moved.errors()
    );
}

#[test]
fn a_missing_collection_is_an_error_that_names_those_that_there_are() {
    let qdrant = StandIn::start();
    let moved = migrate(&qdrant, &[]);
    assert_ne!(moved.code, 0, "{}", moved.stderr);
    assert!(
        moved.stderr.contains("no collection `mem0`, nor any other"),
        "{}",
        moved.stderr
    );
    for collection in ["openmemory", "mem0_entities", "mem0migrations", "mine"] {
        qdrant.point(collection, json!({"user_id": "ann"}));
    }
    let moved = migrate(&qdrant, &[]);
    assert!(
        moved.stderr.contains(
            "no collection `mem0`, but `mine`, `openmemory`, which is OpenMemory's; name one"
        ),
        "{}",
        moved.stderr
    );
    assert_eq!(moved.report, Value::Null);
    migrate(&qdrant, &["--collection", "mine"]).has_all(1);
    let moved = migrate(&qdrant, &["--collection", "openmemory"]);
    moved.has_all(1);
    assert!(
        moved.warnings()[0].contains("does not say in Qdrant what was archived"),
        "{:#?}",
        moved.warnings()
    );
}

#[test]
fn a_field_of_the_caller_that_is_named_like_a_mark_is_none() {
    let qdrant = with_points("ann", 1);
    qdrant.point(
        "mem0",
        json!({"user_id": "ann", "status": "archived", "session_id": "order 7"}),
    );
    let world = World::embedded();
    migrate_into(&world, &qdrant, &[]).has_all(2);
    let found = world
        .connect()
        .call("get_memories", json!({"user_id": "ann"}));
    let mut memories = found["results"].as_array().unwrap().iter();
    let archived = memories.find(|one| one["metadata"]["status"] == "archived");
    let archived = archived.unwrap_or_else(|| panic!("{found:#}"));
    assert_eq!(archived["session_id"], Value::Null, "{archived:#}");
    assert_eq!(
        archived["metadata"]["session_id"], "order 7",
        "{archived:#}"
    );
}

#[test]
fn rows_of_entities_are_no_memories() {
    let qdrant = with_points("ann", 1);
    let entity = json!({"data": "Lima", "entity_type": "PROPER", "linked_memory_ids": ["1"],
        "user_id": "ann"});
    qdrant.point("mem0", entity.clone());
    let moved = migrate(&qdrant, &[]);
    assert_eq!(moved.report["success"], true, "{:#}", moved.report);
    assert_eq!(moved.report["memories_migrated"], 1);
    assert_eq!(moved.report["skipped"], 1, "{:#}", moved.report);
    qdrant.point("mem0_entities", entity);
    let moved = migrate(&qdrant, &["--collection", "mem0_entities"]);
    assert_eq!(moved.report["success"], false, "{:#}", moved.report);
    assert_eq!(moved.report["memories_migrated"], 0);
}

#[test]
fn whose_to_migrate_must_be_said_and_the_users_are_named() {
    let qdrant = with_points("ann", 3);
    add(&qdrant, "ben", 1);
    let ask = || {
        let world = World::embedded();
        let mut command = world.command();
        command.args(["migrate", "--from", "qdrant", "--qdrant-url", &qdrant.url]);
        let output = command.env("QDRANT_API_KEY", KEY).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(ask().contains("(ann, ben): say whose"), "{}", ask());
    qdrant.state().qdrant.has_no_index = true;
    assert!(ask().contains("people: say whose"), "{}", ask());
    assert!(scrolls(&qdrant).is_empty());
}

#[test]
fn what_happens_once_is_tried_again() {
    let faults = [
        What::Status(500),
        What::Limited(Some(1)),
        What::Html,
        What::Truncated,
        What::BrokenOff,
        What::Fields(json!({"result": {"points": "none"}})),
    ];
    std::thread::scope(|threads| {
        for what in faults {
            threads.spawn(move || {
                let qdrant = with_points("ann", 1_001);
                qdrant.fault(LATER, 1, what);
                migrate(&qdrant, &[]).has_all(1_001);
            });
        }
    });
}

#[test]
fn a_broken_page_is_no_success_and_what_was_read_is_migrated() {
    let faults = [
        (What::Status(500), "Qdrant failed (500)"),
        (What::Status(403), "refused the key (403)"),
        (What::Html, "it is HTML"),
        (What::Truncated, "breaks off"),
        (What::Huge(800 << 20), "larger than 64 MiB"),
        (
            What::Redirect("http://127.0.0.1:1/".into()),
            "another address",
        ),
    ];
    std::thread::scope(|threads| {
        for (what, reason) in faults {
            threads.spawn(move || {
                let qdrant = with_points("ann", 1_001);
                qdrant.fault(LATER, ALWAYS, what);
                migrate(&qdrant, &[]).lacks(1_000, "collection mem0, page 2", reason);
            });
        }
    });
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_parts() {
    let qdrant = with_points("ann", 1_001);
    qdrant.fault(r#""limit":1000"#, ALWAYS, What::Huge(65 << 20));
    migrate(&qdrant, &[]).has_all(1_001);
}

#[test]
fn a_refused_key_fails_the_run() {
    for on in ["points/count", SCROLL] {
        let qdrant = with_points("ann", 3);
        qdrant.fault(on, ALWAYS, What::Status(401));
        let moved = migrate(&qdrant, &[]);
        assert_ne!(moved.code, 0, "{on}");
        assert!(
            moved.stderr.contains("Qdrant refused the key (401)"),
            "{}",
            moved.stderr
        );
    }
}

#[test]
fn pages_that_contradict_each_other_are_no_success_and_no_endless_loop() {
    let first = |n: u64| json!({"id": n, "payload": {"data": "one", "user_id": "ann"}});
    let faults = [
        // The same page, and a page of points that were there before.
        (
            LATER,
            What::Fields(json!({"result": {"points": [first(1)], "next_page_offset": 2}})),
            "that the pages before had",
        ),
        (
            LATER,
            What::Fields(json!({"result": {"points": [], "next_page_offset":
                "ffffffff-0000-4000-8000-000000000000"}})),
            "has no points, and says that more follow",
        ),
        (
            LATER,
            What::Fields(json!({"result": {"points": [], "next_page_offset": 1}})),
            "which are there already",
        ),
        (
            LATER,
            What::Fields(json!({"result": {"points": [], "next_page_offset": "more"}})),
            "and not where",
        ),
        (SCROLL, What::Half, "points were listed of the 1500"),
    ];
    std::thread::scope(|threads| {
        for (on, what, reason) in faults {
            threads.spawn(move || {
                let qdrant = with_points("ann", 1_500);
                qdrant.fault(on, ALWAYS, what);
                let moved = migrate(&qdrant, &[]);
                assert_eq!(moved.report["success"], false, "{:#}", moved.report);
                let errors = moved.errors();
                assert_eq!(errors.len(), 1, "{errors:#?}");
                assert!(errors[0].starts_with("collection mem0"), "{errors:#?}");
                assert!(errors[0].contains(reason), "{errors:#?}");
                assert!(scrolls(&qdrant).len() < 5);
            });
        }
    });
}

#[test]
fn more_points_than_qdrant_counts_come_to_an_end() {
    let qdrant = with_points("ann", 3_000);
    qdrant.fault(
        "points/count",
        ALWAYS,
        What::Fields(json!({"result": {"count": 5}})),
    );
    let moved = migrate(&qdrant, &[]);
    let errors = moved.errors();
    assert!(
        errors[0].starts_with("collection mem0, page 2") && errors[0].contains("more points than"),
        "{errors:#?}"
    );
}

#[test]
fn what_changes_while_it_is_read_is_said() {
    let qdrant = with_points("ann", 1_001);
    let payload = json!({"data": "late", "user_id": "ann"});
    qdrant.fault(SCROLL, 1, What::ThenPoint("mem0", json!(1), payload));
    let moved = migrate(&qdrant, &[]);
    moved.has_all(1_001);
    assert!(moved.warnings()[0].contains("points were added"));

    let qdrant = with_points("ann", 1_001);
    let first = "00000001-0000-4000-8000-000000000001";
    qdrant.fault(SCROLL, 1, What::ThenDelete(first.into()));
    let moved = migrate(&qdrant, &[]);
    moved.has_all(1_001);
    assert!(moved.warnings()[0].contains("points were deleted"));
}

#[test]
fn one_broken_point_costs_no_other() {
    let qdrant = with_points("ann", 4);
    let point = |n: u64, text: &str| json!({"id": n, "payload": {"data": text, "user_id": "ann"}});
    let page = json!({"result": {"next_page_offset": null, "points": [
        point(1, "good"), "a text", point(3, "SURROGATE"), {"id": 4, "payload": {}},
    ]}});
    let page = page.to_string().replace("SURROGATE", "\\ud800");
    qdrant.fault(SCROLL, ALWAYS, What::Body(page));
    let moved = migrate(&qdrant, &[]);
    assert_eq!(moved.report["memories_migrated"], 1, "{:#}", moved.report);
    assert_eq!(moved.report["success"], false);
    let errors = moved.errors();
    for (index, reason) in [
        (1, "not an object"),
        (2, "cannot be read"),
        (3, "export the rows again with their payload"),
    ] {
        let at = format!("collection mem0, page 1, points[{index}]");
        let line = &errors[index - 1];
        assert!(
            line.starts_with(&at) && line.contains(reason),
            "{errors:#?}"
        );
    }
}

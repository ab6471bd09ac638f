//! A self-hosted mem0, with its silent limits.

use serde_json::json;

use super::{Moved, add, run, with_memories};
use crate::common::mem0_stand_in::{KEY, Login, StandIn};
use crate::common::program::World;

fn migrate(mem0: &StandIn, arguments: &[&str]) -> Moved {
    let key = ["--mem0-key", KEY, "--validate"];
    run(
        &World::embedded(),
        &mem0.url,
        "mem0-server",
        &[&key, arguments].concat(),
    )
}

#[test]
fn everything_arrives_whatever_the_way_of_login() {
    for login in [Login::Admin, Login::Member, Login::Bearer, Login::Disabled] {
        let mem0 = with_memories("ann", 30);
        mem0.add(json!({"user_id": "ann", "agent_id": "bot", "run_id": "r"}));
        mem0.add(json!({"agent_id": "bot"}));
        mem0.state().server.login = login;
        migrate(&mem0, &[]).has_all(32);
        let lists = mem0.calls_to("/memories");
        let scoped = lists
            .iter()
            .filter(|call| call.query.contains_key("user_id"));
        for call in scoped {
            assert_eq!(call.query["top_k"], "1000");
            assert_eq!(call.query["show_expired"], "true");
        }
    }
}

#[test]
fn a_full_answer_fails_its_entity_and_names_a_source_that_can() {
    let mem0 = with_memories("ann", 1_001);
    add(&mem0, "ben", 5);
    let moved = migrate(&mem0, &[]);
    moved.lacks(
        1_005,
        "user ann",
        "listed 1000 memories of the 1001 it counts",
    );
    assert!(
        moved.errors()[0].contains("--from qdrant"),
        "{:#?}",
        moved.errors()
    );
    assert!(
        moved.errors()[0].contains("--print-exporter"),
        "{:#?}",
        moved.errors()
    );
}

#[test]
fn without_rights_only_named_entities_are_read() {
    let mem0 = with_memories("ann", 5);
    mem0.state().server.login = Login::Member;
    mem0.state().server.entities_for_admins = true;
    let moved = migrate(&mem0, &[]);
    assert_ne!(moved.code, 0);
    assert!(
        moved.stderr.contains("name them with --user"),
        "{}",
        moved.stderr
    );
    migrate(&mem0, &["--user", "ann"]).has_all(5);
}

#[test]
fn entities_that_the_server_did_not_look_at_are_suspected() {
    let mem0 = with_memories("ann", 900);
    for user in 0..15 {
        add(&mem0, &format!("user {user}"), 700);
    }
    let arguments = ["--mem0-key", KEY, "--dry-run"];
    let moved = run(&World::embedded(), &mem0.url, "mem0-server", &arguments);
    let errors = moved.errors();
    assert_eq!(moved.report["success"], false, "{:#}", moved.report);
    assert!(
        errors.iter().any(|line| line.starts_with("entities: ")),
        "{errors:#?}"
    );
}

#[test]
fn an_older_release_that_ignores_how_many_are_asked_for_is_found_out() {
    let mem0 = with_memories("ann", 150);
    add(&mem0, "ben", 5);
    mem0.state().server.is_old = true;
    migrate(&mem0, &["--user", "ben"]).has_all(5);
    migrate(&mem0, &["--user", "ann"]).lacks(100, "user ann", "ignores how many");
}

#[test]
fn fewer_than_the_server_counts_are_no_success() {
    let mem0 = with_memories("ann", 10);
    mem0.fault(
        "user_id=ann",
        usize::MAX,
        crate::common::mem0_stand_in::What::Half,
    );
    migrate(&mem0, &[]).lacks(5, "user ann", "listed 5 memories and counts 10");
}

//! Agents and apps that memories name beside their user are listed, whatever happens to the run.

use serde_json::{Value, json};

use super::cli::{file_of, run};
use crate::common::program::World;
use crate::common::service::Service;

const CREATE: &str = "POST /api/v2/graph/create";

fn entities(world: &World) -> String {
    world.connect().call("list_entities", json!({})).to_string()
}

fn named() -> Value {
    json!([
        {"id": "1", "user_id": "ana", "memory": "Likes tea", "agent_id": "coach", "app_id": "kiosk"},
        {"id": "2", "agent_id": "coach", "memory": "Ana likes to be asked"},
    ])
}

#[test]
fn one_that_cannot_be_listed_is_reported_and_listed_by_the_next_run() {
    // A direct write tries once more, as any write of an agent does.
    for (method, tries) in [("direct", 4), ("batch", 2)] {
        let world = World::emulated();
        let file = file_of(&world, &named());
        let arguments = ["migrate", "--file", &file, "--method", method, "--json"];
        let service = Service::of(&world);
        service.next(&json!({
            "method": "POST", "path": "/api/v2/graph/create", "times": tries,
            "fault": {"kind": "fail", "status": 400}}));
        let app = json!([named()[0]]);
        std::fs::write(&file, app.to_string()).unwrap();
        let report = run(&world, &arguments).report(1);
        assert_eq!(report["memories_migrated"], 1, "{report:#}");
        assert_eq!(report["errors"].as_array().unwrap().len(), 2, "{report:#}");
        assert!(!entities(&world).contains("kiosk"));

        let again = run(&world, &arguments).report(0);
        assert_eq!(again["memories_migrated"], 0, "{again:#}");
        let listed = entities(&world);
        assert!(
            listed.contains("kiosk") && listed.contains("coach"),
            "{listed}"
        );
        // Known from now on.
        let before = world.requests_to(CREATE);
        run(&world, &arguments).report(0);
        assert_eq!(world.requests_to(CREATE), before);
    }
}

#[test]
fn an_agent_with_memories_of_its_own_goes_whole_when_the_run_is_undone() {
    let world = World::emulated();
    let file = file_of(&world, &named());
    let report = run(&world, &["migrate", "--file", &file, "--json"]).report(0);
    let id = report["run"].as_str().unwrap();
    let receipt = run(&world, &["rollback", "--run", id, "--yes", "--json"]).report(0);
    assert_eq!(receipt["graphs_removed"], 1, "{receipt:#}");
    assert_eq!(receipt["users_removed"], 1, "{receipt:#}");
    assert!(!entities(&world).contains("coach"));
}

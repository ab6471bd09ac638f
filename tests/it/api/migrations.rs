//! Migrations over REST, with the run ids of the tools.

use serde_json::json;

use super::{Api, tool, worlds};
use crate::common::wait_until;

#[test]
fn a_migration_is_begun_followed_reported_validated_and_known_to_the_tools() {
    for world in worlds() {
        let api = Api::run(&mut super::command(&world, &["--http"]));
        let export = json!({"results": [
            {"id": "m1", "memory": "likes tea", "user_id": "ann", "created_at": "2024-05-01T10:00:00Z"},
            {"id": "m2", "memory": "likes mornings", "user_id": "ann", "created_at": "2024-05-02T10:00:00Z"},
        ]});
        let asked = json!({"user": {"id": "ann", "name": "Ann"}, "data": export});
        let (status, begun) = api.call("POST", "/api/v1/migrations", Some(&asked));
        assert_eq!(status, 202, "{begun}");
        let run = begun["run_id"].as_str().unwrap();
        let path = format!("/api/v1/migrations/{run}");
        wait_until("it ends", || api.get(&path)["state"] != "running");
        assert_eq!(api.get(&path)["state"], "done");
        let report = api.get(&format!("{path}/report"));
        assert_eq!(report["report"]["memories_migrated"], 2, "{report}");
        assert_eq!(
            tool(&api, "migration_status", json!({"run": run}))["state"],
            "done"
        );
        let valid = api.post("/api/v1/migrations/validate", &asked);
        assert_eq!(valid["valid"], true, "{valid}");
        api.post(
            "/api/memory/add",
            &json!({"content": "likes tea", "user_id": "ann"}),
        );
        api.must("POST", &format!("{path}/cancel"), None);
        api.refused("GET", "/api/v1/migrations/nothing", None, 404);
        api.refused(
            "POST",
            "/api/v1/migrations",
            Some(&json!({"user": {"id": " "}})),
            422,
        );
        api.refused(
            "POST",
            "/api/v1/migrations",
            Some(&json!({"user": {"id": "a", "x": 1}})),
            422,
        );
        let twice = json!({"user": {"id": "ann"}, "data": [], "file": "x.json"});
        api.refused("POST", "/api/v1/migrations", Some(&twice), 409);
        let no_file = json!({"user": {"id": "ann"}, "file": "x.json"});
        api.refused("POST", "/api/v1/migrations", Some(&no_file), 409);
    }
}

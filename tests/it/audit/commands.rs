//! Commands that read or change memories are in the trail.

use std::fs;

use serde_json::{Value, json};

use super::{directory, entries, is_intact};
use crate::common::program::World;

fn run(world: &World, arguments: &[&str]) -> i32 {
    let output = world.command().args(arguments).output().unwrap();
    output.status.code().unwrap()
}

fn export() -> String {
    let export = json!({"results": [
        {"id": "1", "memory": "likes turquoise", "user_id": "ann"},
        {"id": "2", "memory": "likes crimson", "user_id": "ben"},
    ]});
    export.to_string()
}

#[test]
fn each_command_has_an_entry_when_it_begins_and_when_it_ends() {
    let world = World::embedded();
    let file = world.directory().join("export.json");
    fs::write(&file, export()).unwrap();
    let migrate = world
        .command()
        .args(["migrate", "--file", "export.json", "--json"])
        .output();
    let report: Value = serde_json::from_slice(&migrate.unwrap().stdout).unwrap();
    let id = report["run"].as_str().unwrap();
    for (arguments, code) in [
        (&["validate", "--file", "export.json"][..], 0),
        (&["export", "--to-file", "out.jsonl"], 0),
        (&["rollback", "--run", id, "--yes"], 0),
        (&["validate", "--file", "export.json"], 1),
        (&["migrate", "--file", "export.json", "--rehearse"], 0),
    ] {
        assert_eq!(run(&world, arguments), code, "{arguments:?}");
    }
    let trail = directory(&world);
    is_intact(&trail);
    let entries = entries(&trail);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            assert_eq!(
                (text("who"), text("role"), text("door")),
                ("operator", "operator", "command")
            );
            (text("call"), text("action"), text("outcome"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("migrate", "migrate", "begun"),
            ("migrate", "migrate", "ok"),
            ("validate", "migrate", "begun"),
            ("validate", "migrate", "ok"),
            ("export", "read", "begun"),
            ("export", "read", "ok"),
            ("rollback", "delete", "begun"),
            ("rollback", "delete", "ok"),
            ("validate", "migrate", "begun"),
            ("validate", "migrate", "ok"),
            ("migrate", "migrate", "begun"),
            ("migrate", "migrate", "ok"),
        ]
    );
    for pair in entries.chunks(2) {
        assert_eq!(pair[0]["request"], pair[1]["request"]);
        let owners = pair[1]["owners"].to_string();
        assert!(
            owners.contains("\"ann\"") && owners.contains("\"ben\""),
            "{owners}"
        );
    }
    assert_eq!(entries[5]["owners"][0]["right"], "read");
    let all = format!("{entries:?}");
    assert!(
        !all.contains("turquoise") && !all.contains("crimson"),
        "{all}"
    );
}

#[test]
fn a_command_is_not_begun_where_the_trail_cannot_be_written() {
    let world = World::embedded();
    fs::create_dir_all(world.directory().join("data")).unwrap();
    fs::write(world.directory().join("data/audit"), "in the way").unwrap();
    fs::write(world.directory().join("export.json"), export()).unwrap();
    let mut migrate = world.command();
    let output = migrate
        .args(["migrate", "--file", "export.json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the audit trail in"), "{said}");
    migrate.env("ZEP_MCP_AUDIT", "off");
    assert!(migrate.output().unwrap().status.success());
}

//! OpenMemory's backup as it is: one file of the archive explains whose the memories of the other are.

use serde_json::{Value, json};

use super::cli::run;
use crate::common::on_both_backends;
use crate::common::program::{Client, World};
use crate::export::packed::{gz, member, zip};

on_both_backends!(the_backup_of_openmemory_is_read_once_and_what_is_deleted_stays_so);

const INTERNAL: &str = "11111111-0000-4000-8000-000000000001";

fn memory(number: u64, content: &str, state: &str) -> Value {
    json!({"id": format!("44444444-0000-4000-8000-{number:012}"), "content": content, "metadata": {},
        "created_at": "2025-05-02T00:00:00+00:00", "updated_at": null, "state": state})
}

/// The two files of a backup.
fn backup() -> (String, String) {
    let all = [
        memory(1, "Uses Rust", "active"),
        memory(2, "Gone", "deleted"),
        memory(3, "Old", "archived"),
    ];
    let described: Vec<Value> = all
        .iter()
        .map(|memory| {
            let mut memory = memory.clone();
            memory["user_id"] = INTERNAL.into();
            memory["app_id"] = "22222222-0000-4000-8000-000000000001".into();
            memory["category_ids"] = json!([]);
            memory
        })
        .collect();
    let document = json!({
        "user": {"id": INTERNAL, "user_id": "ana", "name": "Ana", "email": null, "metadata": {}},
        "apps": [{"id": "22222222-0000-4000-8000-000000000001", "owner_id": INTERNAL,
            "name": "cursor", "metadata": {}, "is_active": true}],
        "categories": [], "memories": described, "memory_categories": [], "status_history": [],
        "access_controls": [], "export_meta": {"version": "1"},
    });
    let lines = all.into_iter().map(|mut memory| {
        memory["app"] = "cursor".into();
        memory["categories"] = json!([]);
        memory.to_string() + "\n"
    });
    (document.to_string(), lines.collect())
}

fn the_backup_of_openmemory_is_read_once_and_what_is_deleted_stays_so(world: &World) {
    let (document, lines) = backup();
    let exports = world.directory().join("exports");
    let unpacked = exports.join("unpacked");
    std::fs::create_dir_all(&unpacked).unwrap();
    // The file that names nobody comes first, too.
    for (name, members) in [
        (
            "one.zip",
            [
                member("memories.json", &document),
                member("memories.jsonl.gz", gz(lines.as_bytes())),
            ],
        ),
        (
            "two.zip",
            [
                member("a.jsonl.gz", gz(lines.as_bytes())),
                member("b.json", &document),
            ],
        ),
    ] {
        std::fs::write(exports.join(name), zip(&members)).unwrap();
    }
    std::fs::write(unpacked.join("memories.json"), &document).unwrap();
    std::fs::write(unpacked.join("memories.jsonl"), &lines).unwrap();
    let is_read = |report: &Value, new: u64| {
        assert_eq!(report["success"], true, "{report:#}");
        assert_eq!(report["memories_migrated"], new, "{report:#}");
        assert_eq!(
            (&report["deleted"], &report["expired"]),
            (&json!(1), &json!(1)),
            "{report:#}"
        );
        assert_eq!(report["failed"], 0);
    };
    for (count, name) in ["one.zip", "two.zip", "unpacked"].into_iter().enumerate() {
        let path = exports.join(name);
        let arguments = [
            "migrate",
            "--validate",
            "--json",
            "--file",
            path.to_str().unwrap(),
        ];
        let report = run(world, &arguments).report(0);
        is_read(&report, u64::from(count == 0));
        assert_eq!(report["validation"]["valid"], true, "{report:#}");
    }
    let mut client = Client::connect(world.command().env("ZEP_MCP_IMPORT_DIR", &exports));
    for name in ["one.zip", "unpacked"] {
        let arguments = json!({"user": {"id": "ana"}, "file": name});
        is_read(&client.call("migrate_user", arguments), 0);
    }
    let listed = client.call("get_memories", json!({"user_id": "ana"}));
    assert_eq!(listed["count"], 1, "{listed:#}");
    assert_eq!(listed["results"][0]["memory"], "Uses Rust");
    let everybody = client.call("list_entities", json!({}));
    let ids = everybody["results"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["ana", "cursor"]);
}

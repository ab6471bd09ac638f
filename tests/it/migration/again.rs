//! A second run of a command: what is done is told and not done again, what changed is found, and what
//! was deleted since stays deleted.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{cli_report, turns};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    a_second_run_says_which_run_did_it_and_writes_nothing,
    a_source_that_changed_adds_what_is_new_and_names_the_rest,
    what_was_deleted_since_is_not_revived_until_the_ledger_is_rebuilt,
    a_lost_ledger_is_rebuilt_from_what_is_stored,
    an_update_replaces_what_changed_and_nothing_else,
    a_ledger_that_cannot_be_used_ends_the_run_before_anything_is_written,
    the_ledger_holds_no_content,
    a_run_of_some_users_takes_the_next_ones_each_time,
);

fn data_dir(world: &World) -> PathBuf {
    world.directory().join("data")
}

fn migrate(world: &World, source: &Value, flags: &[&str]) -> Value {
    let file = world.directory().join("export.json");
    std::fs::write(&file, source.to_string()).unwrap();
    let mut command: Command = world.command();
    command.env("ZEP_MCP_DATA_DIR", data_dir(world));
    command.args(["migrate", "--json", "--file"]).arg(&file);
    cli_report(&command.args(flags).output().unwrap())
}

fn memory(n: usize, text: &str) -> Value {
    json!({"id": format!("0b0f4a5c-6f0e-4a3c-9a53-{n:012}"), "memory": text, "user_id": "jane",
           "created_at": "2024-01-01T10:00:00Z"})
}

fn source(memories: &[Value]) -> Value {
    json!({"memories": memories, "users": [{"id": "jane", "sessions": [
        {"id": "s", "messages": turns(35)}]}]})
}

fn first(world: &World) -> Value {
    let report = migrate(
        world,
        &source(&[memory(1, "likes tea"), memory(2, "a cat")]),
        &[],
    );
    assert_eq!(report["success"], true, "{report:#}");
    assert_eq!(report["memories_migrated"], 37);
    report
}

/// The texts of Jane's memories, sorted.
fn texts(world: &World) -> Vec<String> {
    let mut client = crate::common::program::Client::connect(
        world.command().env("ZEP_MCP_DATA_DIR", data_dir(world)),
    );
    let mut texts: Vec<String> = client
        .search(json!({"query": "tea cat dog coffee cocoa likes", "user_id": "jane", "limit": 50, "scope": "episodes"}))
        .iter()
        .map(|found| found["memory"].as_str().unwrap().to_owned())
        .filter(|text| !text.starts_with("turn") && text != "ok")
        .collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// The requests to the backend so far.
fn requests(world: &World) -> u64 {
    match world.backend() {
        "zep" => world.requests().values().sum(),
        _ => 0,
    }
}

fn a_second_run_says_which_run_did_it_and_writes_nothing(world: &World) {
    let done = first(world);
    assert!(done["run"].is_string());
    let before = requests(world);
    let again = migrate(
        world,
        &source(&[memory(1, "likes tea"), memory(2, "a cat")]),
        &[],
    );
    assert_eq!(
        (&again["success"], &again["run"]),
        (&json!(true), &done["run"])
    );
    assert_eq!(
        (&again["memories_migrated"], &again["already_there"]),
        (&json!(0), &json!(37))
    );
    let notes = again["notes"].to_string();
    let said = format!("already migrated by run {}", done["run"].as_str().unwrap());
    assert!(
        notes.contains(&said) && notes.contains("37 records"),
        "{notes}"
    );
    // Only whose project it is.
    assert!(requests(world) <= before + 1);
}

fn a_source_that_changed_adds_what_is_new_and_names_the_rest(world: &World) {
    first(world);
    let changed = source(&[memory(1, "likes coffee"), memory(3, "a dog")]);
    let report = migrate(world, &changed, &[]);
    assert_eq!(report["success"], false, "{report:#}");
    assert_eq!(
        (&report["memories_migrated"], &report["already_there"]),
        (&json!(1), &json!(36))
    );
    let errors = report["errors"].as_array().unwrap();
    assert!(
        errors.len() == 1 && errors[0]["reason"].to_string().contains("--update"),
        "{report:#}"
    );
    assert_eq!(errors[0]["record"], memory(1, "")["id"]);
    let warnings = report["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{report:#}");
    assert_eq!(warnings[0]["record"], memory(2, "")["id"]);
    assert_eq!(texts(world), ["a cat", "a dog", "likes tea"]);
}

fn what_was_deleted_since_is_not_revived_until_the_ledger_is_rebuilt(world: &World) {
    first(world);
    let mut client = crate::common::program::Client::connect(
        world.command().env("ZEP_MCP_DATA_DIR", data_dir(world)),
    );
    let found = client.search(json!({"query": "tea", "user_id": "jane", "scope": "episodes"}));
    client.call(
        "delete_memory",
        json!({"memory_id": found[0]["id"], "user_id": "jane"}),
    );
    let longer = source(&[
        memory(1, "likes tea"),
        memory(2, "a cat"),
        memory(3, "a dog"),
    ]);
    let report = migrate(world, &longer, &[]);
    assert_eq!(
        (&report["success"], &report["memories_migrated"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(texts(world), ["a cat", "a dog"]);
    let report = migrate(world, &longer, &["--rebuild-ledger"]);
    assert_eq!(
        (&report["success"], &report["memories_migrated"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(report["already_there"], 37, "{report:#}");
    assert_eq!(texts(world), ["a cat", "a dog", "likes tea"]);
}

fn a_lost_ledger_is_rebuilt_from_what_is_stored(world: &World) {
    let done = first(world);
    for file in ["migrations.db", "migrations.db-wal", "migrations.db-shm"] {
        let _ = std::fs::remove_file(data_dir(world).join(file));
    }
    let same = source(&[memory(1, "likes tea"), memory(2, "a cat")]);
    let report = migrate(world, &same, &[]);
    assert_eq!(
        (&report["memories_migrated"], &report["already_there"]),
        (&json!(0), &json!(37))
    );
    let ledger = rusqlite::Connection::open(data_dir(world).join("migrations.db")).unwrap();
    // What is stored names the run that wrote it.
    let run: String = ledger
        .query_row(
            "SELECT id FROM run WHERE n = (SELECT min(run) FROM record)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(done["run"], run.as_str());
    let again = migrate(world, &same, &[]);
    assert!(
        again["notes"].to_string().contains("already migrated"),
        "{again:#}"
    );
}

fn an_update_replaces_what_changed_and_nothing_else(world: &World) {
    first(world);
    let changed = source(&[memory(1, "likes coffee"), memory(2, "a cat")]);
    let report = migrate(world, &changed, &["--update", "--validate"]);
    assert_eq!(
        (&report["success"], &report["updated"]),
        (&json!(true), &json!(1)),
        "{report:#}"
    );
    assert_eq!(report["validation"]["valid"], true, "{report:#}");
    assert_eq!(texts(world), ["a cat", "likes coffee"]);
    let again = migrate(world, &changed, &["--update"]);
    assert_eq!(
        (&again["success"], &again["updated"]),
        (&json!(true), &json!(0))
    );
    // What an agent changed meanwhile stays as the agent has it.
    let mut client = crate::common::program::Client::connect(
        world.command().env("ZEP_MCP_DATA_DIR", data_dir(world)),
    );
    let found = client.search(json!({"query": "coffee", "user_id": "jane", "scope": "episodes"}));
    client.call(
        "update_memory",
        json!({"memory_id": found[0]["id"], "text": "likes cocoa", "user_id": "jane"}),
    );
    let changed = source(&[memory(1, "likes milk"), memory(2, "a cat")]);
    let report = migrate(world, &changed, &["--update"]);
    assert_eq!(
        (&report["success"], &report["updated"]),
        (&json!(false), &json!(0)),
        "{report:#}"
    );
    assert_eq!(texts(world), ["a cat", "likes cocoa"]);
}

fn a_ledger_that_cannot_be_used_ends_the_run_before_anything_is_written(world: &World) {
    std::fs::create_dir_all(data_dir(world)).unwrap();
    let path = data_dir(world).join("migrations.db");
    std::fs::write(&path, "not a ledger, and not a database either".repeat(9)).unwrap();
    let file = world.directory().join("export.json");
    std::fs::write(&file, source(&[memory(1, "likes tea")]).to_string()).unwrap();
    let mut command: Command = world.command();
    command.env("ZEP_MCP_DATA_DIR", data_dir(world));
    command.args(["migrate", "--json", "--file"]).arg(&file);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("migrations.db"),
        "{said}"
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(texts(world), [] as [String; 0]);
}

fn the_ledger_holds_no_content(world: &World) {
    first(world);
    for file in ["migrations.db", "migrations.db-wal"] {
        let bytes = std::fs::read(data_dir(world).join(file)).unwrap_or_default();
        for content in ["likes tea", "a cat", "turn 1"] {
            let held = bytes
                .windows(content.len())
                .any(|here| here == content.as_bytes());
            assert!(!held, "{file} holds {content:?}");
        }
    }
}

fn a_run_of_some_users_takes_the_next_ones_each_time(world: &World) {
    let user = |id: &str| json!({"id": id, "messages": turns(3)});
    let source = json!({"users": [user("ann"), user("ben"), user("cid")]});
    for (migrated, skipped) in [(6, 3), (3, 6), (0, 9)] {
        let report = migrate(world, &source, &["--limit", "2"]);
        assert_eq!(report["success"], true, "{report:#}");
        assert_eq!(report["memories_migrated"], migrated, "{report:#}");
        assert_eq!(report["skipped"], skipped, "{report:#}");
    }
}

/// What the ledger costs on the embedded store, where requests take no time:
/// `cargo test --profile ci --test it ledger_costs -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn the_ledger_costs_little() {
    use std::sync::Arc;
    use std::time::Instant;
    use zep_mcp_server::local::{Behavior, LocalZep};
    use zep_mcp_server::memory::{MemoryService, model::UserId};
    use zep_mcp_server::migration::{Migrator, Request};
    use zep_mcp_server::sources::Export;
    let users: Vec<_> = (0..100)
        .map(|user| {
            let sessions: Vec<_> = (0..5)
                .map(|session| json!({"id": format!("{user}-{session}"), "messages": turns(18)}))
                .collect();
            let memories = (0..10).map(|n| json!({"memory": format!("memory {n}")}));
            json!({"id": format!("user-{user}"), "sessions": sessions, "memories": memories.collect::<Vec<_>>()})
        })
        .collect();
    let source = json!({ "users": users });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for with_ledger in [false, true, false, true] {
        let home = tempfile::tempdir().unwrap();
        let store = LocalZep::open(&home.path().join("memory.db"), Behavior::default()).unwrap();
        let service = MemoryService::new(Arc::new(store), UserId::new("nobody").unwrap());
        let data_dir = with_ledger.then_some(home.path());
        let migrator = Migrator::new(service).noting_runs_in(data_dir);
        let begun = Instant::now();
        let request = Request::default();
        let migrated = migrator.migrate(Export::value(&source), &request);
        let report = runtime.block_on(migrated).unwrap();
        assert_eq!(report.memories_migrated, 10_000);
        println!("ledger {with_ledger}: {:?}", begun.elapsed());
    }
}

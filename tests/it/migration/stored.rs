//! Nobody is locked in: what this program stores moves to another store, or into a file that it and
//! mem0 read, with nothing lost.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::cli::run;
use super::{migrate_all, turns};
use crate::common::program::World;

/// A store with everything that one can hold.
fn filled() -> World {
    let world = World::embedded();
    let library = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/export/mem0-get-all.jsonl"
    );
    run(&world, &["migrate", "--file", library, "--json"]).report(0);
    let mut client = world.connect();
    let data = json!({
        "sessions": [{"id": "s", "summary": "A calm day.", "messages": [
            {"role": "ai_therapist", "name": "Dr. Ösi", "content": "😀 word ".repeat(2_000),
             "metadata": {"deep": {"a": [1, null, ""]}}},
            {"role": "narrator", "content": "undated"},
        ]}],
        "messages": turns(40),
        "memories": [{"id": "m1", "memory": "Likes tea", "created_at": "2024-03-01T08:30:15.123456Z"}],
        "preferences": {"tone": "calm"}, "tz": "UTC",
    });
    let jane =
        json!({"id": "jane", "name": "Jane van Doe", "email": "jane@example.com", "role": "user"});
    migrate_all(&mut client, &jane, &data);
    for arguments in [
        json!({"text": "by an app", "user_id": "jane", "app_id": "notes", "agent_id": "bot9"}),
        json!({"text": "to be forgotten", "user_id": "jane"}),
        json!({"text": "of old", "user_id": "jane", "metadata": {"expiration_date": "2020-01-01"}}),
        json!({"text": "an agent's own", "agent_id": "bot9", "idempotency_key": "own key"}),
        json!({"user_id": "ann", "session_id": "s", "messages": [
            {"role": "user", "name": "Ann", "content": "live"}, {"role": "tool", "content": "42"}]}),
    ] {
        client.call("add_memory", arguments);
    }
    let listed = |client: &mut crate::common::program::Client, text: &str| {
        let page = client.call("get_memories", json!({"user_id": "jane", "page_size": 200}));
        let all = page["results"].as_array().unwrap().clone();
        let found = all.into_iter().find(|one| one["memory"] == text);
        found.unwrap_or_else(|| panic!("{text}"))
    };
    // Its text changes, not only its fact.
    let tea = listed(&mut client, "Likes tea");
    let source = client.call("get_memory", json!({"memory_id": tea["id"]}))["sources"][0].clone();
    client.call(
        "update_memory",
        json!({"memory_id": source, "text": "Likes coffee"}),
    );
    let forgotten = listed(&mut client, "to be forgotten");
    let source =
        client.call("get_memory", json!({"memory_id": forgotten["id"]}))["sources"][0].clone();
    client.call("delete_memory", json!({"memory_id": source}));
    world
}

fn export(world: &World, name: &str, more: &[&str]) -> (PathBuf, Vec<Value>) {
    let file = world.directory().join(name);
    let arguments = [&["export", "--to-file", file.to_str().unwrap()], more].concat();
    let ended = run(world, &arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    (file.clone(), lines(&file))
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of users and memories, in the order of their ids, and those of a session in its own.
fn content(mut lines: Vec<Value>) -> Vec<Value> {
    lines.retain(|line| line.get("metadata").is_some());
    lines.sort_by_key(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let id = if line.get("run_id").is_some() {
            String::new()
        } else {
            text("id")
        };
        (text("user_id"), text("agent_id"), text("run_id"), id)
    });
    lines
}

#[test]
fn what_is_stored_comes_back_from_a_file_with_nothing_lost() {
    let world = filled();
    let (file, first) = export(&world, "out.jsonl", &["--include-expired"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("to be forgotten") && !text.contains("Likes tea"));
    assert!(text.contains("Likes coffee") && text.contains("of old"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let file = file.to_str().unwrap();
    let other = World::embedded();
    let arguments = ["--file", file, "--include-expired", "--json"];
    let report = run(
        &other,
        &[&["migrate", "--validate"][..], &arguments].concat(),
    )
    .report(0);
    assert_eq!(report["validation"]["valid"], true, "{report:#}");
    let again = run(&other, &[&["migrate"][..], &arguments].concat()).report(0);
    assert_eq!(again["memories_migrated"], 0, "{again:#}");
    run(&other, &[&["validate"][..], &arguments].concat()).report(0);
    let (_, second) = export(&other, "again.jsonl", &["--include-expired"]);
    let (first, second) = (content(first), content(second));
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first, second);
    }
    assert_eq!(first.len(), second.len());

    // A repeated migration from mem0 restores nothing that was changed since.
    let mut client = other.connect();
    let data = json!({"memories": [{"id": "m1", "memory": "Likes tea", "created_at": "2024-03-01T08:30:15.123456Z"}]});
    let report = migrate_all(&mut client, &json!({"id": "jane"}), &data);
    assert_eq!(report["memories_migrated"], 0, "{report:#}");
}

#[test]
fn who_began_without_an_account_moves_to_zep_with_one_command() {
    let world = filled();
    let zep = World::emulated();
    let store = world.directory().join("data");
    let from = [
        "--from",
        "local",
        store.to_str().unwrap(),
        "--include-expired",
        "--json",
    ];
    let report = run(&zep, &[&["migrate", "--validate"][..], &from].concat()).report(0);
    assert_eq!(report["validation"]["valid"], true, "{report:#}");
    assert_eq!(report["source_system"], "local");
    let again = run(&zep, &[&["migrate"][..], &from].concat()).report(0);
    assert_eq!(
        (&again["memories_migrated"], &again["failed"]),
        (&json!(0), &json!(0))
    );
    let (_, here) = export(&world, "here.jsonl", &["--include-expired"]);
    let (_, there) = export(&zep, "there.jsonl", &["--include-expired"]);
    let (here, there) = (content(here), content(there));
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(here, there);
    }
    assert_eq!(here.len(), there.len());
    let mut client = zep.connect();
    let said = client.read_session("ann", "s");
    assert_eq!(
        (&said[0]["content"], &said[0]["name"]),
        (&json!("live"), &json!("Ann"))
    );
    let own = client.call("get_memories", json!({"agent_id": "bot9"}));
    assert!(own.to_string().contains("an agent's own"), "{own:#}");

    // Only one user, and only from a store that is there and is another one.
    let of_ann = [&["migrate", "--user", "ann"][..], &from].concat();
    let report = run(&World::embedded(), &of_ann).report(0);
    assert_eq!(report["memories_migrated"], 2, "{report:#}");
    let absent = run(&zep, &["migrate", "--from", "local", "nowhere"]);
    assert_eq!(absent.code, 2);
    assert!(
        absent.stderr.contains("there is no store at"),
        "{}",
        absent.stderr
    );
    let same = run(&world, &["migrate", "--from", "local"]);
    assert_eq!(same.code, 2);
    let same = run(
        &world,
        &["migrate", "--from", "local", store.to_str().unwrap()],
    );
    assert_eq!(same.code, 2);
    assert!(
        same.stderr
            .contains("is the store that would be written to"),
        "{}",
        same.stderr
    );
}

#[test]
fn an_export_is_whole_or_not_there_and_replaces_nothing_unasked() {
    let world = filled();
    let (file, all) = export(&world, "out.jsonl", &[]);
    assert!(!all.iter().any(|line| line["memory"] == "of old"));
    let path = file.to_str().unwrap();
    let ended = run(&world, &["export", "--to-file", path]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("exists; name another file"),
        "{}",
        ended.stderr
    );
    run(&world, &["export", "--to-file", path, "--force"]);
    assert_eq!(content(lines(&file)), content(all.clone()));
    let piped = run(&world, &["migrate", "--to-file", "-"]);
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    let piped: Vec<Value> = piped
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(content(piped), content(all));

    let (_, of_ann) = export(&world, "ann.jsonl", &["--user", "ann"]);
    assert_eq!(of_ann.len(), 1 + 1 + 2 + 1, "{of_ann:#?}");
    let nobody = world.directory().join("nobody.jsonl");
    let ended = run(
        &world,
        &[
            "export",
            "--to-file",
            nobody.to_str().unwrap(),
            "--user",
            "dana",
        ],
    );
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("user dana : does not exist"),
        "{}",
        ended.stderr
    );
    let empty = World::embedded();
    let ended = run(&empty, &["export", "--to-file", "none.jsonl"]);
    assert_eq!(ended.code, 2);
    assert!(
        !empty.directory().join("none.jsonl").exists() && !empty.directory().join("data").exists()
    );

    // What was cut off does not pass as whole.
    let text = fs::read_to_string(&file).unwrap();
    let (cut, _) = text.trim_end().rsplit_once('\n').unwrap();
    for (broken, words) in [
        (cut.to_owned(), "the last line of the export is missing"),
        (
            text.replacen("\n{", "\n{\"", 2),
            "is not as this program writes it",
        ),
        (
            text.lines()
                .filter(|line| !line.contains("coffee"))
                .collect::<Vec<_>>()
                .join("\n"),
            "lines were added or removed",
        ),
    ] {
        fs::write(&file, broken).unwrap();
        let report = run(&World::embedded(), &["migrate", "--file", path, "--json"]).report(1);
        assert!(
            report["errors"].to_string().contains(words),
            "{words}: {:#}",
            report["errors"]
        );
    }
}

#[test]
fn an_export_for_mem0_is_an_array_of_memories() {
    let world = filled();
    let (file, _) = {
        let file = world.directory().join("mem0.json");
        let ended = run(
            &world,
            &[
                "export",
                "--format",
                "mem0",
                "--to-file",
                file.to_str().unwrap(),
            ],
        );
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        (file, ())
    };
    let all: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(all.len() > 200);
    // What mem0's `import` reads of each.
    for memory in &all {
        assert!(!memory["memory"].as_str().unwrap().is_empty());
        assert!(memory["user_id"].is_string() || memory["agent_id"].is_string());
        assert!(memory["metadata"].is_object());
    }
}

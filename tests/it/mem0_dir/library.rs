//! What the library's own `get_all` shows is what arrives.

use std::collections::BTreeSet;
use std::fs;

use rusqlite::Connection;
use serde_json::{Value, json};
use zep_mcp_server::sources::{Export, Gone, Mem0Dir, Mem0DirSettings, RecordKind, Severity};

use super::pickled::{dict, memory, point, text, with_payload};
use super::{copy, fixture, library, migrate, read, settings, shown, with_points};
use crate::common::program::World;

#[test]
fn a_directory_holds_what_the_library_lists_field_by_field() {
    for (directory, listed, count) in [
        (fixture(), "get_all.jsonl", 182),
        (fixture().join("qdrant"), "../get_all.jsonl", 182),
        (fixture().join("old-1.0.0"), "get_all.json", 40),
    ] {
        let found = read(library(&directory)).unwrap();
        assert_eq!(found.named(), Vec::<String>::new());
        let listed = read(Export::file(&directory.join(listed)).unwrap()).unwrap();
        let mut expected = listed.by_id();
        expected.dedup();
        let found = found.by_id();
        assert_eq!(found.len(), count);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn the_dump_itself_agrees() {
    // Without our own reading of exports in between.
    let dump = fs::read_to_string(fixture().join("get_all.jsonl")).unwrap();
    let found = read(library(&fixture())).unwrap().by_id();
    for line in dump.lines() {
        let listed: Value = serde_json::from_str(line).unwrap();
        let id = listed["id"].as_str();
        let record = found.iter().find(|record| record.id.as_deref() == id);
        let record = record.unwrap_or_else(|| panic!("{id:?}"));
        assert_eq!(listed["memory"], json!(record.content));
        let names = &record.names;
        assert_eq!(
            listed.get("user_id"),
            names.user.as_ref().map(|id| json!(id)).as_ref()
        );
        assert_eq!(
            listed.get("agent_id"),
            names.agent.as_ref().map(|id| json!(id)).as_ref()
        );
        assert_eq!(
            listed.get("run_id"),
            names.session.as_ref().map(|id| json!(id)).as_ref()
        );
        assert_eq!(
            listed.get("actor_id"),
            record.name.as_ref().map(|id| json!(id)).as_ref()
        );
        assert_eq!(listed["hash"], record.metadata["hash"]);
        for (name, value) in listed["metadata"].as_object().into_iter().flatten() {
            match name.as_str() {
                "memory_type" => assert_eq!(value.as_str(), record.memory_type.as_deref()),
                _ => assert_eq!(Some(value), record.metadata.get(name), "{name}"),
            }
        }
    }
}

#[test]
fn a_directory_migrates_validates_and_migrates_once() {
    let world = World::embedded();
    let path = fixture();
    let arguments = ["--from", "mem0-dir", shown(&path), "--validate"];
    let moved = migrate(&world, &arguments);
    assert_eq!(moved.code, 0, "{:#} {}", moved.report, moved.stderr);
    // Three are expired.
    assert_eq!(moved.report["memories_migrated"], 179, "{:#}", moved.report);
    assert_eq!(moved.report["expired"], 3, "{:#}", moved.report);
    assert_eq!(moved.report["validation"]["valid"], true);
    let again = migrate(&world, &arguments);
    assert_eq!(
        (again.code, &again.report["memories_migrated"]),
        (0, &json!(0))
    );
    // What the library dumped is the same.
    let dump = path.join("get_all.jsonl");
    let output = world
        .command()
        .args(["validate", "--json", "--file", shown(&dump)])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn the_last_turns_come_on_request_and_once() {
    let path = fixture();
    let world = World::embedded();
    let arguments = [
        "--from",
        "mem0-dir",
        shown(&path),
        "--validate",
        "--history",
    ];
    let moved = migrate(&world, &arguments);
    assert_eq!(moved.code, 0, "{:#} {}", moved.report, moved.stderr);
    assert_eq!(moved.report["memories_migrated"], 192, "{:#}", moved.report);
    let mut agent = world.connect();
    let session = agent.call(
        "get_session",
        json!({"user_id": "user-4", "session_id": "run-inf"}),
    );
    let turns = session["messages"].as_array().unwrap().iter();
    let said: Vec<_> = turns
        .filter_map(|turn| turn["content"].as_str())
        .filter(|said| said.starts_with("Please"))
        .collect();
    let expected: Vec<_> = (0..3).map(|n| format!("Please infer in run {n}")).collect();
    assert_eq!(said, expected);
    drop(agent);
    let again = migrate(&world, &arguments);
    assert_eq!(
        (again.code, &again.report["memories_migrated"]),
        (0, &json!(0))
    );
}

#[test]
fn what_was_deleted_stays_so() {
    let directory = copy(&fixture());
    let history = Connection::open(directory.path().join("history.db")).unwrap();
    let (deleted, text): (String, String) = history
        .query_row(
            "SELECT memory_id, old_memory FROM history WHERE event = 'DELETE'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let found = read(library(directory.path())).unwrap();
    assert!(
        found
            .records
            .iter()
            .all(|record| record.id.as_deref() != Some(&*deleted))
    );

    // Qdrant's client of another Python version misses the row when it deletes the point; and the turns
    // may say what the memory said.
    let storage = directory
        .path()
        .join("qdrant/collection/mem0/storage.sqlite");
    Connection::open(storage)
        .unwrap()
        .execute(
            "INSERT INTO points VALUES ('old key', ?1)",
            [memory(&deleted, &text)],
        )
        .unwrap();
    history
        .execute(
            "INSERT INTO messages VALUES ('m', 'user_id=a%26b', 'user', ?1, NULL, '2026-01-01'),
                ('n', 'user_id=a%26b', 'user', 'else', NULL, '2026-01-01')",
            [&text],
        )
        .unwrap();
    let with_turns = Mem0DirSettings {
        history: true,
        ..settings(directory.path())
    };
    let found = read(Mem0Dir::open(with_turns).unwrap()).unwrap();
    let gone: Vec<_> = found
        .records
        .iter()
        .filter(|record| record.gone == Some(Gone::Deleted))
        .map(|record| record.id.as_deref())
        .collect();
    assert_eq!(gone, [Some(&*deleted)]);
    let turns = found
        .records
        .iter()
        .filter(|record| record.kind == RecordKind::Turn);
    assert_eq!(turns.count(), 14);
    assert_eq!(found.left_out.len(), 1, "{:?}", found.left_out);
    let other = found.records.iter().find(|record| record.content == "else");
    assert_eq!(other.unwrap().names.user.as_deref(), Some("a&b"));
}

#[test]
fn of_several_copies_of_a_point_the_latest_counts() {
    let id = "6b1f2c1e-0000-4000-8000-00000000000a";
    let (key, upper) = (text(id), text(&id.to_uppercase()));
    let directory = with_points(&[]);
    let storage = directory
        .path()
        .join("qdrant/collection/mem0/storage.sqlite");
    let db = Connection::open(storage).unwrap();
    for (protocol, key, point) in [
        (4, &upper, memory(&id.to_uppercase(), "first")),
        (5, &key, memory(id, "second")),
        (4, &key, memory(id, "third")),
    ] {
        use base64::Engine;
        let pickled = [&[0x80, protocol], &key[..], b"."].concat();
        let key = base64::engine::general_purpose::STANDARD.encode(pickled);
        db.execute("INSERT INTO points VALUES (?1, ?2)", (key, point))
            .unwrap();
    }
    let found = read(library(directory.path())).unwrap();
    assert_eq!(found.texts(), ["third"]);
    assert_eq!(found.records[0].id.as_deref(), Some(id));
}

#[test]
fn a_callers_metadata_is_not_taken_for_marks_or_names() {
    let directory = with_points(&[
        with_payload(
            "1",
            dict(&[
                ("data", text("Likes tea")),
                ("user_id", text("ann")),
                ("status", text("archived")),
                ("active", b"\x89".to_vec()),
                ("session_id", text("of the application")),
                ("big", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec()),
                ("minus", b"J\xff\xff\xff\xff".to_vec()),
            ]),
        ),
        // mem0's own rows.
        point("2", &[("type", "user_identity"), ("user_id", "x")]),
    ]);
    let found = read(library(directory.path())).unwrap();
    assert_eq!(found.named(), Vec::<String>::new());
    assert_eq!(found.left_out.len(), 1);
    let [record] = &found.records[..] else {
        panic!("{found:?}")
    };
    assert_eq!((record.gone, &record.names.session), (None, &None));
    let expected = json!({"status": "archived", "active": false, "session_id": "of the application",
                          "big": i64::MAX, "minus": -1});
    assert_eq!(json!(record.metadata), expected);
}

#[test]
fn collections_of_entities_are_no_memories_and_one_collection_can_be_chosen() {
    let directory = with_points(&[memory("1", "one")]);
    let collections = directory.path().join("qdrant/collection");
    for (name, says) in [("mem0_entities", "an entity"), ("work", "two")] {
        let other = with_points(&[memory(says, says)]);
        let from = other.path().join("qdrant/collection/mem0");
        fs::rename(from, collections.join(name)).unwrap();
    }
    assert_eq!(
        read(library(directory.path())).unwrap().texts(),
        ["one", "two"]
    );
    let only = |name: &str| Mem0DirSettings {
        collection: Some(name.to_owned()),
        ..settings(directory.path())
    };
    let work = Mem0Dir::open(only("work")).unwrap();
    assert_eq!(read(work).unwrap().texts(), ["two"]);
    let none = Mem0Dir::open(only("home")).unwrap_err().to_string();
    assert!(none.contains("no collection of that name"), "{none}");
}

#[test]
fn memories_that_only_the_history_knows_are_named() {
    let directory = copy(&fixture());
    let storage = directory
        .path()
        .join("qdrant/collection/mem0/storage.sqlite");
    Connection::open(storage)
        .unwrap()
        .execute("DELETE FROM points WHERE rowid % 2 = 0", [])
        .unwrap();
    let found = read(library(directory.path())).unwrap();
    let [warning] = &found.problems[..] else {
        panic!("{found:?}")
    };
    assert_eq!(warning.severity, Severity::Warning);
    let said = warning.defect.to_string();
    let missing = 182 - found.records.len();
    assert!(said.contains(&format!("{missing} memories")), "{said}");
}

#[test]
fn the_usual_directory_is_mem0_dir_and_a_wrong_one_says_what_to_do() {
    let world = World::embedded();
    let mut command = world.command();
    let output = command
        .args(["migrate", "--json", "--from", "mem0-dir", "--dry-run"])
        .env("MEM0_DIR", fixture())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["memories_migrated"], 179, "{report:#}");

    let empty = tempfile::tempdir().unwrap();
    let only_history = tempfile::tempdir().unwrap();
    fs::copy(
        fixture().join("history.db"),
        only_history.path().join("history.db"),
    )
    .unwrap();
    let file = fixture().join("history.db");
    let mut said = BTreeSet::new();
    for (path, reason) in [
        (empty.path(), "no collection of Qdrant"),
        (only_history.path(), "names no owners"),
        (&file, "is not a directory"),
    ] {
        let refused = migrate(&world, &["--from", "mem0-dir", shown(path)]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        said.insert(refused.stderr);
    }
    assert_eq!(said.len(), 3);
}

#[test]
fn a_history_beside_its_memories_adds_nothing() {
    // The library's `get_all` and `history` of one person, of whom one memory is expired.
    let directory = tempfile::tempdir().unwrap();
    let memory = |id: &str, expires: Option<&str>| {
        json!({"id": id, "memory": format!("says {id}"), "user_id": "ann", "expiration_date": expires,
            "created_at": "2026-01-01T00:00:00Z"})
    };
    let entry = |id: &str, event: &str, at: &str| {
        json!({"id": format!("{event} {id}"), "memory_id": id, "event": event, "old_memory": null,
            "new_memory": (event != "DELETE").then(|| format!("says {id}")), "created_at": at,
            "updated_at": at, "is_deleted": event == "DELETE", "actor_id": null, "role": "user"})
    };
    let listed = json!({"results": [memory("live", None), memory("expired", Some("2024-01-01"))]});
    fs::write(directory.path().join("get_all.json"), listed.to_string()).unwrap();
    let logged = json!([
        entry("live", "ADD", "2026-01-01T00:00:00Z"),
        entry("expired", "ADD", "2026-01-01T00:00:00Z"),
        entry("deleted", "ADD", "2026-01-01T00:00:00Z"),
        entry("deleted", "DELETE", "2026-01-02T00:00:00Z"),
    ]);
    fs::write(directory.path().join("history.json"), logged.to_string()).unwrap();
    let world = World::embedded();
    let moved = migrate(&world, &["--file", shown(directory.path()), "--validate"]);
    assert_eq!(moved.code, 0, "{:#} {}", moved.report, moved.stderr);
    let report = &moved.report;
    assert_eq!(
        [
            &report["memories_migrated"],
            &report["expired"],
            &report["deleted"]
        ],
        [&json!(1), &json!(1), &json!(1)],
        "{report:#}"
    );
}

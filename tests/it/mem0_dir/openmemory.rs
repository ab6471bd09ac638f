//! OpenMemory's database is read like its backup.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};
use zep_mcp_server::sources::OpenMemory;

use super::{bytes, migrate, read, shown};
use crate::common::program::World;
use crate::export::packed::{member, zip};

/// The tables as SQLAlchemy makes them for OpenMemory.
const SCHEMA: &str = "
    CREATE TABLE users (id CHAR(32) NOT NULL, user_id VARCHAR NOT NULL, name VARCHAR, email VARCHAR,
        metadata JSON, created_at DATETIME, updated_at DATETIME, PRIMARY KEY (id));
    CREATE TABLE apps (id CHAR(32) NOT NULL, owner_id CHAR(32) NOT NULL, name VARCHAR NOT NULL,
        description VARCHAR, metadata JSON, is_active BOOLEAN, created_at DATETIME, updated_at DATETIME,
        PRIMARY KEY (id), FOREIGN KEY(owner_id) REFERENCES users (id));
    CREATE TABLE categories (id CHAR(32) NOT NULL, name VARCHAR NOT NULL, description VARCHAR,
        created_at DATETIME, updated_at DATETIME, PRIMARY KEY (id));
    CREATE TABLE memories (id CHAR(32) NOT NULL, user_id CHAR(32) NOT NULL, app_id CHAR(32) NOT NULL,
        content VARCHAR NOT NULL, vector VARCHAR, metadata JSON, state VARCHAR(8), created_at DATETIME,
        updated_at DATETIME, archived_at DATETIME, deleted_at DATETIME, PRIMARY KEY (id));
    CREATE TABLE memory_categories (memory_id CHAR(32) NOT NULL, category_id CHAR(32) NOT NULL,
        PRIMARY KEY (memory_id, category_id));
    CREATE TABLE memory_status_history (id CHAR(32) NOT NULL, memory_id CHAR(32) NOT NULL,
        changed_by CHAR(32) NOT NULL, old_state VARCHAR(8) NOT NULL, new_state VARCHAR(8) NOT NULL,
        changed_at DATETIME, PRIMARY KEY (id));";

const ANA: &str = "11111111-0000-4000-8000-000000000001";
const CURSOR: &str = "22222222-0000-4000-8000-000000000001";
const WORK: &str = "33333333-0000-4000-8000-000000000001";
const TRAVEL: &str = "33333333-0000-4000-8000-000000000002";

fn id(number: u64) -> String {
    format!("44444444-0000-4000-8000-{number:012}")
}

/// What a backup says of the memories of ana.
fn backup() -> Value {
    let memory = |number, content: &str, state: &str, metadata: Value, categories: &[&str]| {
        json!({"id": id(number), "user_id": ANA, "app_id": CURSOR, "content": content,
            "metadata": metadata, "state": state, "created_at": "2025-05-02T00:00:00.123456+00:00",
            "updated_at": "2025-05-03T00:00:00+00:00",
            "archived_at": (state == "archived").then_some("2025-05-04T00:00:00+00:00"),
            "deleted_at": (state == "deleted").then_some("2025-05-04T00:00:00+00:00"),
            "category_ids": categories})
    };
    json!({
        "user": {"id": ANA, "user_id": "ana", "name": null, "email": null, "metadata": {"lang": "es"},
            "created_at": "2025-05-01T00:00:00+00:00"},
        "apps": [{"id": CURSOR, "owner_id": ANA, "name": "cursor", "metadata": {}, "is_active": true}],
        "categories": [{"id": WORK, "name": "work"}, {"id": TRAVEL, "name": "travel"}],
        "memories": [
            memory(1, "Uses Rust", "active", json!({"source": "openmemory", "in": {"a": [1]}}), &[WORK, TRAVEL]),
            memory(2, "Gone", "deleted", json!({}), &[]),
            memory(3, "Old", "archived", json!({}), &[WORK]),
            memory(4, "Waits", "paused", json!({}), &[]),
            memory(5, "Drinks tea ☕", "active", json!({}), &[]),
        ],
        "memory_categories": [], "status_history": [], "access_controls": [],
        "export_meta": {"version": "1"},
    })
}

/// The same as a database.
fn database(directory: &Path) -> PathBuf {
    let path = directory.join("openmemory.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(SCHEMA).unwrap();
    let hex = |id: &Value| id.as_str().unwrap().replace('-', "");
    // Naive times in UTC.
    let time = |time: &Value| {
        let time = time.as_str()?.trim_end_matches("+00:00").replace('T', " ");
        Some(if time.contains('.') {
            time
        } else {
            time + ".000000"
        })
    };
    let all = backup();
    let user = &all["user"];
    db.execute(
        "INSERT INTO users VALUES (?1, 'ana', NULL, NULL, ?2, ?3, ?3)",
        (
            hex(&user["id"]),
            user["metadata"].to_string(),
            time(&user["created_at"]),
        ),
    )
    .unwrap();
    db.execute(
        "INSERT INTO apps VALUES (?1, ?2, 'cursor', NULL, '{}', 1, NULL, NULL)",
        (CURSOR.replace('-', ""), ANA.replace('-', "")),
    )
    .unwrap();
    for category in all["categories"].as_array().unwrap() {
        db.execute(
            "INSERT INTO categories VALUES (?1, ?2, NULL, NULL, NULL)",
            (hex(&category["id"]), category["name"].as_str()),
        )
        .unwrap();
    }
    for memory in all["memories"].as_array().unwrap() {
        db.execute(
            "INSERT INTO memories VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, ?9, ?10)",
            (
                hex(&memory["id"]),
                hex(&memory["user_id"]),
                hex(&memory["app_id"]),
                memory["content"].as_str(),
                memory["metadata"].to_string(),
                memory["state"].as_str(),
                time(&memory["created_at"]),
                time(&memory["updated_at"]),
                time(&memory["archived_at"]),
                time(&memory["deleted_at"]),
            ),
        )
        .unwrap();
        for category in memory["category_ids"].as_array().unwrap() {
            db.execute(
                "INSERT INTO memory_categories VALUES (?1, ?2)",
                (hex(&memory["id"]), hex(category)),
            )
            .unwrap();
        }
    }
    path
}

/// Everything in the store, as it is exported.
fn stored(world: &World) -> Vec<Value> {
    let output = world
        .command()
        .args(["export", "--to-file", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap());
    let mut lines: Vec<Value> = lines.collect();
    lines.sort_by_key(|line| line["id"].to_string());
    lines
}

#[test]
fn the_database_and_the_backup_give_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let zipped = directory.path().join("memories_export_ana.zip");
    fs::write(
        &zipped,
        zip(&[member("memories.json", backup().to_string())]),
    )
    .unwrap();
    let before = bytes(directory.path());
    let (of_database, of_backup) = (World::embedded(), World::embedded());
    for (world, path) in [(&of_database, &path), (&of_backup, &zipped)] {
        let arguments = [
            "--from",
            "openmemory",
            shown(path),
            "--validate",
            "--include-expired",
        ];
        let moved = migrate(world, &arguments);
        assert_eq!(moved.code, 0, "{:#} {}", moved.report, moved.stderr);
        assert_eq!(moved.report["memories_migrated"], 4, "{:#}", moved.report);
        assert_eq!(moved.report["deleted"], 1, "{:#}", moved.report);
        assert_eq!(moved.report["validation"]["valid"], true);
    }
    assert_eq!(bytes(directory.path()), before, "nothing is changed");
    let found = stored(&of_database);
    assert_eq!(found, stored(&of_backup));
    let memory = found
        .iter()
        .find(|line| line["memory"] == "Uses Rust")
        .unwrap();
    assert_eq!(memory["id"], id(1));
    assert_eq!(
        (&memory["user_id"], &memory["app_id"]),
        (&json!("ana"), &json!("cursor"))
    );
    assert_eq!(memory["created_at"], "2025-05-02T00:00:00.123456Z");
    assert_eq!(memory["metadata"]["categories"], json!(["work", "travel"]));
    assert_eq!(memory["metadata"]["in"], json!({"a": [1]}));
    // Moved from the one, all of the other is there.
    let again = migrate(
        &of_database,
        &["--file", shown(&zipped), "--include-expired"],
    );
    assert_eq!(
        (again.code, &again.report["memories_migrated"]),
        (0, &json!(0)),
        "{:#}",
        again.report
    );
}

#[test]
fn archived_and_paused_memories_are_left_out_like_expired_ones() {
    let directory = tempfile::tempdir().unwrap();
    database(directory.path());
    let world = World::embedded();
    // The directory will do.
    let moved = migrate(
        &world,
        &[
            "--from",
            "openmemory",
            shown(directory.path()),
            "--validate",
        ],
    );
    assert_eq!(moved.code, 0, "{:#} {}", moved.report, moved.stderr);
    let report = &moved.report;
    assert_eq!(
        [
            &report["memories_migrated"],
            &report["deleted"],
            &report["expired"]
        ],
        [&json!(2), &json!(1), &json!(2)],
        "{report:#}"
    );
}

#[test]
fn what_is_broken_is_a_line_and_an_internal_id_is_no_person() {
    let directory = tempfile::tempdir().unwrap();
    let path = database(directory.path());
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "INSERT INTO memories SELECT 'a', 'ffffffff000040008000000000000009', app_id, 'of nobody', NULL, NULL,
            'active', NULL, NULL, NULL, NULL FROM memories LIMIT 1;
         INSERT INTO memories SELECT 'b', user_id, app_id, x'ff00', NULL, NULL, 'active', NULL, NULL, NULL,
            NULL FROM memories LIMIT 1;
         INSERT INTO memories SELECT 'c', user_id, app_id, 'odd metadata and time', NULL, '{broken', 'active',
            '2024-02-30 00:00:00', NULL, NULL, NULL FROM memories LIMIT 1;
         INSERT INTO memories SELECT 'd', user_id, app_id, '', NULL, NULL, 'active', NULL, NULL, NULL, NULL
            FROM memories LIMIT 1;
         INSERT INTO memories SELECT 'e', user_id, app_id, CAST(zeroblob(17000000) AS TEXT), NULL, NULL,
            'active', NULL, NULL, NULL, NULL FROM memories LIMIT 1;
         INSERT INTO users SELECT 'u', printf('%.*c', 10000, 'x'), NULL, NULL, NULL, NULL, NULL;
         INSERT INTO memories SELECT 'f', 'u', app_id, 'of an endless name', NULL, NULL, 'active', NULL, NULL,
            NULL, NULL FROM memories LIMIT 1;",
    )
    .unwrap();
    let world = World::embedded();
    let moved = migrate(
        &world,
        &["--from", "openmemory", shown(&path), "--rehearse"],
    );
    assert_eq!(moved.code, 1);
    assert_eq!(moved.report["memories_migrated"], 3, "{:#}", moved.report);
    assert_eq!(moved.report["users_migrated"], 1, "{:#}", moved.report);
    let errors = moved.report["errors"].as_array().unwrap();
    let mut rows: Vec<_> = errors
        .iter()
        .map(|error| error["position"].as_str().unwrap())
        .collect();
    rows.sort_unstable();
    let expected = [
        "memories, row 10",
        "memories, row 11",
        "memories, row 6",
        "memories, row 7",
        "memories, row 9",
    ];
    let memories: Vec<_> = rows
        .iter()
        .filter(|row| row.starts_with("memories"))
        .copied()
        .collect();
    assert_eq!(memories, expected, "{:#}", moved.report);
}

#[test]
fn another_database_and_no_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE users (id TEXT, user_id TEXT)")
        .unwrap();
    let error = read(OpenMemory::open(&other).unwrap().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("`users` has no `name`"),
        "{error}"
    );
    let world = World::embedded();
    let missing = directory.path().join("none.db");
    let refused = migrate(&world, &["--from", "openmemory", shown(&missing)]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("none.db cannot be read"),
        "{}",
        refused.stderr
    );
}

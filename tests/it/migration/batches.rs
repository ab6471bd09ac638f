//! Migrations by Zep's Batch API: fewer requests, the same outcome, whatever becomes of an answer.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::{cli_report, turns};
use crate::common::program::World;
use crate::common::service::Service;
use crate::common::wait_until;

const CREATE: &str = "POST /api/v2/batches";
const ADD: &str = "POST /api/v2/batches/{batch_id}/items";
const PROCESS: &str = "POST /api/v2/batches/{batch_id}/process";
const MESSAGES: &str = "POST /api/v2/threads/{thread_id}/messages";

/// An emulator with its file, and a source.
struct Migration {
    world: World,
    file: PathBuf,
    export: PathBuf,
    _directory: tempfile::TempDir,
}

impl Migration {
    fn of(source: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("zep.db");
        let world = World::emulated_with(&["--data", file.to_str().unwrap()]);
        let export = world.directory().join("export.json");
        std::fs::write(&export, source.to_string()).unwrap();
        Self {
            world,
            file,
            export,
            _directory: directory,
        }
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.world.command();
        command
            .env("ZEP_TIMEOUT_SECS", "2")
            .env("ZEP_MCP_DATA_DIR", self.world.directory().join("data"))
            .args(["migrate", "--json", "--file"])
            .arg(&self.export)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, flags: &[&str]) -> Value {
        cli_report(&self.command(flags).output().unwrap())
    }

    fn succeeds(&self, flags: &[&str]) -> Value {
        let report = self.run(flags);
        assert_eq!(report["success"], true, "{report:#}");
        report
    }

    /// The contents of a session in the emulator's file, in order.
    fn said(&self, session: &str) -> Vec<String> {
        let db = Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let said = "SELECT episode.content FROM episode JOIN thread ON thread.id = episode.thread
                    WHERE thread.name = ?1 ORDER BY episode.id";
        db.prepare(said)
            .unwrap()
            .query_map([session], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    /// How often each text outside of sessions is stored.
    fn texts(&self) -> Vec<(String, u64)> {
        let db = Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let texts = "SELECT content, count(*) FROM episode WHERE thread IS NULL GROUP BY content";
        db.prepare(texts)
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    fn batches(&self) -> u64 {
        let db = Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        db.query_row("SELECT count(*) FROM batch", [], |row| row.get(0))
            .unwrap()
    }

    /// Everything of `memories(count)` is stored once.
    fn is_all_there(&self, count: usize) {
        let texts = self.texts();
        assert_eq!(texts.len(), count);
        assert!(texts.iter().all(|(_, times)| *times == 1), "{texts:?}");
    }
}

fn memories(count: usize) -> Value {
    let memories: Vec<_> = (0..count)
        .map(|n| json!({"id": format!("m{n}"), "memory": format!("memory {n}")}))
        .collect();
    json!({"users": [{"id": "ana", "memories": memories}]})
}

#[test]
fn above_a_few_hundred_records_batches_take_fewer_requests() {
    let migration = Migration::of(&memories(400));
    let report = migration.succeeds(&["--validate"]);
    assert_eq!(report["memories_migrated"], 400, "{report:#}");
    let requests = migration.world.requests();
    assert_eq!(requests.get(CREATE), Some(&1), "{requests:?}");
    assert_eq!(requests.get(ADD), Some(&2), "{requests:?}");
    assert_eq!(requests.get(PROCESS), Some(&1), "{requests:?}");
    assert_eq!(requests.get("POST /api/v2/graph"), None, "{requests:?}");
    migration.is_all_there(400);

    let few = Migration::of(&memories(20));
    few.succeeds(&[]);
    assert_eq!(few.world.requests_to(CREATE), 0);
    let forced = Migration::of(&memories(20));
    forced.succeeds(&["--method", "batch"]);
    assert_eq!(forced.world.requests_to(ADD), 1);
    let direct = Migration::of(&memories(310));
    direct.succeeds(&["--method", "direct"]);
    assert_eq!(direct.world.requests_to(CREATE), 0);
}

#[test]
fn without_a_batch_api_it_is_written_directly_unless_batches_were_demanded() {
    let migration = Migration::of(&memories(320));
    let service = Service::of(&migration.world);
    let absent = json!({
        "method": "POST", "path": "/api/v2/batches", "times": 1_000,
        "fault": {"kind": "fail", "status": 404},
    });
    service.next(&absent);
    let report = migration.run(&["--method", "batch"]);
    assert_eq!(report["success"], false, "{report:#}");
    assert!(
        report["errors"].to_string().contains("no Batch API"),
        "{report:#}"
    );
    assert_eq!(migration.texts(), []);
    let report = migration.succeeds(&[]);
    assert!(
        report["notes"].to_string().contains("no Batch API"),
        "{report:#}"
    );
    migration.is_all_there(320);
}

/// What a lost answer leaves open is looked at before anything is sent again.
#[test]
fn lost_answers_of_batches_lose_nothing_and_double_nothing() {
    for fault in ["drop_answer", "fail_after", "late_write", "garbage_answer"] {
        let migration = Migration::of(&memories(360));
        let service = Service::of(&migration.world);
        for route in [CREATE, ADD, PROCESS] {
            let fault = match fault {
                "fail_after" => json!({"kind": fault, "status": 502}),
                "late_write" => json!({"kind": fault, "ms": 400}),
                _ => json!({"kind": fault}),
            };
            let route = route.trim_start_matches("POST ");
            service.next(&json!({"method": "POST", "route": route, "fault": fault}));
        }
        let report = migration.succeeds(&["--method", "batch"]);
        assert_eq!(report["memories_migrated"], 360, "{fault}: {report:#}");
        service.calm();
        migration.is_all_there(360);
        // Where a creation is late there may be an empty draft too many, until the end.
        assert!(migration.batches() <= 2, "{fault}");
    }
}

#[test]
fn items_that_fail_are_sent_singly_and_the_others_are_not_sent_again() {
    let migration = Migration::of(&memories(360));
    migration.world.behave(&json!({"failing_items": 50}));
    let report = migration.succeeds(&["--method", "batch", "--validate"]);
    assert_eq!(report["memories_migrated"], 360, "{report:#}");
    assert_eq!(migration.world.requests_to("POST /api/v2/graph"), 7);
    migration.is_all_there(360);
}

/// A draft is not part of what is stored: the next run deletes it. What Zep processes is awaited.
#[test]
fn what_a_killed_run_left_in_batches_is_settled_by_the_next() {
    for (route, fault) in [
        (PROCESS, json!({"kind": "latency", "ms": 60_000})),
        (PROCESS, json!({"kind": "drop_answer"})),
        (ADD, json!({"kind": "drop_answer"})),
        (CREATE, json!({"kind": "drop_answer"})),
    ] {
        let migration = Migration::of(&memories(360));
        migration
            .world
            .behave(&json!({"processing_delay_ms": 1_500}));
        let service = Service::of(&migration.world);
        let path = route.trim_start_matches("POST ");
        service.next(&json!({"method": "POST", "route": path, "fault": fault}));
        let mut killed = migration.command(&["--method", "batch"]).spawn().unwrap();
        wait_until("the request is sent", || {
            migration.world.requests_to(route) > 0
        });
        killed.kill().unwrap();
        killed.wait().unwrap();
        service.calm();
        let report = migration.succeeds(&["--method", "batch"]);
        assert_eq!(report["not_reached"], 0, "{report:#}");
        migration.is_all_there(360);
        assert_eq!(migration.texts().len(), 360);
    }
}

/// A session that is longer than a batch goes on in the next one only when the former is settled.
#[test]
fn a_session_over_two_batches_keeps_its_order() {
    const TURNS: usize = 10_050;
    let said = |n: usize| format!("turn {n}");
    let messages: Vec<_> = (0..TURNS)
        .map(|n| json!({"role": "user", "content": said(n), "timestamp": 1_700_000_000 + n}))
        .collect();
    let mut others: Vec<_> = (0..30)
        .map(|n| json!({"id": format!("other-{n}"), "messages": turns(40)}))
        .collect();
    others.insert(7, json!({"id": "long", "messages": messages}));
    let migration = Migration::of(&json!({"users": [{"id": "ana", "sessions": others}]}));
    migration.world.behave(&json!({"processing_delay_ms": 500}));
    let mut command = migration.command(&["--method", "batch"]);
    let report = cli_report(&command.env("ZEP_TIMEOUT_SECS", "60").output().unwrap());
    assert_eq!(report["success"], true, "{report:#}");
    assert_eq!(report["memories_migrated"], TURNS + 30 * 40, "{report:#}");
    let expected: Vec<_> = (0..TURNS).map(said).collect();
    assert!(
        migration.said("long") == expected,
        "the order is another one"
    );
    for n in 0..30 {
        assert_eq!(migration.said(&format!("other-{n}")).len(), 40);
    }
    assert_eq!(migration.world.requests_to(MESSAGES), 0);
}

//! A migration that is killed again and again, wherever it is, and continued each time: nothing is
//! missing, nothing is there twice, and all is in order. Checked in the emulator's own file.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::cli_report;
use crate::common::program::World;
use crate::common::service::Service;

/// Kills of a short run. More with `KILLS`.
const KILLS: u32 = 6;
/// The longest that a process lives before it is killed: as long as a migration takes.
const LIVES_MS: u64 = 900;
/// Kills of one source.
const KILLS_A_ROUND: u32 = 4;

const USERS: [&str; 3] = ["ana", "ben", "cid"];
const SESSIONS: [(&str, usize); 3] = [("long", 70), ("middle", 31), ("short", 3)];
const MEMORIES: usize = 12;

fn user(round: u32, name: &str) -> String {
    format!("{name}-{round}")
}

fn said(session: &str, n: usize) -> String {
    // Two following turns say the same.
    format!("{session} {}", n / 2)
}

/// The source of a round.
fn source(round: u32) -> Value {
    let users = USERS.map(|name| {
        let sessions = SESSIONS.map(|(session, turns)| {
            let turns: Vec<_> = (0..turns)
                .map(|n| {
                    json!({
                        "role": if n % 2 == 0 { "user" } else { "assistant" },
                        "content": said(session, n),
                        "timestamp": format!("2024-05-01T{:02}:{:02}:00Z", n / 60, n % 60),
                    })
                })
                .collect();
            json!({"id": format!("{session}-{}", user(round, name)), "messages": turns})
        });
        let memories: Vec<_> = (0..MEMORIES)
            .map(|n| match n {
                0 => json!({"id": "m0", "memory": "long ".repeat(4_000)}),
                n => json!({"id": format!("m{n}"), "memory": format!("memory {n}")}),
            })
            .collect();
        json!({"id": user(round, name), "sessions": sessions, "memories": memories})
    });
    json!({ "users": users })
}

/// Few requests write a batch: more of them fail.
fn faults_of_batches(seed: u64) -> Value {
    json!({
        "seed": seed,
        "rate_limit": 400, "rate_window_secs": 1,
        "latency_ms": 6,
        "fail": [{"rate": 0.04, "status": 503}, {"rate": 0.04, "status": 500}],
        "fail_after": [{"rate": 0.05, "status": 502}],
        "drop_requests": 0.03,
        "drop_answers": 0.06,
        "late_writes": {"rate": 0.03, "ms": 300},
        "half_answers": 0.04,
    })
}

fn faults(seed: u64) -> Value {
    json!({
        "seed": seed,
        "rate_limit": 400, "rate_window_secs": 1,
        "latency_ms": 6,
        "fail": [{"rate": 0.02, "status": 503}, {"rate": 0.02, "status": 500}],
        "fail_after": [{"rate": 0.02, "status": 502}],
        "drop_requests": 0.02,
        "drop_answers": 0.03,
        "late_writes": {"rate": 0.02, "ms": 300},
        "half_answers": 0.02,
    })
}

/// What is stored of a user in the emulator's file: by session, the contents in order; and the parts of
/// each record outside of sessions.
type Stored = (BTreeMap<String, Vec<String>>, BTreeMap<String, Vec<String>>);

fn stored(file: &Path, user: &str) -> Stored {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut rows = db
        .prepare(
            "SELECT thread.name, episode.content, episode.metadata ->> '$.zm_id',
                    coalesce(episode.metadata ->> '$.zm_part', '1/1')
             FROM episode JOIN owner ON owner.id = episode.owner
             LEFT JOIN thread ON thread.id = episode.thread
             WHERE owner.name = ?1 ORDER BY episode.id",
        )
        .unwrap();
    let (mut turns, mut texts) = Stored::default();
    let mut rows = rows.query([user]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let thread: Option<String> = row.get(0).unwrap();
        match thread {
            Some(thread) => turns.entry(thread).or_default().push(row.get(1).unwrap()),
            None => texts
                .entry(row.get(2).unwrap())
                .or_default()
                .push(row.get(3).unwrap()),
        }
    }
    (turns, texts)
}

/// Everything of a round is in the emulator's file once, and in order.
fn check(file: &Path, round: u32) {
    for name in USERS {
        let user = user(round, name);
        let (turns, texts) = stored(file, &user);
        assert_eq!(turns.len(), SESSIONS.len(), "{user}");
        for (session, count) in SESSIONS {
            let expected: Vec<_> = (0..count).map(|n| said(session, n)).collect();
            assert_eq!(turns[&format!("{session}-{user}")], expected, "{user}");
        }
        assert_eq!(texts.len(), MEMORIES, "{user}");
        for (record, parts) in texts {
            let total: usize = parts[0].split('/').nth(1).unwrap().parse().unwrap();
            let expected: Vec<_> = (1..=total).map(|n| format!("{n}/{total}")).collect();
            assert_eq!(parts, expected, "{user} {record}");
        }
    }
}

/// More with `KILLS`, others with `KILLS_SEED`.
#[test]
fn killed_at_any_instant_the_same_command_goes_on_where_it_was() {
    kill("direct", faults, LIVES_MS);
}

#[test]
fn killed_at_any_instant_batches_are_settled_and_nothing_is_sent_twice() {
    kill("batch", faults_of_batches, 2 * LIVES_MS);
}

fn kill(method: &str, faults: fn(u64) -> Value, lives_ms: u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let kills = number("KILLS").unwrap_or(u64::from(KILLS)) as u32;
    let seed = number("KILLS_SEED").unwrap_or(20_261_128);
    let mut random = Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("zep.db");
    let world = World::emulated_with(&["--data", file.to_str().unwrap()]);
    world.behave(&json!({"processing_delay_ms": 300}));
    let service = Service::of(&world);
    let command = |export: &Path| {
        let mut command: Command = world.command();
        command
            .env("ZEP_TIMEOUT_SECS", "2")
            .env("ZEP_MCP_DATA_DIR", world.directory().join("data"))
            .args(["migrate", "--json", "--method", method, "--file"])
            .arg(export)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    };
    let mut killed = 0;
    let mut round = 0;
    while killed < kills {
        round += 1;
        let export = world.directory().join(format!("export-{round}.json"));
        std::fs::write(&export, source(round).to_string()).unwrap();
        service.plan(&faults(seed + u64::from(round)));
        let mut of_round = 0;
        while of_round < KILLS_A_ROUND && killed < kills {
            let mut process = command(&export).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(random.u64(20..lives_ms)));
            // One that has ended already is not killed.
            if process.try_wait().unwrap().is_none() {
                process.kill().unwrap();
                killed += 1;
                of_round += 1;
            } else {
                of_round = KILLS_A_ROUND;
            }
            process.wait().unwrap();
        }
        // Faults can also make a run give up; the next one goes on.
        let report = (0..5)
            .map(|_| cli_report(&command(&export).output().unwrap()))
            .find(|report| report["success"] == true);
        let report = report.expect("it comes to an end");
        service.calm();
        check(&file, round);
        // Nothing is left to do, and nothing is asked but whose project it is.
        let before = world.requests().values().sum::<u64>();
        let again = cli_report(&command(&export).output().unwrap());
        assert_eq!(again["success"], true, "{again:#}");
        assert_eq!(again["run"], report["run"], "{again:#}");
        assert_eq!(again["memories_migrated"], 0, "{again:#}");
        assert_eq!(world.requests().values().sum::<u64>(), before + 1);
        check(&file, round);
        assert_eq!(drafts(&file), 0, "of round {round}");
    }
    eprintln!("{method}: {killed} kills in {round} rounds, nothing missing, nothing twice");
}

/// The batches in the emulator's file that were never started.
fn drafts(file: &Path) -> u64 {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let drafts = "SELECT count(*) FROM batch JOIN batch_item ON batch_item.batch = batch.id
                  WHERE batch.processed_at IS NULL";
    db.query_row(drafts, [], |row| row.get(0)).unwrap()
}

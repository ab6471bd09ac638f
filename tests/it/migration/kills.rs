//! A migration, a repair and a rollback that are killed again and again, wherever they are, and
//! continued each time: nothing is missing, nothing is there twice, and all is in order; undone, nothing
//! of it is left and all else is. Checked in the emulator's own file.

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
/// The longest that a process lives before it is killed: as long as a migration, and as a rollback, takes.
const LIVES_MS: u64 = 900;
const BATCHES_LIVE_MS: u64 = 1_800;
const ROLLBACK_LIVES_MS: u64 = 400;
/// Kills of each command with one source.
const KILLS_EACH: u32 = 2;

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

/// What is stored of a user in the emulator's file: by session, the contents in order; the parts of each
/// record outside of sessions; and what others wrote.
#[derive(Default)]
struct Stored {
    turns: BTreeMap<String, Vec<String>>,
    texts: BTreeMap<String, Vec<String>>,
    of_others: Vec<String>,
}

fn open(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn stored(file: &Path, user: &str) -> Stored {
    let db = open(file);
    let mut rows = db
        .prepare(
            "SELECT thread.name, episode.content, episode.metadata ->> '$.zm_id',
                    coalesce(episode.metadata ->> '$.zm_part', '1/1')
             FROM episode JOIN owner ON owner.id = episode.owner
             LEFT JOIN thread ON thread.id = episode.thread
             WHERE owner.name = ?1 ORDER BY episode.id",
        )
        .unwrap();
    let mut stored = Stored::default();
    let mut rows = rows.query([user]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let thread: Option<String> = row.get(0).unwrap();
        let record: Option<String> = row.get(2).unwrap();
        match (thread, record) {
            (_, None) => stored.of_others.push(row.get(1).unwrap()),
            (Some(thread), _) => {
                let turns = stored.turns.entry(thread).or_default();
                turns.push(row.get(1).unwrap());
            }
            (None, Some(record)) => {
                let parts = stored.texts.entry(record).or_default();
                parts.push(row.get(3).unwrap());
            }
        }
    }
    stored
}

/// Everything of a round is in the emulator's file once, and in order.
fn check(file: &Path, round: u32) {
    for name in USERS {
        let user = user(round, name);
        let Stored { turns, texts, .. } = stored(file, &user);
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

/// What another program has of two of the users: `cid` has a session before the migration, `ana` gets
/// a text after it.
fn others_write_before(service: &Service, round: u32) {
    let (cid, thread) = (user(round, "cid"), format!("others-{round}"));
    let say = json!({"messages": [{"role": "user", "content": "of others"}]});
    let calls = [
        (vec!["users"], json!({"user_id": cid})),
        (
            vec!["threads"],
            json!({"thread_id": thread, "user_id": cid}),
        ),
        (vec!["threads", &thread, "messages"], say),
    ];
    for (path, body) in calls {
        let (status, answer) = service.call("POST", &path, Some(&body));
        assert!(status < 300, "{status} {answer}");
    }
}

fn others_write_after(service: &Service, round: u32) {
    let text = json!({"user_id": user(round, "ana"), "type": "text", "data": "of others"});
    let (status, answer) = service.call("POST", &["graph"], Some(&text));
    assert!(status < 300, "{status} {answer}");
}

/// Nothing of a round is in the emulator's file but what others wrote.
fn check_undone(file: &Path, round: u32) {
    for (name, of_others) in [("ana", 1), ("ben", 0), ("cid", 1)] {
        let user = user(round, name);
        let stored = stored(file, &user);
        assert_eq!(stored.turns, BTreeMap::new(), "{user}");
        assert_eq!(stored.texts, BTreeMap::new(), "{user}");
        assert_eq!(stored.of_others.len(), of_others, "{user}");
        let there: u64 = open(file)
            .query_row(
                "SELECT count(*) FROM owner WHERE name = ?1",
                [&user],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(there, of_others as u64, "{user}");
    }
    let threads = "SELECT count(*) FROM thread JOIN owner ON owner.id = thread.owner
                   WHERE owner.name LIKE '%-' || ?1";
    let there: u64 = open(file)
        .query_row(threads, [round], |row| row.get(0))
        .unwrap();
    assert_eq!(there, 1, "that of others");
}

/// Starts a command again and again and kills it after a random time, until it was killed so often or
/// ended by itself. Answers how often it was killed.
fn kill(random: &mut Rng, times: u32, lives: u64, command: impl Fn() -> Command) -> u32 {
    for killed in 0..times {
        let mut process = command().spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(20..lives)));
        // One that has ended already is not killed.
        let has_ended = process.try_wait().unwrap().is_some();
        if !has_ended {
            process.kill().unwrap();
        }
        process.wait().unwrap();
        if has_ended {
            return killed;
        }
    }
    times
}

/// Lets a command come to its end: faults can also make it give up, and the next one goes on.
fn complete(command: impl Fn() -> Command, done: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..5 {
        last = cli_report(&command().output().unwrap());
        if done(&last) {
            return last;
        }
    }
    panic!("it does not come to an end: {last:#}");
}

/// More with `KILLS`, others with `KILLS_SEED`.
#[test]
fn killed_at_any_instant_the_same_command_goes_on_where_it_was() {
    killed("direct", faults, LIVES_MS);
}

#[test]
fn killed_at_any_instant_batches_are_settled_and_nothing_is_sent_twice() {
    killed("batch", faults_of_batches, BATCHES_LIVE_MS);
}

fn killed(method: &str, faults: fn(u64) -> Value, lives_ms: u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let kills = number("KILLS").unwrap_or(u64::from(KILLS)) as u32;
    let seed = number("KILLS_SEED").unwrap_or(20_261_128);
    let mut random = Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("zep.db");
    let world = World::emulated_with(&["--data", file.to_str().unwrap()]);
    // A batch takes as long, and is killed meanwhile, too.
    world.behave(&json!({"processing_delay_ms": 300}));
    let service = Service::of(&world);
    let command = |arguments: &[&str]| {
        let mut command: Command = world.command();
        command
            .env("ZEP_TIMEOUT_SECS", "2")
            .env("ZEP_MCP_DATA_DIR", world.directory().join("data"))
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    };
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        let faults = faults(seed + u64::from(round));
        let export = world.directory().join(format!("export-{round}.json"));
        std::fs::write(&export, source(round).to_string()).unwrap();
        let export = export.to_str().unwrap();
        others_write_before(&service, round);
        let migrate = || command(&["migrate", "--method", method, "--file", export]);
        // A repair of what is missing continues a migration, too.
        let repair = || command(&["validate", "--repair", "--file", export]);
        service.plan(&faults);
        for way in [&migrate as &dyn Fn() -> Command, &repair] {
            killed += kill(&mut random, KILLS_EACH, lives_ms, way);
        }
        match round % 2 {
            1 => complete(migrate, |report| report["success"] == true),
            _ => complete(repair, |report| report["validation"]["valid"] == true),
        };
        service.calm();
        check(&file, round);
        assert_eq!(drafts(&file), 0);
        // Nothing is left to do, and nothing is asked but whose project it is.
        let before = world.requests().values().sum::<u64>();
        let again = cli_report(&migrate().output().unwrap());
        assert_eq!(again["success"], true, "{again:#}");
        assert_eq!(again["memories_migrated"], 0, "{again:#}");
        assert_eq!(world.requests().values().sum::<u64>(), before + 1);
        check(&file, round);

        others_write_after(&service, round);
        let run = again["run"].as_str().unwrap();
        let undo = || command(&["rollback", "--yes", "--run", run]);
        service.plan(&faults);
        killed += kill(&mut random, KILLS_EACH, ROLLBACK_LIVES_MS, undo);
        complete(undo, |receipt| receipt["complete"] == true);
        service.calm();
        check_undone(&file, round);
        let anew = complete(migrate, |report| report["success"] == true);
        assert_ne!(anew["run"], again["run"], "{anew:#}");
        check(&file, round);
    }
    println!("{method}: {killed} kills in {round} rounds");
}

/// The drafts of batches in the emulator's file that have items.
fn drafts(file: &Path) -> u64 {
    let drafts = "SELECT count(*) FROM batch JOIN batch_item ON batch_item.batch = batch.id
                  WHERE batch.processed_at IS NULL";
    open(file).query_row(drafts, [], |row| row.get(0)).unwrap()
}

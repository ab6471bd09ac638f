//! `migrate` and `validate` on the command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::common::on_both_backends;
use crate::common::program::{World, binary};

on_both_backends!(
    an_export_is_migrated_and_validated,
    a_second_run_adds_nothing,
    a_dry_run_writes_nothing,
    one_broken_record_is_named_and_the_rest_is_migrated,
    a_key_twice_is_one_line_and_what_it_says_is_not_guessed,
    strict_writes_nothing_if_anything_is_broken,
);

/// How a command ended.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one JSON object on stdout.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// The report of a command that must end with this code.
    pub(super) fn report(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self.json()
    }

    /// The one error line after wrong usage.
    fn misused(&self) -> &str {
        assert_eq!(self.code, 2, "{}{}", self.stdout, self.stderr);
        assert!(self.stdout.is_empty(), "{}", self.stdout);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        self.stderr.trim_end()
    }
}

pub(super) fn run(world: &World, arguments: &[&str]) -> Ended {
    Ended::of(world.command().args(arguments).output().unwrap())
}

fn run_with_stdin(world: &World, arguments: &[&str], stdin: &[u8]) -> Ended {
    let mut child = world
        .command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    Ended::of(child.wait_with_output().unwrap())
}

pub(super) fn write(world: &World, name: &str, text: &str) -> PathBuf {
    let file = world.directory().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// Two users in the guide's shape: 9 records, 2 of them snapshots, in 3 sessions (Ben's turns name
/// none and so share one).
pub(super) fn export() -> Value {
    json!({"users": [
        {
            "id": "ana", "name": "Ana Lima", "email": "ana@example.com", "role": "user",
            "sessions": [
                {"id": "monday", "messages": [
                    {"role": "user", "content": "I slept badly", "timestamp": "2025-03-03T09:00:00Z"},
                    {"role": "therapist", "content": "Since when?", "timestamp": "2025-03-03T09:00:09Z"},
                    {"role": "user", "content": "Since the move", "timestamp": "2025-03-03T09:01:00Z"},
                ]},
                {"id": "tuesday", "insights": {"mood": ["calm", "tired"]}, "messages": [
                    {"role": "user", "content": "שלום 👋🏽", "timestamp": "2025-03-04T09:00:00.250Z"},
                    {"role": "ai_therapist", "content": "Hello again", "timestamp": "2025-03-04T09:00:05Z"},
                ]},
            ],
        },
        {
            "id": "ben", "name": "Ben", "role": "therapist", "summary": "Two words.",
            "messages": [
                {"role": "user", "content": "ok", "timestamp": "2025-03-05T10:00:00Z"},
                {"role": "user", "content": "ok", "timestamp": "2025-03-05T10:00:01Z"},
            ],
        },
    ]})
}

pub(super) fn exported(world: &World) -> String {
    file_of(world, &export())
}

pub(super) fn file_of(world: &World, export: &Value) -> String {
    let file = write(world, "export.json", &export.to_string());
    file.to_str().unwrap().to_owned()
}

/// The export with a blank turn.
fn with_a_broken_record() -> Value {
    let mut export = export();
    export["users"][0]["sessions"][0]["messages"][1] = json!({"id": "mute", "role": "user"});
    export
}

/// What is stored, compared with the export.
fn stored(world: &World) -> Value {
    let file = exported(world);
    run(world, &["validate", "--file", &file, "--json"]).json()
}

pub(super) fn check<'a>(validation: &'a Value, name: &str) -> &'a Value {
    let checks = validation["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

fn an_export_is_migrated_and_validated(world: &World) {
    let file = exported(world);
    let moved = run(world, &["migrate", "--file", &file, "--validate", "--json"]);
    let report = moved.report(0);
    assert_eq!(report["success"], true);
    assert_eq!(report["source_system"], "mem0");
    assert_eq!(report["target_system"], world.backend());
    for (field, count) in [
        ("users_migrated", 2),
        ("users_existing", 0),
        ("memories_migrated", 9),
        ("already_there", 0),
        ("sessions", 3),
        ("messages", 9),
        ("failed", 0),
        ("undated", 2),
    ] {
        assert_eq!(report[field], count, "{field}: {report:#}");
    }
    assert_eq!(report["errors"], json!([]));
    assert_eq!(report["validation"]["valid"], true, "{report:#}");
    assert_eq!(report["validation"]["memory_count"], 9);

    let mut agent = world.connect();
    let monday = agent.read_session("ana", "monday");
    let said: Vec<_> = monday.iter().map(|turn| &turn["content"]).collect();
    assert_eq!(said, ["I slept badly", "Since when?", "Since the move"]);
    let ana = agent.call("list_sessions", json!({"user_id": "ana"}));
    assert_eq!(ana["sessions"].as_array().unwrap().len(), 2, "{ana}");
}

fn a_second_run_adds_nothing(world: &World) {
    let file = exported(world);
    let arguments = ["migrate", "--file", &file, "--json"];
    let first = run(world, &arguments).report(0);
    let second = run(world, &arguments).report(0);
    assert_eq!(second["memories_migrated"], 0, "{second:#}");
    assert_eq!(second["already_there"], first["memories_migrated"]);
    assert_eq!(second["users_existing"], 2);
    assert_eq!(second["messages"], 0);
    assert_eq!(second["validation"], Value::Null);
    let found = stored(world);
    assert_eq!(found["valid"], true, "{found:#}");
    assert_eq!(found["memory_count"], 9);
}

fn a_dry_run_writes_nothing(world: &World) {
    let file = exported(world);
    let looked = run(world, &["migrate", "--file", &file, "--dry-run", "--json"]).report(0);
    assert_eq!(looked["dry_run"], true);
    assert_eq!(looked["success"], true);
    assert_eq!(looked["memories_migrated"], 9);
    let found = stored(world);
    assert_eq!(found["memory_count"], 0);
    assert_eq!(check(&found, "user_exists")["found"], 0, "{found:#}");

    run(world, &["migrate", "--file", &file]);
    let looked = run(world, &["migrate", "--file", &file, "--dry-run", "--json"]).report(0);
    assert_eq!(looked["memories_migrated"], 0, "{looked:#}");
    assert_eq!(looked["already_there"], 9);
}

fn one_broken_record_is_named_and_the_rest_is_migrated(world: &World) {
    let file = file_of(world, &with_a_broken_record());
    let moved = run(world, &["migrate", "--file", &file, "--json"]);
    let report = moved.report(1);
    assert_eq!(report["success"], false);
    assert_eq!(report["memories_migrated"], 8, "{report:#}");
    assert_eq!(report["failed"], 1);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let position = "users[0].sessions[0].messages[1]";
    assert_eq!(errors[0]["position"], position);
    assert_eq!(errors[0]["record"], "mute");

    let again = run(world, &["migrate", "--file", &file]);
    assert_eq!(again.code, 1);
    let lines = again.stdout.lines().filter(|line| line.contains(position));
    assert_eq!(lines.count(), 1, "{}", again.stdout);
    assert!(again.stdout.contains("Errors (1)"), "{}", again.stdout);

    let found = run(world, &["validate", "--file", &file, "--json"]).report(1);
    assert_eq!(check(&found, "source_readable")["passed"], false);
    assert_eq!(check(&found, "content")["passed"], true, "{found:#}");
}

fn a_key_twice_is_one_line_and_what_it_says_is_not_guessed(world: &World) {
    let file = write(
        world,
        "twice.jsonl",
        concat!(
            r#"{"id":"m1","user_id":"ana","memory":"Marker one"}"#,
            "\n",
            r#"{"id":"m2","user_id":"ana","memory":"Marker two","memory":"Marker three"}"#,
            "\n",
            r#"{"user_id":"ana","session_id":"s","user_id":"ben","messages":[{"role":"user","content":"Marker four"}]}"#,
            "\n",
        ),
    );
    let report = run(
        world,
        &["migrate", "--file", file.to_str().unwrap(), "--json"],
    )
    .report(1);
    assert_eq!(report["memories_migrated"], 1, "{report:#}");
    let errors = report["errors"].as_array().unwrap();
    let lines: Vec<_> = errors
        .iter()
        .map(|error| error["position"].as_str().unwrap())
        .collect();
    assert_eq!(lines, ["line 2", "line 3", "line 3, messages[0]"]);
    for (error, field) in errors.iter().zip(["`memory`", "`user_id`", "`user_id`"]) {
        let reason = error["reason"].as_str().unwrap();
        assert!(
            reason.contains(field) && reason.contains("twice"),
            "{reason}"
        );
        assert!(!reason.contains("Marker"), "{reason}");
    }
    let mut client = world.connect();
    for (user, stored) in [("ana", 1), ("ben", 0)] {
        let listed = client.call("get_memories", json!({"user_id": user}));
        assert_eq!(listed["count"], stored, "{listed}");
        let sessions = client.call("list_sessions", json!({"user_id": user}));
        assert_eq!(sessions["total_count"], 0, "{sessions}");
    }
}

fn strict_writes_nothing_if_anything_is_broken(world: &World) {
    let file = file_of(world, &with_a_broken_record());
    let refused = run(world, &["migrate", "--file", &file, "--strict", "--json"]);
    let report = refused.report(1);
    assert_eq!(report["memories_migrated"], 0);
    assert_eq!(report["errors"].as_array().unwrap().len(), 1, "{report:#}");
    let found = stored(world);
    assert_eq!(found["memory_count"], 0);
    assert_eq!(check(&found, "user_exists")["found"], 0);
}

#[test]
fn only_the_selected_user_and_sessions_are_migrated() {
    for (narrowed, memories) in [
        (&["--user", "ben"][..], 3),
        (&["--user", " ana "], 6),
        (&["--session", "monday"], 3),
        (
            &[
                "--user",
                "ana",
                "--session",
                "monday",
                "--session",
                "tuesday",
            ],
            6,
        ),
        (&["--user", "ben", "--session", "default"], 3),
    ] {
        let world = World::embedded();
        let file = exported(&world);
        let arguments = [&["migrate", "--file", &file, "--json"], narrowed].concat();
        let report = run(&world, &arguments).report(0);
        if narrowed.contains(&"--user") {
            assert_eq!(report["users_migrated"], 1, "{narrowed:?}: {report:#}");
        }
        assert_eq!(report["memories_migrated"], memories, "{narrowed:?}");
        assert_eq!(stored(&world)["memory_count"], memories, "{narrowed:?}");
        let arguments = [&["validate", "--file", &file, "--json"], narrowed].concat();
        assert_eq!(run(&world, &arguments).report(0)["valid"], true);
    }
    let world = World::embedded();
    let file = exported(&world);
    let nobody = run(&world, &["migrate", "--file", &file, "--user", "zoe"]);
    assert_eq!(nobody.code, 1, "{}", nobody.stdout);
}

#[test]
fn standard_input_is_read_as_a_file_is() {
    let world = World::embedded();
    let export = export().to_string();
    let arguments = ["migrate", "--file", "-", "--validate", "--json"];
    let moved = run_with_stdin(&world, &arguments, export.as_bytes()).report(0);
    assert_eq!(moved["memories_migrated"], 9);
    let arguments = ["validate", "--file", "-", "--json"];
    let found = run_with_stdin(&world, &arguments, export.as_bytes()).report(0);
    assert_eq!(found["valid"], true);
}

#[test]
fn the_json_report_has_every_field_that_is_promised() {
    let world = World::embedded();
    let file = exported(&world);
    let report = run(
        &world,
        &["migrate", "--file", &file, "--validate", "--json"],
    )
    .report(0);
    for field in [
        "source_system",
        "target_system",
        "users_migrated",
        "memories_migrated",
        "timestamp",
        "errors",
        "success",
        "sessions",
        "messages",
        "episodes",
        "split",
        "undated",
        "expired",
        "deleted",
        "skipped",
        "failed",
        "requests",
        "wait_secs",
        "duration_secs",
        "cancelled",
        "dry_run",
        "already_there",
        "warnings",
        "notes",
    ] {
        assert!(report.get(field).is_some(), "{field}");
    }
    for field in [
        "valid",
        "checks",
        "issues",
        "memory_count",
        "first_message",
        "last_message",
        "target_system",
    ] {
        assert!(report["validation"].get(field).is_some(), "{field}");
    }
    let names: Vec<_> = report["validation"]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    let promised = [
        "source_readable",
        "user_exists",
        "session_loads",
        "message_count",
        "timestamps",
        "metadata",
        "content",
        "order",
    ];
    assert_eq!(names, promised);
}

#[test]
fn the_table_ends_with_the_verdict() {
    let world = World::embedded();
    let file = exported(&world);
    let moved = run(&world, &["migrate", "--file", &file, "--validate"]);
    assert_eq!(moved.code, 0, "{}", moved.stdout);
    let last = moved.stdout.lines().last().unwrap();
    assert!(last.starts_with('✓') && last.contains("valid"), "{last}");
    assert!(!moved.stdout.contains('\x1b'), "no colours into a pipe");
    assert!(!moved.stdout.contains("expired"), "zeros are left out");
    let phases: Vec<_> = moved.stderr.lines().collect();
    let expected = [
        "reading",
        "planning",
        "writing 9 records",
        "validating 9 records",
    ];
    assert_eq!(
        phases, expected,
        "one line a phase where there is no terminal"
    );

    let mut other = export();
    other["users"][1]["messages"][0]["content"] = json!("no");
    let file = file_of(&world, &other);
    let found = run(&world, &["validate", "--file", &file]);
    assert_eq!(found.code, 1);
    let last = found.stdout.lines().last().unwrap();
    assert!(last.starts_with('✗'), "{last}");
    assert!(found.stdout.contains("Issues"), "{}", found.stdout);
}

#[test]
fn roles_of_users_follow_the_map_of_the_command_line() {
    let world = World::embedded();
    let file = exported(&world);
    let mapped = ["--role-map", "user=customer"];
    let arguments = [&["migrate", "--file", &file, "--json"][..], &mapped].concat();
    run(&world, &arguments).report(0);
    let arguments = [&["validate", "--file", &file, "--json"][..], &mapped].concat();
    run(&world, &arguments).report(0);
    let found = run(&world, &["validate", "--file", &file, "--json"]).report(1);
    assert_eq!(check(&found, "user_exists")["passed"], false, "{found:#}");
}

#[test]
fn wrong_usage_is_one_line_that_names_the_flag() {
    let world = World::embedded();
    let file = exported(&world);
    for command in ["migrate", "validate"] {
        for (flag, value) in [
            ("--user", " "),
            ("--user", "a\nb"),
            ("--session", ".."),
            ("--session", "a::zm::b"),
            ("--role-map", "coach"),
            ("--role-map", "a=b,A=c"),
        ] {
            let wrong = run(&world, &[command, "--file", &file, flag, value]);
            let line = wrong.misused();
            assert!(line.starts_with(&format!("error: {flag} ")), "{line}");
        }
        let wrong = run(&world, &[command, "--file", "nowhere.json"]);
        let line = wrong.misused();
        assert!(line.starts_with("error: --file nowhere.json "), "{line}");
        let without = run(&world, &[command]);
        assert_eq!(without.code, 2);
        assert!(without.stderr.contains("--file"), "{}", without.stderr);
    }
    let both = run(
        &world,
        &["migrate", "--file", &file, "--dry-run", "--validate"],
    );
    assert_eq!(both.code, 2);
    let data = world.directory().join("data");
    assert!(
        !data.exists(),
        "nothing is made for a command that is wrong"
    );
}

#[test]
fn a_file_that_is_not_an_export_fails_with_one_line() {
    let world = World::embedded();
    for garbage in [
        &b""[..],
        b"   \n",
        b"{}",
        b"[]",
        b"hello, world\n",
        b"{\"users\": [",
        b"\xff\xfe\x00\x01",
        b"\x1f\x8b\x08\x00\x00\x00",
    ] {
        for command in ["migrate", "validate"] {
            let ended = run_with_stdin(&world, &[command, "--file", "-"], garbage);
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert_eq!(ended.code, 1, "{command} {garbage:?}: {said}");
            assert!(ended.stdout.contains('✗'), "{said}");
            let ended = run_with_stdin(&world, &[command, "--file", "-", "--json"], garbage);
            assert_eq!(ended.code, 1);
            let report = ended.json();
            let listed = match command {
                "migrate" => &report["errors"],
                _ => &report["source_problems"],
            };
            let empty = listed.as_array().unwrap().is_empty();
            assert!(!empty, "{command} {garbage:?}: {report:#}");
        }
    }
}

#[test]
fn help_explains_rehearsals_and_exit_codes() {
    let directory = tempfile::tempdir().unwrap();
    for (command, words) in [
        (
            "migrate",
            &["--dry-run", "--rehearse", "Then switch", "Exit codes"][..],
        ),
        ("validate", &["message_count", "Exit codes"]),
    ] {
        let mut program = binary(directory.path());
        let help = Ended::of(program.args([command, "--help"]).output().unwrap());
        assert_eq!(help.code, 0);
        for word in words {
            assert!(help.stdout.contains(word), "{word}: {}", help.stdout);
        }
    }
}

#[cfg(unix)]
mod stopping {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::*;
    use crate::common::program::ADD_MESSAGES;
    use crate::common::wait_until;

    fn start(world: &World, arguments: &[&str]) -> Child {
        world
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Reads stderr up to the line that begins so.
    fn await_line(stderr: &mut impl BufRead, beginning: &str) {
        let mut line = String::new();
        while !line.starts_with(beginning) {
            line.clear();
            let read = stderr.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without saying `{beginning}`");
        }
    }

    fn signal(child: &Child, name: &str) {
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    #[test]
    fn a_run_that_was_stopped_reports_and_the_next_one_goes_on() {
        let world = World::emulated_with(&["--latency", "150"]);
        let sessions: Vec<_> = (0..16)
            .map(|session| {
                let turns: Vec<_> = (0..90)
                    .map(|turn| json!({"role": "user", "content": format!("turn {turn}")}))
                    .collect();
                json!({"id": format!("s-{session}"), "messages": turns})
            })
            .collect();
        let file = file_of(&world, &json!({"id": "ana", "sessions": sessions}));
        let arguments = [
            "migrate",
            "--file",
            &file,
            "--method",
            "direct",
            "--validate",
            "--json",
        ];
        for name in ["-INT", "-TERM"] {
            let mut child = start(&world, &arguments);
            let mut stderr = BufReader::new(child.stderr.take().unwrap());
            await_line(&mut stderr, "writing");
            // A few more of its requests are answered before the next one arrives.
            let before = world.requests_to(ADD_MESSAGES);
            wait_until("it writes", || world.requests_to(ADD_MESSAGES) > before + 6);
            signal(&child, name);
            let stopped = Ended::of(child.wait_with_output().unwrap()).report(130);
            assert_eq!(stopped["cancelled"], true, "{stopped:#}");
            assert_eq!(stopped["success"], false);
            assert_eq!(stopped["failed"], 0, "{stopped:#}");
            assert_eq!(stopped["errors"], json!([]));
            assert_eq!(stopped["validation"], Value::Null);
        }
        let last = run(&world, &arguments).report(0);
        let there = last["already_there"].as_u64().unwrap();
        assert!(
            there > 0,
            "nothing was written before the signals: {last:#}"
        );
        let written = last["memories_migrated"].as_u64().unwrap();
        assert_eq!(there + written, 16 * 90);
        assert_eq!(last["validation"]["valid"], true, "{last:#}");
    }

    #[test]
    fn standard_input_that_never_ends_is_not_waited_for() {
        let world = World::embedded();
        for command in ["migrate", "validate"] {
            let mut child = start(&world, &[command, "--file", "-"]);
            let mut stderr = BufReader::new(child.stderr.take().unwrap());
            await_line(&mut stderr, "reading");
            signal(&child, "-INT");
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
            assert!(said.contains("error: stopped before"), "{said}");
            let again = format!("zep-mcp-server {command} --file -");
            assert!(said.trim_end().ends_with(&again), "{said}");
        }
    }

    #[test]
    fn a_second_signal_ends_it_at_once() {
        // No answer comes during the test.
        let world = World::emulated_with(&["--latency", "600000"]);
        let file = exported(&world);
        let mut child = start(&world, &["migrate", "--file", &file]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        await_line(&mut stderr, "planning");
        // The first request: whose project it is.
        wait_until("it asks Zep", || {
            world.requests_to("GET /api/v2/projects/info") > 0
        });
        signal(&child, "-INT");
        await_line(&mut stderr, "stopping");
        std::thread::sleep(Duration::from_millis(200));
        signal(&child, "-INT");
        wait_until("it ends", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

/// A run that takes nothing must not look like one after which mem0 can be deleted.
#[test]
fn a_selection_that_takes_nothing_is_no_success() {
    let world = World::embedded();
    let file = exported(&world);
    let mixed = write(
        &world,
        "mixed.jsonl",
        "{\"memory\": \"tea\", \"user_id\": \"ana\"}\n{\"memory\": \"rain\", \"user_id\": \"ben\"}\n\
         {\"memory\": \"whose?\"}\n",
    );
    let mixed = mixed.to_str().unwrap();
    for (arguments, words) in [
        (
            vec!["--file", &file, "--user", "dana"],
            "takes nothing of `dana`: the source names `ana`, `ben`",
        ),
        (
            vec!["--file", &file, "--user", "ana", "--user", "dana"],
            "takes nothing of `dana`: the source names `ana`, `ben`",
        ),
        (
            vec!["--file", &file, "--user", "ana", "--session", "sunday"],
            "takes nothing of the session `sunday`: the source names `monday`, `tuesday`",
        ),
        (
            vec!["--file", mixed, "--user", "ana"],
            "leaves out 1 records that name no user",
        ),
    ] {
        for command in ["migrate", "validate"] {
            let ended = run(
                &world,
                &[&[command, "--json"], arguments.as_slice()].concat(),
            );
            let report = ended.report(1);
            let (problems, verdict) = match command {
                "migrate" => (&report["errors"], &report["success"]),
                _ => (&report["source_problems"], &report["valid"]),
            };
            assert_eq!(verdict, false, "{report:#}");
            let said = problems.as_array().unwrap().iter();
            let said: Vec<_> = said.map(|one| one["reason"].as_str().unwrap()).collect();
            assert!(said.iter().any(|one| one.starts_with(words)), "{said:?}");
            assert!(!ended.stdout.contains("tea") && !ended.stdout.contains("slept"));
        }
    }
    let mut client = world.connect();
    let listed = client.call("list_entities", json!({}));
    assert!(!listed.to_string().contains("dana"), "{listed:#}");
    let data = json!({"users": [{"id": "ana", "name": "Ana", "messages": [
        {"role": "user", "content": "tea", "timestamp": "2024-05-01T10:00:00Z"}]}]});
    let arguments = json!({"user": {"id": "dana", "name": "Dana"}, "data": data});
    let report = client.call("migrate_user", arguments.clone());
    assert_eq!(report["success"], false, "{report:#}");
    let reason = report["errors"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("takes nothing of `dana`"), "{reason}");
    let verdict = client.call("validate_migration", arguments);
    assert_eq!(verdict["valid"], false, "{verdict:#}");
}

//! The flags of `emulate`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The binary, with an empty environment.
fn emulate(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"));
    command
        .args(["emulate", "--port", "0"])
        .args(flags)
        .current_dir(std::env::temp_dir())
        .env_clear();
    command
}

/// A process that is killed when the test ends or panics.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn every_flag_reaches_the_emulator_and_the_seed_is_logged() {
    let command = [
        "--rate-limit 500 --rate-limit-drop 100:5 --rate-window 2 --latency 1 --fail 0.1:503",
        "--fail 0.2:429 --drop-requests 0.01 --late-writes 0.02:300 --drop-answers 0.03",
        "--fail-after 0.04:502 --half-answers 0.05 --garbage-answers 0.06 --slow-bodies 0.07:400",
        "--restart 60000:50 --seed 77 --processing-delay 9 --cursor page",
        "--episode-deletion keeps-message --draft-messages visible --metadata-patch replaces",
        "--existing-thread 409 --length-counts bytes --failing-items 7",
    ]
    .join(" ");
    let flags: Vec<_> = command.split(' ').collect();
    let mut running = Running(
        emulate(&flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    let stdout = running.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    let client = crate::common::http().build().unwrap();
    let get = async |path: &str| -> Value {
        let url = format!("{address}/_emulator{path}");
        let answer = client.get(url).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    };
    assert_eq!(
        get("/faults").await,
        json!({
            "seed": 77,
            "rate_limit": 500,
            "rate_limit_drop": {"after_calls": 100, "to": 5},
            "rate_window_secs": 2,
            "latency_ms": 1,
            "fail": [{"rate": 0.1, "status": 503}, {"rate": 0.2, "status": 429}],
            "drop_requests": 0.01,
            "late_writes": {"rate": 0.02, "ms": 300},
            "drop_answers": 0.03,
            "fail_after": [{"rate": 0.04, "status": 502}],
            "half_answers": 0.05,
            "garbage_answers": 0.06,
            "slow_bodies": {"rate": 0.07, "ms": 400},
            "restarts": {"every_ms": 60_000, "down_ms": 50},
            "next": []
        })
    );
    assert_eq!(
        get("/behavior").await,
        json!({
            "cursor": "page",
            "episode_deletion": "keeps-message",
            "draft_messages": "visible",
            "metadata_patch": "replaces",
            "existing_thread": "409",
            "length_counts": "bytes",
            "failing_items": 7,
            "processing_delay_ms": 9
        })
    );
    running.0.kill().unwrap();
    let mut told = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert!(told.contains("seed=77"), "{told}");
}

#[test]
fn wrong_values_are_refused_by_the_name_of_their_flag() {
    for (flag, value) in [
        ("--drop-answers", "1.5"),
        ("--drop-requests", "-1"),
        ("--half-answers", "often"),
        ("--garbage-answers", "NaN"),
        ("--fail", "0.5"),
        ("--fail", "0.5:200"),
        ("--fail-after", "2:500"),
        ("--late-writes", "0.5:soon"),
        ("--slow-bodies", "0.5:-1"),
        ("--restart", "0:100"),
        ("--rate-limit", "-5"),
        ("--rate-limit-drop", "5"),
        ("--rate-window", "0"),
        ("--latency", "1s"),
        ("--seed", "x"),
        ("--cursor", "line"),
        ("--existing-thread", "404"),
    ] {
        let flag_and_value = format!("{flag}={value}");
        let output = emulate(&[&flag_and_value]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag_and_value}: {told}");
        assert!(told.contains(flag), "{flag_and_value}: {told}");
    }
}

//! `token new` on the command line.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use zep_mcp_server::config::AccessSettings;
use zep_mcp_server::http::access::{Access, TokenHash};

use super::authentication::Guarded;

fn token_new(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"))
        .args(["token", "new"])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_bare_token_is_one_line_for_a_shell() {
    let home = tempfile::tempdir().unwrap();
    let made = token_new(&[], home.path());
    assert!(made.status.success());
    let out = text(&made.stdout);
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(made.stderr.is_empty());
    assert_ne!(made.stdout, token_new(&[], home.path()).stdout);
    let server = Guarded::with_token(out.trim()).await;
    assert_eq!(server.show(out.trim()).await.0, 200);
    // 256 bits.
    assert!(out.trim().len() >= 64, "{out}");
}

#[tokio::test]
async fn an_entry_in_a_file_authenticates_its_holder_and_contains_no_token() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tokens.jsonl");
    let mut tokens = HashSet::new();
    for (name, more) in [
        ("one", ["--role", "reader", "--user", "alice"].as_slice()),
        ("two", &["--role", "writer", "--all-users", "--agent", "*"]),
        (
            "three",
            &[
                "--role",
                "operator",
                "--agent",
                "coach",
                "--expires",
                "2999-01-31",
            ],
        ),
    ] {
        let mut arguments = vec!["--file", "tokens.jsonl", "--name", name];
        arguments.extend(more);
        let made = token_new(&arguments, home.path());
        assert!(made.status.success(), "{}", text(&made.stderr));
        let token = text(&made.stdout).trim().to_owned();
        assert!(!text(&made.stderr).contains(&token));
        tokens.insert(token);
    }
    let there = fs::read_to_string(&file).unwrap();
    assert_eq!(there.lines().count(), 3);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = Guarded::new(AccessSettings {
        tokens_file: Some(file.clone()),
        ..AccessSettings::default()
    })
    .await;
    for token in &tokens {
        assert!(!there.contains(token.as_str()));
        assert!(there.contains(&TokenHash::of(token).to_string()));
        assert_eq!(server.show(token).await.0, 200);
    }
    // The same name again: nothing is written and no token is printed.
    let again = [
        "--role",
        "reader",
        "--user",
        "bob",
        "--name",
        "two",
        "--file",
        "tokens.jsonl",
    ];
    let made = token_new(&again, home.path());
    assert!(!made.status.success() && made.stdout.is_empty());
    assert_eq!(fs::read_to_string(&file).unwrap(), there);
}

#[tokio::test]
async fn entries_made_concurrently_are_all_kept() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tokens.jsonl");
    // An editor left no line break at the end.
    fs::write(&file, "# ours").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let arguments = ["--role", "reader", "--all-users", "--file", "tokens.jsonl"];
                assert!(token_new(&arguments, home.path()).status.success());
            });
        }
    });
    let there = fs::read_to_string(&file).unwrap();
    assert_eq!(there.lines().count(), 9, "{there}");
    let settings = AccessSettings {
        tokens_file: Some(file),
        ..AccessSettings::default()
    };
    Access::new(settings).unwrap();
}

#[test]
fn without_a_file_the_entry_is_printed() {
    let home = tempfile::tempdir().unwrap();
    let made = token_new(&["--role", "writer", "--user", "alice"], home.path());
    let out = text(&made.stdout);
    let (token, entry) = out.trim().split_once('\n').unwrap();
    let entry: Value = serde_json::from_str(entry).unwrap();
    assert_eq!(entry["hash"], TokenHash::of(token).to_string());
    assert_eq!(entry["role"], "writer");
    assert_eq!(entry["users"][0], "alice");
}

#[test]
fn useless_entries_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for wrong in [
        ["--role", "reader"].as_slice(),
        &["--user", "alice"],
        &["--role", "admin", "--user", "alice"],
        &["--role", "reader", "--user", "*"],
        &["--role", "reader", "--user", ""],
        &["--role", "reader", "--user", "alice", "--all-users"],
        &["--role", "reader", "--agent", "*", "--agent", "coach"],
        &[
            "--role",
            "reader",
            "--user",
            "alice",
            "--expires",
            "2020-01-31",
        ],
        &["--role", "reader", "--user", "alice", "--expires", "soon"],
        &["--role", "reader", "--user", "alice", "--name", ""],
    ] {
        let made = token_new(wrong, home.path());
        assert_eq!(
            made.status.code(),
            Some(2),
            "{wrong:?}: {}",
            text(&made.stderr)
        );
        assert!(made.stdout.is_empty(), "{wrong:?}");
    }
    let open = home.path().join("open.jsonl");
    fs::write(&open, "").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
    let made = token_new(
        &["--role", "reader", "--all-users", "--file", "open.jsonl"],
        home.path(),
    );
    assert_eq!(made.status.code(), Some(1));
    assert!(made.stdout.is_empty());
}

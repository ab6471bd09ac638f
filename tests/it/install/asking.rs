//! The questions, on a pseudo-terminal.

use std::io::{Read, Write};
use std::process::Command;

use super::{Home, KEY, bytes};
use crate::common::wait_until;

const CURSOR: &str = ".cursor/mcp.json";

/// Whether the terminal that this `script` made echoes what is typed.
#[cfg(target_os = "linux")]
fn echoes(script: u32) -> bool {
    let children = format!("/proc/{script}/task/{script}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let child = children.split_whitespace().next().unwrap();
    let terminal = std::fs::read_link(format!("/proc/{child}/fd/0")).unwrap();
    let mut stty = std::process::Command::new("stty");
    let state = stty.arg("-F").arg(terminal).arg("-a").output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    state.split_whitespace().any(|word| word == "echo")
}

/// Runs a command on a terminal; answers each question as it comes, and the key only when the terminal
/// does not echo.
#[cfg(target_os = "linux")]
pub fn asked(
    command: &Command,
    key: &str,
    answers: &[(&str, &str)],
    meanwhile: impl Fn(),
) -> (String, bool) {
    // `script` (util-linux) provides the terminal.
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut terminal = Command::new("/usr/bin/script")
        .args([
            "--quiet",
            "--return",
            "--echo",
            "always",
            "--command",
            &words.join(" "),
            "/dev/null",
        ])
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = terminal.stdin.take().unwrap();
    let mut output = terminal.stdout.take().unwrap();
    let mut seen = String::new();
    let mut answers = answers.iter().peekable();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if let Some((question, answer)) = answers.peek()
            && seen.contains(question)
        {
            meanwhile();
            if answer.contains(key) {
                wait_until("the terminal stops echoing", || !echoes(terminal.id()));
            }
            input.write_all(answer.as_bytes()).unwrap();
            answers.next();
        }
    }
    assert!(answers.next().is_none(), "not all was asked: {seen}");
    (seen, terminal.wait().unwrap().success())
}

#[test]
#[cfg(target_os = "linux")]
fn the_key_is_asked_for_and_never_echoed() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        return;
    }
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let key = format!("{KEY}\n");
    let (seen, well) = asked(
        &home.command(&[]),
        KEY,
        &[("Change this? [y/N]", "y\n"), ("Zep API key", &key)],
        || {},
    );
    assert!(well, "{seen}");
    assert!(!seen.contains("s3cr3t"), "{seen}");
    assert!(home.text(CURSOR).contains(KEY));
}

#[test]
#[cfg(target_os = "linux")]
fn any_answer_but_yes_changes_nothing() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        return;
    }
    for answer in ["\n", "n\n", "what?\n"] {
        let home = Home::with(CURSOR, "cursor/mcp.json");
        let (seen, well) = asked(
            &home.command(&["--local"]),
            KEY,
            &[("Change this? [y/N]", answer)],
            || {},
        );
        assert!(well && seen.contains("Nothing was changed"), "{seen}");
        assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_changes_during_the_question_is_left_alone() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        return;
    }
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let meddle = || home.put(CURSOR, b"{\"somebody\": \"else\"}");
    let answers = [("Change this? [y/N]", "y\n")];
    let (seen, well) = asked(&home.command(&["--local"]), KEY, &answers, meddle);
    assert!(
        !well && seen.contains("changed by another program"),
        "{seen}"
    );
    assert_eq!(home.text(CURSOR), "{\"somebody\": \"else\"}");
    assert!(home.backups(CURSOR).is_empty());
}

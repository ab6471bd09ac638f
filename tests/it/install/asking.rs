//! The questions, on a terminal of the test's own.

use std::io::{Read, Write};

use super::{Home, KEY, bytes};

const CURSOR: &str = ".cursor/mcp.json";

/// Runs `install` on a terminal; answers each question as it comes.
#[cfg(target_os = "linux")]
fn asked(
    home: &Home,
    arguments: &[&str],
    answers: &[(&str, &str)],
    meanwhile: impl Fn(),
) -> (String, bool) {
    // `script` makes the terminal; util-linux has it everywhere.
    let command = home.command(arguments);
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut terminal = std::process::Command::new("/usr/bin/script")
        .args([
            "--quiet",
            "--return",
            "--echo",
            "never",
            "--command",
            &words.join(" "),
            "/dev/null",
        ])
        .current_dir(home.path("work"))
        .env_clear()
        .env("HOME", home.dir.path())
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
            // The terminal must have stopped echoing by then.
            std::thread::sleep(std::time::Duration::from_millis(200));
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
        &home,
        &[],
        &[("Change this? [y/N]", "y\n"), ("Zep API key", &key)],
        || {},
    );
    assert!(well, "{seen}");
    assert!(!seen.contains("s3cr3t"), "{seen}");
    assert!(home.text(CURSOR).contains(KEY));
}

#[test]
#[cfg(target_os = "linux")]
fn anything_but_a_yes_changes_nothing() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        return;
    }
    for answer in ["\n", "n\n", "what?\n"] {
        let home = Home::with(CURSOR, "cursor/mcp.json");
        let (seen, well) = asked(
            &home,
            &["--local"],
            &[("Change this? [y/N]", answer)],
            || {},
        );
        assert!(well && seen.contains("Nothing was changed"), "{seen}");
        assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_is_changed_while_the_question_stands_is_left_alone() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        return;
    }
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let meddle = || home.put(CURSOR, b"{\"somebody\": \"else\"}");
    let answers = [("Change this? [y/N]", "y\n")];
    let (seen, well) = asked(&home, &["--local"], &answers, meddle);
    assert!(!well && seen.contains("changed by somebody else"), "{seen}");
    assert_eq!(home.text(CURSOR), "{\"somebody\": \"else\"}");
    assert!(home.backups(CURSOR).is_empty());
}

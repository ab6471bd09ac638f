//! Errors are reported, and nothing is changed.

use zep_mcp_server::agent_hosts::document::{DocumentError, Syntax};
use zep_mcp_server::agent_hosts::file::{FileError, Snapshot};

use super::{Home, KEY, bytes};

const CURSOR: &str = ".cursor/mcp.json";

fn refused(at: &str, text: &str, code: i32, says: &[&str]) {
    let home = Home::empty();
    home.put(at, text.as_bytes());
    let outcome = home.install(&["--yes"]).ended(code);
    for word in says {
        assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
    }
    assert_eq!(home.text(at), text);
    assert!(home.backups(at).is_empty());
}

#[test]
fn a_broken_file_is_named_with_line_and_column() {
    let broken = "{\n  \"mcpServers\": {\n    \"mem0\": {\"command\": \"uvx\" \"args\": [\"s3cr3t\"]}\n  }\n}";
    refused(CURSOR, broken, 1, &["mcp.json", "line 3", "column"]);
    refused(
        CURSOR,
        "{\"mcpServers\": {\"mem0\": {\"command\": \"s3cr3t",
        1,
        &["line 1"],
    );
    refused(CURSOR, "{'mcpServers': {}}", 1, &["line 1"]);
    refused(
        ".codex/config.toml",
        "a = 1\n[mcp_servers.mem0]\ncommand = s3cr3t\n",
        1,
        &["config.toml", "line 3", "column 11"],
    );
    refused(
        ".codex/config.toml",
        "a = \"s3cr3t\"\na = 2\n",
        1,
        &["line 2"],
    );
}

#[test]
fn a_file_of_another_shape_is_left_alone() {
    refused(CURSOR, "[]", 1, &["not an object"]);
    refused(
        CURSOR,
        "{\"mcpServers\": []}",
        1,
        &["`mcpServers`", "not an object"],
    );
    refused(CURSOR, "{\"mcpServers\": \"x\"}", 1, &["`mcpServers`"]);
    refused(
        CURSOR,
        "{\"mcpServers\": {\"mem0\": {\"command\": \"uvx\", \"args\": [\"mem0-mcp-server\"], \"env\": [1]}}}",
        1,
        &["`mcpServers.mem0.env`"],
    );
    refused(
        ".codex/config.toml",
        "mcp_servers = 1\n",
        1,
        &["`mcp_servers`"],
    );
}

#[test]
fn a_duplicate_name_is_refused() {
    let twice = "{\"mcpServers\": {\"mem0\": {\"command\": \"x\"}, \"mem0\": {\"command\": \"mem0-mcp-server\"}}}";
    refused(CURSOR, twice, 1, &["`mem0` occurs twice"]);
}

#[test]
fn only_text_files_are_accepted() {
    let home = Home::empty();
    std::fs::create_dir_all(home.path(".cursor/mcp.json")).unwrap();
    home.install(&["--yes"]).ended(1).says("is a directory");
    let home = Home::empty();
    home.put(CURSOR, b"{\"a\": \"\xff\"}");
    home.install(&["--yes"]).ended(1).says("not UTF-8");
    home.put(CURSOR, &vec![b' '; 10 * 1024 * 1024 + 1]);
    home.install(&["--yes"]).ended(1).says("larger than 10 MB");
}

#[test]
#[cfg(unix)]
fn a_read_only_file_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let read_only = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(home.path(CURSOR), read_only).unwrap();
    home.install(&["--yes"])
        .ended(1)
        .says("cannot be written")
        .says("mcp.json");
    assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
    assert!(home.backups(CURSOR).is_empty());
}

#[test]
fn a_missing_host_is_named() {
    let home = Home::empty();
    let outcome = home.install(&["--yes", "--host", "windsurf"]).ended(1);
    outcome
        .says("Windsurf is not on this machine")
        .says("windsurf");
    assert!(!home.path(".codeium").exists());
    home.install(&["--yes", "--config", "none.json"])
        .ended(1)
        .says("no file");
    home.install(&["--host", "emacs"]).ended(2);
}

#[test]
fn without_a_terminal_yes_and_a_key_are_needed() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    home.install(&[]).ended(2).says("--yes");
    home.install_without_key(&["--yes"])
        .ended(2)
        .says("ZEP_API_KEY")
        .says("--local");
    assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
    assert!(home.backups(CURSOR).is_empty());
}

#[test]
fn an_invalid_key_is_not_written() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let run = home
        .command(&["--yes"])
        .env("ZEP_API_KEY", "\"s3cr3t\"")
        .output();
    super::Outcome::of(run.unwrap())
        .ended(1)
        .says("ZEP_API_KEY");
    assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
}

#[test]
fn a_host_without_references_refuses_key_from_env() {
    let home = Home::with(
        ".config/Claude/claude_desktop_config.json",
        "claude-desktop/claude_desktop_config.json",
    );
    home.install(&["--yes", "--key-from-env"])
        .ended(2)
        .says("Claude Desktop");
}

#[test]
fn settings_of_the_server_are_refused() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    home.install(&["--yes", "--backend", "local"])
        .ended(2)
        .says("--local");
    home.install(&["--yes", "--default-user-id", "jane"])
        .ended(2)
        .says("--default-user-id");
}

#[test]
fn a_dry_run_shows_and_writes_nothing() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let outcome = home.install_without_key(&["--dry-run"]).ended(0);
    for line in [
        "-     \"command\": \"npx\"",
        "+     \"command\": \"/",
        "+       \"ZEP_API_KEY\"",
        "dry run",
    ] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
    assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
    assert!(home.backups(CURSOR).is_empty());
}

#[test]
fn one_broken_file_prevents_all_changes() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    home.put(".gemini/settings.json", b"{");
    home.install(&["--yes"]).ended(1).says("settings.json");
    assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
}

#[test]
fn a_concurrent_change_is_not_overwritten() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let shown = Snapshot::read(&home.path(CURSOR)).unwrap();
    home.put(CURSOR, b"{\"somebody\": \"else\"}");
    let error = shown.replace("{}", None).unwrap_err();
    assert!(matches!(error, FileError::Changed(_)), "{error}");
    assert_eq!(home.text(CURSOR), "{\"somebody\": \"else\"}");
    assert!(home.backups(CURSOR).is_empty());
}

#[test]
fn errors_do_not_quote_files() {
    let error = Syntax::Toml.read(&format!("a = {KEY}\n")).unwrap_err();
    assert!(matches!(error, DocumentError::Broken { line: 1, .. }));
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
    let error = Syntax::Json.read(&format!("{{{KEY}}}")).unwrap_err();
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
}

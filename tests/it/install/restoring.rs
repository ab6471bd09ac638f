//! Changes can be undone.

use super::{Home, bytes, program};

const CURSOR: &str = ".cursor/mcp.json";
const WINDSURF: &str = ".codeium/windsurf/mcp_config.json";

#[test]
fn the_original_bytes_are_restored() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    home.put(WINDSURF, &bytes("windsurf/mcp_config.json"));
    home.put(".codex/config.toml", &bytes("codex/config.toml"));
    home.install(&["--yes"]).ended(0);
    home.install(&["--restore", "--dry-run"])
        .ended(0)
        .says("dry run");
    assert!(home.text(CURSOR).contains(program()));
    home.install_without_key(&["--restore"])
        .ended(2)
        .says("--yes");
    home.install_without_key(&["--restore", "--yes"])
        .ended(0)
        .says("restored");
    for (at, fixture) in [
        (CURSOR, "cursor/mcp.json"),
        (WINDSURF, "windsurf/mcp_config.json"),
        (".codex/config.toml", "codex/config.toml"),
    ] {
        assert_eq!(
            std::fs::read(home.path(at)).unwrap(),
            bytes(fixture),
            "{at}"
        );
        assert!(home.backups(at).is_empty(), "the backup is consumed");
    }
    home.install_without_key(&["--restore", "--yes"])
        .ended(1)
        .says("no backup");
}

#[test]
fn changes_are_undone_one_by_one_latest_first() {
    let home = Home::with(".claude.json", "claude-code/claude.json");
    home.install(&["--yes", "--entry", "mem0"]).ended(0);
    let between = home.text(".claude.json");
    home.install(&["--yes", "--entry", "mem0-mcp"]).ended(0);
    assert_eq!(
        home.backups(".claude.json").len(),
        2,
        "each backup has its own name"
    );
    home.install(&["--restore", "--yes"]).ended(0);
    assert_eq!(home.text(".claude.json"), between);
    home.install(&["--restore", "--yes"]).ended(0);
    assert_eq!(
        home.text(".claude.json").as_bytes(),
        bytes("claude-code/claude.json")
    );
}

#[test]
fn later_changes_are_overwritten_only_by_force_and_kept() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    home.put(WINDSURF, &bytes("windsurf/mcp_config.json"));
    home.install(&["--yes"]).ended(0);
    let theirs = home.text(CURSOR).replace("\"git\"", "\"got\"");
    home.put(CURSOR, theirs.as_bytes());
    home.install(&["--restore", "--yes"])
        .ended(1)
        .says("changed since")
        .says("--force");
    assert_eq!(home.text(CURSOR), theirs);
    assert!(
        home.text(WINDSURF).contains("zep-mcp-server"),
        "all or none"
    );
    home.install(&["--restore", "--yes", "--force"]).ended(0);
    assert_eq!(home.text(CURSOR).as_bytes(), bytes("cursor/mcp.json"));
    let [kept] = &home.backups(CURSOR)[..] else {
        panic!("the replaced content is kept");
    };
    assert_eq!(std::fs::read_to_string(kept).unwrap(), theirs);
}

#[test]
fn a_backup_of_another_file_is_not_used() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    home.install(&["--yes"]).ended(0);
    home.put(".cursor/other.json", b"{}");
    home.install(&["--restore", "--yes", "--config", "../.cursor/other.json"])
        .ended(1);
    assert_eq!(home.text(".cursor/other.json"), "{}");
}

#[test]
fn a_backup_is_encrypted_with_a_key_and_restored_with_it_only() {
    let home = Home::with(CURSOR, "cursor/mcp.json");
    let (key, other) = ("11".repeat(32), "22".repeat(32));
    let install = |key: Option<&str>, arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("ZEP_API_KEY", super::KEY);
        if let Some(key) = key {
            command.env("ZEP_MCP_ENCRYPTION_KEY", key);
        }
        super::Outcome::of(command.output().unwrap())
    };
    install(Some(&key), &["--yes"]).ended(0);
    let backups = home.backups(CURSOR);
    assert_eq!(backups.len(), 1);
    let kept = std::fs::read_to_string(&backups[0]).unwrap();
    assert!(kept.starts_with("zm1:") && !kept.contains("mem0"), "{kept}");
    let restore = ["--restore", "--yes"];
    install(None, &restore)
        .ended(1)
        .says("ZEP_MCP_ENCRYPTION_KEY_FILE");
    install(Some(&other), &restore).ended(1).says("another key");
    assert!(home.text(CURSOR).contains(program()), "nothing was changed");
    install(Some(&key), &restore).ended(0).says("restored");
    assert_eq!(
        std::fs::read(home.path(CURSOR)).unwrap(),
        bytes("cursor/mcp.json")
    );
}

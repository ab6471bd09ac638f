//! Entries whose mem0 is not mem0 Platform, and sources that are named.

use serde_json::json;

use super::{CLAUDE, Newcomer};
use crate::common::program::World;

fn with_entry(mem0: &serde_json::Value) -> Newcomer {
    let newcomer = Newcomer::new().remembers(3);
    let config = json!({"mcpServers": {"mem0": mem0}});
    newcomer.home.put(CLAUDE, config.to_string().as_bytes());
    newcomer
}

#[test]
fn an_entry_of_another_mem0_leads_to_its_source() {
    for (entry, words) in [
        (
            json!({"url": "http://localhost:8765/mcp/claude/sse/jane"}),
            &["OpenMemory", "--from openmemory PATH", "--file"][..],
        ),
        (
            json!({"command": "uvx", "args": ["mem0-mcp-server"],
                   "env": {"MEM0_BASE_URL": "http://localhost:9", "MEM0_API_KEY": "x"}}),
            &["--from mem0-server --mem0-url http://localhost:9"],
        ),
        (
            json!({"command": "uvx", "args": ["mem0-mcp-server"]}),
            &["needs the key of mem0", "MEM0_API_KEY"],
        ),
    ] {
        let newcomer = with_entry(&entry);
        let before = newcomer.config();
        let outcome = newcomer.switch(&["--yes"]).ended(2);
        for word in words {
            assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        }
        newcomer.is_unchanged(&before);
    }
}

#[test]
fn entries_with_different_keys_are_switched_one_by_one() {
    let newcomer = Newcomer::new().remembers(3);
    let other = json!({"mcpServers": {"mem0": {
        "command": "uvx", "args": ["mem0-mcp-server"], "env": {"MEM0_API_KEY": "another"}
    }}});
    newcomer
        .home
        .put(".cursor/mcp.json", other.to_string().as_bytes());
    let outcome = newcomer.switch(&["--yes"]).ended(2);
    assert!(
        outcome.stderr.contains("different keys of mem0"),
        "{}",
        outcome.stderr
    );
    newcomer
        .switch(&["--yes", "--host", "claude-desktop"])
        .ended(0);
    newcomer.is_changed();
    assert_eq!(newcomer.home.text(".cursor/mcp.json"), other.to_string());
}

#[test]
fn a_named_source_takes_the_place_of_the_entrys_mem0() {
    let newcomer = with_entry(&json!({"url": "http://localhost:8765/mcp/claude/sse/jane"}));
    let export = json!([{"id": "m1", "memory": "likes tea", "user_id": "jane"}]);
    newcomer
        .home
        .put("work/export.json", export.to_string().as_bytes());
    newcomer
        .switch(&["--yes", "--file", "export.json"])
        .ended(0);
    assert!(newcomer.config().contains("zep-mcp-server"));
    assert!(newcomer.mem0.calls_to("/").is_empty());
    // The self-hosted server behind the stand-in.
    let newcomer = with_entry(&json!({"command": "uvx", "args": ["mem0-mcp-server"],
        "env": {"MEM0_BASE_URL": "http://localhost:9"}}));
    let url = newcomer.mem0.url.clone();
    let mut command = newcomer.command(&["--yes", "--from", "mem0-server", "--mem0-url", &url]);
    super::outcome(command.env("MEM0_SERVER_KEY", super::KEY)).ended(0);
    newcomer.has_moved(3);
    assert!(newcomer.config().contains("zep-mcp-server"));
}

#[test]
fn a_server_is_not_migrated_without_saying_whose_memories() {
    let newcomer = Newcomer::new().remembers(3);
    let world = World::embedded();
    let run = |arguments: &[&str]| {
        let mut command = world.command();
        command.args([
            "migrate",
            "--from",
            "mem0",
            "--entry",
            "claude-desktop:mem0",
        ]);
        command.args(arguments);
        command.env("HOME", newcomer.home.dir.path());
        command.env("MEM0_BASE_URL", &newcomer.mem0.url);
        command.env("MEMORY_BACKEND", "local");
        command.env("ZEP_MCP_DATA_DIR", newcomer.home.path("data"));
        super::outcome(&mut command)
    };
    let refused = run(&[]).ended(2);
    for word in ["--user", "--all", "jane", "joe"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    newcomer.home.put("users.txt", b"joe\n\n");
    let users = newcomer.home.path("users.txt");
    for (arguments, count) in [
        (&["--users-from", users.to_str().unwrap()][..], 6),
        (&["--all", "--since", "2030-01-01"], 0),
        (&["--all"], 7),
    ] {
        let outcome = run(&[arguments, &["--json"]].concat());
        let answer = super::read(&outcome);
        assert_eq!(
            answer["memories_migrated"], count,
            "{arguments:?}: {answer:#}"
        );
    }
    newcomer.home.put("users.txt", b"\n");
    let outcome = run(&["--users-from", users.to_str().unwrap()]).ended(2);
    assert!(
        outcome.stderr.contains("names no user"),
        "{}",
        outcome.stderr
    );
}

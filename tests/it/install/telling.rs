//! What is not surely mem0's, and files of unknown layouts, are shown and left alone.

use serde_json::json;
use zep_mcp_server::agent_hosts::document::Syntax;

use super::{Home, KEY, bytes, entry, program};

const CURSOR: &str = ".cursor/mcp.json";

#[test]
fn a_file_of_an_unknown_layout_is_refused_with_the_known_ones() {
    for (at, text) in [
        (
            "x.json",
            "{\"servers_of_mine\": {\"mem0\": {\"command\": \"uvx\", \"args\": [\"mem0-mcp-server\"]}}}",
        ),
        ("x.json", "[{\"name\": \"mem0\", \"command\": \"uvx\"}]"),
        ("x.json", "{}"),
        (
            "x.yaml",
            "name: x\nmcpServers:\n  - name: mem0\n    command: uvx\n",
        ),
        ("x.toml", "[servers.mem0]\ncommand = \"uvx\"\n"),
    ] {
        let home = Home::empty();
        home.put(&format!("work/{at}"), text.as_bytes());
        let outcome = home.install(&["--yes", "--config", at]).ended(1);
        for layout in [
            "`mcpServers`",
            "`context_servers`",
            "`mcp`",
            "`[mcp_servers]`",
            "`extensions`",
        ] {
            assert!(
                outcome.stderr.contains(layout),
                "{layout}: {}",
                outcome.stderr
            );
        }
        assert_eq!(home.text(&format!("work/{at}")), text);
    }
}

#[test]
fn a_new_entry_is_made_only_where_a_host_is_named() {
    for text in [
        "{\"mcpServers\": {\"x\": {\"command\": \"y\"}}}",
        "{\"mcp\": {\"x\": {\"type\": \"local\", \"command\": [\"y\"]}}}",
        "{\"context_servers\": {}}",
    ] {
        let home = Home::empty();
        home.put("work/some.json", text.as_bytes());
        home.install(&["--yes", "--config", "some.json"])
            .ended(1)
            .says("--host");
        assert_eq!(home.text("work/some.json"), text);
    }
    // Nor in another host's layout.
    let home = Home::empty();
    let opencode = "{\"mcp\": {\"x\": {\"type\": \"local\", \"command\": [\"y\"]}}}";
    home.put("work/some.json", opencode.as_bytes());
    home.install(&["--yes", "--config", "some.json", "--host", "cursor"])
        .ended(1)
        .says("opencode");
    assert_eq!(home.text("work/some.json"), opencode);
    home.install(&["--yes", "--config", "some.json", "--host", "opencode"])
        .ended(0);
    let text = home.text("work/some.json");
    assert_eq!(
        entry(&text, Syntax::Json, "mcp|zep-memory"),
        json!({"type": "local", "command": [program()], "environment": {"ZEP_API_KEY": KEY}})
    );
}

#[test]
fn what_may_be_mem0s_is_shown_and_changed_only_by_its_name() {
    for (command, args) in [
        (
            "uvx",
            json!([
                "--from",
                "git+https://github.com/someone/mem0-mcp-selfhosted.git",
                "mem0-mcp-selfhosted"
            ]),
        ),
        (
            "docker",
            json!(["run", "-i", "--rm", "registry.example/mcp/mem0"]),
        ),
        ("npx", json!(["-y", "@someone/mem0-mcp"])),
        ("/opt/memory/start.sh", json!([])),
    ] {
        let text = json!({"mcpServers": {"mem0": {"command": command, "args": args}}}).to_string();
        let home = Home::empty();
        home.put(CURSOR, text.as_bytes());
        for arguments in [&["--yes"][..], &["--yes", "--host", "cursor"]] {
            home.install(arguments)
                .ended(1)
                .says("`mem0` may run mem0")
                .says("--entry");
            assert_eq!(home.text(CURSOR), text, "no second memory beside it");
        }
        home.install(&["--yes", "--entry", "mem0"]).ended(0);
        assert_eq!(
            entry(&home.text(CURSOR), Syntax::Json, "mcpServers|mem0"),
            json!({"command": program(), "env": {"ZEP_API_KEY": KEY}})
        );
        home.put(CURSOR, text.as_bytes());
        home.install(&["--yes", "--host", "cursor", "--name", "second"])
            .ended(0);
        assert_eq!(
            entry(&home.text(CURSOR), Syntax::Json, "mcpServers|mem0")["command"],
            command
        );
    }
}

#[test]
fn a_directory_named_like_mem0_is_no_memory() {
    let home = Home::empty();
    let text = "{\"mcpServers\": {\"files\": {\"command\": \"npx\", \"args\": [\"-y\", \"@modelcontextprotocol/server-filesystem\", \"/src/mem0-mcp-server\"]}}}";
    home.put(CURSOR, text.as_bytes());
    home.put(".gemini/settings.json", &bytes("gemini-cli/settings.json"));
    home.install(&["--yes"])
        .ended(0)
        .says("`files` may run mem0");
    assert_eq!(home.text(CURSOR), text);
}

#[test]
fn the_user_of_openmemory_is_kept() {
    let home = Home::empty();
    let text = json!({"mcpServers": {
        "openmemory": {"command": "npx", "args": ["-y", "supergateway", "--sse", "http://localhost:8765/mcp/claude/sse/jane%40home"]},
    }});
    home.put(CURSOR, text.to_string().as_bytes());
    home.install(&["--yes"]).ended(0);
    assert_eq!(
        entry(&home.text(CURSOR), Syntax::Json, "mcpServers|openmemory"),
        json!({"command": program(), "env": {"ZEP_DEFAULT_USER_ID": "jane@home", "ZEP_API_KEY": KEY}})
    );
}

#[test]
fn a_plugin_is_named_with_the_commands_that_replace_it() {
    let home = Home::empty();
    let plugins = "{\"enabledPlugins\": {\"mem0@mem0-plugins\": true, \"x@y\": true}}";
    home.put(".claude/settings.json", plugins.as_bytes());
    home.install(&["--yes"])
        .ended(1)
        .says("`claude plugin uninstall mem0@mem0-plugins`")
        .says("`zep-mcp-server install --host claude-code`");
    home.install(&["--yes", "--host", "claude-code"])
        .ended(0)
        .says("mem0@mem0-plugins");
    assert_eq!(home.text(".claude/settings.json"), plugins);
    home.put(
        ".claude/settings.json",
        plugins.replacen("true", "false", 1).as_bytes(),
    );
    let outcome = home.install(&["--yes", "--host", "claude-code"]).ended(0);
    assert!(!outcome.stdout.contains("plugin"), "{}", outcome.stdout);
    let home = Home::empty();
    home.put(
        ".codex/config.toml",
        b"[plugins.\"mem0@mem0-plugins\"]\nenabled = true\n",
    );
    home.install(&["--yes", "--host", "codex"])
        .ended(0)
        .says("codex plugin");
}

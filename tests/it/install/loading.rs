//! An entry of a remote server becomes one that its host loads: what only a remote server has goes.
//! The hosts' own programs confirm it: `tests/peers/hosts.mjs`.

use serde_json::json;
use zep_mcp_server::agent_hosts::document::Syntax;

use super::{Home, KEY, entry, program};

#[test]
fn codex_keeps_nothing_of_a_remote_server() {
    let at = ".codex/config.toml";
    let before = "model = \"m\"\n\n# memory\n[mcp_servers.mem0]\nurl = \"https://mcp.mem0.ai/mcp\" # hosted\noauth_resource = \"https://mcp.mem0.ai/mcp\"\nbearer_token_env_var = \"MEM0_API_KEY\"\nauth = \"oauth\"\nhttp_headers_helper = \"/opt/headers\"\nscopes = [\"memory\"]\nrequired = true\nenabled_tools = [\"search_memories\"]\n\n[mcp_servers.mem0.http_headers]\nAuthorization = \"Token m0-s3cr3t\"\n\n[mcp_servers.mem0.env_http_headers]\nX-Key = \"MEM0_API_KEY\"\n\n[mcp_servers.mem0.oauth]\nclient_id = \"c\"\n\n[mcp_servers.mem0.tools.add_memory]\napproval_mode = \"approve\"\n\n[tui]\ntheme = \"x\"\n";
    let home = Home::empty();
    home.put(at, before.as_bytes());
    home.install(&["--yes"]).ended(0);
    let after = home.text(at);
    assert_eq!(
        entry(&after, Syntax::Toml, "mcp_servers|mem0"),
        json!({
            "command": program(), "required": true, "enabled_tools": ["search_memories"],
            "tools": {"add_memory": {"approval_mode": "approve"}}, "env": {"ZEP_API_KEY": KEY}
        }),
        "{after}"
    );
    assert!(
        after.starts_with("model = \"m\"\n\n# memory\n[mcp_servers.mem0]\n"),
        "{after}"
    );
    assert!(after.ends_with("\n[tui]\ntheme = \"x\"\n"), "{after}");
    home.install(&["--yes", "--restore"]).ended(0);
    assert_eq!(home.text(at), before);
}

#[test]
fn json_hosts_keep_nothing_of_a_remote_server() {
    for (at, extra) in [
        (
            ".claude.json",
            json!({"type": "http", "headersHelper": "/opt/h", "oauth": {"clientId": "c"}}),
        ),
        (
            ".gemini/settings.json",
            json!({"authProviderType": "google_credentials", "targetAudience": "a", "targetServiceAccount": "s", "oauth": {"enabled": true}}),
        ),
        (
            ".cursor/mcp.json",
            json!({"auth": {"CLIENT_ID": "c"}, "headers": {"Authorization": "Token m0-s3cr3t"}}),
        ),
    ] {
        let mut mem0 = json!({"url": "https://mcp.mem0.ai/mcp", "timeout": 60000});
        mem0.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let before = json!({"mcpServers": {"mem0": mem0}}).to_string();
        let home = Home::empty();
        home.put(at, before.as_bytes());
        home.install(&["--yes"]).ended(0);
        let mut expected =
            json!({"command": program(), "timeout": 60000, "env": {"ZEP_API_KEY": KEY}});
        if mem0["type"] == "http" {
            expected["type"] = "stdio".into();
        }
        assert_eq!(
            entry(&home.text(at), Syntax::Json, "mcpServers|mem0"),
            expected,
            "{at}"
        );
        home.install(&["--yes", "--restore"]).ended(0);
        assert_eq!(home.text(at), before);
    }
}

//! Which files and entries are selected.

use std::collections::BTreeMap;

use serde_json::json;
use zep_mcp_server::agent_hosts::Host;
use zep_mcp_server::agent_hosts::document::Syntax;
use zep_mcp_server::agent_hosts::locations::{ConfigScope, HostDirs, System};

use super::{Home, KEY, bytes, entry, program};

/// The documented places on Linux, macOS and Windows; of a project, the same on all.
#[rustfmt::skip]
const PLACES: [(Host, [&str; 3]); 35] = [
    (Host::ClaudeDesktop, ["/h/.config/Claude/claude_desktop_config.json", "/h/Library/Application Support/Claude/claude_desktop_config.json", "/h/AppData/Roaming/Claude/claude_desktop_config.json"]),
    (Host::ClaudeCode, ["/h/.claude.json"; 3]),
    (Host::ClaudeCode, ["/p/.mcp.json"; 3]),
    (Host::Cursor, ["/h/.cursor/mcp.json"; 3]),
    (Host::Cursor, ["/p/.cursor/mcp.json"; 3]),
    (Host::Windsurf, ["/h/.codeium/windsurf/mcp_config.json"; 3]),
    (Host::VsCode, ["/h/.config/Code/User/mcp.json", "/h/Library/Application Support/Code/User/mcp.json", "/h/AppData/Roaming/Code/User/mcp.json"]),
    (Host::VsCode, ["/h/.config/Code/User/settings.json", "/h/Library/Application Support/Code/User/settings.json", "/h/AppData/Roaming/Code/User/settings.json"]),
    (Host::VsCode, ["/h/.config/Code - Insiders/User/mcp.json", "/h/Library/Application Support/Code - Insiders/User/mcp.json", "/h/AppData/Roaming/Code - Insiders/User/mcp.json"]),
    (Host::VsCode, ["/p/.vscode/mcp.json"; 3]),
    (Host::Codex, ["/h/.codex/config.toml"; 3]),
    (Host::Codex, ["/p/.codex/config.toml"; 3]),
    (Host::Gemini, ["/h/.gemini/settings.json"; 3]),
    (Host::Gemini, ["/p/.gemini/settings.json"; 3]),
    (Host::Antigravity, ["/h/.gemini/antigravity/mcp_config.json"; 3]),
    (Host::Antigravity, ["/h/.gemini/config/mcp_config.json"; 3]),
    (Host::OpenCode, ["/h/.config/opencode/opencode.json"; 3]),
    (Host::OpenCode, ["/p/opencode.json"; 3]),
    (Host::Zed, ["/h/.config/zed/settings.json", "/h/.config/zed/settings.json", "/h/AppData/Roaming/Zed/settings.json"]),
    (Host::Zed, ["/p/.zed/settings.json"; 3]),
    (Host::Cline, ["/h/.cline/data/settings/cline_mcp_settings.json"; 3]),
    (Host::Cline, ["/h/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", "/h/Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", "/h/AppData/Roaming/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"]),
    (Host::RooCode, ["/h/.config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json", "/h/Library/Application Support/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json", "/h/AppData/Roaming/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"]),
    (Host::RooCode, ["/p/.roo/mcp.json"; 3]),
    (Host::Kiro, ["/h/.kiro/settings/mcp.json"; 3]),
    (Host::Kiro, ["/p/.kiro/settings/mcp.json"; 3]),
    (Host::LmStudio, ["/h/.lmstudio/mcp.json"; 3]),
    (Host::Goose, ["/h/.config/goose/config.yaml", "/h/.config/goose/config.yaml", "/h/AppData/Roaming/Block/goose/config/config.yaml"]),
    (Host::Junie, ["/h/.junie/mcp/mcp.json"; 3]),
    (Host::Junie, ["/p/.junie/mcp/mcp.json"; 3]),
    (Host::Amp, ["/h/.config/amp/settings.json"; 3]),
    (Host::Amp, ["/p/.amp/settings.json"; 3]),
    (Host::Hermes, ["/h/.hermes/config.yaml", "/h/.hermes/config.yaml", "/h/AppData/Local/hermes/config.yaml"]),
    (Host::Antigravity, ["/p/.agents/mcp_config.json"; 3]),
    (Host::OpenCode, ["/p/.opencode/opencode.json"; 3]),
];

#[test]
fn every_host_is_found_by_its_files() {
    for (system, config, local) in [
        (System::Linux, "/h/.config", "/h/.local/share"),
        (
            System::MacOs,
            "/h/Library/Application Support",
            "/h/Library/Application Support",
        ),
        (System::Windows, "/h/AppData/Roaming", "/h/AppData/Local"),
    ] {
        let dirs = HostDirs {
            system,
            home: "/h".into(),
            config: config.into(),
            local: local.into(),
            variables: BTreeMap::new(),
            directory: "/p".into(),
        };
        let found: Vec<_> = dirs
            .locations()
            .iter()
            .map(|it| {
                (
                    it.host.unwrap(),
                    it.scope,
                    it.path.to_str().unwrap().replace('\\', "/"),
                )
            })
            .collect();
        for (host, paths) in PLACES {
            let path = paths[system as usize].to_owned();
            let scope = if path.starts_with("/p/") {
                ConfigScope::Project
            } else {
                ConfigScope::User
            };
            assert!(
                found.contains(&(host, scope, path.clone())),
                "{path}: {found:?}"
            );
        }
        for host in Host::all() {
            assert!(
                PLACES.iter().any(|(it, _)| *it == host),
                "{host} has its places"
            );
        }
    }
}

#[test]
fn all_hosts_are_switched_at_once() {
    let home = Home::empty();
    let files = [
        (
            ".config/Claude/claude_desktop_config.json",
            "claude-desktop/claude_desktop_config.json",
        ),
        (".cursor/mcp.json", "cursor/mcp.json"),
        (
            ".codeium/windsurf/mcp_config.json",
            "windsurf/mcp_config.json",
        ),
        (".config/Code/User/mcp.json", "vscode/mcp.json"),
        (".codex/config.toml", "codex/config.toml"),
        (".gemini/settings.json", "gemini-cli/settings.json"),
    ];
    for (at, fixture) in files {
        home.put(at, &bytes(fixture));
    }
    let outcome = home.install(&["--yes"]).ended(0);
    for host in [
        "Claude Desktop",
        "Cursor",
        "Windsurf",
        "VS Code",
        "Codex",
        "Gemini CLI",
    ] {
        assert!(
            outcome.stdout.contains(&format!("\n{host}: ")),
            "how {host} is restarted"
        );
    }
    for (at, _) in files {
        assert!(home.text(at).contains(program()), "{at}");
    }
    let again = home
        .install(&["--yes"])
        .ended(0)
        .says("runs this server already");
    assert!(!again.stdout.contains("changed:"));
    for (at, _) in files {
        assert_eq!(
            home.backups(at).len(),
            1,
            "{at}: the second run wrote nothing"
        );
    }
}

#[test]
fn only_the_named_host_is_touched() {
    let home = Home::with(".cursor/mcp.json", "cursor/mcp.json");
    home.put(".gemini/settings.json", &bytes("gemini-cli/settings.json"));
    home.install(&["--yes", "--host", "gemini-cli"]).ended(0);
    assert_eq!(
        home.text(".cursor/mcp.json").as_bytes(),
        bytes("cursor/mcp.json")
    );
    assert!(home.text(".gemini/settings.json").contains(KEY));
}

#[test]
fn the_variables_of_codex_and_claude_code_locate_their_files() {
    let home = Home::with("codex/config.toml", "codex/config.toml");
    home.put("claude/.claude.json", &bytes("claude-code/claude.json"));
    let run = home
        .command(&["--yes", "--all"])
        .env("ZEP_API_KEY", KEY)
        .env("CODEX_HOME", home.path("codex"))
        .env("CLAUDE_CONFIG_DIR", home.path("claude"))
        .output()
        .unwrap();
    super::Outcome::of(run).ended(0);
    assert!(home.text("codex/config.toml").contains(program()));
    assert!(home.text("claude/.claude.json").contains(program()));
}

#[test]
fn any_file_can_be_named() {
    let home = Home::with(
        "elsewhere/servers.json",
        "claude-desktop/claude_desktop_config.json",
    );
    home.install(&["--yes", "--config", "../elsewhere/servers.json"])
        .ended(0);
    let text = home.text("elsewhere/servers.json");
    assert_eq!(
        entry(&text, Syntax::Json, "mcpServers|mem0")["command"],
        program()
    );

    let home = Home::with("elsewhere/servers.json", "vscode/mcp.json");
    let named = [
        "--yes",
        "--config",
        "../elsewhere/servers.json",
        "--host",
        "vscode",
        "--key-from-env",
    ];
    home.install_without_key(&named).ended(0);
    let text = home.text("elsewhere/servers.json");
    assert_eq!(entry(&text, Syntax::Json, "inputs")[1]["id"], "zep-api-key");
}

#[test]
fn only_the_named_entry_is_changed() {
    let home = Home::with(".claude.json", "claude-code/claude.json");
    let before = home.text(".claude.json");
    home.install(&["--yes"])
        .ended(2)
        .says("--all")
        .says("mem0-mcp");
    assert_eq!(home.text(".claude.json"), before);
    home.install(&["--yes", "--entry", "mem0"]).ended(0);
    let after = home.text(".claude.json");
    assert_eq!(
        entry(&after, Syntax::Json, "mcpServers|mem0-mcp"),
        entry(&before, Syntax::Json, "mcpServers|mem0-mcp")
    );
    assert_eq!(
        entry(
            &after,
            Syntax::Json,
            "projects|/home/jane/dev/app|mcpServers|mem0"
        )["command"],
        program()
    );
}

#[test]
fn a_new_entry_is_added_where_a_host_is_named() {
    for (at, before, host, path) in [
        (
            ".cursor/mcp.json",
            "{\n  // none yet\n  \"mcpServers\": {}\n}\n",
            "cursor",
            "mcpServers|zep-memory",
        ),
        (
            ".gemini/settings.json",
            "{\"ui\": {}}",
            "gemini-cli",
            "mcpServers|zep-memory",
        ),
        (
            ".gemini/settings.json",
            "",
            "gemini-cli",
            "mcpServers|zep-memory",
        ),
        (
            ".config/Code/User/mcp.json",
            "{\n\t\"servers\": {\n\t\t\"a\": {}\n\t}\n}",
            "vscode",
            "servers|zep-memory",
        ),
    ] {
        let home = Home::empty();
        home.put(at, before.as_bytes());
        home.install(&["--yes", "--host", host]).ended(0);
        let text = home.text(at);
        assert_eq!(
            entry(&text, Syntax::Json, path),
            json!({"command": program(), "env": {"ZEP_API_KEY": KEY}}),
            "{text}"
        );
        home.install(&["--yes", "--host", host])
            .ended(0)
            .says("already");
    }
    let home = Home::empty();
    home.put(
        ".codex/config.toml",
        b"model = \"x\"\n\n[mcp_servers.docs]\ncommand = \"d\"\n",
    );
    home.install(&["--yes", "--host", "codex", "--name", "mem0", "--local"])
        .ended(0);
    assert_eq!(
        home.text(".codex/config.toml"),
        format!(
            "model = \"x\"\n\n[mcp_servers.docs]\ncommand = \"d\"\n\n[mcp_servers.mem0]\ncommand = \"{}\"\nenv = {{ MEMORY_BACKEND = \"local\" }}\n",
            program()
        )
    );
}

#[test]
fn only_the_owner_can_read_a_new_file() {
    let home = Home::empty();
    std::fs::create_dir(home.path(".cursor")).unwrap();
    home.install(&["--yes", "--host", "cursor"])
        .ended(0)
        .says("delete it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(home.path(".cursor/mcp.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn without_a_mem0_entry_nothing_is_added_unasked() {
    let home = Home::empty();
    home.put(
        ".cursor/mcp.json",
        b"{\"mcpServers\": {\"x\": {\"command\": \"y\"}}}",
    );
    home.install(&["--yes"])
        .ended(1)
        .says("--host")
        .says("Cursor");
    Home::empty().install(&["--yes"]).ended(1).says("--config");
    assert!(home.backups(".cursor/mcp.json").is_empty());
}

//! Each host in the shape that it documents: changed, referring to the key, restored.

use serde_json::{Value, json};

use super::{Home, KEY, bytes, entry, program, syntax};

/// A host's file, its entry, and what it becomes.
struct Case {
    host: &'static str,
    at: &'static str,
    fixture: &'static str,
    path: &'static str,
    /// The entry with the key, without it, and the member that holds the variables.
    after: fn() -> Value,
    env: &'static str,
    /// How it refers to the key; `None` if the host documents no way.
    reference: Option<&'static str>,
    /// Lines of the file, or parts of them, that stay.
    kept: &'static [&'static str],
}

const CASES: [Case; 13] = [
    Case {
        host: "antigravity",
        at: ".gemini/antigravity/mcp_config.json",
        fixture: "antigravity/mcp_config.json",
        path: "mcpServers|mem0",
        after: || json!({"command": program(), "disabledTools": ["delete_entities"]}),
        env: "env",
        reference: None,
        kept: &["\"GITHUB_PERSONAL_ACCESS_TOKEN\": \"ghp_s3cr3t\" }"],
    },
    Case {
        host: "opencode",
        at: ".config/opencode/opencode.json",
        fixture: "opencode/opencode.json",
        path: "mcp|mem0",
        after: || {
            json!({
                "type": "local", "command": [program()], "enabled": true,
                "environment": {"MEM0_API_KEY": "m0-s3cr3t"}
            })
        },
        env: "environment",
        reference: Some("{env:ZEP_API_KEY}"),
        kept: &[
            "  // models\n",
            ", // memory\n",
            "\"docs\": { \"type\": \"remote\"",
        ],
    },
    Case {
        host: "opencode",
        at: ".config/opencode/opencode.json",
        fixture: "opencode/remote.json",
        path: "mcp|servers|memory",
        after: || json!({"type": "local", "command": [program()], "timeout": 9000}),
        env: "environment",
        reference: Some("{env:ZEP_API_KEY}"),
        kept: &["  \"mcp\": {\n    \"servers\": {\n"],
    },
    Case {
        host: "zed",
        at: ".config/zed/settings.json",
        fixture: "zed/settings.json",
        path: "context_servers|mem0",
        after: || json!({"source": "custom", "enabled": true, "command": program(), "args": [], "env": {}}),
        env: "env",
        reference: None,
        kept: &[
            "// Zed settings\n",
            "  /* servers */\n",
            "\"database_url\": \"postgresql://s3cr3t\"",
        ],
    },
    Case {
        host: "cline",
        at: ".cline/data/settings/cline_mcp_settings.json",
        fixture: "cline/cline_mcp_settings.json",
        path: "mcpServers|mem0",
        after: || {
            json!({
                "autoApprove": ["search_memories"], "disabled": false, "timeout": 60,
                "type": "stdio", "command": program()
            })
        },
        env: "env",
        reference: None,
        kept: &["\"autoApprove\": [\"search_memories\"],\n"],
    },
    Case {
        host: "cline",
        at: ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        fixture: "cline/cline_mcp_settings.json",
        path: "mcpServers|mem0",
        after: || {
            json!({
                "autoApprove": ["search_memories"], "disabled": false, "timeout": 60,
                "type": "stdio", "command": program()
            })
        },
        env: "env",
        reference: Some("${env:ZEP_API_KEY}"),
        kept: &["\"autoApprove\": [\"search_memories\"],\n"],
    },
    Case {
        host: "roo-code",
        at: ".config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        fixture: "roo-code/mcp_settings.json",
        path: "mcpServers|mem0",
        after: || {
            json!({
                "type": "stdio", "command": program(),
                "alwaysAllow": ["search_memories", "add_memory"], "disabled": false
            })
        },
        env: "env",
        reference: Some("${env:ZEP_API_KEY}"),
        kept: &["\t\t\t\"alwaysAllow\": [\"search_memories\", \"add_memory\"],\n"],
    },
    Case {
        host: "kiro",
        at: ".kiro/settings/mcp.json",
        fixture: "kiro/mcp.json",
        path: "mcpServers|mem0",
        after: || {
            json!({
                "command": program(),
                "env": {"MEM0_API_KEY": "${MEM0_API_KEY}", "MEM0_DEFAULT_USER_ID": "jane"},
                "disabled": false, "autoApprove": ["search_memories"], "disabledTools": []
            })
        },
        env: "env",
        reference: Some("${ZEP_API_KEY}"),
        kept: &["\"aws-docs\": {"],
    },
    Case {
        host: "lm-studio",
        at: ".lmstudio/mcp.json",
        fixture: "lm-studio/mcp.json",
        path: "mcpServers|mem0",
        after: || json!({"command": program(), "env": {"MEM0_API_KEY": "m0-s3cr3t"}}),
        env: "env",
        reference: None,
        kept: &["\"Bearer hf_s3cr3t\" } },\n"],
    },
    Case {
        host: "goose",
        at: ".config/goose/config.yaml",
        fixture: "goose/config.yaml",
        path: "extensions|mem0",
        after: || {
            json!({
                "name": "mem0", "display_name": "Memory",
                "description": "Remembers what\npeople say.\n", "enabled": true, "type": "stdio",
                "cmd": program(), "args": [], "envs": {"MEM0_DEFAULT_USER_ID": "jane"},
                "env_keys": ["MEM0_API_KEY"], "timeout": 300, "bundled": null
            })
        },
        env: "envs",
        reference: Some("env_keys"),
        kept: &[
            "# Model\n",
            "GOOSE_MODEL: claude-sonnet-5   # the default\n",
            "  # memory of all projects\n",
            "    description: |\n      Remembers what\n      people say.\n",
            "    enabled: true   # always\n",
            "      MEM0_DEFAULT_USER_ID: jane # me\n",
            "    args: [-y, \"@modelcontextprotocol/server-github\"]\n",
            "    recipe_path: &tests \"/recipes/tests.yaml\"\n",
        ],
    },
    Case {
        host: "junie",
        at: ".junie/mcp/mcp.json",
        fixture: "junie/mcp.json",
        path: "mcpServers|mem0",
        after: || json!({"command": program(), "env": {"MEM0_API_KEY": "m0-s3cr3t"}, "enabled": true}),
        env: "env",
        reference: None,
        kept: &["            \"enabled\": true\n"],
    },
    Case {
        host: "amp",
        at: ".config/amp/settings.json",
        fixture: "amp/settings.json",
        path: "amp.mcpServers|mem0",
        after: || json!({"command": program(), "includeTools": ["search_memories", "add_memory"]}),
        env: "env",
        reference: Some("${ZEP_API_KEY}"),
        kept: &["false, // quiet\n", "  \"amp\": { \"mcpServers\": {} }\n"],
    },
    Case {
        host: "hermes",
        at: ".hermes/config.yaml",
        fixture: "hermes/config.yaml",
        path: "mcp_servers|mem0",
        after: || {
            json!({
                "command": program(), "timeout": 120,
                "tools": {"include": ["search_memories", "add_memory"]}
            })
        },
        env: "env",
        reference: Some("${ZEP_API_KEY}"),
        kept: &[
            "  # shared memory\n",
            "      include: [search_memories, add_memory]\n",
            "  time: {command: \"uvx\", args: [\"mcp-server-time\"]}\n",
            "terminal:\n  backend: local\n",
        ],
    },
];

impl Case {
    fn home(&self) -> Home {
        Home::with(self.at, self.fixture)
    }

    fn changed(&self, home: &Home) -> Value {
        entry(&home.text(self.at), syntax(self.at), self.path)
    }
}

#[test]
fn an_entry_gets_the_hosts_own_members() {
    for case in &CASES {
        let home = case.home();
        home.install(&["--yes", "--host", case.host]).ended(0);
        let mut expected = (case.after)();
        expected[case.env]["ZEP_API_KEY"] = KEY.into();
        assert_eq!(
            case.changed(&home),
            expected,
            "{}: {}",
            case.host,
            home.text(case.at)
        );
        for kept in case.kept {
            assert!(
                home.text(case.at).contains(kept),
                "{kept}: {}",
                home.text(case.at)
            );
        }
        home.install(&["--yes", "--host", case.host])
            .ended(0)
            .says("already");
    }
}

#[test]
fn an_entry_refers_to_the_key_as_the_host_documents() {
    for case in &CASES {
        let home = case.home();
        let arguments = ["--yes", "--host", case.host, "--key-from-env"];
        let Some(reference) = case.reference else {
            home.install_without_key(&arguments)
                .ended(2)
                .says("no documented way");
            assert_eq!(home.text(case.at).as_bytes(), bytes(case.fixture));
            continue;
        };
        home.install_without_key(&arguments).ended(0);
        let mut expected = (case.after)();
        if reference == "env_keys" {
            expected[reference] = json!(["MEM0_API_KEY", "ZEP_API_KEY"]);
        } else {
            expected[case.env]["ZEP_API_KEY"] = reference.into();
        }
        assert_eq!(case.changed(&home), expected, "{}", case.host);
    }
}

#[test]
fn every_host_is_restored_byte_for_byte() {
    for case in &CASES {
        let home = case.home();
        home.install(&["--yes", "--host", case.host, "--local"])
            .ended(0);
        assert_ne!(home.text(case.at).as_bytes(), bytes(case.fixture));
        home.install(&["--yes", "--host", case.host, "--restore"])
            .ended(0);
        assert_eq!(
            home.text(case.at).as_bytes(),
            bytes(case.fixture),
            "{}",
            case.host
        );
        assert!(home.backups(case.at).is_empty());
    }
}

#[test]
fn a_file_elsewhere_is_recognised_by_its_layout() {
    for case in &CASES {
        let at = format!(
            "elsewhere/servers.{}",
            case.fixture.rsplit('.').next().unwrap()
        );
        let home = Home::with(&at, case.fixture);
        let file = format!("../{at}");
        home.install(&["--yes", "--config", &file]).ended(0);
        let mut expected = (case.after)();
        expected[case.env]["ZEP_API_KEY"] = KEY.into();
        assert_eq!(
            entry(&home.text(&at), syntax(&at), case.path),
            expected,
            "{}",
            case.host
        );
        home.install(&["--yes", "--config", &file, "--restore"])
            .ended(0);
        assert_eq!(home.text(&at).as_bytes(), bytes(case.fixture));
    }
}

#[test]
fn a_new_entry_has_what_the_host_requires() {
    for (host, at, before, path, expected) in [
        (
            "opencode",
            ".config/opencode/opencode.jsonc",
            "{\n  // mine\n  \"mcp\": {}\n}\n",
            "mcp|zep-memory",
            json!({"type": "local", "command": [program()], "environment": {"ZEP_API_KEY": KEY}}),
        ),
        (
            "opencode",
            ".config/opencode/opencode.json",
            "{\"mcp\": {\"servers\": {}}}",
            "mcp|servers|zep-memory",
            json!({"type": "local", "command": [program()], "environment": {"ZEP_API_KEY": KEY}}),
        ),
        (
            "zed",
            ".config/zed/settings.json",
            "{\n  \"theme\": \"x\" // mine\n}\n",
            "context_servers|zep-memory",
            json!({"command": program(), "args": [], "env": {"ZEP_API_KEY": KEY}}),
        ),
        (
            "goose",
            ".config/goose/config.yaml",
            "# mine\nGOOSE_MODEL: x\nextensions:\n    a:\n        type: builtin\n",
            "extensions|zep-memory",
            json!({
                "name": "zep-memory", "type": "stdio", "enabled": true, "timeout": 300,
                "cmd": program(), "args": [], "envs": {"ZEP_API_KEY": KEY}
            }),
        ),
        (
            "hermes",
            ".hermes/config.yaml",
            "model: x # mine",
            "mcp_servers|zep-memory",
            json!({"command": program(), "env": {"ZEP_API_KEY": KEY}}),
        ),
        (
            "hermes",
            ".hermes/config.yaml",
            "mcp_servers: {} # none\nmodel: x\n",
            "mcp_servers|zep-memory",
            json!({"command": program(), "env": {"ZEP_API_KEY": KEY}}),
        ),
        (
            "hermes",
            ".hermes/config.yaml",
            "",
            "mcp_servers|zep-memory",
            json!({"command": program(), "env": {"ZEP_API_KEY": KEY}}),
        ),
    ] {
        let home = Home::empty();
        home.put(at, before.as_bytes());
        home.install(&["--yes", "--host", host]).ended(0);
        let text = home.text(at);
        assert_eq!(entry(&text, syntax(at), path), expected, "{text}");
        for comment in ["// mine", "# mine", "# none"] {
            assert_eq!(before.contains(comment), text.contains(comment), "{text}");
        }
    }
}

#[test]
fn older_notations_are_kept() {
    let home = Home::with("elsewhere/cline_mcp_settings.json", "cline/nested.json");
    home.install(&["--yes", "--config", "../elsewhere/cline_mcp_settings.json"])
        .ended(0);
    let text = home.text("elsewhere/cline_mcp_settings.json");
    assert_eq!(
        entry(&text, syntax(".json"), "mcpServers|openmemory"),
        json!({
            "transport": {
                "type": "stdio", "command": program(),
                "env": {"ZEP_DEFAULT_USER_ID": "jane", "ZEP_API_KEY": KEY}
            },
            "disabled": false
        })
    );
    let home = Home::empty();
    let zed = "{\"context_servers\": {\"m\": {\"command\": {\"path\": \"uvx\", \"args\": [\"mem0-mcp-server\"], \"env\": {\"MEM0_API_KEY\": \"m0-s3cr3t\"}}, \"settings\": {}}}}";
    home.put("work/.zed/settings.json", zed.as_bytes());
    home.install(&["--yes", "--local"]).ended(0);
    assert_eq!(
        entry(
            &home.text("work/.zed/settings.json"),
            syntax(".json"),
            "context_servers|m"
        ),
        json!({
            "command": {
                "path": program(), "args": [],
                "env": {"MEM0_API_KEY": "m0-s3cr3t", "MEMORY_BACKEND": "local"}
            },
            "settings": {}
        })
    );
}

/// Such a server would keep memories on this machine, where the user asked for Zep Cloud.
#[test]
fn a_shared_file_without_references_starts_no_server_without_a_key() {
    let at = "work/.junie/mcp/mcp.json";
    let home = Home::with(at, "junie/mcp.json");
    home.install(&["--yes"])
        .ended(0)
        .says("documents no reference");
    let env = &entry(&home.text(at), syntax(at), "mcpServers|mem0")["env"];
    assert_eq!(env["MEMORY_BACKEND"], "zep");
    assert!(!home.text(at).contains(KEY));
}

#[test]
fn yaml_is_changed_in_place() {
    let home = Home::empty();
    let at = "elsewhere/goose/config.yaml";
    let before = String::from_utf8(bytes("goose/config.yaml")).unwrap();
    for ends in ["\n", "\r\n"] {
        let before = before.replace('\n', ends);
        home.put(at, before.as_bytes());
        home.install(&["--yes", "--config", &format!("../{at}")])
            .ended(0);
        let expected = before
            .replace("    cmd: uvx", &format!("    cmd: \"{}\"", program()))
            .replace(
                &format!("    args:{ends}      # the package{ends}      - mem0-mcp-server{ends}"),
                &format!("    args: []{ends}"),
            )
            .replace(
                &format!("jane # me{ends}"),
                &format!("jane # me{ends}      ZEP_API_KEY: \"{KEY}\"{ends}"),
            );
        assert_eq!(home.text(at), expected);
    }
}

#[test]
fn yaml_that_cannot_be_changed_alone_is_refused() {
    for (text, says) in [
        (
            "mcp_servers:\n  mem0: &m\n    command: uvx\n    args: [mem0-mcp-server]\n  other: *m\n",
            "by hand",
        ),
        (
            "mcp_servers:\n  mem0: {command: uvx}\n  mem0: {command: uvx}\n",
            "`mem0` occurs twice",
        ),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("mcp_servers:\n  mem0:\n\tcommand: s3cr3t\n", "line 3"),
        ("mcp_servers: [s3cr3t]\n", "`mcp_servers` is not an object"),
        ("- s3cr3t\n", "the file is not a mapping"),
    ] {
        let home = Home::empty();
        home.put(".hermes/config.yaml", text.as_bytes());
        home.install(&["--yes", "--host", "hermes"])
            .ended(1)
            .says(says);
        assert_eq!(home.text(".hermes/config.yaml"), text);
    }
}

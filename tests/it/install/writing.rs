//! One entry changes, and nothing else.

use serde_json::json;
use zep_mcp_server::agent_hosts::document::Syntax;

use super::{Home, KEY, bytes, entry, program};

/// Installs into one file, and returns its text before and after.
fn switched(at: &str, fixture: &str, arguments: &[&str]) -> (String, String) {
    let home = Home::with(at, fixture);
    let before = home.text(at);
    home.install(&[&["--yes"], arguments].concat()).ended(0);
    (before, home.text(at))
}

/// Everything up to `from`, and everything from `to`, is unchanged.
#[track_caller]
fn same_around((before, after): (&str, &str), from: &str, to: &str) {
    let start = before.find(from).expect("the entry's beginning") + from.len();
    let end = before.rfind(to).expect("what follows the entry");
    assert!(start < end);
    assert_eq!(after.get(..start), Some(&before[..start]));
    assert!(after.ends_with(&before[end..]), "{after}");
    assert_ne!(before, after);
}

#[test]
fn claude_desktop() {
    let (before, after) = switched(
        ".config/Claude/claude_desktop_config.json",
        "claude-desktop/claude_desktop_config.json",
        &[],
    );
    same_around((&before, &after), "\"mem0\": {", "    },\n    \"github\"");
    let expected = before
        .replace("\"uvx\"", &format!("\"{}\"", program()))
        .replace("      \"args\": [\"mem0-mcp-server\"],\n", "")
        .replace(
            "\"jane\"",
            &format!("\"jane\",\n        \"ZEP_API_KEY\": \"{KEY}\""),
        );
    assert_eq!(after, expected, "only the necessary bytes change");
}

#[test]
fn claude_code_with_its_projects() {
    let at = ".claude.json";
    let (before, after) = switched(at, "claude-code/claude.json", &["--all"]);
    same_around(
        (&before, &after),
        "      \"mcpServers\": {\n        \"mem0\": {",
        "\n  },\n  \"tipsHistory\"",
    );
    // The text between the two entries.
    let kept = "      \"enabledMcpjsonServers\": [\"mem0\"]\n    },\n    \"/home/jane/dev/none\": { \"mcpServers\": {} },\n    \"/home/jane/dev/old\": { \"history\": [] }\n  },\n  \"mcpServers\": {\n    \"mem0-mcp\": {";
    assert!(before.contains(kept) && after.contains(kept));
    assert_eq!(
        entry(
            &after,
            Syntax::Json,
            "projects|/home/jane/dev/app|mcpServers|mem0"
        ),
        json!({
            "type": "stdio",
            "command": program(),
            "env": {"MEM0_API_KEY": "m0-s3cr3tOfApp", "MEM0_DEFAULT_USER_ID": "jane-at-work", "ZEP_API_KEY": KEY}
        })
    );
    assert_eq!(
        entry(&after, Syntax::Json, "mcpServers|mem0-mcp"),
        json!({"type": "stdio", "command": program(), "env": {"ZEP_API_KEY": KEY}})
    );
}

#[test]
fn a_projects_file_gets_a_reference_and_never_the_key() {
    for (at, fixture, path, reference) in [
        (
            "work/.mcp.json",
            "claude-code/project.mcp.json",
            "mcpServers|mem0",
            "${ZEP_API_KEY}",
        ),
        (
            "work/.cursor/mcp.json",
            "cursor/mcp.json",
            "mcpServers|mem0",
            "${env:ZEP_API_KEY}",
        ),
        (
            "work/.vscode/mcp.json",
            "vscode/mcp.json",
            "servers|mem0",
            "${input:zep-api-key}",
        ),
        (
            "work/.gemini/settings.json",
            "gemini-cli/settings.json",
            "mcpServers|mem0",
            "${ZEP_API_KEY}",
        ),
    ] {
        let (_, after) = switched(at, fixture, &[]);
        assert_eq!(
            entry(&after, Syntax::Json, path)["env"]["ZEP_API_KEY"],
            reference
        );
        assert!(!after.contains(KEY), "{at}");
    }
}

#[test]
fn a_file_on_one_line() {
    let (before, after) = switched("work/.mcp.json", "claude-code/project.mcp.json", &[]);
    same_around((&before, &after), "\"mem0\": {", "}, \"other\"");
}

#[test]
fn cursor_with_comments_tabs_and_trailing_commas() {
    let at = ".cursor/mcp.json";
    let (before, after) = switched(at, "cursor/mcp.json", &["--key-from-env"]);
    same_around((&before, &after), "\"mem0\": {", "\t\t},\n\t\t\"last\"");
    let start = before.find("\"npx\"").unwrap();
    let end = before.find("\t\t\t\"disabled\"").unwrap();
    let expected = format!(
        "{}\"{}\", // needs node 18\n{}",
        &before[..start],
        program(),
        &before[end..]
    )
    .replace(
        "\"get_memories\"],\n",
        "\"get_memories\"],\n\t\t\t\"env\": {\n\t\t\t\t\"ZEP_API_KEY\": \"${env:ZEP_API_KEY}\",\n\t\t\t},\n",
    );
    assert_eq!(after, expected);
}

#[test]
fn windsurf_with_a_byte_order_mark_crlf_and_a_container() {
    let at = ".codeium/windsurf/mcp_config.json";
    let (before, after) = switched(at, "windsurf/mcp_config.json", &[]);
    assert!(after.starts_with("\u{feff}{\r\n"));
    same_around(
        (&before, &after),
        "\"mem0-docker\":\r\n        {",
        "\r\n        }   ,\r\n        \"x\"",
    );
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
    assert_eq!(
        entry(&after, Syntax::Json, "mcpServers|mem0-docker"),
        json!({
            "command": program(),
            "disabledTools": ["delete_entities"],
            // The default user was on the container's command line.
            "env": {
                "MEM0_API_KEY": "m0-s3cr3tOfDocker", "MEM0_DEFAULT_USER_ID": "Jane Doe", "ZEP_API_KEY": KEY
            }
        })
    );
}

#[test]
fn vscode_asks_for_the_key() {
    let at = ".config/Code/User/mcp.json";
    let (before, after) = switched(at, "vscode/mcp.json", &["--key-from-env"]);
    same_around(
        (&before, &after),
        "{\n\t\"inputs\": [\n\t\t{ \"type\": \"promptString\", \"id\": \"mem0-key\", \"description\": \"mem0\", \"password\": true }",
        "\t\t},\n\t\t\"playwright\"",
    );
    assert_eq!(
        entry(&after, Syntax::Json, "servers|mem0"),
        json!({"type": "stdio", "command": program(), "env": {"ZEP_API_KEY": "${input:zep-api-key}"}})
    );
    let inputs = entry(&after, Syntax::Json, "inputs");
    assert_eq!(inputs[0]["id"], "mem0-key");
    assert_eq!(
        inputs[1],
        json!({"type": "promptString", "id": "zep-api-key", "description": "Zep API key", "password": true})
    );
}

#[test]
fn vscodes_older_settings_and_smithery() {
    let at = ".config/Code/User/settings.json";
    let (before, after) = switched(at, "vscode/settings.json", &[]);
    same_around(
        (&before, &after),
        "\"memory\": {",
        "\n            },\n        }\n    },",
    );
    assert_eq!(
        entry(&after, Syntax::Json, "mcp|servers|memory"),
        json!({
            "command": program(),
            "env": {"MEM0_API_KEY": "m0-s3cr3t", "MEM0_DEFAULT_USER_ID": "jane", "ZEP_API_KEY": KEY}
        })
    );
}

#[test]
fn codex_with_crlf_and_comments() {
    let at = ".codex/config.toml";
    let (before, after) = switched(at, "codex/config.toml", &[]);
    let args = "args = [\r\n  \"--python\", \"3.12\",\r\n  \"mem0-mcp-server@latest\",\r\n]\r\n";
    let expected = before
        .replace("\"uvx\"", &format!("\"{}\"", program()))
        .replace(args, "")
        .replace(
            "OfCodex\"\r\n",
            &format!("OfCodex\"\r\nZEP_API_KEY = \"{KEY}\"\r\n"),
        );
    assert_eq!(after, expected);
}

#[test]
fn codex_forwards_the_key() {
    let at = ".codex/config.toml";
    let (before, after) = switched(at, "codex/config.toml", &["--key-from-env"]);
    same_around(
        (&before, &after),
        "[mcp_servers.mem0]\r\n",
        "\r\n[projects.",
    );
    let mem0 = entry(&after, Syntax::Toml, "mcp_servers|mem0");
    assert_eq!(mem0["env_vars"], json!(["ZEP_API_KEY"]));
    assert_eq!(mem0["env"], json!({"MEM0_API_KEY": "m0-s3cr3tOfCodex"}));
    assert_eq!(mem0["startup_timeout_sec"], 20);
}

#[test]
fn codex_tables_of_every_kind() {
    for before in [
        "[mcp_servers]\nmem0 = { command = \"uvx\", args = [\"mem0-mcp-server\"] } # one line\nx = { command = \"y\" }\n",
        "mcp_servers.mem0.command = \"uvx\" # dotted\nmcp_servers.mem0.args = [\"mem0-mcp-server\"]\nx = 1\n",
        "[mcp_servers.\"mem0\"]\nurl = \"https://mcp.mem0.ai/mcp\"\nbearer_token_env_var = \"MEM0_API_KEY\"\n# end\n",
        "# mixed\r\n[mcp_servers.mem0]\ncommand = \"mem0-mcp-server\"\r\n\n[x]\r\ny = '''\na\r\nb'''\n",
    ] {
        let home = Home::empty();
        home.put(".codex/config.toml", before.as_bytes());
        home.install(&["--yes"]).ended(0);
        let after = home.text(".codex/config.toml");
        let mem0 = entry(&after, Syntax::Toml, "mcp_servers|mem0");
        assert_eq!(
            mem0,
            json!({"command": program(), "env": {"ZEP_API_KEY": KEY}}),
            "{after}"
        );
        let is_of_mem0 = |line: &&str| {
            ["mem0", "uvx", "command =", "env =", "bearer"]
                .iter()
                .any(|it| line.contains(it))
        };
        let others = |text: &str| -> Vec<String> {
            text.split_inclusive('\n')
                .filter(|line| !is_of_mem0(line))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(others(before), others(&after));
    }
}

#[test]
fn gemini_cli() {
    let at = ".gemini/settings.json";
    let (before, after) = switched(at, "gemini-cli/settings.json", &["--key-from-env"]);
    same_around((&before, &after), "\"mem0\": {", "}\n  },\n  \"ui\"");
    assert_eq!(
        entry(&after, Syntax::Json, "mcpServers|mem0"),
        json!({
            "command": program(), "timeout": 5000, "trust": false,
            "env": {"ZEP_API_KEY": "${ZEP_API_KEY}"}
        })
    );
}

#[test]
fn with_uvx_one_word_changes() {
    let at = ".config/Claude/claude_desktop_config.json";
    let fixture = "claude-desktop/claude_desktop_config.json";
    let (before, after) = switched(at, fixture, &["--via", "uvx", "--local"]);
    let expected = before.replace("mem0-mcp-server", "zep-mcp-server").replace(
        "\"jane\"",
        "\"jane\",\n        \"MEMORY_BACKEND\": \"local\"",
    );
    assert_eq!(after, expected);
}

#[test]
fn with_npx() {
    let at = ".cursor/mcp.json";
    let (_, after) = switched(at, "cursor/mcp.json", &["--via", "npx"]);
    let mem0 = entry(&after, Syntax::Json, "mcpServers|mem0");
    let words = if cfg!(windows) {
        json!(["/c", "npx", "-y", "zep-mcp-server"])
    } else {
        json!(["-y", "zep-mcp-server"])
    };
    assert_eq!(mem0["args"], words);
}

#[test]
fn the_new_entry_starts_the_server() {
    let at = ".config/Claude/claude_desktop_config.json";
    let fixture = "claude-desktop/claude_desktop_config.json";
    let (_, after) = switched(at, fixture, &["--local"]);
    let mem0 = entry(&after, Syntax::Json, "mcpServers|mem0");
    let home = Home::empty();
    let mut server = std::process::Command::new(mem0["command"].as_str().unwrap());
    server.env_clear().env("HOME", home.dir.path());
    for (name, value) in mem0["env"].as_object().unwrap() {
        server.env(name, value.as_str().unwrap());
    }
    let served = server
        .current_dir(home.dir.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(served.status.success());
    assert!(String::from_utf8_lossy(&served.stderr).contains("local"));
}

#[test]
#[cfg(unix)]
fn permissions_stay_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let home = Home::empty();
    home.put("dotfiles/cursor.json", &bytes("cursor/mcp.json"));
    let real = home.path("dotfiles/cursor.json");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::create_dir(home.path(".cursor")).unwrap();
    symlink("../dotfiles/cursor.json", home.path(".cursor/mcp.json")).unwrap();
    home.install(&["--yes"]).ended(0).says("can read");
    assert!(home.path(".cursor/mcp.json").is_symlink());
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&real), 0o640);
    let [backup] = &home.backups("dotfiles/cursor.json")[..] else {
        panic!("one backup, beside the real file");
    };
    assert_eq!(mode(backup), 0o600);
    assert_eq!(std::fs::read(backup).unwrap(), bytes("cursor/mcp.json"));
    assert!(home.text("dotfiles/cursor.json").contains(KEY));
}

#[test]
fn no_temporary_file_remains() {
    let home = Home::with(".cursor/mcp.json", "cursor/mcp.json");
    home.install(&["--yes"]).ended(0);
    let names = std::fs::read_dir(home.path(".cursor")).unwrap().count();
    assert_eq!(names, 2, "the file and its backup");
}

/// Root changes a user's file, for example with `sudo`.
#[test]
#[cfg(unix)]
fn the_owner_of_a_file_and_of_its_backup_stays() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let home = Home::with(".cursor/mcp.json", "cursor/mcp.json");
    let file = home.path(".cursor/mcp.json");
    let like = |path: &std::path::Path| {
        let it = std::fs::metadata(path).unwrap();
        (it.uid(), it.gid(), it.mode() & 0o777)
    };
    if let Err(error) = chown(&file, Some(1234), Some(2345)) {
        eprintln!("skipped: only root can give a file away: {error}");
        return;
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    home.install(&["--yes"]).ended(0);
    assert_eq!(like(&file), (1234, 2345, 0o640));
    let [backup] = &home.backups(".cursor/mcp.json")[..] else {
        panic!("one backup");
    };
    // Readable by the owner only, whatever the file allows.
    assert_eq!(like(backup), (1234, 2345, 0o600));
    home.install(&["--yes", "--restore"]).ended(0);
    assert_eq!(like(&file), (1234, 2345, 0o640));
    assert_eq!(std::fs::read(&file).unwrap(), bytes("cursor/mcp.json"));
    // A file that is gone comes back with its owner.
    home.install(&["--yes"]).ended(0);
    std::fs::remove_file(&file).unwrap();
    home.install(&["--yes", "--restore", "--force"]).ended(0);
    assert_eq!(like(&file), (1234, 2345, 0o600));
}

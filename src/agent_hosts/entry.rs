//! Which server an entry runs: mem0's, however it is started, this one, or another.

use std::collections::BTreeMap;

use reqwest::Url;
use serde_json::{Map, Value};

use super::command_line::{CommandLine, stem};

/// mem0's package, as PyPI and `python -m` spell it (mem0-mcp-server 0.2.1, `METADATA`).
const MEM0_PROGRAM: [&str; 2] = ["mem0-mcp-server", "mem0_mcp_server"];
/// Who publishes mem0's servers on npm and on Smithery (mem0-mcp-server 0.2.1, "Smithery").
const MEM0_SCOPES: [&str; 2] = ["@mem0ai/", "@mem0/"];
/// mem0's hosted server (docs.mem0.ai/platform/mem0-mcp).
const MEM0_HOST: &str = "mcp.mem0.ai";
/// Smithery's servers by URL: `https://server.smithery.ai/@mem0ai/mem0-memory-mcp/mcp`.
const SMITHERY_HOST: &str = "server.smithery.ai";
/// This program, in all packages.
pub const OUR_PROGRAM: &str = "zep-mcp-server";

/// Members that hold the URL of a remote server.
pub const URL_KEYS: [&str; 3] = ["url", "serverUrl", "httpUrl"];
/// mem0's variables that this server reads too, or that a migration needs.
const CARRIED: [&str; 3] = [
    "MEM0_API_KEY",
    "MEM0_DEFAULT_USER_ID",
    "MEM0_ENABLE_GRAPH_DEFAULT",
];
/// Their names in the Smithery configuration of mem0's server (mem0-mcp-server 0.2.1,
/// `ConfigSchema`).
const SMITHERY_CONFIG: [(&str, &str); 3] = [
    ("mem0_api_key", "MEM0_API_KEY"),
    ("default_user_id", "MEM0_DEFAULT_USER_ID"),
    ("enable_graph_default", "MEM0_ENABLE_GRAPH_DEFAULT"),
];

/// The server that an entry runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// mem0's.
    Mem0(Launcher),
    /// This server.
    Ours,
    /// Any other.
    Other,
}

/// What starts a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// `uvx`.
    Uvx,
    /// `npx`.
    Npx,
    /// A container.
    Container,
    /// Nothing on this machine: it is remote.
    Url,
    /// Its own executable, Python, or another launcher.
    Program,
}

/// The server that `entry` runs.
pub fn runs(entry: &Value) -> Runs {
    let Some(entry) = entry.as_object() else {
        return Runs::Other;
    };
    let command = CommandLine::of(entry);
    if is_ours(&command) {
        return Runs::Ours;
    }
    if let Some(by) = mem0(&command) {
        return Runs::Mem0(by);
    }
    let by_url = URL_KEYS
        .iter()
        .filter_map(|key| entry.get(*key)?.as_str())
        .any(is_mem0_url);
    if by_url {
        Runs::Mem0(Launcher::Url)
    } else {
        Runs::Other
    }
}

/// The `CARRIED` variables that a mem0 entry sets on its command line (`docker run -e`, `env`, a
/// shell line, Smithery's `--config`). Without them, memories would go to another user than before.
pub fn carried(entry: &Map<String, Value>) -> BTreeMap<&'static str, String> {
    let command = CommandLine::of(entry);
    let mut found = BTreeMap::new();
    for word in &command.every_word {
        let word = word.strip_prefix("--env=").unwrap_or(word);
        if let Some((name, value)) = word.split_once('=')
            && let Some(name) = CARRIED.into_iter().find(|it| *it == name)
        {
            found.insert(name, value.to_owned());
        }
        let config = word.strip_prefix("--config=").unwrap_or(word);
        if let Ok(Value::Object(config)) = serde_json::from_str(config) {
            for (key, name) in SMITHERY_CONFIG {
                match config.get(key) {
                    Some(Value::String(value)) => found.insert(name, value.clone()),
                    Some(Value::Bool(value)) => found.insert(name, value.to_string()),
                    _ => None,
                };
            }
        }
    }
    found
}

fn is_ours(command: &CommandLine) -> bool {
    let program = command.program();
    program == OUR_PROGRAM
        || (launcher(&program).is_some()
            && command
                .arguments()
                .iter()
                .any(|word| package(word) == OUR_PROGRAM))
}

/// How the command starts mem0's server, if it does.
fn mem0(command: &CommandLine) -> Option<Launcher> {
    let program = command.program();
    if MEM0_PROGRAM.contains(&program.as_str()) {
        return Some(Launcher::Program);
    }
    if command.is_container() {
        return command
            .image()
            .is_some_and(is_mem0_image)
            .then_some(Launcher::Container);
    }
    let by = launcher(&program)?;
    let mut arguments = command.arguments().iter();
    arguments.any(|word| is_mem0_word(word)).then_some(by)
}

/// Programs that start servers named in their arguments. Other programs with mem0's name among
/// their arguments (an editor, a monitor) are not mem0's server.
fn launcher(program: &str) -> Option<Launcher> {
    match program {
        "uvx" => Some(Launcher::Uvx),
        "npx" => Some(Launcher::Npx),
        "uv" | "pipx" | "py" | "poetry" | "pdm" | "hatch" | "rye" | "bunx" | "bun" | "pnpm"
        | "pnpx" | "yarn" | "npm" | "node" | "deno" | "mcp-remote" | "mcp-proxy"
        | "supergateway" | "smithery" => Some(Launcher::Program),
        python if python.starts_with("python") || python.starts_with("pypy") => {
            Some(Launcher::Program)
        }
        _ => None,
    }
}

/// The package that an argument names, without version and extras: `mem0-mcp-server` for
/// `--from=mem0-mcp-server[agent]==0.2.1`.
fn package(word: &str) -> &str {
    let word = word
        .strip_prefix("--from=")
        .or_else(|| word.strip_prefix("--spec="))
        .or_else(|| word.strip_prefix("--package="))
        .unwrap_or(word);
    let scope = usize::from(word.starts_with('@'));
    let end = word[scope..]
        .find(['=', '@', '[', '<', '>', '~', '!', ' '])
        .map_or(word.len(), |end| end + scope);
    &word[..end]
}

/// Whether an argument of a launcher names mem0's server.
fn is_mem0_word(word: &str) -> bool {
    let name = package(word);
    let is_module = || {
        let module = name.split('.').next().unwrap_or(name);
        MEM0_PROGRAM.contains(&module)
    };
    let is_scoped =
        || MEM0_SCOPES.iter().any(|scope| name.starts_with(scope)) && name.contains("mcp");
    let is_path = || {
        !word.contains("://")
            && word
                .split(['/', '\\'])
                .any(|part| MEM0_PROGRAM.contains(&stem(part).trim_end_matches(".py")))
    };
    let is_repository = || {
        word.contains("github.com/mem0ai/mem0-mcp") || word.contains("github.com:mem0ai/mem0-mcp")
    };
    is_module() || is_scoped() || is_path() || is_repository() || is_mem0_url(word)
}

fn is_mem0_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    match url.host_str() {
        Some(MEM0_HOST) => true,
        Some(SMITHERY_HOST) => MEM0_SCOPES
            .iter()
            .any(|scope| url.path().trim_start_matches('/').starts_with(scope)),
        _ => false,
    }
}

/// mem0 publishes no image. People build one from its repository, so names vary:
/// `mem0-mcp-server`, `mem0ai/mem0-mcp:latest`, `registry.example/mcp/mem0`.
fn is_mem0_image(image: &str) -> bool {
    let image = image.to_ascii_lowercase();
    image.contains("mem0") && image.contains("mcp")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(command: &str, args: &[&str]) -> Runs {
        runs(&json!({ "command": command, "args": args }))
    }

    #[test]
    fn mem0_is_recognised_however_it_is_started() {
        use Launcher::{Container, Npx, Program, Uvx};
        for (command, args, by) in [
            ("mem0-mcp-server", &[][..], Program),
            ("/home/x/.local/bin/mem0-mcp-server", &[], Program),
            (r"C:\Users\x\Scripts\mem0-mcp-server.exe", &[], Program),
            ("mem0-mcp-server.cmd", &[], Program),
            ("uvx", &["mem0-mcp-server"], Uvx),
            ("/opt/homebrew/bin/uvx", &["mem0-mcp-server@latest"], Uvx),
            ("uvx.exe", &["mem0-mcp-server==0.2.1"], Uvx),
            (
                "uvx",
                &[
                    "--python",
                    "3.12",
                    "--from",
                    "mem0-mcp-server[agent]>=0.2",
                    "mem0-mcp-server",
                ],
                Uvx,
            ),
            (
                "uvx",
                &[
                    "--from=git+https://github.com/mem0ai/mem0-mcp.git",
                    "mem0-mcp-server",
                ],
                Uvx,
            ),
            ("uv", &["tool", "run", "mem0-mcp-server"], Program),
            (
                "uv",
                &["run", "--with", "mem0-mcp-server", "mem0-mcp-server"],
                Program,
            ),
            (
                "uv",
                &["--directory", "/src/mem0-mcp-server", "run", "server.py"],
                Program,
            ),
            ("pipx", &["run", "mem0-mcp-server"], Program),
            (
                "pipx",
                &["run", "--spec", "mem0-mcp-server==0.2.0", "mem0-mcp-server"],
                Program,
            ),
            ("python", &["-m", "mem0_mcp_server"], Program),
            (
                "/venv/bin/python3.12",
                &["-m", "mem0_mcp_server.server"],
                Program,
            ),
            ("python3", &["/src/mem0_mcp_server/server.py"], Program),
            ("py", &["-3", "-m", "mem0_mcp_server.http_entry"], Program),
            ("npx", &["-y", "mcp-remote", "https://mcp.mem0.ai/mcp"], Npx),
            (
                "npx",
                &[
                    "-y",
                    "mcp-remote@0.1.21",
                    "https://mcp.mem0.ai/mcp/",
                    "--header",
                    "Authorization: Token x",
                ],
                Npx,
            ),
            (
                "npx",
                &[
                    "-y",
                    "@smithery/cli@latest",
                    "run",
                    "@mem0ai/mem0-memory-mcp",
                    "--key",
                    "k",
                ],
                Npx,
            ),
            ("npx", &["-y", "@mem0/mcp-server"], Npx),
            (
                "cmd",
                &[
                    "/c",
                    "npx",
                    "-y",
                    "@smithery/cli",
                    "run",
                    "@mem0ai/mem0-memory-mcp",
                ],
                Npx,
            ),
            ("cmd.exe", &["/C", "uvx mem0-mcp-server"], Uvx),
            ("env", &["MEM0_API_KEY=k", "uvx", "mem0-mcp-server"], Uvx),
            ("bash", &["-lc", "cd ~/x && exec uvx mem0-mcp-server"], Uvx),
            (
                "docker",
                &["run", "-i", "--rm", "-e", "MEM0_API_KEY", "mem0-mcp-server"],
                Container,
            ),
            (
                "docker",
                &[
                    "run",
                    "-i",
                    "--rm",
                    "--env=A=b",
                    "ghcr.io/x/mem0-mcp:0.2@sha256:00",
                ],
                Container,
            ),
            ("podman", &["run", "--rm", "-i", "mcp/mem0"], Container),
            (
                "${MEM0_MCP_COMMAND:-uvx}",
                &["${MEM0_MCP_BINARY:-mem0-mcp-server}"],
                Uvx,
            ),
            ("uvx mem0-mcp-server", &[], Uvx),
        ] {
            assert_eq!(of(command, args), Runs::Mem0(by), "{command} {args:?}");
        }
        for (key, url) in [
            ("url", "https://mcp.mem0.ai/mcp"),
            ("serverUrl", "https://mcp.mem0.ai/mcp/"),
            ("httpUrl", "https://mcp.mem0.ai/mcp?x=1"),
            (
                "url",
                "https://server.smithery.ai/@mem0ai/mem0-memory-mcp/mcp",
            ),
        ] {
            assert_eq!(
                runs(&json!({ key: url })),
                Runs::Mem0(Launcher::Url),
                "{url}"
            );
        }
    }

    #[test]
    fn other_servers_are_not_taken_for_mem0() {
        for (command, args) in [
            ("uvx", &["mcp-server-git"][..]),
            ("uvx", &["mem0-mcp-server-tools"]),
            (
                "npx",
                &[
                    "-y",
                    "mcp-remote",
                    "https://mcp.example.com/?next=https://mcp.mem0.ai/mcp",
                ],
            ),
            ("npx", &["-y", "@modelcontextprotocol/server-memory"]),
            ("npx", &["-y", "@pinkpixel/mem0-mcp"]),
            (
                "docker",
                &[
                    "run",
                    "-v",
                    "/mem0-mcp:/data",
                    "--name",
                    "mem0-mcp",
                    "postgres",
                ],
            ),
            ("docker", &["logs", "mem0-mcp-server"]),
            ("tail", &["-f", "/var/log/mem0-mcp-server"]),
            ("", &[]),
        ] {
            assert_eq!(of(command, args), Runs::Other, "{command} {args:?}");
        }
        for entry in [
            json!({"url": "https://mcp.mem0.ai.evil.example/mcp"}),
            json!({"url": "https://example.com/mcp.mem0.ai"}),
            json!({"url": 7}),
            json!("mem0-mcp-server"),
            json!(null),
        ] {
            assert_eq!(runs(&entry), Runs::Other, "{entry}");
        }
    }

    #[test]
    fn this_server_is_recognised() {
        for (command, args) in [
            ("/usr/local/bin/zep-mcp-server", &[][..]),
            (r"C:\bin\zep-mcp-server.exe", &["serve"]),
            ("uvx", &["zep-mcp-server"]),
            ("npx", &["-y", "zep-mcp-server@latest"]),
            ("cmd", &["/c", "npx", "-y", "zep-mcp-server"]),
        ] {
            assert_eq!(of(command, args), Runs::Ours, "{command} {args:?}");
        }
    }

    #[test]
    fn the_default_user_is_read_from_the_command_line() {
        for entry in [
            json!({"command": "docker", "args": ["run", "-e", "MEM0_DEFAULT_USER_ID=jane", "mem0-mcp"]}),
            json!({"command": "docker", "args": ["run", "--env=MEM0_DEFAULT_USER_ID=jane", "mem0-mcp"]}),
            json!({"command": "env", "args": ["MEM0_DEFAULT_USER_ID=jane", "mem0-mcp-server"]}),
            json!({"command": "sh", "args": ["-c", "MEM0_DEFAULT_USER_ID='jane' mem0-mcp-server"]}),
            json!({"command": "sh", "args": ["-c", "docker run -i -e MEM0_DEFAULT_USER_ID=jane mem0-mcp"]}),
            json!({"command": "npx", "args": ["@smithery/cli", "run", "@mem0ai/mem0-memory-mcp",
                "--config", "{\"default_user_id\":\"jane\"}"]}),
        ] {
            let found = carried(entry.as_object().unwrap());
            assert_eq!(found["MEM0_DEFAULT_USER_ID"], "jane", "{entry}");
            assert!(matches!(runs(&entry), Runs::Mem0(_)), "{entry}");
        }
        let entry = json!({"command": "docker", "args": ["run", "-e", "MEM0_DEFAULT_USER_ID=Jane Doe", "mem0-mcp"]});
        let found = carried(entry.as_object().unwrap());
        assert_eq!(found["MEM0_DEFAULT_USER_ID"], "Jane Doe");
        let entry =
            json!({"command": "sh", "args": ["-c", "MEM0_DEFAULT_USER_ID=$USER mem0-mcp-server"]});
        assert!(
            carried(entry.as_object().unwrap()).is_empty(),
            "only a shell can expand it"
        );
    }
}

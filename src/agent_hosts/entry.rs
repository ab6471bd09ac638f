//! Which server an entry runs: mem0's, however it is started, this one, or another.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::{Map, Value};

use super::command_line::{CommandLine, stem};
use super::convention::STANDARD;
use super::launcher::{Started, started, unversioned};
use super::shape::{Shape, urls};

/// mem0's package, as PyPI and `python -m` spell it (mem0-mcp-server 0.2.1, `METADATA`).
const MEM0_PROGRAM: [&str; 2] = ["mem0-mcp-server", "mem0_mcp_server"];
/// Who publishes mem0's servers on npm and on Smithery (mem0-mcp-server 0.2.1, "Smithery").
const MEM0_SCOPES: [&str; 2] = ["@mem0ai", "@mem0"];
/// mem0's hosted server (docs.mem0.ai/platform/mem0-mcp).
const MEM0_HOST: &str = "mcp.mem0.ai";
/// Smithery's servers by URL: `https://server.smithery.ai/@mem0ai/mem0-memory-mcp/mcp`.
const SMITHERY_HOST: &str = "server.smithery.ai";
/// The port of OpenMemory, mem0's server on the user's machine (docs.mem0.ai/openmemory/integrations).
const OPENMEMORY_PORT: u16 = 8765;
/// Words that tell of mem0.
const TELLING: [&str; 2] = ["mem0", "openmemory"];
/// This program, in all packages.
pub const OUR_PROGRAM: &str = "zep-mcp-server";

/// The variable of the default user that mem0 does not have.
const DEFAULT_USER: &str = "ZEP_DEFAULT_USER_ID";
/// Variables that this server reads too, or that a migration needs.
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
    /// Perhaps mem0's: its name or its command tells of mem0, but not that it is mem0's server.
    Unsure,
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

/// The server that `entry` runs, which the host calls `name`.
pub fn runs(name: &str, entry: &Value) -> Runs {
    let Some(entry) = entry.as_object() else {
        return Runs::Other;
    };
    let command = CommandLine::of(entry);
    let (launcher, by_command) = match started(command.words()) {
        Some((program, it)) => (launcher(&program), server(&it)),
        None => (Launcher::Program, Runs::Other),
    };
    match by_command {
        Runs::Mem0(Launcher::Container) | Runs::Ours => return by_command,
        Runs::Mem0(_) => return Runs::Mem0(launcher),
        Runs::Unsure | Runs::Other => {}
    }
    if urls(entry).any(is_mem0_url) {
        return Runs::Mem0(Launcher::Url);
    }
    let tells = |text: &str| {
        let text = text.to_ascii_lowercase();
        TELLING.iter().any(|word| text.contains(word))
    };
    let is_told = tells(name)
        || command.every_word.iter().any(|word| tells(word))
        || urls(entry).any(|url| tells(url) || openmemory_user(url).is_some());
    // A place in the file that starts nothing is no server.
    let starts = !command.words().is_empty() || urls(entry).next().is_some();
    if is_told && starts {
        Runs::Unsure
    } else {
        Runs::Other
    }
}

/// The variables of an entry.
pub fn variables(entry: &Value) -> Option<&Map<String, Value>> {
    let entry = entry.as_object()?;
    let shape = Shape::of(entry, &STANDARD);
    shape.holder(entry).get(shape.env)?.as_object()
}

/// The variables that a mem0 entry sets on its command line (`docker run -e`, `env`, a shell line,
/// Smithery's `--config`) or in its URL. Without them, memories would go to another user than before.
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
    let by_bridge = match started(command.words()) {
        Some((_, Started::Remote(url))) => Some(url),
        _ => None,
    };
    for url in urls(entry).chain(by_bridge).filter(|url| is_mem0_url(url)) {
        let in_query = || {
            let url = Url::parse(url).ok()?;
            let user = url.query_pairs().find(|(name, _)| name == "user_id")?;
            Some(user.1.into_owned())
        };
        if let Some(user) = openmemory_user(url).or_else(in_query) {
            found.insert(DEFAULT_USER, user);
        }
    }
    found
}

fn launcher(program: &str) -> Launcher {
    match program {
        "uvx" => Launcher::Uvx,
        "npx" => Launcher::Npx,
        _ => Launcher::Program,
    }
}

/// Whose server it is that is started.
fn server(it: &Started) -> Runs {
    let is_mem0 = match it {
        Started::Image(image) => {
            return if is_mem0_image(image) {
                Runs::Mem0(Launcher::Container)
            } else {
                Runs::Other
            };
        }
        Started::Named(name, package) => {
            if [Some(*name), *package]
                .into_iter()
                .flatten()
                .any(|it| stem(unversioned(it)) == OUR_PROGRAM)
            {
                return Runs::Ours;
            }
            is_mem0_name(name)
        }
        Started::Script(file, directory) => {
            is_mem0_path(file) || directory.is_some_and(is_mem0_path)
        }
        Started::Remote(url) => is_mem0_url(url),
    };
    if is_mem0 {
        Runs::Mem0(Launcher::Program)
    } else {
        Runs::Other
    }
}

/// Whether a program, module, package or repository is mem0's server.
fn is_mem0_name(word: &str) -> bool {
    let name = unversioned(word);
    let module = name.split('.').next().unwrap_or(name);
    let is_scoped = || {
        let scoped = name.split_once('/');
        scoped.is_some_and(|(scope, name)| MEM0_SCOPES.contains(&scope) && name.contains("mcp"))
    };
    let is_repository = || {
        word.contains("github.com/mem0ai/mem0-mcp") || word.contains("github.com:mem0ai/mem0-mcp")
    };
    MEM0_PROGRAM.contains(&module)
        || MEM0_PROGRAM.contains(&stem(name).as_str())
        || is_scoped()
        || is_repository()
}

/// Whether a script is in a directory of mem0's server, or is named so.
fn is_mem0_path(path: &str) -> bool {
    let parts: Vec<_> = path.split(['/', '\\']).collect();
    let named = |part: &&str| MEM0_PROGRAM.contains(&stem(part).trim_end_matches(".py"));
    let scoped = |pair: &[&str]| MEM0_SCOPES.contains(&pair[0]) && pair[1].contains("mcp");
    parts.iter().any(named) || parts.windows(2).any(scoped)
}

fn is_mem0_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    match url.host_str() {
        Some(MEM0_HOST) => true,
        Some(SMITHERY_HOST) => {
            let mut parts = url.path().split('/').filter(|part| !part.is_empty());
            parts
                .next()
                .is_some_and(|scope| MEM0_SCOPES.contains(&scope))
        }
        _ => url.port() == Some(OPENMEMORY_PORT) && openmemory_user(text).is_some(),
    }
}

/// The user in a URL of OpenMemory: `…/mcp/<client>/sse/<user>`, or `http` for `sse`.
pub(super) fn openmemory_user(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let parts: Vec<_> = url.path().split('/').filter(|it| !it.is_empty()).collect();
    match parts[..] {
        [.., "mcp", _, "sse" | "http", user] => {
            Some(percent_decode_str(user).decode_utf8_lossy().into_owned())
        }
        _ => None,
    }
}

/// mem0 publishes no image; its repository says how to build one named `mem0-mcp-server`. An image of
/// another name or owner may be anything.
fn is_mem0_image(image: &str) -> bool {
    let image = image.split('@').next().unwrap_or(image);
    let (owner, name) = image.rsplit_once('/').unwrap_or(("", image));
    let name = name.split(':').next().unwrap_or(name);
    let is_owned = || owner.is_empty() || owner == "mem0ai" || owner.ends_with("/mem0ai");
    name == MEM0_PROGRAM[0] || name == "mem0-mcp" && is_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(command: &str, args: &[&str]) -> Runs {
        runs("memory", &json!({ "command": command, "args": args }))
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
                    "ghcr.io/x/mem0-mcp-server:0.2@sha256:00",
                ],
                Container,
            ),
            (
                "podman",
                &["run", "--rm", "-i", "mem0ai/mem0-mcp"],
                Container,
            ),
            ("npx", &["-y", "mem0-mcp-server"], Npx),
            (
                "npx",
                &["-y", "-p", "@mem0/mcp-server", "mem0-mcp-server"],
                Npx,
            ),
            ("pnpm", &["dlx", "@mem0/mcp-server"], Program),
            ("bun", &["x", "mem0-mcp-server"], Program),
            (
                "node",
                &["/usr/lib/node_modules/@mem0ai/mem0-memory-mcp/dist/index.js"],
                Program,
            ),
            (r"C:\Users\x\.local\bin\uvx.exe", &["mem0-mcp-server"], Uvx),
            (
                "uvx",
                &[
                    "--from",
                    "mem0-mcp-server",
                    "python",
                    "-m",
                    "mem0_mcp_server",
                ],
                Uvx,
            ),
            (
                "uv",
                &["run", "--directory", "/src/mem0", "-m", "mem0_mcp_server"],
                Program,
            ),
            ("mcp-remote", &["https://mcp.mem0.ai/sse"], Program),
            (
                "npx",
                &[
                    "-y",
                    "supergateway",
                    "--sse",
                    "http://localhost:8765/mcp/claude/sse/jane",
                ],
                Npx,
            ),
            (
                "npx",
                &[
                    "mcp-remote@latest",
                    "http://127.0.0.1:8765/mcp/cursor/http/jane",
                ],
                Npx,
            ),
            (
                "uvx",
                &[
                    "openmemory-mcp-bridge",
                    "--sse=http://localhost:8765/mcp/c/sse/jane",
                ],
                Uvx,
            ),
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
                runs("x", &json!({ key: url })),
                Runs::Mem0(Launcher::Url),
                "{url}"
            );
        }
    }

    #[test]
    fn what_only_tells_of_mem0_is_not_taken_for_it() {
        for (command, args) in [
            ("uvx", &["mem0-mcp-server-tools"][..]),
            ("uvx", &["--with", "mem0-mcp-server", "something"]),
            (
                "uvx",
                &[
                    "--from",
                    "git+https://github.com/x/mem0-mcp-selfhosted",
                    "mem0-mcp-selfhosted",
                ],
            ),
            ("npx", &["-y", "@pinkpixel/mem0-mcp"]),
            ("npx", &["-y", "openmemory"]),
            (
                "npx",
                &[
                    "-y",
                    "@modelcontextprotocol/server-filesystem",
                    "/src/mem0-mcp-server",
                ],
            ),
            (
                "npx",
                &[
                    "-y",
                    "mcp-remote",
                    "https://mcp.example.com/?next=https://mcp.mem0.ai/mcp",
                ],
            ),
            ("python", &["backup.py", "mem0-mcp-server"]),
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
            ("docker", &["run", "--rm", "-i", "mcp/mem0"]),
            ("docker", &["run", "--rm", "-i", "ghcr.io/x/mem0-mcp"]),
            ("docker", &["logs", "mem0-mcp-server"]),
            ("tail", &["-f", "/var/log/mem0-mcp-server"]),
        ] {
            assert_eq!(of(command, args), Runs::Unsure, "{command} {args:?}");
        }
        for entry in [
            json!({"url": "https://mcp.mem0.ai.evil.example/mcp"}),
            json!({"url": "https://example.com/mcp.mem0.ai"}),
            json!({"url": "https://memory.example/mcp/claude/sse/jane"}),
        ] {
            assert_eq!(runs("x", &entry), Runs::Unsure, "{entry}");
        }
        assert_eq!(
            runs("mem0", &json!({"command": "/opt/wrapper"})),
            Runs::Unsure
        );
    }

    #[test]
    fn other_servers_are_other() {
        for (command, args) in [
            ("uvx", &["mcp-server-git"][..]),
            ("npx", &["-y", "@modelcontextprotocol/server-memory"]),
            ("uvx", &[]),
            ("", &[]),
        ] {
            assert_eq!(of(command, args), Runs::Other, "{command} {args:?}");
        }
        for entry in [
            json!({"url": 7}),
            json!({"url": "http://localhost:8765/mcp"}),
            json!({"mem0": {}}),
            json!("mem0-mcp-server"),
            json!(null),
        ] {
            assert_eq!(runs("memory", &entry), Runs::Other, "{entry}");
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
            assert!(matches!(runs("x", &entry), Runs::Mem0(_)), "{entry}");
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

    #[test]
    fn the_user_in_a_url_stays_the_default_user() {
        for entry in [
            json!({"url": "http://localhost:8765/mcp/claude/sse/jane%20doe"}),
            json!({"transport": {"type": "sse", "url": "http://localhost:8765/mcp/cline/sse/jane%20doe"}}),
            json!({"command": "npx", "args": ["supergateway", "--sse", "http://localhost:8765/mcp/c/sse/jane%20doe"]}),
            json!({"url": "https://mcp.mem0.ai/mcp?user_id=jane+doe&source=cursor"}),
        ] {
            assert!(matches!(runs("x", &entry), Runs::Mem0(_)), "{entry}");
            let found = carried(entry.as_object().unwrap());
            assert_eq!(found["ZEP_DEFAULT_USER_ID"], "jane doe", "{entry}");
        }
    }
}

//! The entry after the switch: its name and the host's other settings stay, the program changes.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::command_line::stem;
use super::document::DocumentError;
use super::entry::{self, OUR_PROGRAM, URL_KEYS};
use super::locations::{Location, Reference};
use crate::config::Setting;

/// The id of the input by which VS Code asks for the key.
const INPUT: &str = "zep-api-key";
/// Members for remote servers only; Codex rejects an entry that mixes both kinds (openai/codex
/// `codex-rs`, `McpServerConfig`).
const REMOTE_ONLY: [&str; 9] = [
    "headers",
    "http_headers",
    "env_http_headers",
    "bearer_token",
    "bearer_token_env_var",
    "scopes",
    "oauth",
    "auth",
    "authProviderType",
];
/// Members that name the transport, depending on the host.
const TRANSPORTS: [&str; 3] = ["type", "transport", "transportType"];

/// How the entry starts this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// By the path of this program
    Path,
    /// `uvx zep-mcp-server`: the Python package, fetched when needed
    Uvx,
    /// `npx -y zep-mcp-server`: the npm package, fetched when needed
    Npx,
}

/// Where the server gets its Zep API key.
#[derive(Debug, Clone)]
pub enum ApiKey {
    /// It needs none: memories stay in a file on this machine.
    NotNeeded,
    /// From the host's environment or from the user, by the host's [`Reference`].
    Reference,
    /// From the entry itself.
    Literal(SecretString),
}

impl ApiKey {
    /// Its form in this file: shared files get a reference, never the key.
    pub fn in_file(&self, location: &Location) -> &Self {
        match self {
            Self::Literal(_) if location.is_shared() => &Self::Reference,
            other => other,
        }
    }
}

/// How a new entry starts this program.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// The launcher.
    pub via: Via,
    /// The path of this program, for [`Via::Path`].
    pub program: String,
    /// Where the key comes from.
    pub key: ApiKey,
}

/// An entry after the switch.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The entry.
    pub entry: Value,
    /// A second change in the same file: its path and the new value.
    pub beside: Option<(Vec<String>, Value)>,
}

/// Whether an entry has a key or a reference to one.
pub fn has_key(entry: &Value) -> bool {
    let key = entry
        .get("env")
        .and_then(|env| env.get(Setting::ApiKey.name()))
        .and_then(Value::as_str);
    key.is_some_and(|key| !key.trim().is_empty())
}

/// The entry at `path` of `document` after the switch; a new one if there is none.
///
/// # Errors
/// [`DocumentError::WrongKind`] if the entry or its `env` is not an object.
pub fn planned(
    location: &Location,
    document: &Map<String, Value>,
    path: &[String],
    launch: &LaunchSpec,
) -> Result<Planned, DocumentError> {
    let nothing = Map::new();
    let old = match super::document::at(document, path) {
        Some(Value::Object(old)) => old,
        None => &nothing,
        Some(_) => {
            return Err(DocumentError::WrongKind {
                at: format!("`{}`", path.join(".")),
                expected: "an object",
            });
        }
    };
    let mut new = relaunched(launch, old);
    let mut env = environment(old, path)?;
    let mut beside = None;
    let key = Setting::ApiKey.name();
    match launch.key.in_file(location) {
        ApiKey::NotNeeded => {
            env.insert(Setting::Backend.name().to_owned(), "local".into());
        }
        _ if has_key(&Value::Object(old.clone())) => {}
        ApiKey::Literal(given) => {
            env.insert(key.to_owned(), given.expose_secret().into());
        }
        ApiKey::Reference => match location.reference() {
            Some(Reference::Interpolated(prefix, suffix)) => {
                env.insert(key.to_owned(), format!("{prefix}{key}{suffix}").into());
            }
            Some(Reference::Prompted) => {
                env.insert(key.to_owned(), format!("${{input:{INPUT}}}").into());
                beside = with_input(document, path);
            }
            Some(Reference::Forwarded) => forward(&mut new, key),
            None => {}
        },
    }
    if !env.is_empty() {
        new.insert("env".to_owned(), Value::Object(env));
    }
    Ok(Planned {
        entry: Value::Object(new),
        beside,
    })
}

/// The members of `old` with another command line, and without those for remote servers.
fn relaunched(launch: &LaunchSpec, old: &Map<String, Value>) -> Map<String, Value> {
    let (command, args) = command_line(launch, old);
    let mut new = Map::new();
    for (name, value) in old {
        match name.as_str() {
            "command" | "args" => place_command(&mut new, &command, &args),
            name if URL_KEYS.contains(&name) => place_command(&mut new, &command, &args),
            name if REMOTE_ONLY.contains(&name) => {}
            name if TRANSPORTS.contains(&name) => {
                new.insert(name.to_owned(), "stdio".into());
            }
            name => {
                new.insert(name.to_owned(), value.clone());
            }
        }
    }
    place_command(&mut new, &command, &args);
    new
}

/// `env` of `old`, then the variables that its command line sets. `env` takes precedence.
fn environment(
    old: &Map<String, Value>,
    path: &[String],
) -> Result<Map<String, Value>, DocumentError> {
    let mut env = match old.get("env") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(env)) => env.clone(),
        Some(_) => {
            return Err(DocumentError::WrongKind {
                at: format!("`{}.env`", path.join(".")),
                expected: "an object",
            });
        }
    };
    for (name, value) in entry::carried(old) {
        env.entry(name).or_insert_with(|| value.into());
    }
    Ok(env)
}

/// Puts `command` and `args` where the first of the members they replace was.
fn place_command(new: &mut Map<String, Value>, command: &str, args: &[String]) {
    if new.contains_key("command") {
        return;
    }
    new.insert("command".to_owned(), command.into());
    if !args.is_empty() {
        new.insert("args".to_owned(), json!(args));
    }
}

/// The command and its arguments. An old launcher of the same kind keeps its path: desktop hosts do
/// not have the PATH of a shell.
fn command_line(launch: &LaunchSpec, old: &Map<String, Value>) -> (String, Vec<String>) {
    let own = OUR_PROGRAM.to_owned();
    let launcher = |name: &str| {
        old.get("command")
            .and_then(Value::as_str)
            .filter(|command| stem(command) == name)
            .map(str::to_owned)
    };
    match launch.via {
        Via::Path => (launch.program.clone(), Vec::new()),
        Via::Uvx => (
            launcher("uvx").unwrap_or_else(|| "uvx".to_owned()),
            vec![own],
        ),
        // On Windows `npx` is a script, which needs a shell (code.claude.com/docs/en/mcp).
        Via::Npx if cfg!(windows) => (
            "cmd".to_owned(),
            vec!["/c".to_owned(), "npx".to_owned(), "-y".to_owned(), own],
        ),
        Via::Npx => (
            launcher("npx").unwrap_or_else(|| "npx".to_owned()),
            vec!["-y".to_owned(), own],
        ),
    }
}

/// VS Code's `inputs` with one for the key; `None` if it is there already.
fn with_input(document: &Map<String, Value>, path: &[String]) -> Option<(Vec<String>, Value)> {
    // `inputs` is a sibling of `servers`; `path` is `…, servers, NAME`.
    let mut inputs: Vec<String> = path
        .iter()
        .take(path.len().saturating_sub(2))
        .cloned()
        .collect();
    inputs.push("inputs".to_owned());
    let mut all = match super::document::at(document, &inputs) {
        Some(Value::Array(all)) => all.clone(),
        _ => Vec::new(),
    };
    if all.iter().any(|input| input["id"] == INPUT) {
        return None;
    }
    all.push(json!({
        "type": "promptString",
        "id": INPUT,
        "description": "Zep API key",
        "password": true
    }));
    Some((inputs, Value::Array(all)))
}

/// Adds a variable to Codex's `env_vars`.
fn forward(new: &mut Map<String, Value>, name: &str) {
    let mut names = match new.get("env_vars") {
        Some(Value::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    if !names.iter().any(|it| it == name) {
        names.push(name.into());
    }
    new.insert("env_vars".to_owned(), Value::Array(names));
}

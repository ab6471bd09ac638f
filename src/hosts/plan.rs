//! What takes an entry's place: the same name and the host's other settings, another program.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::command::stem;
use super::document::DocumentError;
use super::entry::{self, OUR_PROGRAM, URL_KEYS};
use super::places::{Place, Reference, Scope};
use crate::config::Setting;

/// The name under which VS Code is asked for the key.
const INPUT: &str = "zep-api-key";
/// Members that only mean something for a server that is reached by URL; Codex refuses an entry
/// that has both kinds (openai/codex `codex-rs`, `McpServerConfig`).
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
/// Members that name the kind of server, by host.
const KINDS: [&str; 3] = ["type", "transport", "transportType"];

/// How this program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// By the path of this very program
    Path,
    /// `uvx zep-mcp-server`: the Python package, fetched when needed
    Uvx,
    /// `npx -y zep-mcp-server`: the npm package, fetched when needed
    Npx,
}

/// Where the server gets its key.
#[derive(Debug, Clone)]
pub enum Key {
    /// It needs none: memories stay in a file on this machine.
    Local,
    /// From the host's environment, or from the person, as the host does it.
    Reference,
    /// From the entry.
    Given(SecretString),
}

/// What a new entry says.
#[derive(Debug, Clone)]
pub struct How {
    /// How this program is started.
    pub via: Via,
    /// The path of this program, for [`Via::Path`].
    pub program: String,
    /// Where the key comes from.
    pub key: Key,
}

/// An entry, and what it needs beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The entry.
    pub entry: Value,
    /// Another change of the same file: where, and what is there then.
    pub beside: Option<(Vec<String>, Value)>,
}

/// Whether an entry has a key already, or a place from which it comes.
pub fn has_key(entry: &Value) -> bool {
    let key = entry
        .get("env")
        .and_then(|env| env.get(Setting::ApiKey.name()))
        .and_then(Value::as_str);
    key.is_some_and(|key| !key.trim().is_empty())
}

/// Whether a key may be written into this file as it is. A project's is shared with others.
pub fn takes_a_key(place: &Place) -> bool {
    place.scope == Scope::User
}

/// The entry at `path` of `document` after the switch; a new one, if nothing is there.
///
/// # Errors
/// [`DocumentError::WrongKind`] if a member of it is not what it must be.
pub fn planned(
    place: &Place,
    document: &Map<String, Value>,
    path: &[String],
    how: &How,
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
    let (command, args) = started(how, old);
    let mut new = Map::new();
    for (name, value) in old {
        match name.as_str() {
            "command" | "args" => place_command(&mut new, &command, &args),
            name if URL_KEYS.contains(&name) => place_command(&mut new, &command, &args),
            name if REMOTE_ONLY.contains(&name) => {}
            name if KINDS.contains(&name) => {
                new.insert(name.to_owned(), "stdio".into());
            }
            name => {
                new.insert(name.to_owned(), value.clone());
            }
        }
    }
    place_command(&mut new, &command, &args);
    let mut beside = None;
    let mut env = entry::carried(old)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect::<Map<_, _>>();
    let kept = match old.get("env") {
        None | Some(Value::Null) => &nothing,
        Some(Value::Object(kept)) => kept,
        Some(_) => {
            return Err(DocumentError::WrongKind {
                at: format!("`{}.env`", path.join(".")),
                expected: "an object",
            });
        }
    };
    // What `env` says wins over the command line, and its order stays.
    env.retain(|name, _| !kept.contains_key(name));
    let mut env: Map<_, _> = kept.clone().into_iter().chain(env).collect();
    let key = Setting::ApiKey.name();
    match &how.key {
        Key::Local => {
            env.insert(Setting::Backend.name().to_owned(), "local".into());
        }
        _ if has_key(&Value::Object(old.clone())) => {}
        Key::Given(given) => {
            env.insert(key.to_owned(), given.expose_secret().into());
        }
        Key::Reference => match place.reference() {
            Some(Reference::Text(before, after)) => {
                env.insert(key.to_owned(), format!("{before}{key}{after}").into());
            }
            Some(Reference::Asked) => {
                env.insert(key.to_owned(), format!("${{input:{INPUT}}}").into());
                beside = asked(document, path);
            }
            Some(Reference::Handed) => hand_on(&mut new, key),
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

/// Puts `command`, and `args` if there are any, where the first of what they replace stood.
fn place_command(new: &mut Map<String, Value>, command: &str, args: &[String]) {
    if new.contains_key("command") {
        return;
    }
    new.insert("command".to_owned(), command.into());
    if !args.is_empty() {
        new.insert("args".to_owned(), json!(args));
    }
}

/// The command line. Where the old one was started the same way, by that very launcher: hosts with
/// a window do not have a shell's PATH, and so it may stand there with its path.
fn started(how: &How, old: &Map<String, Value>) -> (String, Vec<String>) {
    let own = OUR_PROGRAM.to_owned();
    let launcher = |name: &str| {
        old.get("command")
            .and_then(Value::as_str)
            .filter(|command| stem(command) == name)
            .map(str::to_owned)
    };
    match how.via {
        Via::Path => (how.program.clone(), Vec::new()),
        Via::Uvx => (
            launcher("uvx").unwrap_or_else(|| "uvx".to_owned()),
            vec![own],
        ),
        // `npx` is a script there, which only a shell starts (code.claude.com/docs/en/mcp).
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

/// VS Code's list of what it asks for, with the key in it; `None` if it is in it already.
fn asked(document: &Map<String, Value>, path: &[String]) -> Option<(Vec<String>, Value)> {
    // `inputs` stands beside `servers`: path is `…, servers, NAME`.
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

/// Codex hands on the variables that `env_vars` names.
fn hand_on(new: &mut Map<String, Value>, name: &str) {
    let mut names = match new.get("env_vars") {
        Some(Value::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    if !names.iter().any(|it| it == name) {
        names.push(name.into());
    }
    new.insert("env_vars".to_owned(), Value::Array(names));
}

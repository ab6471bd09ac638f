//! The entry after the switch: its name and the host's other settings stay, the program changes.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::command_line::stem;
use super::convention::Dialect;
use super::document::DocumentError;
use super::entry::{self, OUR_PROGRAM};
use super::locations::{Location, Reference};
use super::shape::{Shape, URL_KEYS};
use crate::config::Setting;

/// The id of the input by which VS Code asks for the key.
const INPUT: &str = "zep-api-key";
/// Members for remote servers only: Codex and Roo Code reject an entry that mixes both kinds.
/// Codex: openai/codex `codex-rs/config/src/mcp_types.rs`. Claude Code: code.claude.com/docs/en/mcp
/// (`headersHelper`). Gemini CLI and Antigravity: `authProviderType`, `targetAudience`,
/// `targetServiceAccount`. Goose: `socket`. Hermes: reference/mcp-config-reference, "HTTP".
const REMOTE_ONLY: [&str; 24] = [
    "auth",
    "authProviderType",
    "bearer_token",
    "bearer_token_env_var",
    "clientId",
    "clientSecret",
    "client_cert",
    "client_key",
    "env_http_headers",
    "headers",
    "headersHelper",
    "http_headers",
    "http_headers_helper",
    "oauth",
    "oauth_client_id",
    "oauth_resource",
    "requestInit",
    "scopes",
    "skip_preflight",
    "socket",
    "ssl_verify",
    "targetAudience",
    "targetServiceAccount",
    "tls",
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
    /// Further variables, which replace those of the entry.
    pub env: Vec<(&'static str, String)>,
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
    let key = entry::variables(entry)
        .and_then(|env| env.get(Setting::ApiKey.name()))
        .and_then(Value::as_str);
    key.is_some_and(|key| !key.trim().is_empty())
}

/// The entry at `path` of `document` after the switch; a new one if there is none.
///
/// # Errors
/// [`DocumentError::WrongKind`] if the entry or its variables are not an object.
pub fn planned(
    location: &Location,
    document: &Map<String, Value>,
    path: &[String],
    launch: &LaunchSpec,
) -> Result<Planned, DocumentError> {
    let nothing = Map::new();
    let dialect = location.dialect();
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
    let shape = Shape::of(old, dialect);
    let holder = shape.holder(old);
    let mut new = relaunched(launch, holder, shape, dialect);
    let mut env = environment(old, shape, path)?;
    for (name, value) in &launch.env {
        env.insert((*name).to_owned(), value.as_str().into());
    }
    let mut beside = None;
    let key = Setting::ApiKey.name();
    let backend = Setting::Backend.name().to_owned();
    match launch.key.in_file(location) {
        ApiKey::NotNeeded => {
            env.insert(backend, "local".into());
        }
        _ if has_key(&Value::Object(old.clone())) => {}
        ApiKey::Literal(given) => {
            env.insert(key.to_owned(), given.expose_secret().into());
        }
        ApiKey::Reference => match location.reference {
            Some(Reference::Interpolated(prefix, suffix)) => {
                env.insert(key.to_owned(), format!("{prefix}{key}{suffix}").into());
            }
            Some(Reference::Prompted) => {
                env.insert(key.to_owned(), format!("${{input:{INPUT}}}").into());
                beside = with_input(document, path);
            }
            Some(Reference::Forwarded(member)) => forward(&mut new, member, key),
            // Without a key the server would keep memories on this machine, unasked.
            None => {
                env.insert(backend, "zep".into());
            }
        },
    }
    if !env.is_empty() {
        new.insert(shape.env.to_owned(), Value::Object(env));
    }
    let entry = match shape.inside {
        None => new,
        Some(inside) => {
            let mut outer = old.clone();
            outer.retain(|name, _| !REMOTE_ONLY.contains(&name.as_str()));
            outer.insert(inside.to_owned(), Value::Object(new));
            outer
        }
    };
    Ok(Planned {
        entry: Value::Object(if old.is_empty() {
            with_required(dialect, path, entry)
        } else {
            entry
        }),
        beside,
    })
}

/// A new entry with the members that the host requires.
fn with_required(
    dialect: &Dialect,
    path: &[String],
    entry: Map<String, Value>,
) -> Map<String, Value> {
    let name = path.last().map_or("", String::as_str);
    let mut new: Map<String, Value> = dialect
        .required
        .iter()
        // The table's values are JSON, which a test checks.
        .filter_map(|(member, value)| {
            Some(((*member).to_owned(), serde_json::from_str(value).ok()?))
        })
        .map(|(member, value): (String, Value)| match value.as_str() {
            Some("NAME") => (member, name.into()),
            _ => (member, value),
        })
        .collect();
    new.extend(entry);
    new
}

/// The members of `old` with another command line, and without those for remote servers.
fn relaunched(
    launch: &LaunchSpec,
    old: &Map<String, Value>,
    shape: Shape,
    dialect: &Dialect,
) -> Map<String, Value> {
    let (command, args) = command_line(launch, old, shape);
    let mut new = Map::new();
    let place = |new: &mut Map<String, Value>| {
        place_command(new, shape, dialect, &command, &args);
    };
    for (name, value) in old {
        match name.as_str() {
            name if name == shape.program || Some(name) == shape.args => place(&mut new),
            name if URL_KEYS.contains(&name) => place(&mut new),
            name if REMOTE_ONLY.contains(&name) => {}
            // Hermes: for remote servers only.
            "transport" if value == "sse" => {}
            name if TRANSPORTS.contains(&name) => {
                new.insert(name.to_owned(), dialect.stdio.into());
            }
            name => {
                new.insert(name.to_owned(), value.clone());
            }
        }
    }
    place(&mut new);
    new
}

/// The variables of `old`, then those that its command line or its URL sets. The former take
/// precedence.
fn environment(
    old: &Map<String, Value>,
    shape: Shape,
    path: &[String],
) -> Result<Map<String, Value>, DocumentError> {
    let mut env = match shape.holder(old).get(shape.env) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(env)) => env.clone(),
        Some(_) => {
            return Err(DocumentError::WrongKind {
                at: format!("`{}.{}`", path.join("."), shape.env),
                expected: "an object",
            });
        }
    };
    for (name, value) in entry::carried(old) {
        env.entry(name).or_insert_with(|| value.into());
    }
    Ok(env)
}

/// Puts the command where the first of the members it replaces was.
fn place_command(
    new: &mut Map<String, Value>,
    shape: Shape,
    dialect: &Dialect,
    command: &str,
    args: &[String],
) {
    if new.contains_key(shape.program) {
        return;
    }
    match shape.args {
        None => {
            let words = std::iter::once(command).chain(args.iter().map(String::as_str));
            new.insert(shape.program.to_owned(), words.collect());
        }
        Some(member) => {
            new.insert(shape.program.to_owned(), command.into());
            if !args.is_empty() || dialect.needs_args || shape.inside == Some("command") {
                new.insert(member.to_owned(), json!(args));
            }
        }
    }
}

/// The command and its arguments. An old launcher of the same kind keeps its path: desktop hosts do
/// not have the PATH of a shell.
fn command_line(
    launch: &LaunchSpec,
    old: &Map<String, Value>,
    shape: Shape,
) -> (String, Vec<String>) {
    let own = OUR_PROGRAM.to_owned();
    let launcher = |name: &str| {
        let program = match old.get(shape.program)? {
            Value::Array(words) => words.first()?,
            program => program,
        };
        program
            .as_str()
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

/// Adds a variable to the list of those that the host forwards.
fn forward(new: &mut Map<String, Value>, member: &str, name: &str) {
    let mut names = match new.get(member) {
        Some(Value::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    if !names.iter().any(|it| it == name) {
        names.push(name.into());
    }
    new.insert(member.to_owned(), Value::Array(names));
}

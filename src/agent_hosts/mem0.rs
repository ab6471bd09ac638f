//! Which mem0 an entry uses, and the key in it.

use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::command_line::CommandLine;
use super::convention::STANDARD;
use super::entry::{self, openmemory_user};
use super::shape::{Shape, urls};

/// The variable of mem0's key.
const KEY: &str = "MEM0_API_KEY";
/// Variables by which servers are pointed at a mem0 of one's own.
const ADDRESSES: [&str; 4] = [
    "MEM0_BASE_URL",
    "MEM0_API_URL",
    "MEM0_HOST",
    "MEM0_API_HOST",
];
/// Members that list variables which the host forwards (Goose, Codex).
const FORWARDED: [&str; 2] = ["env_keys", "env_vars"];
/// Members that hold headers.
const HEADERS: [&str; 2] = ["headers", "http_headers"];

/// The mem0 that an entry uses.
#[derive(Debug, Clone)]
pub enum Mem0 {
    /// mem0 Platform, with what the entry says of its key.
    Platform(Option<EntryKey>),
    /// A mem0 server at this address.
    SelfHosted(String),
    /// OpenMemory, on this machine.
    OpenMemory,
}

/// A key in an entry.
#[derive(Debug, Clone)]
pub enum EntryKey {
    /// The key.
    Literal(SecretString),
    /// The variable that holds it, which the host takes from its environment.
    Variable(String),
}

/// The mem0 of an entry that runs it, or did so before it ran this server.
pub fn mem0(entry: &Value) -> Mem0 {
    let Some(entry) = entry.as_object() else {
        return Mem0::Platform(None);
    };
    let command = CommandLine::of(entry);
    let mut addresses = urls(entry).chain(command.every_word.iter().map(String::as_str));
    if addresses.any(|url| openmemory_user(url).is_some()) {
        return Mem0::OpenMemory;
    }
    let variables = entry::variables(&Value::Object(entry.clone())).cloned();
    let variables = variables.unwrap_or_default();
    let address = ADDRESSES
        .iter()
        .find_map(|name| variables.get(*name)?.as_str());
    if let Some(address) = address.map(str::trim)
        && !address.is_empty()
        && !is_platform(address)
    {
        return Mem0::SelfHosted(address.to_owned());
    }
    let in_variables = || key_in(variables.get(KEY)?.as_str()?);
    let carried = || key_in(entry::carried(entry).get(KEY)?);
    let found = in_variables()
        .or_else(carried)
        .or_else(|| in_headers(entry))
        .or_else(|| in_arguments(&command))
        .or_else(|| forwarded(entry, &command));
    Mem0::Platform(found)
}

fn is_platform(address: &str) -> bool {
    let host = Url::parse(address)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "mem0.ai" || host.ends_with(".mem0.ai"))
}

/// A value as a key: itself, or the variable that it refers to.
fn key_in(value: &str) -> Option<EntryKey> {
    let value = value.trim();
    let reference = value
        .strip_prefix("${")
        .or_else(|| value.strip_prefix('{'))
        .and_then(|inner| inner.strip_suffix('}'))
        .or_else(|| value.strip_prefix('$'));
    match reference {
        None if value.is_empty() => None,
        None => Some(EntryKey::Literal(value.into())),
        Some(inner) => {
            // `${env:NAME}`, `${NAME:-default}`; `${input:…}` is asked for by the host.
            let name = inner.strip_prefix("env:").unwrap_or(inner);
            let name = name.split(":-").next().unwrap_or(name);
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            (is_name && !name.is_empty()).then(|| EntryKey::Variable(name.to_owned()))
        }
    }
}

/// The key in `Authorization`: `Token KEY`, `Bearer KEY` or the bare key.
fn in_authorization(value: &str) -> Option<EntryKey> {
    let value = value.trim();
    let key = ["token ", "bearer "].iter().find_map(|scheme| {
        let start = value.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &value[scheme.len()..])
    });
    key_in(key.unwrap_or(value))
}

fn in_headers(entry: &Map<String, Value>) -> Option<EntryKey> {
    let nested = ["transport", "requestInit"];
    let nested = nested
        .iter()
        .filter_map(|name| entry.get(*name)?.as_object());
    let holders: Vec<_> = std::iter::once(entry).chain(nested).collect();
    let headers = holders.iter().flat_map(|holder| {
        HEADERS
            .iter()
            .filter_map(|name| holder.get(*name)?.as_object())
    });
    let mut authorizations = headers.flat_map(|headers| {
        let named = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        named.filter_map(|(_, value)| value.as_str())
    });
    let literal = authorizations.find_map(in_authorization);
    literal.or_else(|| {
        let text = |name: &str| holders.iter().find_map(|holder| holder.get(name)?.as_str());
        let variable = text("bearer_token_env_var").map(|name| EntryKey::Variable(name.to_owned()));
        variable.or_else(|| key_in(text("bearer_token")?))
    })
}

/// `--header "Authorization: Token KEY"` of mcp-remote and others, or the key in a mem0 URL.
fn in_arguments(command: &CommandLine) -> Option<EntryKey> {
    let in_header = command.every_word.iter().find_map(|word| {
        let header = word.strip_prefix("--header=").unwrap_or(word);
        let (name, value) = header.split_once(':')?;
        let is_key = name.trim().eq_ignore_ascii_case("authorization");
        is_key.then(|| in_authorization(value)).flatten()
    });
    in_header.or_else(|| {
        let urls = command
            .every_word
            .iter()
            .filter_map(|word| Url::parse(word).ok());
        let mut pairs = urls.flat_map(|url| {
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            pairs
        });
        let (_, key) =
            pairs.find(|(name, _)| matches!(name.as_str(), "mem0_api_key" | "mem0ApiKey"))?;
        key_in(&key)
    })
}

/// The key's variable, where the entry has the host or the container pass it on.
fn forwarded(entry: &Map<String, Value>, command: &CommandLine) -> Option<EntryKey> {
    let shape = Shape::of(entry, &STANDARD);
    let holder = shape.holder(entry);
    let listed = FORWARDED.iter().any(|member| {
        let names = holder.get(*member).and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|name| name == KEY))
    });
    let passed = command
        .every_word
        .iter()
        .any(|word| word == KEY || word.strip_prefix("--env=") == Some(KEY));
    (listed || passed).then(|| EntryKey::Variable(KEY.to_owned()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn shown(entry: &Value) -> String {
        match mem0(entry) {
            Mem0::Platform(Some(EntryKey::Literal(key))) => key.expose_secret().to_owned(),
            Mem0::Platform(Some(EntryKey::Variable(name))) => format!("${name}"),
            Mem0::Platform(None) => "none".to_owned(),
            Mem0::SelfHosted(url) => format!("at {url}"),
            Mem0::OpenMemory => "openmemory".to_owned(),
        }
    }

    #[test]
    fn the_key_is_found_wherever_an_entry_holds_it() {
        for (entry, expected) in [
            (
                json!({"command": "uvx", "args": ["mem0-mcp-server"], "env": {"MEM0_API_KEY": " m0-k "}}),
                "m0-k",
            ),
            (
                json!({"command": ["uvx", "mem0-mcp-server"], "environment": {"MEM0_API_KEY": "m0-k"}}),
                "m0-k",
            ),
            (
                json!({"command": {"path": "uvx", "args": ["mem0-mcp-server"], "env": {"MEM0_API_KEY": "m0-k"}}}),
                "m0-k",
            ),
            (
                json!({"command": "docker", "args": ["run", "-e", "MEM0_API_KEY=m0-k", "mem0-mcp"]}),
                "m0-k",
            ),
            (
                json!({"command": "sh", "args": ["-c", "MEM0_API_KEY=m0-k mem0-mcp-server"]}),
                "m0-k",
            ),
            (
                json!({"command": "npx", "args": ["@smithery/cli", "run", "@mem0ai/mem0-memory-mcp",
                "--config", "{\"mem0_api_key\":\"m0-k\"}"]}),
                "m0-k",
            ),
            (
                json!({"url": "https://mcp.mem0.ai/mcp", "headers": {"authorization": "Token m0-k"}}),
                "m0-k",
            ),
            (
                json!({"url": "https://mcp.mem0.ai/mcp", "requestInit": {"headers": {"Authorization": "bearer m0-k"}}}),
                "m0-k",
            ),
            (
                json!({"command": "npx", "args": ["mcp-remote", "https://mcp.mem0.ai/mcp", "--header",
                "Authorization: Token m0-k"]}),
                "m0-k",
            ),
            (
                json!({"command": "npx", "args": ["mcp-remote", "https://mcp.mem0.ai/mcp",
                "--header=Authorization:${AUTH}"]}),
                "$AUTH",
            ),
            (
                json!({"url": "https://mcp.mem0.ai/mcp", "bearer_token_env_var": "MY_KEY"}),
                "$MY_KEY",
            ),
            (
                json!({"command": "uvx", "env": {"MEM0_API_KEY": "${MEM0_API_KEY}"}}),
                "$MEM0_API_KEY",
            ),
            (
                json!({"command": "uvx", "env": {"MEM0_API_KEY": "${env:KEY_OF_MEM0}"}}),
                "$KEY_OF_MEM0",
            ),
            (
                json!({"command": "uvx", "env": {"MEM0_API_KEY": "{env:MEM0_API_KEY}"}}),
                "$MEM0_API_KEY",
            ),
            (
                json!({"command": "uvx", "env": {"MEM0_API_KEY": "${input:mem0-key}"}}),
                "none",
            ),
            (
                json!({"cmd": "uvx", "args": ["mem0-mcp-server"], "env_keys": ["MEM0_API_KEY"]}),
                "$MEM0_API_KEY",
            ),
            (
                json!({"command": "docker", "args": ["run", "-e", "MEM0_API_KEY", "mem0-mcp"]}),
                "$MEM0_API_KEY",
            ),
            (json!({"url": "https://mcp.mem0.ai/mcp"}), "none"),
            (json!(null), "none"),
        ] {
            assert_eq!(shown(&entry), expected, "{entry}");
        }
    }

    #[test]
    fn an_entry_of_another_mem0_is_told_apart() {
        for (entry, expected) in [
            (
                json!({"url": "http://localhost:8765/mcp/claude/sse/jane"}),
                "openmemory",
            ),
            (
                json!({"command": "npx", "args": ["supergateway", "--sse", "http://localhost:8765/mcp/c/sse/jane"]}),
                "openmemory",
            ),
            (
                json!({"command": "uvx", "env": {"MEM0_BASE_URL": "http://localhost:8888", "MEM0_API_KEY": "k"}}),
                "at http://localhost:8888",
            ),
            (
                json!({"command": "uvx", "env": {"MEM0_BASE_URL": "https://api.mem0.ai", "MEM0_API_KEY": "k"}}),
                "k",
            ),
        ] {
            assert_eq!(shown(&entry), expected, "{entry}");
        }
    }
}

//! An entry with its secrets hidden, to be shown.
//!
//! What is shown is generated from the parsed values, so that no comment or unusual notation carries
//! a key past the mask.

use reqwest::Url;
use serde_json::{Map, Value};

/// Replaces a hidden value.
const HIDDEN: &str = "••••••••";
/// Variables of `env` that are not secret. All others are treated as secret.
const HARMLESS: [&str; 12] = [
    "MEM0_DEFAULT_USER_ID",
    "MEM0_ENABLE_GRAPH_DEFAULT",
    "ZEP_DEFAULT_USER_ID",
    "ZEP_API_URL",
    "ZEP_TIMEOUT_SECS",
    "ZEP_MCP_DATA_DIR",
    "ZEP_MCP_IMPORT_DIR",
    "ZEP_MCP_TOOLS",
    "MEMORY_BACKEND",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "PYTHONUNBUFFERED",
];
/// Members whose values are all treated as secret.
const ALL_SECRET: [&str; 5] = ["headers", "http_headers", "requestInit", "auth", "oauth"];
/// Parts of names whose values are secret.
const SECRET_NAMES: [&str; 9] = [
    "key",
    "token",
    "secret",
    "passw",
    "auth",
    "credential",
    "cookie",
    "header",
    "config",
];
/// Prefixes of API keys.
const KEY_PREFIXES: [&str; 10] = [
    "sk-",
    "sk_",
    "m0-",
    "m0sk_",
    "z_",
    "ghp_",
    "github_pat_",
    "xox",
    "bearer ",
    "token ",
];
/// The shortest run of letters and digits mixed that is treated as a key.
const KEY_CHARS: usize = 20;

/// The entry with all possible keys hidden.
pub fn masked(entry: &Value) -> Value {
    match entry {
        Value::Object(members) => Value::Object(members.iter().map(member).collect()),
        other => other.clone(),
    }
}

fn member((name, value): (&String, &Value)) -> (String, Value) {
    let shown = match (name.as_str(), value) {
        // Where some hosts hold the command and its variables.
        ("command" | "transport", Value::Object(_)) => masked(value),
        ("env" | "environment" | "envs", Value::Object(env)) => {
            Value::Object(env.iter().map(variable).collect())
        }
        ("args" | "command" | "cmd", Value::Array(words)) => arguments(words),
        // The names of variables, not their values.
        ("env_vars" | "env_keys" | "bearer_token_env_var", value) => unnamed(value),
        (name, value) if ALL_SECRET.contains(&name) => hidden(value),
        (name, Value::String(text)) => shown(name, text).into(),
        (_, value) => unnamed(value),
    };
    (name.clone(), shown)
}

fn variable((name, value): (&String, &Value)) -> (String, Value) {
    let is_open = HARMLESS.contains(&name.as_str()) || value.as_str().is_some_and(is_reference);
    let shown = match value {
        Value::String(text) if is_open && !has_key(text) => value.clone(),
        Value::Bool(_) => value.clone(),
        _ => hidden(value),
    };
    (name.clone(), shown)
}

fn arguments(words: &[Value]) -> Value {
    let mut after = None;
    words
        .iter()
        .map(|word| {
            let Some(text) = word.as_str() else {
                return hidden(word);
            };
            let flag = after.take();
            if text.starts_with('-') && !text.contains('=') {
                after = Some(text.to_owned());
            }
            Value::String(argument(flag.as_deref(), text))
        })
        .collect()
}

fn argument(flag: Option<&str>, text: &str) -> String {
    // `-e NAME=VALUE`, `--key=VALUE`, `NAME=VALUE`.
    if let Some((name, value)) = text.split_once('=')
        && !text.contains("://")
        && !value.is_empty()
        && !value.starts_with('=')
    {
        let name_alone = name.trim_start_matches('-');
        let open = HARMLESS.contains(&name_alone) && !has_key(value);
        return if open || matches!(name_alone, "from" | "spec" | "python") && !has_key(value) {
            text.to_owned()
        } else {
            format!("{name}={HIDDEN}")
        };
    }
    match flag {
        Some("-e" | "--env") => shown("", text),
        Some("-H" | "-k") => HIDDEN.to_owned(),
        Some(flag) => shown(flag, text),
        None => shown("", text),
    }
}

/// A text under a name.
fn shown(name: &str, text: &str) -> String {
    let name = name.to_ascii_lowercase();
    if is_reference(text) {
        return text.to_owned();
    }
    if SECRET_NAMES.iter().any(|it| name.contains(it)) {
        return HIDDEN.to_owned();
    }
    if text.contains("://") {
        return address(text);
    }
    if has_key(text) {
        HIDDEN.to_owned()
    } else {
        text.to_owned()
    }
}

/// A URL without user, password, query, and possible keys in its path.
fn address(text: &str) -> String {
    let Ok(url) = Url::parse(text) else {
        return HIDDEN.to_owned();
    };
    let Some(host) = url.host_str() else {
        return HIDDEN.to_owned();
    };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let path: Vec<&str> = url
        .path()
        .split('/')
        .map(|part| if has_key(part) { HIDDEN } else { part })
        .collect();
    let rest = if url.query().is_some() || url.fragment().is_some() {
        format!("?{HIDDEN}")
    } else {
        String::new()
    };
    format!("{}://{host}{port}{}{rest}", url.scheme(), path.join("/"))
}

/// Whether the text contains something like a key.
fn has_key(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let begins = KEY_PREFIXES.iter().any(|it| lower.starts_with(it));
    begins
        || text
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-')
            .any(|run| {
                run.len() >= KEY_CHARS
                    && run.contains(|letter: char| letter.is_ascii_digit())
                    && run.contains(|letter: char| letter.is_ascii_alphabetic())
            })
}

/// Whether the text only refers to a value: `${NAME}`, `${env:NAME}`, `${input:id}`, `$NAME`. A
/// reference with a default contains a value.
fn is_reference(text: &str) -> bool {
    let inner = match text.strip_prefix("${") {
        Some(inner) => inner.strip_suffix('}'),
        None => text.strip_prefix('$'),
    };
    inner.is_some_and(|name| {
        !name.is_empty()
            && !name.contains(":-")
            && name
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | ':' | '-'))
    })
}

/// A value without a name that tells whether it is secret.
fn unnamed(value: &Value) -> Value {
    match value {
        Value::String(text) => shown("", text).into(),
        Value::Array(all) => all.iter().map(unnamed).collect(),
        Value::Object(all) => {
            let all: Map<_, _> = all
                .iter()
                .map(|(name, value)| match value {
                    Value::String(text) => (name.clone(), shown(name, text).into()),
                    value => (name.clone(), unnamed(value)),
                })
                .collect();
            Value::Object(all)
        }
        plain => plain.clone(),
    }
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::Object(all) => {
            let all: Map<_, _> = all
                .iter()
                .map(|(name, value)| (name.clone(), hidden(value)))
                .collect();
            Value::Object(all)
        }
        Value::Array(all) => all.iter().map(hidden).collect(),
        Value::Null => Value::Null,
        _ => HIDDEN.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_key_is_shown_at_any_position() {
        const KEY: &str = "m0-Ab3dEf6hIj9lMn2pQr5t";
        for entry in [
            json!({"env": {"MEM0_API_KEY": KEY, "ANYTHING": KEY, "MEM0_DEFAULT_USER_ID": KEY}}),
            json!({"env": {"MEM0_API_KEY": format!("${{X:-{KEY}}}")}}),
            json!({"headers": {"Authorization": format!("Token {KEY}")}}),
            json!({"http_headers": {"x": [KEY]}}),
            json!({"args": ["--key", KEY, "--profile", "p"]}),
            json!({"args": ["--key=short", format!("--header=Authorization: Token {KEY}")]}),
            json!({"args": ["-e", format!("MEM0_API_KEY={KEY}"), "-H", KEY]}),
            json!({"args": ["--config", format!("{{\"mem0_api_key\":\"{KEY}\"}}")]}),
            json!({"args": [format!("https://u:{KEY}@x.example/{KEY}/mcp?key={KEY}#{KEY}")]}),
            json!({"url": format!("https://mcp.mem0.ai/mcp?api_key={KEY}")}),
            json!({"command": ["env", format!("MEM0_API_KEY={KEY}")]}),
            json!({"command": {"path": "uvx", "env": {"ANYTHING": "short"}}}),
            json!({"transport": {"type": "stdio", "env": {"ANYTHING": "short"}}}),
            json!({"environment": {"ANYTHING": "short"}, "envs": {"ANYTHING": "short"}}),
            json!({"command": "sh", "args": ["-c", format!("MEM0_API_KEY={KEY} mem0-mcp-server")]}),
            json!({"description": format!("mine: {KEY}"), "other": {"deep": [{"apiKey": "short"}, KEY]}}),
        ] {
            let text = masked(&entry).to_string();
            assert!(!text.contains(KEY), "{text}");
            assert!(!text.contains("short"), "{text}");
        }
    }

    #[test]
    fn values_that_are_not_keys_are_shown() {
        let entry = json!({
            "type": "stdio",
            "command": "/home/jane/.local/bin/zep-mcp-server",
            "args": ["--from", "mem0-mcp-server==0.2.1", "-y", "mcp-remote", "https://mcp.mem0.ai/mcp"],
            "env": {"MEM0_DEFAULT_USER_ID": "jane", "MEMORY_BACKEND": "local", "ZEP_API_KEY": "${env:ZEP_API_KEY}"},
            "env_vars": ["ZEP_API_KEY"],
            "disabled": false, "timeout": 60, "autoApprove": ["search_memories"],
        });
        assert_eq!(masked(&entry), entry);
    }
}

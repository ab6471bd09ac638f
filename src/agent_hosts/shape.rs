//! Where an entry holds its command, its URL and its variables.

use serde_json::{Map, Value};

use super::convention::Dialect;

/// Members that hold the URL of a remote server.
pub(super) const URL_KEYS: [&str; 4] = ["url", "serverUrl", "httpUrl", "uri"];
/// Members that hold the program, or it and its arguments.
const PROGRAMS: [&str; 2] = ["command", "cmd"];
/// Members that hold the variables.
const ENVIRONMENTS: [&str; 3] = ["env", "environment", "envs"];

/// The names of an entry's members that start a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The member that holds the others, if they are not in the entry itself.
    pub(super) inside: Option<&'static str>,
    pub(super) program: &'static str,
    /// `None` if the arguments follow the program in one list.
    pub(super) args: Option<&'static str>,
    pub(super) env: &'static str,
}

impl Shape {
    /// The shape of an entry; for what it does not have, that of the host.
    pub(super) fn of(entry: &Map<String, Value>, dialect: &Dialect) -> Self {
        let nested = |inside, program| Self {
            inside: Some(inside),
            program,
            args: Some("args"),
            env: "env",
        };
        // cline/cline `apps/vscode/src/services/mcp/schemas.ts`, "Nested transport format".
        if entry.get("transport").is_some_and(Value::is_object) {
            return nested("transport", "command");
        }
        // Zed until 2025: `"command": {"path": …, "args": …, "env": …}`.
        if entry.get("command").is_some_and(Value::is_object) {
            return nested("command", "path");
        }
        let present =
            |names: &[&'static str]| names.iter().copied().find(|name| entry.contains_key(*name));
        let program = present(&PROGRAMS).unwrap_or(dialect.program);
        Self {
            inside: None,
            program,
            args: match entry.get(program) {
                Some(Value::Array(_)) => None,
                Some(_) => Some("args"),
                None => dialect.args,
            },
            env: present(&ENVIRONMENTS).unwrap_or(dialect.env),
        }
    }

    /// The object that holds the members.
    pub(super) fn holder(self, entry: &Map<String, Value>) -> &Map<String, Value> {
        self.inside
            .and_then(|name| entry.get(name)?.as_object())
            .unwrap_or(entry)
    }
}

/// The URLs of an entry.
pub(super) fn urls(entry: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let nested = entry.get("transport").and_then(Value::as_object);
    std::iter::once(entry)
        .chain(nested)
        .flat_map(|holder| URL_KEYS.iter().filter_map(|key| holder.get(*key)?.as_str()))
}

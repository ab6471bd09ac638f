//! Changes one value in a TOML text and keeps its comments and layout.

use diff::Result::{Both, Left, Right};
use serde_json::{Map, Number, Value};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value as TomlValue};

use super::error::DocumentError;

/// Parses the text. Dates become strings.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, DocumentError> {
    Ok(object(parse(text)?.as_table()))
}

/// The text with `new` at `path`.
pub(super) fn set(text: &str, path: &[String], new: &Value) -> Result<String, DocumentError> {
    let mut document = parse(text)?;
    let Some((name, outer)) = path.split_last() else {
        return Err(DocumentError::Unsafe);
    };
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for name in outer {
        let item = table.entry(name).or_insert_with(|| {
            let mut made = Table::new();
            // Writes `[mcp_servers.NAME]` without a `[mcp_servers]` line.
            made.set_implicit(true);
            Item::Table(made)
        });
        table = item
            .as_table_like_mut()
            .ok_or_else(|| DocumentError::WrongKind {
                at: format!("`{name}`"),
                expected: "a table",
            })?;
    }
    match (table.get_mut(name), new) {
        (Some(old), Value::Object(new)) => {
            let inner = old
                .as_table_like_mut()
                .ok_or_else(|| DocumentError::WrongKind {
                    at: format!("`{name}`"),
                    expected: "a table",
                })?;
            merge(inner, new);
            if let Some(table) = old.as_table_mut() {
                // A replacement takes the position of what it replaces.
                let position = |name: &str| new.keys().position(|it| it == name);
                table.sort_values_by(|one, _, other, _| {
                    position(one.get()).cmp(&position(other.get()))
                });
            }
        }
        (None, Value::Object(new)) => {
            let mut made = Table::new();
            merge(&mut made, new);
            table.insert(name, Item::Table(made));
        }
        _ => return Err(DocumentError::Unsafe),
    }
    as_lines_were(text, &document.to_string())
}

/// One entry as TOML text.
pub(super) fn rendered(name: &str, entry: &Map<String, Value>) -> String {
    let mut table = Table::new();
    merge(&mut table, entry);
    let mut servers = Table::new();
    servers.set_implicit(true);
    servers.insert(name, Item::Table(table));
    let mut document = DocumentMut::new();
    document.insert("mcp_servers", Item::Table(servers));
    document.to_string()
}

fn parse(text: &str) -> Result<DocumentMut, DocumentError> {
    text.parse::<DocumentMut>().map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        DocumentError::Broken {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            // Only the message: the full error quotes the line.
            problem: error.message().trim().replace('\n', "; "),
        }
    })
}

fn merge(table: &mut dyn TableLike, new: &Map<String, Value>) {
    let gone: Vec<String> = table
        .iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| !new.contains_key(name))
        .collect();
    // A comment above a removed line belongs to its replacement.
    let mut orphaned = gone.first().and_then(|name| {
        let key = table.key(name)?;
        Some(key.leaf_decor().clone())
    });
    for name in &gone {
        table.remove(name);
    }
    for (name, value) in new {
        let Some(item) = table.get_mut(name) else {
            table.insert(name, Item::Value(toml_value(value)));
            if let Some(decor) = orphaned.take()
                && let Some(mut key) = table.key_mut(name)
            {
                *key.leaf_decor_mut() = decor;
            }
            continue;
        };
        if json_value(item) == *value {
            continue;
        }
        if let (Value::Object(new), Some(old)) = (value, item.as_table_like_mut()) {
            merge(old, new);
        } else if let Some(old) = item.as_value_mut() {
            let decor = old.decor().clone();
            *old = toml_value(value);
            *old.decor_mut() = decor;
        } else {
            *item = Item::Value(toml_value(value));
        }
    }
}

/// The new text with the line ends of the old one, which the editor rewrites.
fn as_lines_were(old: &str, new: &str) -> Result<String, DocumentError> {
    let ends = if old.contains("\r\n") { "\r\n" } else { "\n" };
    let originals: Vec<&str> = old.split_inclusive('\n').collect();
    let before: Vec<&str> = originals.iter().map(|line| bare(line)).collect();
    let after: Vec<&str> = new.split_inclusive('\n').map(bare).collect();
    let mut originals = originals.into_iter();
    let mut text = String::with_capacity(new.len());
    for line in diff::slice(&before, &after) {
        match line {
            Left(_) => {
                originals.next();
            }
            Both(..) => {
                end_line(&mut text, ends);
                text.push_str(originals.next().ok_or(DocumentError::Unsafe)?);
            }
            Right(added) => {
                end_line(&mut text, ends);
                text.push_str(added);
                text.push_str(ends);
            }
        }
    }
    Ok(text)
}

fn bare(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Adds the line end that a file's last line may lack.
fn end_line(text: &mut String, ends: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(ends);
    }
}

fn object(table: &dyn TableLike) -> Map<String, Value> {
    table
        .iter()
        .map(|(name, item)| (name.to_owned(), json_value(item)))
        .collect()
}

fn json_value(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => json_of(value),
        Item::Table(table) => Value::Object(object(table)),
        Item::ArrayOfTables(tables) => tables
            .iter()
            .map(|table| Value::Object(object(table)))
            .collect(),
    }
}

fn json_of(value: &TomlValue) -> Value {
    match value {
        TomlValue::String(it) => it.value().as_str().into(),
        TomlValue::Integer(it) => (*it.value()).into(),
        TomlValue::Float(it) => Number::from_f64(*it.value()).map_or(Value::Null, Value::Number),
        TomlValue::Boolean(it) => (*it.value()).into(),
        TomlValue::Datetime(it) => it.value().to_string().into(),
        TomlValue::Array(it) => it.iter().map(json_of).collect(),
        TomlValue::InlineTable(it) => Value::Object(object(it)),
    }
}

fn toml_value(value: &Value) -> TomlValue {
    match value {
        // TOML has no null, and no planned entry contains one.
        Value::Null => "".into(),
        Value::Bool(it) => (*it).into(),
        Value::Number(it) => match it.as_i64() {
            Some(whole) => whole.into(),
            None => it.as_f64().unwrap_or_default().into(),
        },
        Value::String(it) => it.as_str().into(),
        Value::Array(it) => it.iter().map(toml_value).collect::<Array>().into(),
        Value::Object(it) => it
            .iter()
            .map(|(name, value)| (name.as_str(), toml_value(value)))
            .collect::<InlineTable>()
            .into(),
    }
}

//! Changes one value in a JSON text and keeps its comments and layout.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use serde_json::{Map, Value};

use super::error::DocumentError;

/// JSON with comments and trailing commas: VS Code and Gemini CLI allow both.
const DIALECT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Parses the text.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, DocumentError> {
    let root = parse(text)?;
    if root.value().is_none() {
        return Ok(Map::new());
    }
    match root.to_serde_value() {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(not_an_object("the file".to_owned())),
    }
}

/// The text with `new` at `path`.
pub(super) fn set(text: &str, path: &[String], new: &Value) -> Result<String, DocumentError> {
    let root = parse(text)?;
    let Some((name, outer)) = path.split_last() else {
        return Err(DocumentError::Unsafe);
    };
    let mut object = root
        .object_value_or_create()
        .ok_or_else(|| not_an_object("the file".to_owned()))?;
    for name in outer {
        object = match only(&object, name)? {
            None => object.object_value_or_set(name),
            Some(prop) => match (prop.object_value(), prop.value()) {
                (Some(inner), _) => inner,
                (None, Some(value)) if value.as_null_keyword().is_some() => {
                    prop.object_value_or_set()
                }
                _ => return Err(not_an_object(format!("`{name}`"))),
            },
        };
    }
    put(&object, None, name, new)?;
    Ok(root.to_string())
}

/// One entry as JSON text.
pub(super) fn rendered(name: &str, entry: &Map<String, Value>) -> String {
    format!("{:#}", serde_json::json!({ name: entry }))
}

fn parse(text: &str) -> Result<CstRootNode, DocumentError> {
    CstRootNode::parse(text, &DIALECT).map_err(|error| DocumentError::Broken {
        line: error.line_display(),
        column: error.column_display(),
        problem: error.kind().to_string(),
    })
}

/// The property with this name, if any.
fn only(object: &CstObject, name: &str) -> Result<Option<CstObjectProp>, DocumentError> {
    let mut named = object
        .properties()
        .into_iter()
        .filter(|prop| prop.decoded_name().is_some_and(|it| it == name));
    let first = named.next();
    if named.next().is_some() {
        return Err(DocumentError::Twice(name.to_owned()));
    }
    Ok(first)
}

/// Sets `name` to `new`, changing only the differences.
fn put(
    object: &CstObject,
    index: Option<usize>,
    name: &str,
    new: &Value,
) -> Result<(), DocumentError> {
    let Some(prop) = only(object, name)? else {
        let value = input(new);
        match index {
            Some(index) => object.insert(index, name, value),
            None => object.append(name, value),
        };
        return Ok(());
    };
    let old = prop.to_serde_value();
    if old.as_ref() == Some(new) {
        return Ok(());
    }
    match (prop.object_value(), prop.array_value(), new) {
        (Some(inner), _, Value::Object(new)) => merge(&inner, new)?,
        (_, Some(inner), Value::Array(new)) if begins(old.as_ref(), new) => {
            for element in &new[inner.elements().len()..] {
                inner.append(input(element));
            }
        }
        _ => prop.set_value(input(new)),
    }
    Ok(())
}

/// Adds before it removes: an object loses its indentation when it becomes empty.
fn merge(object: &CstObject, new: &Map<String, Value>) -> Result<(), DocumentError> {
    let mut next = 0;
    for (name, value) in new {
        put(object, Some(next), name, value)?;
        if let Some(prop) = only(object, name)? {
            next = prop.property_index() + 1;
        }
    }
    for prop in object.properties() {
        if prop
            .decoded_name()
            .is_none_or(|name| !new.contains_key(&name))
        {
            prop.remove();
        }
    }
    Ok(())
}

fn begins(old: Option<&Value>, new: &[Value]) -> bool {
    old.and_then(Value::as_array)
        .is_some_and(|old| new.starts_with(old))
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(it) => CstInputValue::Bool(*it),
        Value::Number(it) => CstInputValue::Number(it.to_string()),
        Value::String(it) => CstInputValue::String(it.clone()),
        Value::Array(it) => CstInputValue::Array(it.iter().map(input).collect()),
        Value::Object(it) => {
            let members = it.iter().map(|(name, value)| (name.clone(), input(value)));
            CstInputValue::Object(members.collect())
        }
    }
}

fn not_an_object(at: String) -> DocumentError {
    DocumentError::WrongKind {
        at,
        expected: "an object",
    }
}

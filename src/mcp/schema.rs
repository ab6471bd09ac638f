//! The schemas of tools' arguments, in the form that every agent host takes: one plain `type` an
//! argument, optional by not being required, nothing by reference. Converters of hosts fail on more:
//! Google's on a boolean `additionalProperties`, LangChain's on a list of types.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

/// The schema of a tool's arguments.
pub(super) fn of<T: JsonSchema>() -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut fields = std::mem::take(schema.ensure_object());
    // They describe the type to readers of the code; an agent reads the tool's own description.
    fields.shift_remove("description");
    simplify(&mut fields);
    fields
        .entry("properties")
        .or_insert_with(|| JsonObject::new().into());
    Arc::new(fields)
}

/// The schema of a tool's answer: the fields at its top that a program reads, each with its type
/// and description. What is in lists is told by the values themselves, since schemas of whole answers
/// would cost more tokens than all else that the tools say of themselves.
pub(super) fn answer(fields: &[(&str, &str, &str)]) -> Arc<JsonObject> {
    let properties: JsonObject = fields
        .iter()
        .map(|(name, kind, description)| {
            let field = json!({"type": kind, "description": description});
            ((*name).to_owned(), field)
        })
        .collect();
    let schema = json!({"type": "object", "properties": properties});
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

fn simplify(schema: &mut JsonObject) {
    schema.shift_remove("title");
    schema.shift_remove("format");
    schema.shift_remove("default");
    if schema
        .get("additionalProperties")
        .is_some_and(Value::is_boolean)
    {
        match schema.contains_key("properties") {
            true => schema.shift_remove("additionalProperties"),
            // LangChain's converter for Google takes an object with no word on its fields for text.
            false => schema.insert("additionalProperties".into(), json!({"description": "any"})),
        };
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            schema.insert("type".into(), only);
        }
    }
    // An optional value of a type of its own: that type, or null.
    if let Some(Value::Array(mut choices)) = schema.shift_remove("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        match choices.pop() {
            Some(Value::Object(only)) if choices.is_empty() => {
                for (key, value) in only {
                    schema.entry(key).or_insert(value);
                }
            }
            last => {
                choices.extend(last);
                schema.insert("anyOf".into(), choices.into());
            }
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            simplify(property);
        }
    }
    if let Some(Value::Object(items)) = schema.get_mut("items") {
        simplify(items);
    }
}

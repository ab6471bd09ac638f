//! Checks answers against the schemas of the official client's types.

use serde_json::{Map, Value};

const TYPES: &str = include_str!("../../fixtures/zep/v3-types.json");

pub struct Schemas(Map<String, Value>);

impl Schemas {
    pub fn load() -> Self {
        Self(serde_json::from_str(TYPES).expect("the fixture is JSON"))
    }

    /// The violations of a type's schema by this value. Fields that the type does not have are
    /// violations, too: the client would ignore them unnoticed.
    pub fn problems(&self, kind: &str, value: &Value) -> Vec<String> {
        let root = &self.0[kind];
        let mut problems = Vec::new();
        self.check(root, root, value, kind, &mut problems);
        problems
    }

    fn check(&self, root: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            let target = root["$defs"].get(name).or_else(|| self.0.get(name));
            let target = target.unwrap_or_else(|| panic!("{reference} is not in the fixture"));
            return self.check(root, target, value, at, out);
        }
        if let Some(kinds) = schema["anyOf"].as_array() {
            // The schema allows names that Zep may add later; ours must be the known ones.
            let strict = kinds.iter().filter(|kind| !is_anything(kind));
            let mut best: Option<Vec<String>> = None;
            for kind in strict {
                let mut problems = Vec::new();
                self.check(root, kind, value, at, &mut problems);
                if problems.is_empty() {
                    return;
                }
                // The alternative `null` explains a violation least.
                if best.is_none() || kind["type"] != "null" {
                    best.get_or_insert(problems);
                }
            }
            out.extend(best.unwrap_or_default());
            return;
        }
        if let Some(names) = schema["enum"].as_array()
            && !names.contains(value)
        {
            out.push(format!("{at}: {value} is none of {names:?}"));
        }
        let fits = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            _ => true,
        };
        if !fits {
            out.push(format!("{at}: {value} is no {}", schema["type"]));
            return;
        }
        if let Some(items) = value.as_array() {
            for (index, item) in items.iter().enumerate() {
                self.check(root, &schema["items"], item, &format!("{at}[{index}]"), out);
            }
        }
        let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object())
        else {
            return;
        };
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = wire_name(name.as_str().unwrap());
            if fields.get(name).is_none_or(Value::is_null) {
                out.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, field) in fields {
            match known.iter().find(|(known, _)| wire_name(known) == name) {
                Some((_, schema)) => {
                    self.check(root, schema, field, &format!("{at}.{name}"), out);
                }
                None => out.push(format!("{at}: the client knows no {name}")),
            }
        }
    }
}

/// The client's name for Zep's `uuid` is `uuid_`.
fn wire_name(name: &str) -> &str {
    name.strip_suffix('_').unwrap_or(name)
}

fn is_anything(schema: &Value) -> bool {
    schema.as_object().is_some_and(Map::is_empty)
}

//! The field `metadata`: keys, values, and operators on them.

use serde_json::{Map, Value};

use super::Node;
use super::condition::{Condition, Values};
use super::error::{Path, quote};
use super::parse::{
    Asked, MAX_METADATA_DEPTH, Operator, Parsed, Parser, check_length, no_operator, wrong_operator,
};
use super::values::Case;

/// Operators of other query languages. As a key within a metadata value they would compare with an
/// object that no memory has, and silently find nothing.
const NO_OPERATORS: [&str; 8] = [
    "nin",
    "not_in",
    "neq",
    "not",
    "exists",
    "startswith",
    "endswith",
    "regex",
];

impl Parser {
    /// Conditions on metadata: on its keys, or on all of it.
    pub(super) fn metadata(&mut self, value: &Value, path: &Path<'_>) -> Parsed<Node> {
        if let Value::Object(map) = value
            && !only_operators(map, path)?
        {
            return self.keys(map, path, Self::key);
        }
        self.operations(value, path, |parser, asked, path| match asked {
            Asked::Present => Ok(Node::Is(Condition::AnyMetadata)),
            Asked::Absent => Ok(Node::Not(Box::new(Node::Is(Condition::AnyMetadata)))),
            Asked::Operation(Operator::Eq | Operator::Contains, Value::Object(map)) => {
                parser.equal_keys(map, path)
            }
            Asked::Operation(Operator::Ne, Value::Object(map)) => {
                Ok(Node::Not(Box::new(parser.equal_keys(map, path)?)))
            }
            Asked::Operation(operator @ (Operator::Contains | Operator::Icontains), part) => {
                let part = Value::from(parser.string(part, path)?);
                Ok(Node::Is(Condition::MetadataContains(part, operator.case())))
            }
            Asked::Operation(_, value) => Err(path.refuse(
                format!("{} cannot be compared with all metadata", quote(value)),
                "write {\"metadata\": {\"key\": \"value\"}}; a key that is called like an operator goes \
                 into `eq`",
            )),
        })
    }

    fn key(&mut self, key: &str, value: &Value, path: &Path<'_>) -> Parsed<Node> {
        let operators = match value {
            Value::Object(map) => {
                check_foreign(map, path)?;
                only_operators(map, path)?
            }
            _ => false,
        };
        if operators {
            self.operations(value, path, |parser, asked, path| {
                let asked = parser.key_asked(asked, path)?;
                Ok(Node::Is(Condition::Metadata(key.to_owned(), asked)))
            })
        } else {
            self.equal_key(key, value, path)
        }
    }

    /// Keys with exactly these values, of any type.
    fn equal_keys(&mut self, map: &Map<String, Value>, path: &Path<'_>) -> Parsed<Node> {
        self.keys(map, path, Self::equal_key)
    }

    fn keys(
        &mut self,
        map: &Map<String, Value>,
        path: &Path<'_>,
        read: fn(&mut Self, &str, &Value, &Path<'_>) -> Parsed<Node>,
    ) -> Parsed<Node> {
        if map.is_empty() {
            return Err(path.refuse(
                "the object is empty",
                "write {\"metadata\": {\"key\": \"value\"}}, or \"*\" for any metadata",
            ));
        }
        let nodes: Parsed<Vec<Node>> = map
            .iter()
            .map(|(key, value)| {
                let path = &path.key(key);
                check_length(key, path)?;
                read(self, key, value, path)
            })
            .collect();
        Ok(Node::All(nodes?))
    }

    fn equal_key(&mut self, key: &str, value: &Value, path: &Path<'_>) -> Parsed<Node> {
        self.count(path)?;
        let asked = self.key_asked(Asked::new(Operator::Eq, value), path)?;
        Ok(Node::Is(Condition::Metadata(key.to_owned(), asked)))
    }

    fn key_asked(&mut self, asked: Asked<'_>, path: &Path<'_>) -> Parsed<Values> {
        let (operator, value) = match asked {
            Asked::Present => return Ok(Values::Present),
            Asked::Absent => return Ok(Values::Absent),
            Asked::Operation(operator, value) => (operator, value),
        };
        if operator == Operator::In {
            let items = self.list(value, path)?;
            for (index, item) in items.iter().enumerate() {
                self.check_value(item, &path.item(index), 1)?;
            }
            return Ok(Values::Among(items.to_vec()));
        }
        self.check_value(value, path, 0)?;
        let value = value.clone();
        let orderly = value.is_number() || value.is_string();
        Ok(match operator {
            Operator::Eq => Values::Is(value),
            Operator::Ne => Values::IsNot(value),
            Operator::Contains if !value.is_null() => Values::Contains(value, Case::Regarded),
            Operator::Icontains if value.is_string() => Values::Contains(value, Case::Ignored),
            Operator::Gt if orderly => Values::Greater(value),
            Operator::Gte if orderly => Values::AtLeast(value),
            Operator::Lt if orderly => Values::Less(value),
            Operator::Lte if orderly => Values::AtMost(value),
            _ => {
                return Err(wrong_operator(
                    path,
                    "a text with `icontains`; a number or a text with `gt`, `gte`, `lt`, `lte`; a \
                     value with `contains`; any with `eq` and `ne`; a list with `in`",
                ));
            }
        })
    }

    /// Checks a value against the bounds.
    fn check_value(&mut self, value: &Value, path: &Path<'_>, depth: usize) -> Parsed<()> {
        if depth > MAX_METADATA_DEPTH {
            return Err(path.refuse(
                "the value goes too deep",
                format!("use at most {MAX_METADATA_DEPTH} lists and objects within one another"),
            ));
        }
        match value {
            Value::String(text) => check_length(text, path),
            Value::Array(items) => {
                self.count_items(items.len(), path)?;
                items
                    .iter()
                    .try_for_each(|item| self.check_value(item, path, depth + 1))
            }
            Value::Object(map) => {
                self.count_items(map.len(), path)?;
                map.iter().try_for_each(|(key, value)| {
                    check_length(key, path)?;
                    self.check_value(value, path, depth + 1)
                })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
}

/// Whether an object consists of operator names. A mixed one is refused: half of it would silently
/// find nothing.
fn only_operators(map: &Map<String, Value>, path: &Path<'_>) -> Parsed<bool> {
    let operators = map
        .keys()
        .filter(|key| Operator::named(key).is_some())
        .count();
    if operators > 0 && operators < map.len() {
        return Err(path.refuse(
            "operators and other keys stand beside one another",
            "write operators alone, as in {\"ne\": \"value\"}, or put what is meant as a value into \
             `eq`",
        ));
    }
    Ok(operators == map.len() && !map.is_empty())
}

/// Refuses other languages' operators, for the same reason.
fn check_foreign(map: &Map<String, Value>, path: &Path<'_>) -> Parsed<()> {
    let foreign = |key: &str| {
        key.starts_with('$')
            || NO_OPERATORS.contains(&key)
            || (!key.is_empty() && key.chars().all(|c| c.is_ascii_punctuation()))
    };
    match map.keys().find(|key| foreign(key)) {
        None => Ok(()),
        Some(key) => Err(no_operator(key, &path.key(key))),
    }
}

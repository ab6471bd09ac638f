//! Parses and checks the filter that a caller sent as JSON.

use serde_json::{Map, Value};

use super::Node;
use super::condition::{Condition, TimeOf};
use super::error::{InvalidFilter, Path, quote, quote_key};
use super::values::Case;
use crate::memory::model::{AgentId, AppId, MAX_ID_CHARS, MemoryKind, SessionId, UserId};
use crate::zep::check_id;

/// The deepest nesting of `AND`, `OR` and `NOT`. Ours, like the other bounds here: mem0 documents
/// none.
pub const MAX_DEPTH: usize = 8;
/// The most conditions in all; every operator, `AND`, `OR` and `NOT` counts as one.
pub const MAX_CONDITIONS: usize = 100;
/// The most values in all lists together, metadata values included.
pub const MAX_ITEMS: usize = 1_000;
/// The most characters of a text.
pub const MAX_TEXT_CHARS: usize = 4_096;
/// The deepest nesting of lists and objects in a metadata value.
pub const MAX_METADATA_DEPTH: usize = 8;

/// Stands for any value that is not null.
pub(super) const WILDCARD: &str = "*";

const FIELDS: &str = "`user_id`, `agent_id`, `app_id`, `run_id` (or `session_id`), `created_at`, \
                      `updated_at`, `timestamp`, `expiration_date`, `categories`, `memory_type`, \
                      `role`, `actor_id`, `metadata`, \
                      `keywords`, `text`, `memory_ids`, or `AND`, `OR`, `NOT`";
const OPERATORS: &str = "`eq`, `ne`, `in`, `gt`, `gte`, `lt`, `lte`, `contains`, `icontains`, or a plain value or \"*\"";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ne,
    In,
    Gt,
    Gte,
    Lt,
    Lte,
    Contains,
    Icontains,
}

impl Operator {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "in" => Self::In,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "contains" => Self::Contains,
            "icontains" => Self::Icontains,
            _ => return None,
        })
    }

    /// How `contains` and `icontains` compare the letters of a text.
    pub(super) fn case(self) -> Case {
        if self == Self::Contains {
            Case::Regarded
        } else {
            Case::Ignored
        }
    }
}

/// What is asked of a field.
pub(super) enum Asked<'v> {
    Present,
    Absent,
    Operation(Operator, &'v Value),
}

impl<'v> Asked<'v> {
    pub(super) fn new(operator: Operator, value: &'v Value) -> Self {
        let wildcard = value.as_str() == Some(WILDCARD);
        match operator {
            Operator::Eq if wildcard => Self::Present,
            Operator::Eq if value.is_null() => Self::Absent,
            Operator::Ne if wildcard => Self::Absent,
            Operator::Ne if value.is_null() => Self::Present,
            operator => Self::Operation(operator, value),
        }
    }
}

/// Parses a whole filter.
pub(super) fn filter(raw: &Map<String, Value>) -> Result<Node, InvalidFilter> {
    Parser::default().object(raw, &Path::Root, 0)
}

/// Counts against the bounds while parsing.
#[derive(Default)]
pub(super) struct Parser {
    conditions: usize,
    items: usize,
}

pub(super) type Parsed<T> = Result<T, InvalidFilter>;

impl Parser {
    /// An object of conditions. All must hold.
    fn object(&mut self, raw: &Map<String, Value>, path: &Path<'_>, depth: usize) -> Parsed<Node> {
        let nodes: Parsed<Vec<Node>> = raw
            .iter()
            .map(|(key, value)| {
                let path = &path.key(key);
                match key.as_str() {
                    "AND" => Ok(Node::All(self.group(value, path, depth)?)),
                    "OR" => self.filled_group(value, path, depth).map(Node::Any),
                    "NOT" => self.none_of(value, path, depth),
                    field => self.field(field, value, path),
                }
            })
            .collect();
        Ok(Node::All(nodes?))
    }

    fn group(&mut self, value: &Value, path: &Path<'_>, depth: usize) -> Parsed<Vec<Node>> {
        let Value::Array(items) = value else {
            return Err(path.refuse(
                format!("{} is no list", quote(value)),
                "write a list of objects, such as [{\"user_id\": \"…\"}, {\"run_id\": \"*\"}]",
            ));
        };
        self.enter(path, depth)?;
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.member(item, &path.item(index), depth + 1))
            .collect()
    }

    fn filled_group(&mut self, value: &Value, path: &Path<'_>, depth: usize) -> Parsed<Vec<Node>> {
        let nodes = self.group(value, path, depth)?;
        if nodes.is_empty() {
            return Err(path.refuse(
                "the list is empty",
                "give it at least one object of conditions, or leave it out",
            ));
        }
        Ok(nodes)
    }

    fn none_of(&mut self, value: &Value, path: &Path<'_>, depth: usize) -> Parsed<Node> {
        let node = if value.is_object() {
            self.enter(path, depth)?;
            self.member(value, path, depth + 1)?
        } else {
            Node::Any(self.filled_group(value, path, depth)?)
        };
        Ok(Node::Not(Box::new(node)))
    }

    /// An object within a group. An empty one would match everything, which is never meant within
    /// `OR` and `NOT`.
    fn member(&mut self, value: &Value, path: &Path<'_>, depth: usize) -> Parsed<Node> {
        match value {
            Value::Object(map) if !map.is_empty() => self.object(map, path, depth),
            value => Err(path.refuse(
                format!("{} is no condition", quote(value)),
                "write an object with a field in it, such as {\"user_id\": \"…\"}, or leave it out",
            )),
        }
    }

    fn enter(&mut self, path: &Path<'_>, depth: usize) -> Parsed<()> {
        if depth >= MAX_DEPTH {
            return Err(path.refuse(
                format!("is the {}th level of AND, OR and NOT", depth + 1),
                format!("use at most {MAX_DEPTH} within one another"),
            ));
        }
        self.count(path)
    }

    pub(super) fn count(&mut self, path: &Path<'_>) -> Parsed<()> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(path.refuse(
                format!("is the {}th condition", self.conditions),
                format!(
                    "use at most {MAX_CONDITIONS} in all; many values of one field go into one `in`"
                ),
            ));
        }
        Ok(())
    }

    fn field(&mut self, field: &str, value: &Value, path: &Path<'_>) -> Parsed<Node> {
        match field {
            "user_id" => self.ids(value, path, Condition::User, |id| {
                UserId::new(id).map(|id| id.to_string())
            }),
            "agent_id" => self.ids(value, path, Condition::Agent, |id| {
                AgentId::new(id).map(|id| id.to_string())
            }),
            "app_id" => self.ids(value, path, Condition::App, |id| {
                AppId::new(id).map(|id| id.to_string())
            }),
            "run_id" | "session_id" => self.ids(value, path, Condition::Run, |id| {
                SessionId::new(id).map(|id| id.to_string())
            }),
            "memory_ids" | "memory_id" | "id" => self.ids(value, path, Condition::Memory, |id| {
                check_id("memory_ids", id, MAX_ID_CHARS)
            }),
            "memory_type" => self.ids(value, path, Condition::Kind, |kind| {
                MemoryKind::new(kind).map(|kind| kind.as_str().to_owned())
            }),
            "role" => self.ids(value, path, Condition::Role, |role| {
                check_id("role", role, MAX_ID_CHARS)
            }),
            "actor_id" => self.ids(value, path, Condition::Actor, |name| {
                check_id("actor_id", name, MAX_ID_CHARS)
            }),
            "created_at" | "timestamp" => self.times(value, path, TimeOf::Creation),
            "updated_at" => self.times(value, path, TimeOf::Update),
            "expiration_date" => self.times(value, path, TimeOf::Expiration),
            "categories" => self.categories(value, path),
            "keywords" | "keywords_search" | "text" => self.text(value, path),
            "metadata" => self.metadata(value, path),
            field => Err(path.refuse(
                format!("there is no field {}", quote_key(field)),
                format!(
                    "the fields are {FIELDS}; a key of metadata is written {{\"metadata\": \
                     {{\"key\": \"value\"}}}}"
                ),
            )),
        }
    }

    /// The operators of a field. All must hold.
    pub(super) fn operations<'v>(
        &mut self,
        value: &'v Value,
        path: &Path<'_>,
        mut read: impl FnMut(&mut Self, Asked<'v>, &Path<'_>) -> Parsed<Node>,
    ) -> Parsed<Node> {
        let Value::Object(operators) = value else {
            self.count(path)?;
            let plain = if value.is_array() {
                Operator::In
            } else {
                Operator::Eq
            };
            return read(self, Asked::new(plain, value), path);
        };
        if operators.is_empty() {
            return Err(path.refuse(
                "the object is empty",
                format!("put an operator in it: {OPERATORS}"),
            ));
        }
        let nodes: Parsed<Vec<Node>> = operators
            .iter()
            .map(|(name, value)| {
                let path = &path.key(name);
                let operator = Operator::named(name).ok_or_else(|| no_operator(name, path))?;
                self.count(path)?;
                read(self, Asked::new(operator, value), path)
            })
            .collect();
        Ok(Node::All(nodes?))
    }

    pub(super) fn list<'v>(&mut self, value: &'v Value, path: &Path<'_>) -> Parsed<&'v [Value]> {
        let Value::Array(items) = value else {
            return Err(path.refuse(
                format!("{} is no list", quote(value)),
                "write a list of values, such as [\"a\", \"b\"]",
            ));
        };
        self.count_items(items.len(), path)?;
        Ok(items)
    }

    pub(super) fn count_items(&mut self, more: usize, path: &Path<'_>) -> Parsed<()> {
        self.items += more;
        if self.items > MAX_ITEMS {
            return Err(path.refuse(
                format!("has too many values, {} in all up to here", self.items),
                format!("use at most {MAX_ITEMS} in all, and ask several times"),
            ));
        }
        Ok(())
    }

    pub(super) fn string<'v>(&mut self, value: &'v Value, path: &Path<'_>) -> Parsed<&'v str> {
        let Value::String(text) = value else {
            return Err(path.refuse(
                format!("{} is no text", quote(value)),
                "write a text in quotes",
            ));
        };
        check_length(text, path)?;
        Ok(text)
    }
}

/// Refuses a text that is too long.
pub(super) fn check_length(text: &str, path: &Path<'_>) -> Parsed<()> {
    // A text has at most as many characters as bytes.
    if text.len() > MAX_TEXT_CHARS {
        let length = text.chars().count();
        if length > MAX_TEXT_CHARS {
            return Err(path.refuse(
                format!("the text has {length} characters"),
                format!("use at most {MAX_TEXT_CHARS}"),
            ));
        }
    }
    Ok(())
}

pub(super) fn no_operator(name: &str, path: &Path<'_>) -> InvalidFilter {
    path.refuse(
        format!("there is no operator {}", quote_key(name)),
        format!("the operators are {OPERATORS}; to leave values out, put `in` into `NOT`, and a value of metadata \
             that looks like this into `eq`"),
    )
}

pub(super) fn wrong_operator(path: &Path<'_>, right: &str) -> InvalidFilter {
    path.refuse(
        "this field cannot be asked that",
        format!("it takes {right}"),
    )
}

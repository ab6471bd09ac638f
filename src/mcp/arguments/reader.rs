//! Reads the arguments of a call by the tool's schema.

use rmcp::model::JsonObject;
use serde_json::{Map, Value};

use super::{
    ids, turns,
    values::{self, shortened},
};
use crate::config::Tool;
use crate::mcp::error::ToolError;

/// The most names or places that a note lists.
const MOST_LISTED: usize = 20;

/// Arguments as the schema states them, and how they differ from what was sent.
#[derive(Debug)]
pub(in crate::mcp) struct Read {
    pub(in crate::mcp) arguments: JsonObject,
    /// For the caller; empty where all was as the schema states.
    pub(in crate::mcp) notes: Vec<String>,
}

/// How much is made of what the schema does not state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Unknown arguments are ignored, empty ids count as not given, numbers out of range become the
    /// nearest one; notes say so.
    Generous,
    /// These are errors. A value of another type is still converted, if nothing of it is lost.
    Strict,
}

impl Manner {
    /// What deletes, changes, migrates, or proves a migration is read strictly.
    fn of(tool: Tool) -> Self {
        match tool {
            Tool::UpdateMemory
            | Tool::DeleteMemory
            | Tool::DeleteAllMemories
            | Tool::DeleteEntities
            | Tool::MigrateUser
            | Tool::ValidateMigration => Self::Strict,
            _ => Self::Generous,
        }
    }
}

/// Brings the arguments of a call into the form that the tool's schema states.
///
/// # Errors
/// Names the argument, and says what to send in its place.
pub(in crate::mcp) fn read(
    tool: Tool,
    schema: &JsonObject,
    given: JsonObject,
) -> Result<Read, ToolError> {
    let none = Map::new();
    let reader = Reader {
        tool,
        manner: Manner::of(tool),
        properties: values::properties(schema).unwrap_or(&none),
        required: schema.get("required").and_then(Value::as_array),
        notes: Vec::new(),
    };
    reader.read(given)
}

struct Reader<'a> {
    tool: Tool,
    manner: Manner,
    properties: &'a Map<String, Value>,
    required: Option<&'a Vec<Value>>,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn read(mut self, given: JsonObject) -> Result<Read, ToolError> {
        let properties = self.properties;
        let mut ignored = Vec::new();
        let mut arguments = JsonObject::new();
        let mut blank_turns = Vec::new();
        for (name, value) in &given {
            let Some(schema) = properties.get(name) else {
                self.check_unknown(name, value, &given)?;
                ignored.push(format!("`{}`", shortened(name)));
                continue;
            };
            // mem0's arguments may be null, which means not given.
            if value.is_null() {
                continue;
            }
            let value = match (name.as_str(), value.clone()) {
                ("messages", value) => turns::read(value)?.map(|turns| {
                    blank_turns = turns.blank;
                    Value::Array(turns.spoken)
                }),
                // An export may be a list, too, or was left out of the message.
                ("data", value) => Some(values::export(value)),
                (_, value) => self.value(name, schema, value)?,
            };
            if let Some(value) = value {
                arguments.insert(name.clone(), value);
            }
        }
        self.note_blank_turns(&blank_turns, &mut arguments)?;
        self.note("ignored, since there is no such argument", ignored);
        Ok(Read {
            arguments,
            notes: self.notes,
        })
    }

    /// A value of a known argument, as its schema states it; `None` counts as not given.
    fn value(
        &mut self,
        name: &str,
        schema: &Value,
        value: Value,
    ) -> Result<Option<Value>, ToolError> {
        let refuse = |problem: String| Err(ToolError::argument(format!("`{name}` {problem}")));
        let value = match values::converted(schema, value) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(None),
            Err(problem) => return refuse(problem),
        };
        let generous = self.manner == Manner::Generous;
        match &value {
            Value::String(id) if ids::is_entity(name) => {
                if generous && id.trim().is_empty() && !self.requires(name) {
                    self.notes
                        .push(format!("`{name}` was empty and counts as not given"));
                    return Ok(None);
                }
                if ids::is_left_over(id) {
                    return refuse(format!(
                        "is `{}`, which a template or a program left in place of an id; send the \
                         real id, or leave `{name}` out",
                        shortened(id)
                    ));
                }
            }
            // Words to remember may be just that.
            Value::String(text) if values::is_null(text) => {
                let optional = !self.requires(name) && name != "text";
                return Ok((!optional).then_some(value));
            }
            Value::Number(number) if generous => {
                let (Some(number), true) = (number.as_i64(), schema["type"] == "integer") else {
                    return Ok(Some(value));
                };
                let (nearest, bound) = values::clamped(schema, number);
                if let Some(bound) = bound {
                    let note =
                        format!("`{name}` was {number}; {nearest} was used, {bound} allowed");
                    self.notes.push(note);
                }
                return Ok(Some(nearest.into()));
            }
            _ => {}
        }
        Ok(Some(value))
    }

    fn requires(&self, name: &str) -> bool {
        self.required
            .is_some_and(|required| required.iter().any(|each| each == name))
    }

    /// Refuses an argument that the tool does not have, unless it may be ignored.
    fn check_unknown(
        &self,
        name: &str,
        value: &Value,
        given: &JsonObject,
    ) -> Result<(), ToolError> {
        let tool = self.tool;
        let shown = shortened(name);
        let refuse = |advice: String| {
            Err(ToolError::argument(format!(
                "`{shown}` is not an argument of {tool}{advice}"
            )))
        };
        if self.manner == Manner::Strict {
            let known: Vec<_> = self.properties.keys().map(String::as_str).collect();
            return refuse(format!(
                ", and nothing was done; it takes {}",
                known.join(", ")
            ));
        }
        // Without an owner of its own the call reaches the default user, or nobody's in particular.
        let scoped = self.properties.contains_key("user_id") && self.required_id().is_none();
        match ids::meant(name) {
            Some(meant) if scoped && !values::is_empty(value) => {
                match self.properties.contains_key(meant) {
                    false => refuse("; leave it out".into()),
                    true if given.get(meant).is_some_and(|own| !values::is_empty(own)) => Ok(()),
                    true => refuse(format!("; send `{meant}`")),
                }
            }
            _ => Ok(()),
        }
    }

    /// The argument that names one memory, whose owner needs no name.
    fn required_id(&self) -> Option<&'static str> {
        ["memory_id", "event_id"]
            .into_iter()
            .find(|id| self.requires(id))
    }

    /// Says which turns were left out. If no turn has words, the text is stored, if there is one.
    fn note_blank_turns(
        &mut self,
        blank: &[usize],
        arguments: &mut JsonObject,
    ) -> Result<(), ToolError> {
        let Some(first) = blank.first() else {
            return Ok(());
        };
        let spoken = arguments.get("messages").and_then(Value::as_array);
        if spoken.is_none_or(Vec::is_empty) {
            let text = arguments.get("text").and_then(Value::as_str);
            if text.is_none_or(|text| text.trim().is_empty()) {
                return Err(ToolError::argument(format!(
                    "`messages[{first}].content` is blank, and no other turn has words; send what \
                     was said, or `text`"
                )));
            }
            arguments.shift_remove("messages");
        }
        let places = blank.iter().map(|index| format!("messages[{index}]"));
        self.note("left out, since it has no words", places.collect());
        Ok(())
    }

    fn note(&mut self, what: &str, mut places: Vec<String>) {
        if places.is_empty() {
            return;
        }
        if let Some(more) = places
            .len()
            .checked_sub(MOST_LISTED)
            .filter(|more| *more > 0)
        {
            places.truncate(MOST_LISTED);
            places.push(format!("{more} more"));
        }
        self.notes.push(format!("{what}: {}", places.join(", ")));
    }
}

//! From a call's JSON to a tool's typed arguments, and from a typed answer to JSON.
//!
//! Schemas state the strict form. [`read`] takes whatever mem0-mcp-server takes and brings it into
//! that form, before a tool sees it.

mod ids;
mod reader;
mod turns;
mod values;

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, JsonObject};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::error::ToolError;
pub(super) use reader::read;

/// The arguments as the tool's own type; an error names the argument.
pub(super) fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        ToolError::argument(match path.as_str() {
            "." => cause.to_string(),
            path => format!("`{path}`: {cause}"),
        })
    })
}

/// A tool's answer: an object, and the same as text.
pub(super) fn answer(value: impl Serialize) -> Result<CallToolResult, ToolError> {
    let value = serde_json::to_value(value).map_err(|_| ToolError::internal())?;
    Ok(CallToolResult::structured(value))
}

/// The fields that `sources` adds to each memory of an answer.
pub(super) fn sources(wanted: Option<bool>) -> &'static [&'static str] {
    match wanted {
        Some(true) => &["sources"],
        _ => &[],
    }
}

/// Puts `notes` on how the arguments were understood into an answer or an error.
pub(super) fn add_notes(response: &mut CallToolResponse, notes: Vec<String>) {
    let CallToolResponse::Complete(result) = response else {
        return;
    };
    let Some(text) = result.content.first().and_then(ContentBlock::as_text) else {
        return;
    };
    let Ok(Value::Object(mut answer)) = serde_json::from_str(&text.text) else {
        return;
    };
    answer.insert("notes".into(), notes.into());
    let answer = Value::Object(answer);
    result.content = vec![ContentBlock::text(answer.to_string())];
    if result.structured_content.is_some() {
        result.structured_content = Some(answer);
    }
}

//! From a call's JSON to a tool's typed arguments, and from a typed answer to JSON.

use rmcp::model::{CallToolResult, JsonObject};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::error::ToolError;

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

/// An answer of one of mem0's tools. These declare no output schema, since hosts with small budgets
/// load the schemas of all tools.
pub(super) fn answer(value: impl Serialize) -> Result<CallToolResult, ToolError> {
    let value = serde_json::to_value(value).map_err(|_| ToolError::internal())?;
    Ok(CallToolResult::structured(value))
}

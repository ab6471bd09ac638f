//! Errors of tools.

use rmcp::{
    ErrorData,
    handler::server::tool::IntoCallToolResult,
    model::{CallToolResponse, CallToolResult, ContentBlock},
};

use crate::audit::Unwritable;
use crate::memory::{self, answers::ErrorAnswer, filter::InvalidFilter};
use crate::moves::MoveError;

/// A tool's error, as text.
///
/// Text only: an error with `structuredContent` that does not fit the tool's output schema makes
/// the TypeScript client throw.
#[derive(Debug)]
pub(super) struct ToolError(ErrorAnswer);

impl ToolError {
    /// An argument that cannot be accepted.
    pub(super) fn argument(detail: String) -> Self {
        Self(ErrorAnswer::argument(detail))
    }

    /// A call that failed, with a stable name for programs.
    pub(super) fn failed(error: &'static str, detail: String) -> Self {
        Self(ErrorAnswer::new(error, detail))
    }

    /// A defect of this program, caught so that the caller gets an answer.
    pub(super) fn internal() -> Self {
        Self::failed(
            "internal_error",
            "the server made a mistake and could not finish this call; other calls still work. \
             Read back what you wrote before you write it again"
                .into(),
        )
    }

    pub(super) fn into_result(self) -> CallToolResult {
        let text = serde_json::to_string(&self.0).unwrap_or(self.0.detail);
        CallToolResult::error(vec![ContentBlock::text(text)])
    }
}

impl From<memory::Error> for ToolError {
    fn from(error: memory::Error) -> Self {
        Self(error.into())
    }
}

impl From<MoveError> for ToolError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Argument(detail) | MoveError::Source(detail) => Self::argument(detail),
            MoveError::Failed(name, detail) => Self::failed(name, detail),
            MoveError::Memory(error) => error.into(),
        }
    }
}

impl From<Unwritable> for ToolError {
    fn from(error: Unwritable) -> Self {
        Self::failed("audit_unavailable", error.to_string())
    }
}

impl From<InvalidFilter> for ToolError {
    fn from(error: InvalidFilter) -> Self {
        Self::argument(error.to_string())
    }
}

impl IntoCallToolResult for ToolError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        Ok(self.into_result().into())
    }
}

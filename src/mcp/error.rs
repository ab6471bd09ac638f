//! How a tool says that it could not do what was asked.

use rmcp::{
    ErrorData,
    handler::server::tool::IntoCallToolResult,
    model::{CallToolResponse, CallToolResult, ContentBlock},
};
use serde::Serialize;

use crate::memory;

/// A tool's error, for the agent that reads it: `{"error", "detail", "status"?}` as text.
///
/// Text only: an error with `structuredContent` that does not fit the tool's output schema makes
/// the TypeScript client throw.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ToolError {
    /// A short, stable name.
    pub(super) error: &'static str,
    /// What went wrong, whether trying again helps, what to change.
    pub(super) detail: String,
    /// The HTTP status that Zep answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// Of a write that stopped on the way: how far it came.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

#[derive(Debug, Clone, Serialize)]
struct Progress {
    stored: Vec<String>,
    stored_count: usize,
    total_count: usize,
    in_doubt: bool,
    idempotency_key: String,
}

impl ToolError {
    /// An argument that is not what it may be.
    pub(super) fn argument(detail: String) -> Self {
        Self {
            error: "invalid_argument",
            detail,
            status: None,
            progress: None,
        }
    }

    /// Something that stopped on the way.
    pub(super) fn failed(error: &'static str, detail: String) -> Self {
        Self {
            error,
            ..Self::argument(detail)
        }
    }

    /// A defect of ours, caught so that the caller gets an answer.
    pub(super) fn internal() -> Self {
        Self {
            error: "internal_error",
            detail: "the server made a mistake and could not finish this call; other calls still \
                     work. Read back what you wrote before you write it again"
                .into(),
            status: None,
            progress: None,
        }
    }

    pub(super) fn into_result(self) -> CallToolResult {
        let text = serde_json::to_string(&self).unwrap_or_else(|_| self.detail.clone());
        CallToolResult::error(vec![ContentBlock::text(text)])
    }
}

impl From<memory::Error> for ToolError {
    fn from(error: memory::Error) -> Self {
        let progress = match &error {
            memory::Error::PartlyStored(stopped) => Some(Progress {
                stored: stopped.stored.clone(),
                stored_count: stopped.stored.len(),
                total_count: stopped.total,
                in_doubt: stopped.in_doubt,
                idempotency_key: stopped.idempotency_key.clone(),
            }),
            _ => None,
        };
        Self {
            error: error.code(),
            detail: error.to_string(),
            status: error.status(),
            progress,
        }
    }
}

impl IntoCallToolResult for ToolError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        Ok(self.into_result().into())
    }
}

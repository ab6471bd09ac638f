//! Migrations as tasks of MCP.

use jiff::Timestamp;
use rmcp::model::{CallToolResult, DetailedTask, JsonObject, Task, TaskPayload, TaskStatus};
use serde_json::Value;

use super::arguments;
use super::error::ToolError;
use crate::moves::{Run, State};

/// How often clients that follow a task should ask, in milliseconds. Ours.
const POLL_MS: u64 = 1_000;

/// A migration as a task of MCP, for clients that declare the extension (SEP-2663). One that failed is a
/// completed task whose result is an error.
pub(super) fn as_task(run: &Run) -> DetailedTask {
    let status = run.status();
    let now = Timestamp::now().to_string();
    let begun = run.begun_at().to_string();
    let mut task = Task::new(status.run.clone(), TaskStatus::Working, begun, now)
        .with_poll_interval_ms(POLL_MS);
    if let (Some(phase), Some(done)) = (status.phase, status.done) {
        task = task.with_status_message(match status.total {
            Some(total) => format!("{phase}: {done} of {total}"),
            None => format!("{phase}: {done}"),
        });
    }
    let payload = match (status.state, status.report, status.error) {
        (State::Running, ..) => TaskPayload::Working,
        (State::Stopped, ..) => TaskPayload::Cancelled,
        (_, Some(report), _) => completed(arguments::answer(report)),
        (_, None, error) => completed(Err(ToolError::failed(
            "migration_failed",
            error.unwrap_or_default(),
        ))),
    };
    DetailedTask::new(task, payload)
}

fn completed(result: Result<CallToolResult, ToolError>) -> TaskPayload {
    let result = result.unwrap_or_else(ToolError::into_result);
    let result = match serde_json::to_value(result) {
        Ok(Value::Object(result)) => result,
        Ok(_) | Err(_) => JsonObject::new(),
    };
    TaskPayload::Completed { result }
}

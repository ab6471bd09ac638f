//! Entries of the audit trail on calls of tools.

use std::sync::LazyLock;

use http::request::Parts;
use rmcp::model::{CallToolResponse, CallToolResult, ErrorData, JsonObject};
use rmcp::{RoleServer, service::RequestContext};
use serde_json::Value;

use super::jsonrpc::as_sent;
use super::server::MemoryServer;
use crate::audit::{Action, Call, Door, Unwritable, Who, label, touched};
use crate::config::Tool;
use crate::memory::model::SessionId;

/// The header with a session's id (MCP 2025-03-26, Streamable HTTP).
const SESSION_HEADER: &str = "mcp-session-id";
/// The longest id of a request that is shown as it is, in characters. Ours: a UUID has 36.
const MAX_REQUEST_CHARS: usize = 64;
/// The lists of answers whose items have ids.
const LISTS: [&str; 5] = ["results", "memories", "messages", "events", "sessions"];

/// Stands for the session of this process, over stdin and stdout.
static PROCESS: LazyLock<String> = LazyLock::new(|| label(&uuid::Uuid::new_v4().to_string()));

/// What a tool does with memories.
fn action_of(tool: Option<Tool>) -> Action {
    let Some(tool) = tool else {
        return Action::Refusal;
    };
    match tool {
        Tool::AddMemory | Tool::UpdateMemory => Action::Write,
        Tool::SearchMemory
        | Tool::GetSession
        | Tool::ListSessions
        | Tool::SearchMemories
        | Tool::GetMemories
        | Tool::GetMemory
        | Tool::ListEntities
        | Tool::ListEvents
        | Tool::GetEventStatus => Action::Read,
        Tool::DeleteMemory | Tool::DeleteAllMemories | Tool::DeleteEntities => Action::Delete,
        Tool::MigrateUser | Tool::ValidateMigration | Tool::MigrationStatus => Action::Migrate,
    }
}

impl MemoryServer {
    /// Begins the entry on a call of a tool; of one that there is not, without a tool.
    pub(super) async fn audited(
        &self,
        tool: Option<Tool>,
        arguments: Option<&JsonObject>,
        context: &RequestContext<RoleServer>,
    ) -> Result<Call, Unwritable> {
        let name = tool.map_or("unknown", Tool::as_str);
        let (who, request) = (self.who(context), request_of(context));
        let begun = self
            .trail()
            .begin(&who, Door::Mcp, name, action_of(tool), Some(request));
        let call = begun.await?;
        if let Some(arguments) = arguments {
            call.noting(|| note_arguments(arguments));
        }
        Ok(call)
    }

    /// Notes that a session was opened.
    pub(super) async fn audit_login(&self, context: &RequestContext<RoleServer>) {
        let (who, request) = (self.who(context), request_of(context));
        // A session reads nothing: it is opened even if the trail cannot be written.
        let begun = self
            .trail()
            .begin(&who, Door::Mcp, "initialize", Action::Login, Some(request));
        if let Ok(call) = begun.await {
            call.end("ok").await;
        }
    }

    fn who(&self, context: &RequestContext<RoleServer>) -> Who {
        let named = parts_of(context).and_then(|parts| parts.extensions.get::<Who>());
        named.cloned().unwrap_or_else(Who::operator)
    }
}

fn parts_of(context: &RequestContext<RoleServer>) -> Option<&Parts> {
    context.extensions.get::<Parts>()
}

/// The label of the session and the request's id.
fn request_of(context: &RequestContext<RoleServer>) -> String {
    let session = match parts_of(context) {
        None => PROCESS.clone(),
        // The id itself would let its reader use the session.
        Some(parts) => session_of(parts).map_or_else(|| "-".to_owned(), |id| label(&id)),
    };
    let id = as_sent(&context.id);
    let is_plain = id.len() <= MAX_REQUEST_CHARS
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte));
    match is_plain {
        true => format!("{session}/{id}"),
        false => format!("{session}/#{}", label(&id)),
    }
}

/// The id of the session, of either transport.
fn session_of(parts: &Parts) -> Option<String> {
    if let Some(id) = parts.headers.get(SESSION_HEADER) {
        return id.to_str().ok().map(str::to_owned);
    }
    let pairs = parts.uri.query()?.split('&');
    let mut values = pairs.filter_map(|pair| pair.split_once('='));
    let (_, id) = values.find(|(name, _)| matches!(*name, "sessionId" | "session_id"))?;
    Some(id.to_owned())
}

/// Notes the ids among the arguments. A memory's is a UUID; anything else may be content in the wrong
/// place.
fn note_arguments(arguments: &JsonObject) {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    for id in ["memory_id", "event_id"].into_iter().filter_map(text) {
        if uuid::Uuid::try_parse(id.trim()).is_ok() {
            touched::id(id.trim());
        }
    }
    let listed = arguments.get("session_ids").and_then(Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    for id in ["session_id", "run_id"]
        .into_iter()
        .filter_map(text)
        .chain(listed)
    {
        if let Ok(session) = SessionId::new(id) {
            touched::session(session.as_str());
        }
    }
}

/// Notes the ids that an answer tells.
fn note_answer(answer: &Value) {
    let note = |item: &Value| {
        for name in ["id", "memory_id", "event_id"] {
            if let Some(id) = item.get(name).and_then(Value::as_str) {
                touched::id(id);
            }
        }
        if let Some(id) = item.get("session_id").and_then(Value::as_str) {
            touched::session(id);
        }
    };
    note(answer);
    for list in LISTS {
        let items = answer.get(list).and_then(Value::as_array);
        items.into_iter().flatten().for_each(note);
    }
}

/// How a call ended: `ok`, or the code of its error. Notes the ids that its answer tells.
pub(super) fn outcome(call: &Call, answer: &Result<CallToolResponse, ErrorData>) -> String {
    match answer {
        Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => code_of(result),
        Ok(CallToolResponse::Complete(result)) => {
            if let Some(answer) = &result.structured_content {
                call.noting(|| note_answer(answer));
            }
            "ok".to_owned()
        }
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let data = error.data.as_ref();
            let code = data
                .and_then(|data| data.get("error"))
                .and_then(Value::as_str);
            code.unwrap_or("invalid_request").to_owned()
        }
    }
}

/// The code of a tool's error.
fn code_of(result: &CallToolResult) -> String {
    let text = result.content.first().and_then(|content| content.as_text());
    let error = text.and_then(|text| serde_json::from_str::<Value>(&text.text).ok());
    let code = error.as_ref().and_then(|error| error.get("error"));
    code.and_then(Value::as_str).unwrap_or("failed").to_owned()
}

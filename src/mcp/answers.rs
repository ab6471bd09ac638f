//! Memories as tools answer them: with mem0's fields, so that code that reads mem0's answers goes on
//! working, and ours beside them.

use jiff::Timestamp;
use rmcp::model::CallToolResult;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ToolError;
use crate::memory::{Memory, model::Uuid};

/// One memory.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MemoryAnswer {
    /// Its id, for the tools that take one.
    id: String,
    /// fact, episode (a text), message (a turn of a conversation) or entity.
    kind: &'static str,
    /// Its words.
    memory: String,
    /// Whose memory it is; null for an agent's own.
    user_id: Option<String>,
    /// The agent that it belongs to.
    agent_id: Option<String>,
    /// The app that it belongs to.
    app_id: Option<String>,
    /// The conversation it comes from: the same as `session_id`.
    run_id: Option<String>,
    /// The conversation it comes from.
    session_id: Option<String>,
    /// What kind of memory it was stored as.
    memory_type: Option<String>,
    /// The fields that it was stored with.
    metadata: Map<String, Value>,
    /// Its categories, where its fields name some.
    categories: Vec<String>,
    /// When it happened; null where nobody said.
    created_at: Option<String>,
    /// When it was changed last.
    updated_at: Option<String>,
    /// Of a search: a likeness in 0–1 with `min_score` or several users, else only a rank.
    score: Option<f64>,
    /// Of a fact: since when it is true.
    valid_at: Option<String>,
    /// Of a fact: since when it is no longer true.
    invalid_at: Option<String>,
    /// Of a fact: the ids of the memories it was drawn from.
    sources: Vec<String>,
}

impl From<Memory> for MemoryAnswer {
    fn from(memory: Memory) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            kind: memory.form.as_str(),
            user_id: memory.user().map(str::to_owned),
            categories: memory.categories().into_iter().map(str::to_owned).collect(),
            id: memory.id.to_string(),
            memory: memory.text,
            agent_id: memory.agent,
            app_id: memory.app,
            run_id: memory.session.clone(),
            session_id: memory.session,
            memory_type: memory.memory_type,
            metadata: memory.metadata,
            created_at: time(memory.created_at),
            updated_at: time(memory.updated_at.or(memory.created_at)),
            score: memory.score,
            valid_at: time(memory.valid_at),
            invalid_at: time(memory.invalid_at),
            sources: memory.sources.iter().map(Uuid::to_string).collect(),
        }
    }
}

/// An answer of one of mem0's tools. It declares no output schema, as hosts with small budgets load
/// the schemas of all tools.
pub(super) fn answer(value: impl Serialize) -> Result<CallToolResult, ToolError> {
    let value = serde_json::to_value(value).map_err(|_| ToolError::internal())?;
    Ok(CallToolResult::structured(value))
}

//! `search_memories`: mem0's search, with its filters.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{
        SearchQuery, SearchTarget, Selector,
        answers::MemoryAnswer,
        input::{self, EntityIds},
    },
    zep::limits::SEARCH_RESULTS,
};

/// Results by default (mem0 Platform, `top_k`).
const DEFAULT_RESULTS: u32 = 10;
/// The most that may be asked for (mem0 Platform, `top_k`). There are at most 50.
const MOST_ASKED: u32 = 1_000;

/// What to look for, and among which memories.
#[derive(Debug, Deserialize, JsonSchema)]
struct SearchMemoriesArgs {
    /// What to find, in plain words.
    query: String,
    /// Which memories, like {"AND": [{"user_id": "john"}, {"created_at": {"gte": "2024-01-01"}}]}.
    /// Without a user the default user is meant.
    filters: Option<Map<String, Value>>,
    /// How many results at most, up to 50; 10 if left out.
    #[schemars(range(min = 1, max = 50))]
    limit: Option<i64>,
    /// Another name for `limit`.
    #[schemars(range(min = 1, max = 50))]
    top_k: Option<i64>,
    /// Only results with at least this likeness, 0 to 1; 0 is no bound.
    threshold: Option<f64>,
    /// Only this user's: short for a filter.
    user_id: Option<String>,
    /// Only this agent's: short for a filter.
    agent_id: Option<String>,
    /// Only this app's: short for a filter.
    app_id: Option<String>,
    /// Only this conversation's: short for a filter.
    run_id: Option<String>,
    /// Also facts that are no longer true.
    include_invalid: Option<bool>,
    /// Accepted for compatibility: results are always ranked.
    #[serde(rename = "rerank")]
    _rerank: Option<bool>,
    /// Accepted for compatibility: Zep always uses its graph.
    #[serde(rename = "enable_graph")]
    _enable_graph: Option<bool>,
}

/// What was found.
#[derive(Debug, Serialize)]
struct SearchMemoriesAnswer {
    /// Best first.
    results: Vec<MemoryAnswer>,
    /// Whether more may match than was looked at.
    truncated: bool,
    /// Notes on how the question was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[tool_router(router = search_memories_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "search_memories",
        title = "Search memories with filters",
        description = "Search memories by meaning, narrowed by `filters`. Filter patterns:\n\
                       - one user: {\"AND\": [{\"user_id\": \"john\"}]}\n\
                       - an agent's own: {\"AND\": [{\"agent_id\": \"agent_name\"}]}\n\
                       - recent: {\"AND\": [{\"user_id\": \"john\"}, {\"created_at\": {\"gte\": \
                       \"2024-01-01\"}}]}\n\
                       - several users: {\"AND\": [{\"user_id\": {\"in\": [\"john\", \"jane\"]}}]}\n\
                       - across: {\"OR\": [{\"user_id\": \"john\"}, {\"agent_id\": \"agent_name\"}]}\n\
                       Also `metadata`, `categories`, `keywords`, `run_id`, `app_id`, `NOT`, and \
                       \"*\" for any value. The default user is put in where no user is named. \
                       search_memory is the plain form for one user.",
        input_schema = schema::of::<SearchMemoriesArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn search_memories(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: SearchMemoriesArgs = arguments::parse(arguments)?;
        let found = self
            .memories()
            .search(&self.caller(), args.into_query()?)
            .await?;
        arguments::answer(SearchMemoriesAnswer {
            note: found.note(),
            results: found.results.into_iter().map(MemoryAnswer::from).collect(),
            truncated: found.truncated,
        })
    }
}

impl SearchMemoriesArgs {
    fn into_query(self) -> Result<SearchQuery, ToolError> {
        let ids = EntityIds {
            user_id: self.user_id.as_deref(),
            agent_id: self.agent_id.as_deref(),
            app_id: self.app_id.as_deref(),
            run_id: self.run_id.as_deref(),
            ..EntityIds::default()
        };
        let filter = ids.filter(self.filters)?;
        let (field, limit) = match (self.limit, self.top_k) {
            (None, top_k) => ("top_k", top_k),
            (limit, _) => ("limit", limit),
        };
        let limit = input::in_range(field, limit, 1..=MOST_ASKED, DEFAULT_RESULTS)?;
        Ok(SearchQuery {
            whose: Selector::Filter(filter),
            query: self.query,
            among: SearchTarget::Facts,
            limit: limit.min(SEARCH_RESULTS),
            min_score: input::likeness("threshold", self.threshold)?.filter(|least| *least > 0.0),
            include_invalid: self.include_invalid.unwrap_or(false),
        })
    }
}

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
        answers::{MemoryAnswer, Stale, Telling},
        input::{self, EntityIds},
    },
    zep::limits::SEARCH_RESULTS,
};

/// Results by default (mem0 Platform, `top_k`).
const DEFAULT_RESULTS: u32 = 10;

/// What to look for, and among which memories.
#[derive(Debug, Deserialize, JsonSchema)]
struct SearchMemoriesArgs {
    /// In plain words.
    query: String,
    /// See above.
    filters: Option<Map<String, Value>>,
    /// 10 if left out.
    #[schemars(range(min = 1, max = 50))]
    limit: Option<i64>,
    /// As `limit`.
    #[schemars(range(min = 1, max = 50))]
    top_k: Option<i64>,
    /// Least likeness, 0 to 1.
    threshold: Option<f64>,
    /// Narrows, like a filter.
    user_id: Option<String>,
    /// Likewise.
    agent_id: Option<String>,
    /// Likewise.
    app_id: Option<String>,
    /// Likewise.
    run_id: Option<String>,
    /// Also facts no longer true.
    include_invalid: Option<bool>,
    /// Only these fields of each.
    fields: Option<Vec<String>>,
    /// Also the ids of what each was drawn from.
    sources: Option<bool>,
    /// Ignored.
    #[serde(rename = "enable_graph")]
    _enable_graph: Option<bool>,
}

/// What was found.
#[derive(Debug, Serialize)]
struct SearchMemoriesAnswer {
    /// Best first.
    results: Vec<Map<String, Value>>,
    /// Whether more may match than was looked at.
    truncated: bool,
    /// Notes on how the question was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(flatten)]
    stale: Stale,
}

#[tool_router(router = search_memories_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "search_memories",
        title = "Search memories with filters",
        description = "Search memories by meaning, narrowed by `filters`:\n\
                       - one user, recent: {\"AND\": [{\"user_id\": \"john\"}, \
                       {\"created_at\": {\"gte\": \"2024-01-01\"}}]}\n\
                       - several users: {\"user_id\": {\"in\": [\"john\", \"jane\"]}}\n\
                       - across: {\"OR\": [{\"user_id\": \"john\"}, {\"agent_id\": \"bot\"}]}\n\
                       Also run_id, app_id, metadata, categories, keywords, NOT, and \"*\" for \
                       any value. Without a user: the default user.",
        input_schema = schema::of::<SearchMemoriesArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn search_memories(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let mut args: SearchMemoriesArgs = arguments::parse(arguments)?;
        let fields = args.fields.take();
        let also = arguments::sources(args.sources);
        let found = self
            .memories()
            .search(&self.caller(), args.into_query()?)
            .await?;
        arguments::answer(SearchMemoriesAnswer {
            note: found.note(),
            stale: Stale::from(found.away),
            results: found
                .results
                .into_iter()
                .map(|memory| {
                    MemoryAnswer::from(memory).told(Telling::Found, fields.as_deref(), also)
                })
                .collect(),
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
        let limit = input::in_range(field, limit, 1..=SEARCH_RESULTS, DEFAULT_RESULTS)?;
        Ok(SearchQuery {
            whose: Selector::Filter(filter),
            query: self.query,
            among: SearchTarget::Facts,
            limit,
            min_score: input::likeness("threshold", self.threshold)?.filter(|least| *least > 0.0),
            include_invalid: self.include_invalid.unwrap_or(false),
        })
    }
}

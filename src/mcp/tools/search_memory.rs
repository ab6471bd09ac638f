//! `search_memory`: find what is known.

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

/// Results by default.
const DEFAULT_RESULTS: u32 = 10;

/// What to look for, and in whose memory.
#[derive(Debug, Deserialize, JsonSchema)]
struct SearchMemoryArgs {
    /// In plain words.
    query: String,
    /// Whose memory; the default user's if left out, unless `agent_id` is alone.
    user_id: Option<String>,
    /// Alone: the agent's own memory; with a user: what it stored.
    agent_id: Option<String>,
    /// Only this app's.
    app_id: Option<String>,
    /// Only this conversation's.
    session_id: Option<String>,
    /// Another name for `session_id`.
    run_id: Option<String>,
    /// 10 if left out.
    #[schemars(range(min = 1, max = 50))]
    limit: Option<i64>,
    /// episodes: texts word for word; entities: people and things; context: one block for a prompt.
    scope: Option<ScopeArg>,
    /// Least likeness, 0 to 1.
    min_score: Option<f64>,
    /// Also facts no longer true.
    include_invalid: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ScopeArg {
    // What is known, topped up with stored texts where few facts are found.
    Facts,
    // What was stored, word for word.
    Episodes,
    // People and things.
    Entities,
    // One ready-made block of text with all that matters, to put into a prompt.
    Context,
}

/// What was found.
#[derive(Debug, Serialize)]
struct SearchMemoryAnswer {
    /// Best first.
    results: Vec<Map<String, Value>>,
    /// With `scope: context`: the context block.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    /// Notes on how the question was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(flatten)]
    stale: Stale,
}

#[tool_router(router = search_memory_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "search_memory",
        title = "Search memory",
        description = "Find what is known about somebody: facts from everything stored, each \
                       with when and where it was said. Ask before answering what earlier \
                       conversations may bear on. For exact words: get_session.",
        input_schema = schema::of::<SearchMemoryArgs>(),
        output_schema = schema::answer(&[
            ("results", "array", "Best first."),
            ("context", "string", "The block, for that scope."),
        ]),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn search_memory(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: SearchMemoryArgs = arguments::parse(arguments)?;
        let answer = self
            .memories()
            .search(&self.caller(), args.into_query()?)
            .await?;
        arguments::answer(SearchMemoryAnswer {
            note: answer.note(),
            stale: Stale::from(answer.away),
            results: answer
                .results
                .into_iter()
                .map(|memory| MemoryAnswer::from(memory).told(Telling::Brief, None, &[]))
                .collect(),
            context: answer.context,
        })
    }
}

impl SearchMemoryArgs {
    fn into_query(self) -> Result<SearchQuery, ToolError> {
        let scope = EntityIds {
            user_id: self.user_id.as_deref(),
            agent_id: self.agent_id.as_deref(),
            app_id: self.app_id.as_deref(),
            session_id: self.session_id.as_deref(),
            run_id: self.run_id.as_deref(),
        }
        .scope()?;
        Ok(SearchQuery {
            whose: Selector::Scope(scope),
            query: self.query,
            among: match self.scope.unwrap_or(ScopeArg::Facts) {
                ScopeArg::Facts => SearchTarget::Facts,
                ScopeArg::Episodes => SearchTarget::Episodes,
                ScopeArg::Entities => SearchTarget::Entities,
                ScopeArg::Context => SearchTarget::Context,
            },
            limit: input::in_range("limit", self.limit, 1..=SEARCH_RESULTS, DEFAULT_RESULTS)?,
            min_score: input::likeness("min_score", self.min_score)?,
            include_invalid: self.include_invalid.unwrap_or(false),
        })
    }
}

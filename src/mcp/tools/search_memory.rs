//! `search_memory`: find what is known.

use rmcp::{handler::server::wrapper::Json, model::JsonObject, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{
        SearchQuery, SearchTarget, Selector,
        answers::MemoryAnswer,
        input::{self, EntityIds},
    },
    zep::limits::SEARCH_RESULTS,
};

/// Results by default.
const DEFAULT_RESULTS: u32 = 10;

/// What to look for, and in whose memory.
#[derive(Debug, Deserialize, JsonSchema)]
struct SearchMemoryArgs {
    /// What to look for, in plain words. Over 400 characters it is shortened.
    query: String,
    /// Whose memory. Left out, the server's default user, unless only `agent_id` is given.
    user_id: Option<String>,
    /// Alone: the agent's own memory. With a user: only what this agent stored.
    agent_id: Option<String>,
    /// Only what was stored for this app.
    app_id: Option<String>,
    /// Only what comes from this conversation.
    session_id: Option<String>,
    /// Another name for `session_id`.
    run_id: Option<String>,
    /// How many results at most: 1 to 50, 10 if left out.
    #[schemars(range(min = 1, max = 50))]
    limit: Option<i64>,
    /// What to look through, facts if left out.
    scope: Option<ScopeArg>,
    /// Only results with at least this likeness, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    min_score: Option<f64>,
    /// Also facts that are no longer true.
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
#[derive(Debug, Serialize, JsonSchema)]
struct SearchMemoryAnswer {
    /// Best first.
    results: Vec<MemoryAnswer>,
    /// With `scope: context`: the context block.
    context: Option<String>,
    /// Notes on how the question was understood.
    note: Option<String>,
}

#[tool_router(router = search_memory_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "search_memory",
        title = "Search memory",
        description = "Find what is known about somebody: facts drawn from everything stored, each \
                       with when it was said and where. Ask before answering anything that earlier \
                       conversations may bear on. To read a conversation back word for word use \
                       get_session instead.",
        input_schema = schema::of::<SearchMemoryArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn search_memory(
        &self,
        arguments: JsonObject,
    ) -> Result<Json<SearchMemoryAnswer>, ToolError> {
        let args: SearchMemoryArgs = arguments::parse(arguments)?;
        let answer = self
            .memories()
            .search(&self.caller(), args.into_query()?)
            .await?;
        Ok(Json(SearchMemoryAnswer {
            note: answer.note(),
            results: answer.results.into_iter().map(MemoryAnswer::from).collect(),
            context: answer.context,
        }))
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

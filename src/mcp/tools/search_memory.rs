//! `search_memory`: find what is known.

use rmcp::{
    handler::server::{common::schema_for_type, wrapper::Json},
    model::JsonObject,
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    mcp::{
        arguments::{self, Named},
        error::ToolError,
        server::MemoryServer,
    },
    memory::{
        self, Among, Hit, SearchQuery,
        model::{Owner, Uuid},
    },
    zep::limits::SEARCH_RESULTS,
};

/// How many results there are where nobody says.
const DEFAULT_RESULTS: u32 = 10;

/// What to look for, and in whose memory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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
    /// Only results at least so alike, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    min_score: Option<f64>,
    /// Also facts that are no longer true.
    include_invalid: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ScopeArg {
    /// What is known, topped up with stored texts where few facts are found.
    Facts,
    /// What was stored, word for word.
    Episodes,
    /// People and things.
    Entities,
    /// One ready-made block of text with all that matters, to put into a prompt.
    Context,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
struct SearchMemoryAnswer {
    /// Best first.
    results: Vec<FoundMemory>,
    /// With `scope: context`: the block.
    context: Option<String>,
    /// Anything to know about how the question was understood.
    note: Option<String>,
}

/// One thing that was found.
#[derive(Debug, Serialize, JsonSchema)]
struct FoundMemory {
    /// Its id, for the tools that take one.
    id: String,
    /// fact, episode (a text), message (a turn of a conversation) or entity.
    kind: &'static str,
    /// Its words.
    memory: String,
    /// With `min_score` a likeness in 0–1, else only a rank.
    score: Option<f64>,
    /// When it happened.
    created_at: Option<String>,
    /// Of a fact: since when it is true.
    valid_at: Option<String>,
    /// Of a fact: since when it is no longer true.
    invalid_at: Option<String>,
    /// Whose memory it is; null for an agent's own.
    user_id: Option<String>,
    /// The conversation it comes from.
    session_id: Option<String>,
    /// The fields that it was stored with.
    metadata: Map<String, Value>,
    /// Of a fact: the ids of the memories it was drawn from.
    sources: Vec<String>,
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
        input_schema = schema_for_type::<SearchMemoryArgs>(),
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
        let user = match &answer.owner {
            Owner::User(user) => Some(user.to_string()),
            Owner::Graph(_) => None,
        };
        Ok(Json(SearchMemoryAnswer {
            results: answer
                .results
                .into_iter()
                .map(|hit| FoundMemory::new(hit, user.clone()))
                .collect(),
            context: answer.context,
            note: answer
                .query_shortened
                .then(|| "the query was shortened to 400 characters".to_owned()),
        }))
    }
}

impl SearchMemoryArgs {
    fn into_query(self) -> Result<SearchQuery, ToolError> {
        let scope = Named {
            user_id: self.user_id.as_deref(),
            agent_id: self.agent_id.as_deref(),
            app_id: self.app_id.as_deref(),
            session_id: self.session_id.as_deref(),
            run_id: self.run_id.as_deref(),
        }
        .scope()?;
        if let Some(score) = self.min_score
            && !(0.0..=1.0).contains(&score)
        {
            let problem = format!("is {score}; it may be 0 to 1");
            return Err(memory::Error::invalid("min_score", problem).into());
        }
        Ok(SearchQuery {
            scope,
            query: self.query,
            among: match self.scope.unwrap_or(ScopeArg::Facts) {
                ScopeArg::Facts => Among::Facts,
                ScopeArg::Episodes => Among::Episodes,
                ScopeArg::Entities => Among::Entities,
                ScopeArg::Context => Among::Context,
            },
            limit: arguments::in_range("limit", self.limit, 1..=SEARCH_RESULTS, DEFAULT_RESULTS)?,
            min_score: self.min_score,
            include_invalid: self.include_invalid.unwrap_or(false),
        })
    }
}

impl FoundMemory {
    fn new(hit: Hit, user_id: Option<String>) -> Self {
        Self {
            id: hit.id.to_string(),
            kind: hit.kind.as_str(),
            memory: hit.memory,
            score: hit.score,
            created_at: hit.created_at.map(|time| time.to_string()),
            valid_at: hit.valid_at.map(|time| time.to_string()),
            invalid_at: hit.invalid_at.map(|time| time.to_string()),
            user_id,
            session_id: hit.session,
            metadata: hit.metadata,
            sources: hit.sources.iter().map(Uuid::to_string).collect(),
        }
    }
}

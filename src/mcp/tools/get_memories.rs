//! `get_memories`: mem0's list of memories, page by page.

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
        BrowseQuery, MAX_PAGE_SIZE, MemoryPage,
        answers::MemoryAnswer,
        input::{self, EntityIds},
    },
};

/// Memories of a page by default (mem0-mcp-server).
const DEFAULT_PAGE_SIZE: u32 = 10;

/// Which page of which memories.
#[derive(Debug, Deserialize, JsonSchema)]
struct GetMemoriesArgs {
    /// Which memories, like {"AND": [{"user_id": "john"}]}. Without a user the default user is
    /// meant.
    filters: Option<Map<String, Value>>,
    /// Which page, from 1.
    #[schemars(range(min = 1))]
    page: Option<i64>,
    /// How many memories a page has: 1 to 200, 10 if left out.
    #[schemars(range(min = 1, max = 200))]
    page_size: Option<i64>,
    /// Only what was known by then. `next` of the first page tells it: pass it with the pages that
    /// follow, and they are of the same list whatever arrives meanwhile.
    before: Option<String>,
    /// Also facts that are no longer true.
    include_invalid: Option<bool>,
    /// Only this user's: short for a filter.
    user_id: Option<String>,
    /// Only this agent's: short for a filter.
    agent_id: Option<String>,
    /// Only this app's: short for a filter.
    app_id: Option<String>,
    /// Only this conversation's: short for a filter.
    run_id: Option<String>,
    /// Accepted for compatibility: Zep always uses its graph.
    #[serde(rename = "enable_graph")]
    _enable_graph: Option<bool>,
}

/// A page of memories.
#[derive(Debug, Serialize)]
struct GetMemoriesAnswer {
    /// How many there are on all pages.
    count: usize,
    /// The arguments of the next page; null on the last one.
    next: Option<String>,
    /// The arguments of the page before; null on the first one.
    previous: Option<String>,
    /// Newest first, by when they happened.
    results: Vec<MemoryAnswer>,
    /// Whether there are more than could be read.
    truncated: bool,
}

#[tool_router(router = get_memories_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "get_memories",
        title = "List memories",
        description = "Page through memories by `filters` instead of searching, newest first: the \
                       facts in force now, and texts that no fact was drawn from. Filters are those \
                       of search_memories, like {\"AND\": [{\"user_id\": \"john\"}, \
                       {\"created_at\": {\"gte\": \"2024-01-01\"}}]}; the default user is put in \
                       where no user is named. Use it to look through everything; to find something \
                       use search_memories.",
        input_schema = schema::of::<GetMemoriesArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_memories(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: GetMemoriesArgs = arguments::parse(arguments)?;
        let query = args.into_query()?;
        let page = self.memories().browse(&self.caller(), &query).await?;
        arguments::answer(GetMemoriesAnswer {
            count: page.count,
            next: page
                .has_next
                .then(|| arguments_of(&query, query.page + 1, &page)),
            previous: (query.page > 1).then(|| arguments_of(&query, query.page - 1, &page)),
            truncated: page.truncated,
            results: page.memories.into_iter().map(MemoryAnswer::from).collect(),
        })
    }
}

/// The arguments of another page of the same list, written as in mem0's page addresses.
fn arguments_of(query: &BrowseQuery, number: u32, page: &MemoryPage) -> String {
    format!(
        "?page={number}&page_size={}&before={}",
        query.page_size, page.before
    )
}

impl GetMemoriesArgs {
    fn into_query(self) -> Result<BrowseQuery, ToolError> {
        let ids = EntityIds {
            user_id: self.user_id.as_deref(),
            agent_id: self.agent_id.as_deref(),
            app_id: self.app_id.as_deref(),
            run_id: self.run_id.as_deref(),
            ..EntityIds::default()
        };
        let filter = ids.filter(self.filters)?;
        Ok(BrowseQuery {
            filter,
            page: input::in_range("page", self.page, 1..=u32::MAX - 1, 1)?,
            page_size: input::in_range(
                "page_size",
                self.page_size,
                1..=MAX_PAGE_SIZE,
                DEFAULT_PAGE_SIZE,
            )?,
            before: input::time("before", self.before.as_deref())?,
            include_invalid: self.include_invalid.unwrap_or(false),
        })
    }
}

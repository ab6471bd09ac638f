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
        answers::{MemoryAnswer, Stale, Telling},
        input::{self, EntityIds},
    },
};

/// Memories of a page by default (mem0-mcp-server).
const DEFAULT_PAGE_SIZE: u32 = 10;

/// Which page of which memories.
#[derive(Debug, Deserialize, JsonSchema)]
struct GetMemoriesArgs {
    /// As in search_memories.
    filters: Option<Map<String, Value>>,
    /// From 1.
    #[schemars(range(min = 1))]
    page: Option<i64>,
    /// 10 if left out.
    #[schemars(range(min = 1, max = 200))]
    page_size: Option<i64>,
    /// From `next`: keeps to one list while others are added.
    before: Option<String>,
    /// Only these fields of each.
    fields: Option<Vec<String>>,
    /// Also the ids of what each was drawn from.
    sources: Option<bool>,
    /// Also facts no longer true.
    include_invalid: Option<bool>,
    /// Narrows, like a filter.
    user_id: Option<String>,
    /// Likewise.
    agent_id: Option<String>,
    /// Likewise.
    app_id: Option<String>,
    /// Likewise.
    run_id: Option<String>,
    /// Ignored.
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
    results: Vec<Map<String, Value>>,
    /// Whether there are more than could be read.
    truncated: bool,
    #[serde(flatten)]
    stale: Stale,
}

#[tool_router(router = get_memories_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "get_memories",
        title = "List memories",
        description = "List memories page by page, newest first: facts in force, and texts \
                       without a fact. To find something: search_memories.",
        input_schema = schema::of::<GetMemoriesArgs>(),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn get_memories(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let mut args: GetMemoriesArgs = arguments::parse(arguments)?;
        let fields = args.fields.take();
        let also = arguments::sources(args.sources);
        let query = args.into_query()?;
        let page = self.memories().browse(&self.caller(), &query).await?;
        arguments::answer(GetMemoriesAnswer {
            count: page.count,
            next: page
                .has_next
                .then(|| arguments_of(&query, query.page + 1, &page)),
            previous: (query.page > 1).then(|| arguments_of(&query, query.page - 1, &page)),
            truncated: page.truncated,
            stale: Stale::from(page.away),
            results: page
                .memories
                .into_iter()
                .map(|memory| {
                    MemoryAnswer::from(memory).told(Telling::Listed, fields.as_deref(), also)
                })
                .collect(),
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

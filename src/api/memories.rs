//! Memories by themselves: adding, searching, listing, and each by its id (version 2.0.0 of the API).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::call::{Answer, Call, created, ok};
use super::error::{About, ApiError, Failing};
use super::given::{Arguments, Field, Given, Kind, Nothing, PathId, needed, optional};
use super::messages::Stored;
use super::paths::{OfMemory, OfUser};
use super::sessions::Whose;
use crate::memory::input::{self, EntityIds};
use crate::memory::model::{Scope, UserId};
use crate::memory::{
    BrowseQuery, Change, MAX_PAGE_SIZE, Memory, NewMemories, SearchQuery, SearchTarget, Selector,
};
use crate::zep::limits::SEARCH_RESULTS;

/// Results of a search that names no number (Memory API 2.0.0).
const DEFAULT_RESULTS: u32 = 10;
/// Memories of a list that names no number, and the most (Memory API 2.0.0).
const DEFAULT_LISTED: u32 = 100;
const MAX_LISTED: u32 = 500;
/// The field that keeps a memory's category.
const CATEGORY: &str = "category";

/// A memory to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"content": "Ann prefers mornings.", "user_id": "3f0c…", "category": "preference"}))]
pub(super) struct NewMemory {
    /// The text to remember.
    #[schema(min_length = 1, max_length = 1_000_000)]
    content: String,
    /// Whose.
    user_id: String,
    /// From which conversation.
    session_id: Option<String>,
    /// Which agent adds it.
    agent_id: Option<String>,
    /// Kept in `metadata`.
    category: Option<String>,
    /// The application's own fields.
    metadata: Option<Map<String, Value>>,
}

impl Arguments for NewMemory {
    const FIELDS: &'static [Field] = &[
        needed("content", Kind::Text),
        needed("user_id", Kind::Text),
        optional("session_id", Kind::Text),
        optional("agent_id", Kind::Text),
        optional(CATEGORY, Kind::Text),
        optional("metadata", Kind::Json),
    ];
}

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": "When does she like to meet?", "user_id": "3f0c…", "limit": 5}))]
pub(super) struct Question {
    /// In plain words.
    #[schema(min_length = 1)]
    query: String,
    /// Whose memories are searched.
    user_id: String,
    /// How many; 10 if left out.
    #[schema(minimum = 1, maximum = 50)]
    limit: Option<i64>,
}

impl Arguments for Question {
    const FIELDS: &'static [Field] = &[
        needed("query", Kind::Text),
        needed("user_id", Kind::Text),
        optional("limit", Kind::Integer),
    ];
}

/// How many of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// The newest so many; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
}

impl Arguments for Listing {
    const FIELDS: &'static [Field] = &[optional("limit", Kind::Integer)];
}

/// A memory's new text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "Ann prefers afternoons."}))]
pub(super) struct NewText {
    /// The text.
    #[schema(min_length = 1, max_length = 1_000_000)]
    text: String,
    /// Fields that replace all earlier ones; kept if left out.
    metadata: Option<Map<String, Value>>,
    /// Whose it is: saves looking for its owner.
    user_id: Option<String>,
}

impl Arguments for NewText {
    const FIELDS: &'static [Field] = &[
        needed("text", Kind::Text),
        optional("metadata", Kind::Json),
        optional("user_id", Kind::Text),
    ];
}

/// A memory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemoryBody {
    /// Its id.
    id: String,
    /// What is remembered.
    memory: String,
    /// Whose.
    user_id: Option<String>,
    /// Which agent added it.
    agent_id: Option<String>,
    /// From which conversation.
    session_id: Option<String>,
    /// The application's own fields.
    metadata: Map<String, Value>,
    /// When it happened.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// When it was changed last.
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    /// In a search: how well it answers, 0 to 1.
    score: Option<f64>,
}

impl From<Memory> for MemoryBody {
    fn from(memory: Memory) -> Self {
        let text = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
        Self {
            user_id: memory.user().map(str::to_owned),
            id: memory.id.to_string(),
            memory: memory.text,
            agent_id: memory.agent,
            session_id: memory.session,
            metadata: memory.metadata,
            updated_at: text(memory.updated_at.or(memory.created_at)),
            created_at: text(memory.created_at),
            score: memory.score,
        }
    }
}

/// A memory that was added, changed or deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangedBody {
    /// True.
    success: bool,
    /// The memory's id from now on.
    memory_id: String,
    /// What was done.
    message: &'static str,
    /// Whether it is done, or safe on the server's disk until Zep answers.
    #[schema(value_type = Stored)]
    status: &'static str,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoundBody {
    /// True.
    success: bool,
    /// Best first.
    memories: Vec<MemoryBody>,
    /// How many.
    count: usize,
}

/// A user's memories.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListBody {
    /// True.
    success: bool,
    /// Newest first.
    memories: Vec<MemoryBody>,
    /// How many there are in all.
    total: usize,
}

/// One memory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneBody {
    /// True.
    success: bool,
    /// It.
    memory: MemoryBody,
}

/// That a user's memories are deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClearedBody {
    /// True.
    success: bool,
    /// Whose.
    user_id: String,
    /// What was done.
    message: &'static str,
}

fn status(is_queued: bool) -> &'static str {
    if is_queued { "queued" } else { "stored" }
}

/// The scope of a memory whose owner may be named.
fn scope(whose: Whose) -> Result<Scope, ApiError> {
    let named = whose.user_id.as_deref();
    Ok(Scope {
        user: named.map(|raw| user(raw, "query")).transpose()?,
        ..Scope::default()
    })
}

fn user(raw: &str, place: &str) -> Result<UserId, ApiError> {
    UserId::new(raw).map_err(|error| ApiError::of(error.into(), About::User, place))
}

/// Add a memory
#[utoipa::path(
    post, path = "/api/memory/add", tag = "memories", operation_id = "add_memory",
    request_body = NewMemory,
    responses((status = 201, body = ChangedBody, description = "The memory"))
)]
pub(super) async fn add(call: Call, given: Given<NewMemory>) -> Answer<ChangedBody> {
    let Given(new) = given;
    let mut metadata = new.metadata.unwrap_or_default();
    if let Some(category) = new.category {
        metadata.entry(CATEGORY).or_insert(category.into());
    }
    let ids = EntityIds {
        user_id: Some(&new.user_id),
        agent_id: new.agent_id.as_deref(),
        session_id: new.session_id.as_deref(),
        ..EntityIds::default()
    };
    let memories = NewMemories {
        scope: ids.scope().about(About::User)?,
        text: Some(new.content),
        metadata,
        ..NewMemories::default()
    };
    let added = call.memories().add(&call.caller, memories).await;
    let added = added.map_err(ApiError::of_text)?;
    let queued = added.queued.is_some();
    let first = added.memories.into_iter().next();
    created(ChangedBody {
        success: true,
        memory_id: first
            .map(|memory| memory.id.to_string())
            .unwrap_or_default(),
        message: "Memory added successfully",
        status: status(queued),
    })
}

/// Search memories
#[utoipa::path(
    post, path = "/api/memory/search", tag = "memories", operation_id = "search_memories",
    request_body = Question,
    responses((status = 200, body = FoundBody, description = "What was found"))
)]
pub(super) async fn search(call: Call, given: Given<Question>) -> Answer<FoundBody> {
    let Given(question) = given;
    let limit = input::in_range("limit", question.limit, 1..=SEARCH_RESULTS, DEFAULT_RESULTS);
    let query = SearchQuery {
        whose: Selector::Scope(Scope {
            user: Some(user(&question.user_id, "body")?),
            ..Scope::default()
        }),
        query: question.query,
        among: SearchTarget::Facts,
        limit: limit.about(About::User)?,
        min_score: None,
        include_invalid: false,
    };
    let found = call
        .memories()
        .search(&call.caller, query)
        .await
        .about(About::User)?;
    let memories: Vec<_> = found.results.into_iter().map(MemoryBody::from).collect();
    ok(FoundBody {
        success: true,
        count: memories.len(),
        memories,
    })
}

/// List a user's memories
#[utoipa::path(
    get, path = "/api/memory/all/{user_id}", tag = "memories", operation_id = "list_memories",
    params(OfUser, Listing),
    responses((status = 200, body = ListBody, description = "Newest first"))
)]
pub(super) async fn all(call: Call, id: PathId, given: Given<Listing>) -> Answer<ListBody> {
    let limit = input::in_range("limit", given.0.limit, 1..=MAX_LISTED, DEFAULT_LISTED);
    let limit = limit.asked_about(About::User)? as usize;
    let user = user(&id.0, "path")?;
    let ids = EntityIds {
        user_id: Some(user.as_str()),
        ..EntityIds::default()
    };
    let filter = ids.filter(None).map_err(|error| {
        let error = crate::memory::Error::invalid("user_id", error.to_string());
        ApiError::of(error, About::User, "path")
    })?;
    let mut query = BrowseQuery {
        filter,
        page: 1,
        page_size: MAX_PAGE_SIZE.min(limit as u32),
        before: None,
        include_invalid: false,
    };
    let (mut memories, mut total) = (Vec::new(), 0);
    while memories.len() < limit {
        let page = call.memories().browse(&call.caller, &query).await;
        let page = page.asked_about(About::User)?;
        total = page.count;
        memories.extend(page.memories.into_iter().map(MemoryBody::from));
        if !page.has_next {
            break;
        }
        (query.page, query.before) = (query.page + 1, Some(page.before));
    }
    memories.truncate(limit);
    ok(ListBody {
        success: true,
        memories,
        total,
    })
}

/// Read a memory
#[utoipa::path(
    get, path = "/api/memory/{memory_id}", tag = "memories", operation_id = "get_memory",
    params(OfMemory, Whose),
    responses((status = 200, body = OneBody, description = "The memory"))
)]
pub(super) async fn read(call: Call, id: PathId, given: Given<Whose>) -> Answer<OneBody> {
    let scope = scope(given.0)?;
    let found = call.memories().get(&call.caller, &id.0, &scope).await;
    let memory = found.map_err(|error| ApiError::of(error, About::Memory, "path"))?;
    ok(OneBody {
        success: true,
        memory: memory.into(),
    })
}

/// Change a memory
///
/// A changed text gets a new id. What was said in a conversation stays as it was said.
#[utoipa::path(
    patch, path = "/api/memory/{memory_id}", tag = "memories", operation_id = "update_memory",
    params(OfMemory),
    request_body = NewText,
    responses((status = 200, body = ChangedBody, description = "Changed"))
)]
pub(super) async fn change(call: Call, id: PathId, given: Given<NewText>) -> Answer<ChangedBody> {
    let Given(new) = given;
    let change = Change {
        text: Some(new.text),
        metadata: new.metadata,
    };
    let scope = scope(Whose {
        user_id: new.user_id,
    })?;
    let changed = call
        .memories()
        .update(&call.caller, &id.0, &scope, change)
        .await;
    let (memory_id, queued) = match changed.about(About::Memory)? {
        crate::memory::Settled::Done(changed) => (changed.memory.id.to_string(), false),
        crate::memory::Settled::Queued { .. } => (id.0, true),
    };
    ok(ChangedBody {
        success: true,
        memory_id,
        message: "Memory updated successfully",
        status: status(queued),
    })
}

/// Delete a memory
#[utoipa::path(
    delete, path = "/api/memory/{memory_id}", tag = "memories", operation_id = "delete_memory",
    params(OfMemory, Whose),
    responses((status = 200, body = ChangedBody, description = "Deleted"))
)]
pub(super) async fn delete(call: Call, id: PathId, given: Given<Whose>) -> Answer<ChangedBody> {
    let scope = scope(given.0)?;
    let deleted = call.memories().delete(&call.caller, &id.0, &scope).await;
    let deleted = deleted.map_err(|error| ApiError::of(error, About::Memory, "path"))?;
    ok(ChangedBody {
        success: true,
        memory_id: id.0,
        message: "Memory deleted successfully",
        status: status(matches!(deleted, crate::memory::Settled::Queued { .. })),
    })
}

/// Delete all memories of a user
///
/// Wholly, with their sessions; the user stays. Operators only.
#[utoipa::path(
    delete, path = "/api/memory/user/{user_id}", tag = "memories", operation_id = "delete_user_memories",
    params(OfUser),
    responses((status = 200, body = ClearedBody, description = "Deleted"))
)]
pub(super) async fn delete_all(call: Call, id: PathId, _: Given<Nothing>) -> Answer<ClearedBody> {
    let user = user(&id.0, "path")?;
    let scope = Scope {
        user: Some(user.clone()),
        ..Scope::default()
    };
    let purged = call.memories().delete_all(&call.caller, &scope).await;
    let purged = purged.asked_about(About::User)?;
    if let Some(failure) = purged.failures.first() {
        return Err(ApiError::unfinished(&failure.error));
    }
    ok(ClearedBody {
        success: true,
        user_id: user.to_string(),
        message: "All user memories deleted",
    })
}

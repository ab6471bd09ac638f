//! The port over Zep Cloud's API of generation 3, `/api/v2`.
//!
//! Reads are retried by the transport, and so are writes that are harmless twice; where that is so,
//! the reason stands at the call. Adding messages and episodes is not harmless twice: a lost answer
//! is settled by record id, for which such a call may take its time-out a second time.

mod calls;
mod settle;
mod window;
mod writes;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use self::calls::{NotStrange, batch_item, is_same_user, owned_by, owner_field, word};
use self::writes::{is_invalid, replacing};
use super::transport::{Connection, Request, Transport, TransportStats};
use super::{
    AddedMessages, Batch, BatchItem, BatchItemPage, BatchItemState, BatchItemStatus, BatchPage,
    BatchStatus, Episode, Fact, FactPatch, Found, Graph, GraphId, GraphPage, Listing, Message,
    MessagePage, Metadata, NewEpisode, NewMessage, NewUser, Owner, Page, PageNumber, Project,
    Result, Search, SearchScope, Task, Thread, ThreadContext, ThreadId, ThreadPage, User,
    UserFields, UserId, UserPage, Uuid, Window, Zep, limits,
};

/// Zep Cloud, spoken to in generation 3.
#[derive(Debug)]
pub struct ZepCloud {
    transport: Transport,
    paging: window::Paging,
}

impl ZepCloud {
    /// Does no work: the first call connects.
    pub fn new(connection: Connection) -> Self {
        Self {
            transport: Transport::new(connection, "/api/v2"),
            paging: window::Paging::default(),
        }
    }

    /// The newest episodes of an owner, messages included.
    ///
    /// # Errors
    /// As every call of [`Zep`].
    pub async fn newest_episodes(&self, owner: &Owner, count: u32) -> Result<Vec<Episode>> {
        #[derive(Deserialize)]
        struct Newest {
            episodes: Option<Vec<Episode>>,
        }
        let request = Request::get(&owned_by("episodes", owner)).query("lastn", count);
        let newest: Newest = self.ask(request).await?;
        Ok(newest.episodes.unwrap_or_default())
    }
}

#[async_trait]
impl Zep for ZepCloud {
    fn backend(&self) -> &'static str {
        "zep"
    }

    fn clock_ahead_secs(&self) -> Option<i64> {
        self.transport.clock_ahead_secs()
    }

    fn call_limit(&self) -> Option<Duration> {
        Some(self.transport.timeout())
    }

    fn stats(&self) -> Option<TransportStats> {
        Some(self.transport.stats())
    }

    async fn project(&self) -> Result<Project> {
        #[derive(Deserialize)]
        struct Info {
            project: Option<Project>,
        }
        let info: Info = self.ask(Request::get(&["projects", "info"])).await?;
        Ok(info.project.unwrap_or_default())
    }

    async fn add_user(&self, user: &NewUser) -> Result<User> {
        let mut body = serde_json::to_value(&user.fields).unwrap_or_default();
        body["user_id"] = user.user_id.as_str().into();
        let request = Request::post(&["users"]).json(&body)?;
        let existing = Request::get(&["users", user.user_id.as_str()]);
        self.once(request, existing, |there: User| {
            is_same_user(&there, user).then_some(there)
        })
        .await
    }

    async fn user(&self, user: &UserId) -> Result<User> {
        self.ask(Request::get(&["users", user.as_str()])).await
    }

    async fn update_user(&self, user: &UserId, fields: &UserFields) -> Result<User> {
        // Setting fields is the same twice.
        self.ask(Request::patch(&["users", user.as_str()]).json(fields)?)
            .await
    }

    async fn list_users(&self, page: PageNumber) -> Result<UserPage> {
        let request = Request::get(&["users-ordered"])
            .query("pageNumber", page.number)
            .query("pageSize", page.size)
            .query("order_by", "created_at")
            .query("asc", true);
        self.ask(request).await
    }

    async fn delete_user(&self, user: &UserId) -> Result<()> {
        self.delete(&["users", user.as_str()]).await
    }

    async fn user_threads(&self, user: &UserId) -> Result<Vec<Thread>> {
        let request = Request::get(&["users", user.as_str(), "threads"]);
        Ok(self.ask_list(&request).await?.value)
    }

    async fn create_thread(&self, thread: &ThreadId, user: &UserId) -> Result<Thread> {
        let body = json!({ "thread_id": thread, "user_id": user });
        let request = Request::post(&["threads"]).json(&body)?;
        // There is no other read of a single thread.
        let existing = Request::get(&["threads", thread.as_str(), "messages"]).query("limit", 1);
        self.once(request, existing, |there: MessagePage| {
            (there.user_id.as_deref() == Some(user.as_str())).then(|| Thread {
                uuid: None,
                thread_id: Some(thread.as_str().to_owned()),
                user_id: there.user_id,
                created_at: there.thread_created_at,
            })
        })
        .await
    }

    async fn list_threads(&self, page: PageNumber) -> Result<ThreadPage> {
        let request = Request::get(&["threads"])
            .query("page_number", page.number)
            .query("page_size", page.size)
            .query("order_by", "created_at")
            .query("asc", true);
        self.ask(request).await
    }

    async fn messages(&self, thread: &ThreadId, window: &Window) -> Result<MessagePage> {
        self.read_window(thread, window, self.transport.deadline())
            .await
    }

    async fn add_messages(
        &self,
        thread: &ThreadId,
        messages: &[NewMessage],
    ) -> Result<AddedMessages> {
        self.write_messages(thread, messages).await
    }

    async fn set_message_metadata(&self, message: &Uuid, metadata: &Metadata) -> Result<Message> {
        // A message's episode has the same id and metadata. It can be gone while the message stays.
        let stored = match self.episode(message).await {
            Ok(episode) => episode.metadata,
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let (whole, gone) = replacing(metadata, stored.as_ref());
        let path = ["messages", message.as_str()];
        if whole.len() <= limits::METADATA_KEYS {
            match self.patch_metadata(&path, &whole).await {
                // Whether a message takes `null` is not documented, unlike for episodes.
                Err(error) if is_invalid(&error) && !gone.is_empty() => {}
                done => return done,
            }
        }
        self.remove_keys(message, &gone, metadata).await?;
        self.patch_metadata(&path, metadata).await
    }

    async fn thread_context(&self, thread: &ThreadId) -> Result<ThreadContext> {
        self.ask(Request::get(&["threads", thread.as_str(), "context"]))
            .await
    }

    async fn delete_thread(&self, thread: &ThreadId) -> Result<()> {
        self.delete(&["threads", thread.as_str()]).await
    }

    async fn create_graph(&self, graph: &GraphId, name: &str, description: &str) -> Result<Graph> {
        let body = json!({ "graph_id": graph, "name": name, "description": description });
        let request = Request::post(&["graph", "create"]).json(&body)?;
        let existing = Request::get(&["graph", graph.as_str()]);
        self.once(request, existing, |there: Graph| {
            let is_same = there.graph_id.as_deref() == Some(graph.as_str())
                && there.name.as_deref() == Some(name);
            is_same.then_some(there)
        })
        .await
    }

    async fn graph(&self, graph: &GraphId) -> Result<Graph> {
        self.ask(Request::get(&["graph", graph.as_str()])).await
    }

    async fn list_graphs(&self, page: PageNumber) -> Result<GraphPage> {
        let request = Request::get(&["graph", "list-all"])
            .query("pageNumber", page.number)
            .query("pageSize", page.size);
        self.ask(request).await
    }

    async fn delete_graph(&self, graph: &GraphId) -> Result<()> {
        self.delete(&["graph", graph.as_str()]).await
    }

    async fn add_episode(&self, owner: &Owner, episode: &NewEpisode) -> Result<Episode> {
        self.write_episode(owner, episode).await
    }

    async fn search(&self, owner: &Owner, search: &Search) -> Result<Found> {
        let (owner, id) = owner_field(owner);
        let mut body = json!({ "query": search.query, "scope": search.scope, owner: id });
        if let Some(limit) = search.limit.filter(|_| search.scope != SearchScope::Auto) {
            body["limit"] = limit.into();
        }
        if let Some(reranker) = search.reranker {
            body["reranker"] = json!(reranker);
        }
        if !search.filters.is_empty() {
            body["search_filters"] = json!(search.filters);
        }
        // It only reads.
        let request = Request::post(&["graph", "search"])
            .json(&body)?
            .repeatable();
        Ok(self.ask::<NotStrange<Found>>(request).await?.0)
    }

    async fn episode(&self, episode: &Uuid) -> Result<Episode> {
        self.ask(Request::get(&["graph", "episodes", episode.as_str()]))
            .await
    }

    async fn list_episodes(&self, owner: &Owner, listing: &Listing) -> Result<Page<Episode>> {
        self.list("episodes", owner, listing).await
    }

    async fn set_episode_metadata(&self, episode: &Uuid, metadata: &Metadata) -> Result<Episode> {
        let stored = self.episode(episode).await?.metadata;
        let (whole, gone) = replacing(metadata, stored.as_ref());
        let path = ["graph", "episodes", episode.as_str()];
        if whole.len() <= limits::METADATA_KEYS {
            return self.patch_metadata(&path, &whole).await;
        }
        // More keys than one request takes. Those that go, go first: what stays is lost at no time.
        self.remove_keys(episode, &gone, metadata).await?;
        self.patch_metadata(&path, metadata).await
    }

    async fn delete_episode(&self, episode: &Uuid) -> Result<()> {
        self.delete(&["graph", "episodes", episode.as_str()]).await
    }

    async fn fact(&self, fact: &Uuid) -> Result<Fact> {
        self.ask(Request::get(&["graph", "edge", fact.as_str()]))
            .await
    }

    async fn list_facts(&self, owner: &Owner, listing: &Listing) -> Result<Page<Fact>> {
        self.list("edge", owner, listing).await
    }

    async fn update_fact(&self, fact: &Uuid, patch: &FactPatch) -> Result<Fact> {
        // Setting fields is the same twice.
        self.ask(Request::patch(&["graph", "edge", fact.as_str()]).json(patch)?)
            .await
    }

    async fn delete_fact(&self, fact: &Uuid) -> Result<()> {
        self.delete(&["graph", "edge", fact.as_str()]).await
    }

    async fn create_batch(&self, metadata: &Metadata) -> Result<Batch> {
        // Twice would leave a stray draft.
        self.ask(Request::post(&["batches"]).json(&json!({ "metadata": metadata }))?)
            .await
    }

    async fn list_batches(
        &self,
        status: Option<BatchStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<BatchPage> {
        let request = Request::get(&["batches"])
            .query_opt("limit", limit)
            .query_opt("cursor", cursor)
            .query_opt("status", status.map(word));
        self.ask(request).await
    }

    async fn add_batch_items(
        &self,
        batch: &str,
        items: &[BatchItem],
    ) -> Result<Vec<BatchItemState>> {
        let items: Vec<Value> = items.iter().map(batch_item).collect();
        // Twice would append them twice; the caller can count the draft's items.
        let request =
            Request::post(&["batches", batch, "items"]).json(&json!({ "items": items }))?;
        let added: Option<Vec<BatchItemState>> = self.ask(request).await?;
        Ok(added.unwrap_or_default())
    }

    async fn process_batch(&self, batch: &str) -> Result<Batch> {
        // Only a draft can be given to be processed.
        let request = Request::post(&["batches", batch, "process"]);
        let existing = Request::get(&["batches", batch]);
        self.once(request, existing, |there: Batch| {
            let is_given = there.status.is_some_and(|it| it != BatchStatus::Draft);
            is_given.then_some(there)
        })
        .await
    }

    async fn batch(&self, batch: &str) -> Result<Batch> {
        self.ask(Request::get(&["batches", batch])).await
    }

    async fn batch_items(
        &self,
        batch: &str,
        status: Option<BatchItemStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<BatchItemPage> {
        let request = Request::get(&["batches", batch, "items"])
            .query_opt("limit", limit)
            .query_opt("cursor", cursor)
            .query_opt("status", status.map(BatchItemStatus::as_str));
        self.ask(request).await
    }

    async fn delete_batch(&self, batch: &str) -> Result<()> {
        self.delete(&["batches", batch]).await
    }

    async fn task(&self, task: &str) -> Result<Task> {
        self.ask(Request::get(&["tasks", task])).await
    }

    async fn find_messages(
        &self,
        thread: &ThreadId,
        records: &HashSet<String>,
    ) -> Result<Vec<Message>> {
        self.look_for_messages(thread, records).await
    }
}

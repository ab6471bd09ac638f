//! The port over the file: each call is one transaction.

use std::collections::HashSet;

use async_trait::async_trait;

use super::tables::{episodes, facts, graphs, messages, project, threads, users};
use super::{LocalZep, ThreadOrder, UserOrder, batches, check, listing, search};
use crate::zep::{
    AddedMessages, Batch, BatchItem, BatchItemPage, BatchItemState, BatchItemStatus, BatchPage,
    BatchStatus, Direction, Episode, Fact, FactPatch, Found, Graph, GraphId, GraphPage, Listing,
    Message, MessagePage, Metadata, NewEpisode, NewMessage, NewUser, Owner, Page, PageNumber,
    Project, Result, Search, Task, Thread, ThreadContext, ThreadId, ThreadPage, User, UserFields,
    UserId, UserPage, Uuid, Window, Zep,
};

#[async_trait]
impl Zep for LocalZep {
    fn backend(&self) -> &'static str {
        "local"
    }

    async fn project(&self) -> Result<Project> {
        self.store.read(project::get).await
    }

    async fn add_user(&self, user: &NewUser) -> Result<User> {
        let user = user.clone();
        self.store.write(move |w| users::add(w, &user)).await
    }

    async fn user(&self, user: &UserId) -> Result<User> {
        let user = user.clone();
        self.store.read(move |w| users::get(w, &user)).await
    }

    async fn update_user(&self, user: &UserId, fields: &UserFields) -> Result<User> {
        let (user, fields) = (user.clone(), fields.clone());
        self.store
            .write(move |w| users::update(w, &user, &fields))
            .await
    }

    async fn list_users(&self, page: PageNumber) -> Result<UserPage> {
        self.list_users_by(page, UserOrder::CreatedAt, Direction::Asc)
            .await
    }

    async fn delete_user(&self, user: &UserId) -> Result<()> {
        let user = user.clone();
        self.store.write(move |w| users::delete(w, &user)).await
    }

    async fn user_threads(&self, user: &UserId) -> Result<Vec<Thread>> {
        let user = user.clone();
        self.store.read(move |w| threads::of_user(w, &user)).await
    }

    async fn create_thread(&self, thread: &ThreadId, user: &UserId) -> Result<Thread> {
        let (thread, user) = (thread.clone(), user.clone());
        self.store
            .write(move |w| threads::create(w, &thread, &user))
            .await
    }

    async fn list_threads(&self, page: PageNumber) -> Result<ThreadPage> {
        self.list_threads_by(page, ThreadOrder::CreatedAt, Direction::Asc)
            .await
    }

    async fn messages(&self, thread: &ThreadId, window: &Window) -> Result<MessagePage> {
        let (thread, window) = (thread.clone(), window.clone());
        self.store
            .read(move |w| messages::list(w, &thread, &window))
            .await
    }

    async fn add_messages(
        &self,
        thread: &ThreadId,
        messages: &[NewMessage],
    ) -> Result<AddedMessages> {
        self.add_messages_ignoring(thread, messages, &[]).await
    }

    async fn set_message_metadata(&self, message: &Uuid, metadata: &Metadata) -> Result<Message> {
        let (message, metadata) = (message.clone(), metadata.clone());
        self.store
            .write(move |w| messages::set_metadata(w, &message, &metadata))
            .await
    }

    async fn thread_context(&self, thread: &ThreadId) -> Result<ThreadContext> {
        let thread = thread.clone();
        self.store
            .read(move |w| search::thread_context(w, &thread))
            .await
    }

    async fn delete_thread(&self, thread: &ThreadId) -> Result<()> {
        let thread = thread.clone();
        self.store.write(move |w| threads::delete(w, &thread)).await
    }

    async fn create_graph(&self, graph: &GraphId, name: &str, description: &str) -> Result<Graph> {
        let (graph, name, description) = (graph.clone(), name.to_owned(), description.to_owned());
        self.store
            .write(move |w| graphs::create(w, &graph, &name, &description))
            .await
    }

    async fn graph(&self, graph: &GraphId) -> Result<Graph> {
        let graph = graph.clone();
        self.store.read(move |w| graphs::get(w, &graph)).await
    }

    async fn list_graphs(&self, page: PageNumber) -> Result<GraphPage> {
        self.store.read(move |w| graphs::list(w, page)).await
    }

    async fn delete_graph(&self, graph: &GraphId) -> Result<()> {
        let graph = graph.clone();
        self.store.write(move |w| graphs::delete(w, &graph)).await
    }

    async fn add_episode(&self, owner: &Owner, episode: &NewEpisode) -> Result<Episode> {
        let (owner, episode) = (owner.clone(), episode.clone());
        self.store
            .write(move |w| episodes::add(w, &owner, &episode))
            .await
    }

    async fn search(&self, owner: &Owner, search: &Search) -> Result<Found> {
        let (owner, search) = (owner.clone(), search.clone());
        self.store
            .read(move |w| search::search(w, &owner, &search))
            .await
    }

    async fn episode(&self, episode: &Uuid) -> Result<Episode> {
        let episode = episode.clone();
        self.store.read(move |w| episodes::get(w, &episode)).await
    }

    async fn list_episodes(&self, owner: &Owner, listing: &Listing) -> Result<Page<Episode>> {
        let (owner, listing) = (owner.clone(), listing.clone());
        self.store
            .read(move |w| listing::episodes(w, &owner, &listing))
            .await
    }

    async fn set_episode_metadata(&self, episode: &Uuid, metadata: &Metadata) -> Result<Episode> {
        let (episode, metadata) = (episode.clone(), metadata.clone());
        self.store
            .write(move |w| episodes::set_metadata(w, &episode, &metadata))
            .await
    }

    async fn delete_episode(&self, episode: &Uuid) -> Result<()> {
        let episode = episode.clone();
        self.store
            .write(move |w| episodes::delete(w, &episode))
            .await
    }

    async fn fact(&self, fact: &Uuid) -> Result<Fact> {
        let fact = fact.clone();
        self.store.read(move |w| facts::get(w, &fact)).await
    }

    async fn list_facts(&self, owner: &Owner, listing: &Listing) -> Result<Page<Fact>> {
        let (owner, listing) = (owner.clone(), listing.clone());
        self.store
            .read(move |w| listing::facts(w, &owner, &listing))
            .await
    }

    async fn update_fact(&self, fact: &Uuid, patch: &FactPatch) -> Result<Fact> {
        let (fact, patch) = (fact.clone(), patch.clone());
        self.store
            .write(move |w| facts::update(w, &fact, &patch))
            .await
    }

    async fn delete_fact(&self, fact: &Uuid) -> Result<()> {
        let fact = fact.clone();
        self.store.write(move |w| facts::delete(w, &fact)).await
    }

    async fn create_batch(&self, metadata: &Metadata) -> Result<Batch> {
        self.create_batch_ignoring(metadata, &[]).await
    }

    async fn list_batches(
        &self,
        status: Option<BatchStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<BatchPage> {
        self.store
            .read(move |w| batches::list(w, status, limit, cursor))
            .await
    }

    async fn add_batch_items(
        &self,
        batch: &str,
        items: &[BatchItem],
    ) -> Result<Vec<BatchItemState>> {
        let (batch, items) = (batch.to_owned(), items.to_vec());
        self.store
            .write(move |w| batches::add_items(w, &batch, &items))
            .await
    }

    async fn process_batch(&self, batch: &str) -> Result<Batch> {
        let id = batch.to_owned();
        self.store.write(move |w| batches::process(w, &id)).await?;
        // Reading carries out what is due: without a delay, the whole batch.
        self.batch(batch).await
    }

    async fn batch(&self, batch: &str) -> Result<Batch> {
        let batch = batch.to_owned();
        self.store.read(move |w| batches::get(w, &batch)).await
    }

    async fn batch_items(
        &self,
        batch: &str,
        status: Option<BatchItemStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<BatchItemPage> {
        let batch = batch.to_owned();
        self.store
            .read(move |w| batches::items(w, &batch, status, limit, cursor))
            .await
    }

    async fn delete_batch(&self, batch: &str) -> Result<()> {
        let batch = batch.to_owned();
        self.store.write(move |w| batches::delete(w, &batch)).await
    }

    async fn task(&self, _task: &str) -> Result<Task> {
        // Nothing here is done in the background under an id of its own.
        Err(check::not_found("task"))
    }

    async fn all_messages(&self, thread: &ThreadId) -> Result<MessagePage> {
        let thread = thread.clone();
        self.store.read(move |w| messages::all(w, &thread)).await
    }

    async fn find_messages(
        &self,
        thread: &ThreadId,
        records: &HashSet<String>,
    ) -> Result<Vec<Message>> {
        let (thread, records) = (thread.clone(), records.clone());
        self.store
            .read(move |w| messages::find_records(w, &thread, &records))
            .await
    }

    async fn find_episodes(&self, owner: &Owner, record: &str) -> Result<Vec<Episode>> {
        let (owner, record) = (owner.clone(), record.to_owned());
        self.store
            .read(move |w| episodes::find_record(w, &owner, &record))
            .await
    }
}

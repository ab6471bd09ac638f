//! The port over the file: each call is one transaction, each page of a list one, too.

use std::collections::HashSet;

use async_trait::async_trait;

use super::query::{Direction, Filters, Listing, OrderBy, PageNumber};
use super::tables::{episodes, facts, graphs, messages, project, threads, users};
use super::{LocalZep, ThreadOrder, UserOrder, batches, check, listing, search};
use crate::zep::{
    Accounts, AddedMessages, Batch, BatchItem, BatchItemState, BatchItemStatus, BatchStatus,
    Batches, Episode, Fact, FactPatch, Found, Graph, GraphId, Graphs, Message, MessagePage,
    Metadata, NewEpisode, NewMessage, NewUser, Owner, Pages, Project, RecordMark, Result, Search,
    Task, Thread, ThreadContext, ThreadId, Threads, TimeOrder, User, UserFields, UserId, Uuid,
    Window, Zep,
};

/// Users, threads or graphs of a page. Ours.
const PAGE: u32 = 100;

impl Zep for LocalZep {
    fn backend(&self) -> &'static str {
        "local"
    }
}

#[async_trait]
impl Accounts for LocalZep {
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

    fn users(&self) -> Pages<'_, User> {
        Pages::by_number(PAGE, move |number| async move {
            let page = PageNumber { number, size: PAGE };
            let page = self
                .list_users_by(page, UserOrder::CreatedAt, Direction::Asc)
                .await?;
            Ok((page.items, Some(page.total_count)))
        })
    }

    async fn delete_user(&self, user: &UserId) -> Result<()> {
        let user = user.clone();
        self.store.write(move |w| users::delete(w, &user)).await
    }

    async fn user_threads(&self, user: &UserId) -> Result<Vec<Thread>> {
        let user = user.clone();
        self.store.read(move |w| threads::of_user(w, &user)).await
    }
}

#[async_trait]
impl Threads for LocalZep {
    async fn create_thread(&self, thread: &ThreadId, user: &UserId) -> Result<Thread> {
        let (thread, user) = (thread.clone(), user.clone());
        self.store
            .write(move |w| threads::create(w, &thread, &user))
            .await
    }

    fn threads(&self) -> Pages<'_, Thread> {
        Pages::by_number(PAGE, move |number| async move {
            let page = PageNumber { number, size: PAGE };
            let page = self
                .list_threads_by(page, ThreadOrder::CreatedAt, Direction::Asc)
                .await?;
            Ok((page.items, Some(page.total_count)))
        })
    }

    async fn delete_thread(&self, thread: &ThreadId) -> Result<()> {
        let thread = thread.clone();
        self.store.write(move |w| threads::delete(w, &thread)).await
    }

    async fn messages(&self, thread: &ThreadId, window: &Window) -> Result<MessagePage> {
        let (thread, window) = (thread.clone(), window.clone());
        self.store
            .read(move |w| messages::list(w, &thread, &window))
            .await
    }

    async fn newest_messages(
        &self,
        thread: &ThreadId,
        limit: u32,
        ahead: u32,
    ) -> Result<MessagePage> {
        let thread = thread.clone();
        self.store
            .read(move |w| messages::newest(w, &thread, limit, ahead))
            .await
    }

    async fn is_thread_of(&self, thread: &ThreadId, user: &UserId) -> Result<bool> {
        let (thread, user) = (thread.clone(), user.clone());
        self.store
            .read(move |w| threads::is_of(w, &thread, &user))
            .await
    }

    async fn add_messages(
        &self,
        thread: &ThreadId,
        messages: &[NewMessage],
    ) -> Result<AddedMessages> {
        self.add_messages_ignoring(thread, messages, &[]).await
    }

    async fn set_message_metadata(
        &self,
        message: &Uuid,
        mark: Option<&RecordMark>,
        metadata: &Metadata,
    ) -> Result<Message> {
        let message = message.clone();
        let metadata = RecordMark::encode(mark, metadata);
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
}

#[async_trait]
impl Graphs for LocalZep {
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

    fn graphs(&self) -> Pages<'_, Graph> {
        Pages::by_number(PAGE, move |number| async move {
            let page = self.list_graphs(PageNumber { number, size: PAGE }).await?;
            Ok((page.items, Some(page.total_count)))
        })
    }

    async fn delete_graph(&self, graph: &GraphId) -> Result<()> {
        let graph = graph.clone();
        self.store.write(move |w| graphs::delete(w, &graph)).await
    }

    async fn search(&self, owner: &Owner, search: &Search) -> Result<Found> {
        let episodes = &search.from_episodes;
        let filters = Filters {
            episode_uuids: (!episodes.is_empty()).then(|| episodes.clone()),
            ..Filters::default()
        };
        self.search_filtered(owner, search, &filters).await
    }

    async fn add_episode(&self, owner: &Owner, episode: &NewEpisode) -> Result<Episode> {
        let (owner, episode) = (owner.clone(), episode.clone());
        self.store
            .write(move |w| episodes::add(w, &owner, &episode))
            .await
    }

    async fn episode(&self, episode: &Uuid) -> Result<Episode> {
        let episode = episode.clone();
        self.store.read(move |w| episodes::get(w, &episode)).await
    }

    fn episodes<'a>(
        &'a self,
        owner: &'a Owner,
        order: TimeOrder,
        page_size: u32,
    ) -> Pages<'a, Episode> {
        Pages::by_cursor(move |cursor| async move {
            let listing = in_time_order(order, page_size, cursor);
            let page = self.list_episodes(owner, &listing).await?;
            Ok((page.items, page.next_cursor))
        })
    }

    async fn episodes_by_id(&self, owner: &Owner, episodes: &[Uuid]) -> Result<Vec<Episode>> {
        let (owner, episodes) = (owner.clone(), episodes.to_vec());
        self.store
            .read(move |w| listing::episodes_by_id(w, &owner, &episodes))
            .await
    }

    async fn find_episodes(&self, owner: &Owner, record: &str) -> Result<Vec<Episode>> {
        let (owner, record) = (owner.clone(), record.to_owned());
        self.store
            .read(move |w| episodes::find_record(w, &owner, &record))
            .await
    }

    async fn set_episode_metadata(
        &self,
        episode: &Uuid,
        mark: Option<&RecordMark>,
        metadata: &Metadata,
    ) -> Result<Episode> {
        let episode = episode.clone();
        let metadata = RecordMark::encode(mark, metadata);
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

    fn facts<'a>(&'a self, owner: &'a Owner, order: TimeOrder, page_size: u32) -> Pages<'a, Fact> {
        Pages::by_cursor(move |cursor| async move {
            let listing = in_time_order(order, page_size, cursor);
            let page = self.list_facts(owner, &listing).await?;
            Ok((page.items, page.next_cursor))
        })
    }

    async fn facts_by_id(&self, owner: &Owner, facts: &[Uuid]) -> Result<Vec<Fact>> {
        let (owner, facts) = (owner.clone(), facts.to_vec());
        self.store
            .read(move |w| listing::facts_by_id(w, &owner, &facts))
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
}

#[async_trait]
impl Batches for LocalZep {
    async fn create_batch(&self, metadata: &Metadata) -> Result<Batch> {
        self.create_batch_ignoring(metadata, &[]).await
    }

    fn batches(&self, status: Option<BatchStatus>) -> Pages<'_, Batch> {
        Pages::by_cursor(move |cursor| async move {
            let page = self.list_batches(status, None, cursor).await?;
            Ok((page.items, page.next_cursor))
        })
    }

    async fn batch(&self, batch: &str) -> Result<Batch> {
        let batch = batch.to_owned();
        self.store.read(move |w| batches::get(w, &batch)).await
    }

    async fn add_batch_items(
        &self,
        batch: &str,
        items: &[BatchItem],
    ) -> Result<Vec<BatchItemState>> {
        let batch = batch.to_owned();
        let items: Vec<BatchItem> = items.iter().map(with_mark_in_metadata).collect();
        self.store
            .write(move |w| batches::add_items(w, &batch, &items))
            .await
    }

    fn batch_items<'a>(
        &'a self,
        batch: &'a str,
        status: Option<BatchItemStatus>,
    ) -> Pages<'a, BatchItemState> {
        Pages::by_cursor(move |cursor| async move {
            let page = self.list_batch_items(batch, status, None, cursor).await?;
            Ok((page.items, page.next_cursor))
        })
    }

    async fn process_batch(&self, batch: &str) -> Result<Batch> {
        let id = batch.to_owned();
        self.store.write(move |w| batches::process(w, &id)).await?;
        // Reading carries out what is due: without a delay, the whole batch.
        self.batch(batch).await
    }

    async fn delete_batch(&self, batch: &str) -> Result<()> {
        let batch = batch.to_owned();
        self.store.write(move |w| batches::delete(w, &batch)).await
    }

    async fn task(&self, _task: &str) -> Result<Task> {
        // Nothing here is done in the background under an id of its own.
        Err(check::not_found("task"))
    }
}

fn in_time_order(order: TimeOrder, page_size: u32, cursor: Option<String>) -> Listing {
    Listing {
        limit: Some(page_size),
        cursor,
        order_by: Some(OrderBy::CreatedAt),
        direction: Some(match order {
            TimeOrder::OldestFirst => Direction::Asc,
            TimeOrder::NewestFirst => Direction::Desc,
        }),
        ..Listing::default()
    }
}

fn with_mark_in_metadata(item: &BatchItem) -> BatchItem {
    match item {
        BatchItem::Message(thread, message) => {
            BatchItem::Message(thread.clone(), message.with_mark_in_metadata())
        }
        BatchItem::Episode(owner, episode) => {
            BatchItem::Episode(owner.clone(), episode.with_mark_in_metadata())
        }
    }
}

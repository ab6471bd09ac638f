//! The calls of Zep's HTTP API that the port does not have.

use jiff::Timestamp;

use super::query::{CursorPage, Direction, Filters, Listing, NumberedPage, PageNumber};
use super::tables::threads::ThreadOrder;
use super::tables::users::UserOrder;
use super::tables::{entities, episodes, facts, graphs, messages, threads, users};
#[cfg(doc)]
use super::{CursorMeaning, DEFAULT_MESSAGES, MetadataPatch};
use super::{LocalZep, batches, listing, search};
#[cfg(doc)]
use crate::zep::Error;
use crate::zep::{
    AddedMessages, Batch, BatchItemState, BatchItemStatus, BatchStatus, Entity, Episode, Fact,
    Found, Graph, Message, MessagePage, Metadata, NewMessage, Owner, Result, Role, Search, Thread,
    ThreadId, User, UserId, Uuid,
};

impl LocalZep {
    /// A page of users, in this order.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_users_by(
        &self,
        page: PageNumber,
        order: UserOrder,
        direction: Direction,
    ) -> Result<NumberedPage<User>> {
        self.store
            .read(move |w| users::list(w, page, order, direction))
            .await
    }

    /// A page of threads, in this order.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_threads_by(
        &self,
        page: PageNumber,
        order: ThreadOrder,
        direction: Direction,
    ) -> Result<NumberedPage<Thread>> {
        self.store
            .read(move |w| threads::list(w, page, order, direction))
            .await
    }

    /// A page of graphs.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_graphs(&self, page: PageNumber) -> Result<NumberedPage<Graph>> {
        self.store.read(move |w| graphs::list(w, page)).await
    }

    /// A page of an owner's episodes, messages included.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an owner, [`Error::Invalid`] for invalid filters or a cursor
    /// of another listing, [`Error::Storage`].
    pub async fn list_episodes(
        &self,
        owner: &Owner,
        listing: &Listing,
    ) -> Result<CursorPage<Episode>> {
        let (owner, listing) = (owner.clone(), listing.clone());
        self.store
            .read(move |w| listing::episodes(w, &owner, &listing))
            .await
    }

    /// A page of an owner's facts.
    ///
    /// # Errors
    /// As [`list_episodes`](Self::list_episodes).
    pub async fn list_facts(&self, owner: &Owner, listing: &Listing) -> Result<CursorPage<Fact>> {
        let (owner, listing) = (owner.clone(), listing.clone());
        self.store
            .read(move |w| listing::facts(w, &owner, &listing))
            .await
    }

    /// Searches a graph with filters, instead of [`Search::from_episodes`].
    ///
    /// # Errors
    /// As [`search`](crate::zep::Graphs::search), [`Error::Invalid`] for invalid
    /// filters.
    pub async fn search_filtered(
        &self,
        owner: &Owner,
        search: &Search,
        filters: &Filters,
    ) -> Result<Found> {
        let (owner, search, filters) = (owner.clone(), search.clone(), filters.clone());
        self.store
            .read(move |w| search::search(w, &owner, &search, &filters))
            .await
    }

    /// A page of batches, newest first, of one status or of all.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_batches(
        &self,
        status: Option<BatchStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<CursorPage<Batch, u64>> {
        self.store
            .read(move |w| batches::list(w, status, limit, cursor))
            .await
    }

    /// A page of a batch's items, of one status or of all, in the order added.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a batch, [`Error::Storage`].
    pub async fn list_batch_items(
        &self,
        batch: &str,
        status: Option<BatchItemStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<CursorPage<BatchItemState, u64>> {
        let batch = batch.to_owned();
        self.store
            .read(move |w| batches::items(w, &batch, status, limit, cursor))
            .await
    }

    /// Messages of a thread by the parameters of Zep's HTTP API: `limit` messages (by default
    /// [`DEFAULT_MESSAGES`]) after `cursor` (see [`CursorMeaning`]), or the `lastn` newest, which
    /// overrides both. Oldest first either way.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a thread, [`Error::Storage`].
    pub async fn messages_raw(
        &self,
        thread: &ThreadId,
        limit: Option<u32>,
        cursor: Option<u64>,
        lastn: Option<u32>,
    ) -> Result<MessagePage> {
        let thread = thread.clone();
        self.store
            .read(move |w| messages::list_raw(w, &thread, limit, cursor, lastn))
            .await
    }

    /// Adds messages, and extracts no facts from those of the `ignored` roles (zep-cloud 3.30.0,
    /// `thread.add_messages`, `ignore_roles`). Otherwise as
    /// [`add_messages`](crate::zep::Threads::add_messages).
    ///
    /// # Errors
    /// As [`add_messages`](crate::zep::Threads::add_messages).
    pub async fn add_messages_ignoring(
        &self,
        thread: &ThreadId,
        messages: &[NewMessage],
        ignored: &[Role],
    ) -> Result<AddedMessages> {
        let (thread, ignored) = (thread.clone(), ignored.to_vec());
        let messages = messages.to_vec();
        self.store
            .write(move |w| messages::add(w, &thread, &messages, &ignored))
            .await
    }

    /// Opens a draft, and extracts no facts from its messages of the `ignored` roles (zep-cloud
    /// 3.30.0, `batch.create`, `ignore_roles`). Otherwise as
    /// [`create_batch`](crate::zep::Batches::create_batch).
    ///
    /// # Errors
    /// As [`create_batch`](crate::zep::Batches::create_batch).
    pub async fn create_batch_ignoring(
        &self,
        metadata: &Metadata,
        ignored: &[Role],
    ) -> Result<Batch> {
        let (metadata, ignored) = (metadata.clone(), ignored.to_vec());
        self.store
            .write(move |w| batches::create(w, &metadata, &ignored))
            .await
    }

    /// Changes a message's metadata by [`MetadataPatch`]; a key set to null is removed.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a message, [`Error::Invalid`] if the result has more than
    /// 10 keys or a value that is not flat, [`Error::Storage`].
    pub async fn patch_message_metadata(
        &self,
        message: &Uuid,
        patch: &Metadata,
    ) -> Result<Message> {
        let (message, patch) = (message.clone(), patch.clone());
        self.store
            .write(move |w| messages::patch_metadata(w, &message, &patch))
            .await
    }

    /// Changes an episode's metadata by [`MetadataPatch`]; a key set to null is removed.
    ///
    /// # Errors
    /// As [`patch_message_metadata`](Self::patch_message_metadata).
    pub async fn patch_episode_metadata(
        &self,
        episode: &Uuid,
        patch: &Metadata,
    ) -> Result<Episode> {
        let (episode, patch) = (episode.clone(), patch.clone());
        self.store
            .write(move |w| episodes::patch_metadata(w, &episode, &patch))
            .await
    }

    /// The last `lastn` episodes to arrive in a graph, in order of arrival.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an owner, [`Error::Storage`].
    pub async fn last_episodes(&self, owner: &Owner, lastn: u32) -> Result<Vec<Episode>> {
        let owner = owner.clone();
        self.store
            .read(move |w| episodes::last(w, &owner, lastn))
            .await
    }

    /// The episodes of a thread, in order of arrival.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a thread, [`Error::Storage`].
    pub async fn thread_episodes(&self, thread: &ThreadId) -> Result<Vec<Episode>> {
        let thread = thread.clone();
        self.store
            .read(move |w| episodes::of_thread(w, &thread))
            .await
    }

    /// A page of the entities of a graph: the owner and its speakers. Filters are ignored.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an owner, [`Error::Invalid`] for a cursor of another
    /// listing, [`Error::Storage`].
    pub async fn list_nodes(&self, owner: &Owner, listing: &Listing) -> Result<CursorPage<Entity>> {
        let (owner, listing) = (owner.clone(), listing.clone());
        self.store
            .read(move |w| entities::list(w, &owner, &listing))
            .await
    }

    /// An entity.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn node(&self, node: &Uuid) -> Result<Entity> {
        let node = node.clone();
        self.store.read(move |w| entities::get(w, &node)).await
    }

    /// A user's own entity.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a user, [`Error::Storage`].
    pub async fn user_node(&self, user: &UserId) -> Result<Entity> {
        let user = user.clone();
        self.store.read(move |w| entities::of_user(w, &user)).await
    }

    /// Sets since when a fact is no longer true, and when that was learned, to the microsecond.
    /// `None` changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a fact, [`Error::Storage`].
    pub async fn set_fact_validity(
        &self,
        fact: &Uuid,
        invalid_at: Option<Timestamp>,
        expired_at: Option<Timestamp>,
    ) -> Result<Fact> {
        let fact = fact.clone();
        self.store
            .write(move |w| facts::set_validity(w, &fact, invalid_at, expired_at))
            .await
    }
}

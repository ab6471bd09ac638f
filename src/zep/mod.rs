//! Zep as this program needs it: the port, and the adapters behind it.
//!
//! [`Zep`] is the one thing that the memory domain and the migration know of a backend. Behind it
//! stand Zep Cloud's API of generation 3 ([`v3`]) and the embedded store ([`crate::local`]).

mod error;
mod ids;
pub mod limits;
mod transport;
mod types;
pub mod v3;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;

pub use error::{Error, Outcome, Result};
pub(crate) use ids::id_type;
pub use ids::{GraphId, InvalidId, MAX_ID_CHARS, Owner, ThreadId, UserId, Uuid, check_id};
pub use transport::{Connection, InvalidConnection, TransportStats};
pub(crate) use transport::{check_key, check_url, is_this_machine};
pub use types::*;

/// A backend that keeps users, threads, messages, episodes and facts as Zep does.
///
/// Every call may be dropped at any time, which ends its waits. A dropped write is in doubt, like
/// one without an answer. Writes of messages and episodes carry their record id in their metadata
/// ([`RECORD_ID_KEY`]): an adapter whose answer was lost looks for it before it sends again, so an
/// [`Outcome::Unknown`] reaches the caller only where that could not be settled.
#[async_trait]
pub trait Zep: Send + Sync + std::fmt::Debug {
    /// The backend's name in answers: `zep` or `local`.
    fn backend(&self) -> &'static str;

    /// By how many seconds this machine's clock was ahead of the backend's at its last answer; `None`
    /// if the backend has no clock of its own, or did not answer yet.
    fn clock_ahead_secs(&self) -> Option<i64> {
        None
    }

    /// How long one request may take, all its attempts together; `None` where nothing can keep one
    /// waiting.
    fn call_limit(&self) -> Option<Duration> {
        None
    }

    /// What it took so far to reach the backend; `None` where nothing is sent anywhere.
    fn stats(&self) -> Option<TransportStats> {
        None
    }

    /// The project that the key belongs to. The cheapest proof that a key works.
    async fn project(&self) -> Result<Project>;

    /// Makes a user. [`Error::Conflict`] if they exist.
    async fn add_user(&self, user: &NewUser) -> Result<User>;
    /// A user.
    async fn user(&self, user: &UserId) -> Result<User>;
    /// Changes the given fields of a user.
    async fn update_user(&self, user: &UserId, fields: &UserFields) -> Result<User>;
    /// The users, oldest first.
    async fn list_users(&self, page: PageNumber) -> Result<UserPage>;
    /// Deletes a user with everything of theirs.
    async fn delete_user(&self, user: &UserId) -> Result<()>;
    /// The threads of a user, in no particular order.
    async fn user_threads(&self, user: &UserId) -> Result<Vec<Thread>>;

    /// Makes a thread. [`Error::Conflict`] if it exists, whoever owns it; [`Error::NotFound`] if
    /// the user does not.
    async fn create_thread(&self, thread: &ThreadId, user: &UserId) -> Result<Thread>;
    /// The threads of the project, oldest first.
    async fn list_threads(&self, page: PageNumber) -> Result<ThreadPage>;
    /// Messages of a thread, oldest first, with the thread's owner and count.
    async fn messages(&self, thread: &ThreadId, window: &Window) -> Result<MessagePage>;
    /// Adds 1 to 30 messages, in order, all or none. Does not check whose thread it is: as in Zep,
    /// that is the caller's duty.
    async fn add_messages(
        &self,
        thread: &ThreadId,
        messages: &[NewMessage],
    ) -> Result<AddedMessages>;
    /// Replaces a message's metadata with this whole set.
    async fn set_message_metadata(&self, message: &Uuid, metadata: &Metadata) -> Result<Message>;
    /// The context block for the thread's latest messages.
    async fn thread_context(&self, thread: &ThreadId) -> Result<ThreadContext>;
    /// Deletes a thread with its messages and episodes.
    async fn delete_thread(&self, thread: &ThreadId) -> Result<()>;

    /// Makes a graph. [`Error::Conflict`] if it exists.
    async fn create_graph(&self, graph: &GraphId, name: &str, description: &str) -> Result<Graph>;
    /// A graph.
    async fn graph(&self, graph: &GraphId) -> Result<Graph>;
    /// The graphs of the project.
    async fn list_graphs(&self, page: PageNumber) -> Result<GraphPage>;
    /// Deletes a graph with everything in it.
    async fn delete_graph(&self, graph: &GraphId) -> Result<()>;

    /// Adds an episode to a graph.
    async fn add_episode(&self, owner: &Owner, episode: &NewEpisode) -> Result<Episode>;
    /// Searches a graph. Finds only what has been processed.
    async fn search(&self, owner: &Owner, search: &Search) -> Result<Found>;

    /// An episode, by id alone: whose it is must be looked up with [`Zep::list_episodes`].
    async fn episode(&self, episode: &Uuid) -> Result<Episode>;
    /// A page of an owner's episodes, messages included.
    async fn list_episodes(&self, owner: &Owner, listing: &Listing) -> Result<Page<Episode>>;
    /// Replaces an episode's metadata with this whole set.
    async fn set_episode_metadata(&self, episode: &Uuid, metadata: &Metadata) -> Result<Episode>;
    /// Deletes an episode and the facts that only it supports.
    async fn delete_episode(&self, episode: &Uuid) -> Result<()>;

    /// A fact, by id alone: whose it is must be looked up with [`Zep::list_facts`].
    async fn fact(&self, fact: &Uuid) -> Result<Fact>;
    /// A page of an owner's facts.
    async fn list_facts(&self, owner: &Owner, listing: &Listing) -> Result<Page<Fact>>;
    /// Changes a fact.
    async fn update_fact(&self, fact: &Uuid, patch: &FactPatch) -> Result<Fact>;
    /// Deletes a fact.
    async fn delete_fact(&self, fact: &Uuid) -> Result<()>;

    /// Makes an empty draft of a batch.
    async fn create_batch(&self, metadata: &Metadata) -> Result<Batch>;
    /// Batches, newest first, of one status or of all.
    async fn list_batches(
        &self,
        status: Option<BatchStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<BatchPage>;
    /// Appends 1 to 350 items to a draft, in order. Answers the items as they now stand.
    async fn add_batch_items(
        &self,
        batch: &str,
        items: &[BatchItem],
    ) -> Result<Vec<BatchItemState>>;
    /// Gives a draft to be processed. [`Error::Conflict`] if it is none.
    async fn process_batch(&self, batch: &str) -> Result<Batch>;
    /// A batch.
    async fn batch(&self, batch: &str) -> Result<Batch>;
    /// A page of a batch's items, of one status or of all, in the order added.
    async fn batch_items(
        &self,
        batch: &str,
        status: Option<BatchItemStatus>,
        limit: Option<u32>,
        cursor: Option<u64>,
    ) -> Result<BatchItemPage>;
    /// Deletes a batch that is not in work.
    async fn delete_batch(&self, batch: &str) -> Result<()>;

    /// A background task.
    async fn task(&self, task: &str) -> Result<Task>;

    /// All messages of a thread, oldest first: exactly as many as the thread says it holds, each
    /// once, or an error.
    async fn all_messages(&self, thread: &ThreadId) -> Result<MessagePage> {
        read_whole_thread(self, thread).await
    }

    /// The stored messages of these records, oldest first. Looks at the newest messages first,
    /// where a write that was just made must stand, and then at the whole thread.
    async fn find_messages(
        &self,
        thread: &ThreadId,
        records: &HashSet<String>,
    ) -> Result<Vec<Message>> {
        let page = self.all_messages(thread).await?;
        Ok(page
            .messages
            .into_iter()
            .filter(|message| {
                record_id(message.metadata.as_ref()).is_some_and(|id| records.contains(id))
            })
            .collect())
    }

    /// The stored episodes of one record, in no particular order.
    async fn find_episodes(&self, owner: &Owner, record: &str) -> Result<Vec<Episode>> {
        let mut listing = Listing {
            limit: Some(limits::PAGE_ITEMS),
            order_by: Some(OrderBy::CreatedAt),
            direction: Some(Direction::Asc),
            episode_metadata_filters: Some(MetadataFilter::equals(RECORD_ID_KEY, record)),
            ..Listing::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.list_episodes(owner, &listing).await?;
            // The filter is experimental in Zep: what it lets through is checked.
            found.extend(
                page.items
                    .into_iter()
                    .filter(|episode| record_id(episode.metadata.as_ref()) == Some(record)),
            );
            match page.next_cursor {
                Some(cursor) => listing.cursor = Some(cursor),
                None => return Ok(found),
            }
        }
    }
}

/// The record id in an item's metadata, where this program wrote it.
pub fn record_id(metadata: Option<&Metadata>) -> Option<&str> {
    metadata?.get(RECORD_ID_KEY)?.as_str()
}

/// How many messages a page of a whole-thread read asks for.
const WHOLE_THREAD_PAGE: u32 = 1_000;

/// Reads a whole thread, oldest first, window after window, and proves by the ids that nothing is
/// missing and nothing is double. Holds one window and the ids.
#[derive(Debug)]
pub struct ThreadPages<'a, Z: ?Sized> {
    zep: &'a Z,
    thread: &'a ThreadId,
    seen: HashSet<Uuid>,
    /// How many messages were read, and the last of them; none before the first window.
    read: Option<(u64, Option<Uuid>)>,
    done: bool,
}

impl<'a, Z: Zep + ?Sized> ThreadPages<'a, Z> {
    /// Reads nothing yet.
    pub fn new(zep: &'a Z, thread: &'a ThreadId) -> Self {
        Self {
            zep,
            thread,
            seen: HashSet::new(),
            read: None,
            done: false,
        }
    }

    /// The next messages, with what the thread says of itself; `None` after the last.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] if fewer can be read than the thread says it holds.
    pub async fn next(&mut self) -> Result<Option<MessagePage>> {
        if self.done {
            return Ok(None);
        }
        let limit = WHOLE_THREAD_PAGE;
        let (read, window) = match self.read.take() {
            None => (0, Window::First { limit }),
            Some((offset, Some(last))) => (
                offset,
                Window::After {
                    offset,
                    last,
                    limit,
                },
            ),
            // Without the id of its last message, the place in the thread is lost.
            Some((read, None)) => return self.end(read, None),
        };
        let mut page = self.zep.messages(self.thread, &window).await?;
        page.messages.retain(|message| match &message.uuid {
            Some(uuid) => self.seen.insert(uuid.clone()),
            None => true,
        });
        let have = read + page.messages.len() as u64;
        if have >= page.total_count.unwrap_or(have) {
            self.done = true;
        } else if page.messages.is_empty() {
            return self.end(read, page.total_count);
        }
        let last = page.messages.last().and_then(|last| last.uuid.clone());
        self.read = Some((have, last));
        Ok(Some(page))
    }

    fn end(&mut self, read: u64, total: Option<u64>) -> Result<Option<MessagePage>> {
        self.done = true;
        let total = total.map_or_else(|| "more".to_owned(), |total| total.to_string());
        Err(Error::BadAnswer {
            message: format!("the thread holds {total} messages, but only {read} could be read"),
        })
    }
}

/// Reads all windows of a thread into one.
async fn read_whole_thread<Z: Zep + ?Sized>(zep: &Z, thread: &ThreadId) -> Result<MessagePage> {
    let mut pages = ThreadPages::new(zep, thread);
    let mut whole = MessagePage::default();
    while let Some(page) = pages.next().await? {
        let mut messages = std::mem::take(&mut whole.messages);
        messages.extend(page.messages);
        whole = MessagePage { messages, ..page };
    }
    Ok(whole)
}

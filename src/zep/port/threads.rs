//! Threads and their messages.

use std::collections::HashSet;
use std::fmt::Debug;

use async_trait::async_trait;

use super::Pages;
use crate::zep::error::{Error, Result};
use crate::zep::ids::{ThreadId, UserId, Uuid};
use crate::zep::types::{
    AddedMessages, Message, MessagePage, Metadata, NewMessage, RecordMark, Thread, ThreadContext,
    Window,
};

/// Threads and their messages.
#[async_trait]
pub trait Threads: Send + Sync + Debug {
    /// Creates a thread. [`Error::Conflict`](crate::zep::Error::Conflict) if it exists, regardless of
    /// owner; [`Error::NotFound`](crate::zep::Error::NotFound) if the user does not.
    async fn create_thread(&self, thread: &ThreadId, user: &UserId) -> Result<Thread>;
    /// All threads of the project, oldest first.
    fn threads(&self) -> Pages<'_, Thread>;
    /// Deletes a thread with its messages and episodes.
    async fn delete_thread(&self, thread: &ThreadId) -> Result<()>;

    /// Messages of a thread, oldest first, with the thread's owner and count.
    async fn messages(&self, thread: &ThreadId, window: &Window) -> Result<MessagePage>;
    /// The newest messages. In front of them are `ahead` more, in which copies of them may be found, unless
    /// the page [is single](MessagePage::is_single).
    async fn newest_messages(
        &self,
        thread: &ThreadId,
        limit: u32,
        ahead: u32,
    ) -> Result<MessagePage> {
        let limit = limit.saturating_add(ahead);
        self.messages(thread, &Window::Last { limit }).await
    }
    /// Whether a thread is this user's. An owner that the backend does not tell is not this user. As far
    /// as it is up to this program, another user's thread takes as long as none.
    async fn is_thread_of(&self, thread: &ThreadId, user: &UserId) -> Result<bool> {
        match self.messages(thread, &Window::Last { limit: 1 }).await {
            Ok(page) => Ok(page.user_id.as_deref() == Some(user.as_str())),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
    /// Adds 1 to 30 messages, in order, all or none. Does not check the thread's owner: as in Zep,
    /// that is the caller's duty.
    async fn add_messages(
        &self,
        thread: &ThreadId,
        messages: &[NewMessage],
    ) -> Result<AddedMessages>;
    /// Replaces a message's metadata and its mark with this whole set.
    async fn set_message_metadata(
        &self,
        message: &Uuid,
        mark: Option<&RecordMark>,
        metadata: &Metadata,
    ) -> Result<Message>;
    /// The context block for the thread's latest messages.
    async fn thread_context(&self, thread: &ThreadId) -> Result<ThreadContext>;

    /// All messages of a thread, oldest first: exactly as many as the thread says it holds, each
    /// once, or an error.
    async fn all_messages(&self, thread: &ThreadId) -> Result<MessagePage> {
        ThreadPages::new(self, thread).whole().await
    }

    /// The stored messages of these records, oldest first.
    async fn find_messages(
        &self,
        thread: &ThreadId,
        records: &HashSet<String>,
    ) -> Result<Vec<Message>> {
        let mut page = self.all_messages(thread).await?;
        page.messages.retain(|message| {
            message
                .mark()
                .is_some_and(|mark| records.contains(&mark.record))
        });
        Ok(page.messages)
    }
}

/// How many messages one window asks for.
const WINDOW_MESSAGES: u32 = 1_000;

/// Reads a whole thread, oldest first, window after window, and proves by the ids that nothing is
/// missing and nothing is double. Holds one window and the ids.
#[derive(Debug)]
pub struct ThreadPages<'a, Z: ?Sized> {
    threads: &'a Z,
    thread: &'a ThreadId,
    seen: HashSet<Uuid>,
    /// How many messages were read, and the last of them; none before the first window.
    read: Option<(u64, Option<Uuid>)>,
    done: bool,
}

impl<'a, Z: Threads + ?Sized> ThreadPages<'a, Z> {
    /// Reads nothing yet.
    pub fn new(threads: &'a Z, thread: &'a ThreadId) -> Self {
        Self {
            threads,
            thread,
            seen: HashSet::new(),
            read: None,
            done: false,
        }
    }

    /// The next messages, with what the thread says of itself; `None` after the last.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] if fewer can be read than the thread says it holds. After any error, calling
    /// again asks for the same messages again: an error never becomes the end of the thread.
    pub async fn next(&mut self) -> Result<Option<MessagePage>> {
        if self.done {
            return Ok(None);
        }
        let limit = WINDOW_MESSAGES;
        // Kept until the answer is there: after an error the same window can be asked for again.
        let (read, window) = match self.read.clone() {
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
            Some((read, None)) => return Err(cut_short(read, None)),
        };
        let mut page = self.threads.messages(self.thread, &window).await?;
        page.messages.retain(|message| match &message.uuid {
            Some(uuid) => self.seen.insert(uuid.clone()),
            None => true,
        });
        let have = read + page.messages.len() as u64;
        if have >= page.total_count.unwrap_or(have) {
            self.done = true;
        } else if page.messages.is_empty() {
            return Err(cut_short(read, page.total_count));
        }
        let last = page.messages.last().and_then(|last| last.uuid.clone());
        self.read = Some((have, last));
        Ok(Some(page))
    }

    /// All windows that are left, as one page.
    async fn whole(mut self) -> Result<MessagePage> {
        let mut whole = MessagePage::default();
        while let Some(page) = self.next().await? {
            let mut messages = std::mem::take(&mut whole.messages);
            messages.extend(page.messages);
            whole = MessagePage { messages, ..page };
        }
        Ok(whole)
    }
}

fn cut_short(read: u64, total: Option<u64>) -> Error {
    let total = total.map_or_else(|| "more".to_owned(), |total| total.to_string());
    Error::BadAnswer {
        message: format!("the thread holds {total} messages, but only {read} could be read"),
    }
}

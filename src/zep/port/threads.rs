//! Threads and their messages.

use std::collections::HashSet;
use std::fmt::Debug;

use async_trait::async_trait;

use super::{Pages, ThreadPages};
use crate::zep::error::Result;
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

//! Threads and their messages.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::json;

use super::ZepCloud;
use super::lists::NUMBERED_PAGE;
use super::metadata::{Replacing, is_invalid};
use super::pages::ThreadPage;
use crate::zep::error::Result;
use crate::zep::ids::{ThreadId, UserId, Uuid};
use crate::zep::port::{Graphs, Pages, Threads};
use crate::zep::transport::Request;
use crate::zep::types::{
    AddedMessages, Message, MessagePage, Metadata, NewMessage, RecordMark, Thread, ThreadContext,
    Window,
};

#[async_trait]
impl Threads for ZepCloud {
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

    fn threads(&self) -> Pages<'_, Thread> {
        Pages::by_number(NUMBERED_PAGE, move |number| async move {
            let request = Request::get(&["threads"])
                .query("page_number", number)
                .query("page_size", NUMBERED_PAGE)
                .query("order_by", "created_at")
                .query("asc", true);
            let page: ThreadPage = self.ask(request).await?;
            Ok((page.threads, page.total_count))
        })
    }

    async fn delete_thread(&self, thread: &ThreadId) -> Result<()> {
        self.delete(&["threads", thread.as_str()]).await
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

    async fn set_message_metadata(
        &self,
        message: &Uuid,
        mark: Option<&RecordMark>,
        metadata: &Metadata,
    ) -> Result<Message> {
        // A message's episode has the same id and metadata. It can be gone while the message stays.
        let stored = match self.episode(message).await {
            Ok(episode) => episode.metadata,
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let new = Replacing::new(mark, metadata, stored.as_ref());
        let path = ["messages", message.as_str()];
        if let Some(patch) = new.in_one_patch() {
            match self.patch_metadata(&path, &patch).await {
                // Whether a message takes `null` is not documented, unlike for episodes.
                Err(error) if is_invalid(&error) && new.removes_keys() => {}
                done => return done,
            }
        }
        self.remove_keys(message, &new).await?;
        self.patch_metadata(&path, new.whole()).await
    }

    async fn thread_context(&self, thread: &ThreadId) -> Result<ThreadContext> {
        self.ask(Request::get(&["threads", thread.as_str(), "context"]))
            .await
    }

    async fn find_messages(
        &self,
        thread: &ThreadId,
        records: &HashSet<String>,
    ) -> Result<Vec<Message>> {
        self.look_for_messages(thread, records).await
    }
}

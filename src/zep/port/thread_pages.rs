//! Reading a whole thread without missing or repeating a message.

use std::collections::HashSet;

use super::Threads;
use crate::zep::error::{Error, Result};
use crate::zep::ids::{ThreadId, Uuid};
use crate::zep::types::{MessagePage, Window};

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
    /// [`Error::BadAnswer`] if fewer can be read than the thread says it holds.
    pub async fn next(&mut self) -> Result<Option<MessagePage>> {
        if self.done {
            return Ok(None);
        }
        let limit = WINDOW_MESSAGES;
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
        let mut page = self.threads.messages(self.thread, &window).await?;
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

    /// All windows that are left, as one page.
    pub(super) async fn whole(mut self) -> Result<MessagePage> {
        let mut whole = MessagePage::default();
        while let Some(page) = self.next().await? {
            let mut messages = std::mem::take(&mut whole.messages);
            messages.extend(page.messages);
            whole = MessagePage { messages, ..page };
        }
        Ok(whole)
    }

    fn end(&mut self, read: u64, total: Option<u64>) -> Result<Option<MessagePage>> {
        self.done = true;
        let total = total.map_or_else(|| "more".to_owned(), |total| total.to_string());
        Err(Error::BadAnswer {
            message: format!("the thread holds {total} messages, but only {read} could be read"),
        })
    }
}

//! Reads a part of a thread, although Zep does not document what `cursor` counts.
//!
//! A window after a known message is read with the known message in the answer: only what directly
//! follows it is accepted. Each possible meaning of `cursor` is tried, then `lastn`, which is
//! documented; the next read first tries what worked.

use std::collections::HashSet;

use tokio::time::Instant;

use super::ZepCloud;
use super::answers::Told;
use super::paging::Cursor;
use crate::zep::error::{Error, Outcome, Result};
use crate::zep::ids::{ThreadId, Uuid};
use crate::zep::transport::Request;
use crate::zep::types::{Message, MessagePage, Window};

/// A window after a known message.
struct Behind<'a> {
    thread: &'a ThreadId,
    /// How many messages come before the window; at least 1.
    offset: u64,
    /// The message directly before the window.
    last: &'a Uuid,
    limit: u32,
    deadline: Instant,
}

impl ZepCloud {
    pub(super) async fn read_window(
        &self,
        thread: &ThreadId,
        window: &Window,
        deadline: Instant,
    ) -> Result<MessagePage> {
        match window {
            Window::After { offset: 0, .. } => Err(Error::BadAnswer {
                message: "a window after a message cannot begin at message 0".into(),
            }),
            Window::First { limit } => self.read_first(thread, *limit, deadline).await,
            Window::Last { limit } => self.read_last(thread, *limit, deadline).await,
            Window::After {
                offset,
                last,
                limit,
            } => {
                let behind = Behind {
                    thread,
                    offset: *offset,
                    last,
                    limit: *limit,
                    deadline,
                };
                let page = self.read_behind(&behind).await?;
                self.fill(page, *offset, &behind).await
            }
        }
    }

    async fn read_first(
        &self,
        thread: &ThreadId,
        limit: u32,
        deadline: Instant,
    ) -> Result<MessagePage> {
        let page = self
            .read_page(messages_of(thread).query("limit", limit), deadline)
            .await?;
        self.paging.learn_most(&page, limit);
        let got = count(&page);
        let Some(last) = last_uuid(&page) else {
            return complete(page, 0, limit);
        };
        let behind = Behind {
            thread,
            offset: got,
            last: &last,
            limit,
            deadline,
        };
        self.fill(page, 0, &behind).await
    }

    async fn read_last(
        &self,
        thread: &ThreadId,
        limit: u32,
        deadline: Instant,
    ) -> Result<MessagePage> {
        let page = self
            .read_page(messages_of(thread).query("lastn", limit), deadline)
            .await?;
        let wanted = page.total_count.unwrap_or(0).min(u64::from(limit));
        if count(&page) >= wanted {
            return Ok(page);
        }
        // The server answers fewer at once: the whole thread is read from its beginning.
        let total = u32::try_from(page.total_count.unwrap_or(0)).unwrap_or(u32::MAX);
        let mut whole = Box::pin(self.read_first(thread, total, deadline)).await?;
        let surplus = whole.messages.len().saturating_sub(limit as usize);
        whole.messages.drain(..surplus);
        Ok(whole)
    }

    /// Reads on until the window is full or the thread ends: a server may answer fewer messages at once
    /// than requested.
    async fn fill(
        &self,
        mut page: MessagePage,
        before: u64,
        window: &Behind<'_>,
    ) -> Result<MessagePage> {
        loop {
            let next = before + count(&page);
            let full = page.messages.len() >= window.limit as usize;
            if full || page.total_count.is_none_or(|total| next >= total) {
                return complete(page, before, window.limit);
            }
            let last = last_uuid(&page).ok_or_else(|| gap(next, page.total_count))?;
            let more = self
                .read_behind(&Behind {
                    offset: next,
                    last: &last,
                    limit: window.limit - page.messages.len() as u32,
                    ..*window
                })
                .await?;
            if more.messages.is_empty() && more.total_count.is_none_or(|total| total > next) {
                return Err(gap(next, more.total_count));
            }
            page.total_count = more.total_count;
            page.messages.extend(more.messages);
        }
    }

    /// At least one and at most `limit` messages that directly follow the known one; none only at
    /// the end of the thread.
    async fn read_behind(&self, window: &Behind<'_>) -> Result<MessagePage> {
        let unread = match self.try_behind(window).await {
            Err(error @ Error::BadAnswer { .. }) => error,
            done => return done,
        };
        // Pages smaller than requested begin elsewhere.
        let asked = self.page_size(window);
        let request = messages_of(window.thread).query("limit", asked);
        let first = self.read_page(request, window.deadline).await?;
        if self.paging.learn_most(&first, asked) {
            return self.try_behind(window).await;
        }
        Err(unread)
    }

    async fn try_behind(&self, window: &Behind<'_>) -> Result<MessagePage> {
        let mut total = None;
        for meaning in self.paging.order() {
            let tried = match meaning {
                Cursor::Offset => self.by_offset(window).await,
                Cursor::PageFromZero => self.by_page(window, 0).await,
                Cursor::PageFromOne => self.by_page(window, 1).await,
                Cursor::Useless => self.by_end(window, total).await,
            };
            let (page, start) = match tried {
                Ok(Tried { page, start }) => (page, start),
                // A cursor may be refused because it means something else. Reading the end, which
                // needs no cursor, shows whether the thread exists.
                Err(error)
                    if meaning != Cursor::Useless
                        && error.outcome() == Outcome::Refused
                        && !matches!(error, Error::Unauthorized { .. }) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            total = page.total_count.or(total);
            if let Some(mut page) = start.and_then(|start| follows(page, start, window.last)) {
                page.messages.truncate(window.limit as usize);
                let at_end = page.total_count.is_none_or(|total| total <= window.offset);
                if !page.messages.is_empty() || at_end {
                    self.paging.worked(meaning);
                    return Ok(page);
                }
            }
        }
        Err(gap(window.offset, total))
    }

    async fn by_offset(&self, window: &Behind<'_>) -> Result<Tried> {
        let page = self
            .read_cursor(window, window.offset - 1, self.page_size(window))
            .await?;
        Ok(Tried::at(page, 0))
    }

    /// Reads the one or two pages that contain the known message and the window.
    async fn by_page(&self, window: &Behind<'_>, first_page: u64) -> Result<Tried> {
        let size = self.page_size(window);
        let known = window.offset - 1;
        let number = known / u64::from(size) + first_page;
        let start = (known % u64::from(size)) as usize;
        let mut page = self.read_cursor(window, number, size).await?;
        let goes_on = page
            .total_count
            .is_none_or(|total| total > known - start as u64 + count(&page));
        let holds_known = page
            .messages
            .get(start)
            .is_some_and(|message| is(message, window.last));
        if holds_known && start > 0 && goes_on && page.messages.len() == size as usize {
            let next = self.read_cursor(window, number + 1, size).await?;
            let seen: HashSet<&Uuid> = page
                .messages
                .iter()
                .filter_map(|m| m.uuid.as_ref())
                .collect();
            let repeats = next
                .messages
                .iter()
                .any(|message| message.uuid.as_ref().is_none_or(|uuid| seen.contains(uuid)));
            if repeats {
                return Ok(Tried { page, start: None });
            }
            page.total_count = next.total_count;
            page.messages.extend(next.messages);
        }
        Ok(Tried::at(page, start))
    }

    /// Reads the end of the thread from the known message on, or all of it.
    async fn by_end(&self, window: &Behind<'_>, total: Option<u64>) -> Result<Tried> {
        let total = match total {
            Some(total) => total,
            None => {
                let page = self.read_end(window, 1).await?;
                page.total_count
                    .ok_or_else(|| gap(window.offset, page.total_count))?
            }
        };
        let from_known = total.saturating_sub(window.offset) + 1;
        let page = self.read_end(window, from_known).await?;
        if let Some(start) = position(&page, window.last) {
            return Ok(Tried::at(page, start));
        }
        // The thread changed meanwhile.
        let all = page.total_count.unwrap_or(total).max(1);
        let page = self.read_end(window, all).await?;
        let start = position(&page, window.last);
        Ok(Tried { page, start })
    }

    /// How many messages to request: the known one, and those of the window.
    fn page_size(&self, window: &Behind<'_>) -> u32 {
        window
            .limit
            .saturating_add(1)
            .min(self.paging.most())
            .max(1)
    }

    async fn read_cursor(
        &self,
        window: &Behind<'_>,
        cursor: u64,
        limit: u32,
    ) -> Result<MessagePage> {
        let request = messages_of(window.thread)
            .query("limit", limit)
            .query("cursor", cursor);
        self.read_page(request, window.deadline).await
    }

    async fn read_end(&self, window: &Behind<'_>, lastn: u64) -> Result<MessagePage> {
        let request = messages_of(window.thread).query("lastn", lastn);
        self.read_page(request, window.deadline).await
    }

    async fn read_page(&self, request: Request, deadline: Instant) -> Result<MessagePage> {
        let answer = self.transport.ask::<Told<MessagePage>>(&request, deadline);
        Ok(answer.await?.value.0)
    }
}

/// An answer, and where in it the known message should be.
struct Tried {
    page: MessagePage,
    start: Option<usize>,
}

impl Tried {
    fn at(page: MessagePage, start: usize) -> Self {
        Self {
            page,
            start: Some(start),
        }
    }
}

fn messages_of(thread: &ThreadId) -> Request {
    Request::get(&["threads", thread.as_str(), "messages"])
}

fn count(page: &MessagePage) -> u64 {
    page.messages.len() as u64
}

fn is(message: &Message, uuid: &Uuid) -> bool {
    message.uuid.as_ref() == Some(uuid)
}

fn position(page: &MessagePage, uuid: &Uuid) -> Option<usize> {
    page.messages.iter().position(|message| is(message, uuid))
}

fn last_uuid(page: &MessagePage) -> Option<Uuid> {
    page.messages.last()?.uuid.clone()
}

/// What follows the known message, if it is where it should be.
fn follows(mut page: MessagePage, start: usize, known: &Uuid) -> Option<MessagePage> {
    if !page
        .messages
        .get(start)
        .is_some_and(|message| is(message, known))
    {
        return None;
    }
    page.messages.drain(..=start);
    Some(page)
}

/// The page, cut to its limit; an error if it should have more messages.
fn complete(mut page: MessagePage, before: u64, limit: u32) -> Result<MessagePage> {
    page.messages.truncate(limit as usize);
    let end = before + count(&page);
    let short = page.messages.len() < limit as usize;
    match page.total_count {
        Some(total) if short && end < total => Err(gap(end, page.total_count)),
        _ => Ok(page),
    }
}

fn gap(at: u64, total: Option<u64>) -> Error {
    let total = total.map_or_else(
        || "an unknown number of".to_owned(),
        |total| total.to_string(),
    );
    Error::BadAnswer {
        message: format!(
            "the thread holds {total} messages, but what follows number {at} could not be read"
        ),
    }
}

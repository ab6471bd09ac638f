//! Lists that are read page by page. How a backend numbers or links its pages stays in its adapter.

use std::fmt;
use std::future::Future;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::zep::error::Result;

/// In which order of time a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOrder {
    /// Upwards.
    OldestFirst,
    /// Downwards.
    NewestFirst,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many items the whole list has, where the backend says.
    pub total_count: Option<u64>,
    /// Whether no page follows, as far as is known without asking.
    pub is_last: bool,
}

/// A list, read one page at a time: each [`Pages::next`] is one request, and none is sent before.
pub struct Pages<'a, T>(BoxStream<'a, Result<Page<T>>>);

impl<'a, T: Send + 'a> Pages<'a, T> {
    /// A list whose pages each say what to ask for next. `read` gets `None` for the first page; its
    /// answer ends the list by naming no next page.
    pub fn by_cursor<C, R>(mut read: impl FnMut(Option<C>) -> R + Send + 'a) -> Self
    where
        C: Clone + Send + 'a,
        R: Future<Output = Result<(Vec<T>, Option<C>)>> + Send + 'a,
    {
        let pages = stream::unfold(Some(None), move |cursor: Option<Option<C>>| {
            let reading = cursor.clone().map(&mut read);
            async move {
                match reading?.await {
                    Ok((items, next)) => {
                        let page = Page {
                            items,
                            total_count: None,
                            is_last: next.is_none(),
                        };
                        Some((Ok(page), next.map(Some)))
                    }
                    Err(error) => Some((Err(error), cursor)),
                }
            }
        });
        Self(pages.boxed())
    }

    /// A list of numbered pages of this size, counted from 1. `read` answers the items and how many
    /// there are in all; a page with fewer items than `size` is the last.
    pub fn by_number<R>(size: u32, mut read: impl FnMut(u32) -> R + Send + 'a) -> Self
    where
        R: Future<Output = Result<(Vec<T>, Option<u64>)>> + Send + 'a,
    {
        let pages = stream::unfold(Some(1), move |number: Option<u32>| {
            let reading = number.map(&mut read);
            async move {
                match reading?.await {
                    Ok((items, total_count)) => {
                        let is_last = items.len() < size as usize;
                        let next = number.filter(|_| !is_last);
                        let page = Page {
                            items,
                            total_count,
                            is_last,
                        };
                        Some((Ok(page), next.map(|number| number.saturating_add(1))))
                    }
                    Err(error) => Some((Err(error), number)),
                }
            }
        });
        Self(pages.boxed())
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// Whatever the backend says; calling again asks for the same page again.
    pub async fn next(&mut self) -> Result<Option<Page<T>>> {
        self.0.try_next().await
    }

    /// The items of all pages that are left.
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub async fn all(mut self) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while let Some(page) = self.next().await? {
            items.extend(page.items);
        }
        Ok(items)
    }
}

impl<T> fmt::Debug for Pages<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::zep::error::Error;

    #[tokio::test]
    async fn a_page_that_failed_is_asked_for_again() {
        let busy = |calls: u32| match calls % 2 {
            0 => Err(Error::Busy),
            _ => Ok(()),
        };
        let calls = AtomicU32::new(0);
        let call = || calls.fetch_add(1, Ordering::Relaxed);
        let numbers = Pages::by_number(1, |number| {
            let answer =
                busy(call()).map(|()| (if number < 3 { vec![number] } else { vec![] }, None));
            async { answer }
        });
        assert_eq!(read(numbers).await, [1, 2]);
        let cursors = Pages::by_cursor(|cursor: Option<u32>| {
            let page = cursor.unwrap_or(1);
            let answer = busy(call()).map(|()| (vec![page], (page < 2).then_some(page + 1)));
            async { answer }
        });
        assert_eq!(read(cursors).await, [1, 2]);
    }

    async fn read(mut pages: Pages<'_, u32>) -> Vec<u32> {
        let mut failures = 0;
        let mut items = Vec::new();
        loop {
            match pages.next().await {
                Ok(Some(page)) => items.extend(page.items),
                Ok(None) => break,
                Err(_) => failures += 1,
            }
        }
        assert!(failures >= 2, "{failures}");
        items
    }
}

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
        C: Send + 'a,
        R: Future<Output = Result<(Vec<T>, Option<C>)>> + Send + 'a,
    {
        let pages = stream::try_unfold(Some(None), move |cursor: Option<Option<C>>| {
            let reading = cursor.map(&mut read);
            async move {
                let Some(reading) = reading else {
                    return Ok(None);
                };
                let (items, next) = reading.await?;
                let page = Page {
                    items,
                    total_count: None,
                    is_last: next.is_none(),
                };
                Ok(Some((page, next.map(Some))))
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
        let pages = stream::try_unfold(Some(1), move |number: Option<u32>| {
            let reading = number.map(|number| (number, read(number)));
            async move {
                let Some((number, reading)) = reading else {
                    return Ok(None);
                };
                let (items, total_count) = reading.await?;
                let is_last = items.len() < size as usize;
                let next = (!is_last).then(|| number.saturating_add(1));
                let page = Page {
                    items,
                    total_count,
                    is_last,
                };
                Ok(Some((page, next)))
            }
        });
        Self(pages.boxed())
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// Whatever the backend says; the list ends there.
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

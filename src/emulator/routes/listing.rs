//! Numbered lists in any order that Zep offers, over a store that lists oldest first.

use std::cmp::Ordering;
use std::future::Future;

use crate::emulator::error::{ApiError, ApiResult};
use crate::zep::{PageNumber, Result};

/// Items of a page if the client does not say (zep-cloud 3.30.0, `graph.list_all`; not documented
/// for users and threads).
pub(super) const DEFAULT_SIZE: u32 = 50;
/// Items asked of the store at once where the whole list is needed.
const CHUNK: u32 = 100;

/// What a client asked of a list.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub number: Option<u32>,
    pub size: Option<u32>,
    pub search: Option<String>,
    pub order_by: Option<String>,
    /// Upwards if not said: Zep does not document it.
    pub asc: Option<bool>,
}

/// What can be listed.
pub(super) trait Listed: Sized {
    /// How to order by a column; `None` if there is no such column.
    fn order(column: &str) -> Option<fn(&Self, &Self) -> Ordering>;
    /// The texts that a search looks through.
    fn texts(&self) -> [Option<&str>; 4];
}

/// The items of the page asked for, and how many there are on all pages.
///
/// A page in the store's own order is one read. For anything else the whole list is read and
/// sorted: the emulator's lists are as long as one person's tests.
pub(super) async fn page<T, F, R>(ask: &Ask, read: F) -> ApiResult<(Vec<T>, u64)>
where
    T: Listed,
    F: Fn(PageNumber) -> R,
    R: Future<Output = Result<(Vec<T>, u64)>>,
{
    let number = positive("page number", ask.number.unwrap_or(1))?;
    let size = positive("page size", ask.size.unwrap_or(DEFAULT_SIZE))?;
    let column = ask.order_by.as_deref().unwrap_or("created_at");
    let order = T::order(column)
        .ok_or_else(|| ApiError::bad_request(format_args!("cannot order by {column}")))?;
    let upwards = ask.asc.unwrap_or(true);
    let search = ask
        .search
        .as_deref()
        .map(str::trim)
        .filter(|s| !s.is_empty());

    if column == "created_at" && upwards && search.is_none() {
        return Ok(read(PageNumber { number, size }).await?);
    }

    let mut items = Vec::new();
    for number in 1.. {
        let (more, total) = read(PageNumber {
            number,
            size: CHUNK,
        })
        .await?;
        let ended = more.is_empty();
        items.extend(more);
        if ended || items.len() as u64 >= total {
            break;
        }
    }
    if let Some(search) = search {
        let search = search.to_lowercase();
        items.retain(|item: &T| {
            let mut texts = item.texts().into_iter().flatten();
            texts.any(|text| text.to_lowercase().contains(&search))
        });
    }
    items.sort_by(order);
    if !upwards {
        items.reverse();
    }
    let total = items.len() as u64;
    let skip = (number as usize - 1).saturating_mul(size as usize);
    let rows = items.into_iter().skip(skip).take(size as usize).collect();
    Ok((rows, total))
}

fn positive(what: &str, number: u32) -> ApiResult<u32> {
    if number == 0 {
        return Err(ApiError::bad_request(format_args!(
            "the {what} must be at least 1"
        )));
    }
    Ok(number)
}

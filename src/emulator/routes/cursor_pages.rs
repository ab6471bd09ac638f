//! Listings of facts and entities, in pages by cursor.

use std::future::Future;

use serde::Deserialize;

use super::filters::FilterBody;
use crate::emulator::error::{ApiError, ApiResult};
use crate::local::{CursorPage, Direction, Listing, OrderBy};
use crate::zep::{Result, Uuid, limits};

/// The body of a listing (zep-cloud 3.30.0, `GraphEdgesRequest`).
#[derive(Deserialize)]
pub(super) struct ListBody {
    #[serde(flatten)]
    listing: Listing,
    filters: Option<FilterBody>,
    /// The last item of the page before. Deprecated in Zep, but still sent.
    uuid_cursor: Option<String>,
}

impl ListBody {
    pub(super) fn is_filtered(&self) -> bool {
        self.filters
            .as_ref()
            .is_some_and(|filters| !filters.is_empty())
    }
}

/// The requested page; `id` is an item's id, and `read` reads a page of the store.
pub(super) async fn page<T, F, R>(
    body: ListBody,
    id: fn(&T) -> &Uuid,
    read: F,
) -> ApiResult<CursorPage<T>>
where
    F: Fn(Listing) -> R,
    R: Future<Output = Result<CursorPage<T>>>,
{
    let mut listing = body.listing;
    listing.filters = body.filters.map(FilterBody::into_filters).transpose()?;
    let last = match body.uuid_cursor {
        Some(last) if listing.cursor.is_none() => uuid_cursor(&last, &listing)?,
        _ => return Ok(read(listing).await?),
    };
    // The page after an item, even if the item was deleted. The store continues from its own
    // cursors only, so this reads from the start: outdated clients pay for that.
    let direction = listing.direction.unwrap_or(Direction::Desc);
    let is_after = |item: &T| match direction {
        Direction::Asc => id(item).as_str() > last.as_str(),
        Direction::Desc => id(item).as_str() < last.as_str(),
    };
    let size = listing.limit.map_or(limits::PAGE_ITEMS, |limit| {
        limit.clamp(1, limits::PAGE_ITEMS)
    });
    let mut items = Vec::new();
    loop {
        // Never more than is missing, so that the page ends where its cursor continues.
        listing.limit = Some(size - items.len() as u32);
        let page = read(listing.clone()).await?;
        items.extend(page.items.into_iter().filter(is_after));
        if items.len() as u32 >= size || page.next_cursor.is_none() {
            return Ok(CursorPage {
                items,
                next_cursor: page.next_cursor,
            });
        }
        listing.cursor = page.next_cursor;
    }
}

/// The id of the last item, as the store writes it.
fn uuid_cursor(last: &str, listing: &Listing) -> ApiResult<String> {
    if listing.order_by == Some(OrderBy::CreatedAt) {
        return Err(ApiError::bad_request(
            "uuid_cursor can only be used where the order is by uuid",
        ));
    }
    uuid::Uuid::try_parse(last)
        .map(|last| last.to_string())
        .map_err(|_| ApiError::bad_request("uuid_cursor must be a UUID"))
}

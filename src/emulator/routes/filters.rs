//! Lists and filters of facts and entities.

use std::future::Future;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::emulator::error::{ApiError, ApiResult};
use crate::local::{CursorPage, Direction, Filters, Listing, OrderBy};
use crate::zep::{Result, Uuid, limits};

/// Filters of Zep that the embedded store does not know (zep-cloud 3.30.0, `SearchFilters`). To
/// pass over one would answer more than was asked for, so they are refused.
const UNSUPPORTED: [&str; 11] = [
    "connected_node_uuids",
    "edge_types",
    "exclude_edge_types",
    "exclude_node_labels",
    "expired_at",
    "invalid_at",
    "node_labels",
    "property_filters",
    "source_node_uuids",
    "target_node_uuids",
    "valid_at",
];

/// Filters as they arrive.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct FilterBody(Map<String, Value>);

impl FilterBody {
    pub(super) fn into_filters(mut self) -> ApiResult<Filters> {
        self.0.retain(|_, filter| match filter {
            Value::Null => false,
            Value::Array(entries) => !entries.is_empty(),
            _ => true,
        });
        if let Some(name) = UNSUPPORTED.iter().find(|name| self.0.contains_key(**name)) {
            return Err(ApiError::bad_request(format_args!(
                "the embedded Zep does not filter by {name}"
            )));
        }
        serde_json::from_value(Value::Object(self.0))
            .map_err(|error| ApiError::bad_request(format_args!("invalid filters: {error}")))
    }
}

/// Which page of which facts or entities (zep-cloud 3.30.0, `GraphEdgesRequest`).
#[derive(Deserialize)]
pub(super) struct ListBody {
    #[serde(flatten)]
    listing: Listing,
    filters: Option<FilterBody>,
    /// Deprecated in Zep, and still sent: the last item of the page before.
    uuid_cursor: Option<String>,
}

impl ListBody {
    /// Whether anything is to be left out.
    pub(super) fn is_filtered(&self) -> bool {
        self.filters
            .as_ref()
            .is_some_and(|filters| !filters.0.is_empty())
    }
}

/// The page that a body asks for.
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
    match body.uuid_cursor {
        Some(last) if listing.cursor.is_none() => behind(&last, listing, id, read).await,
        _ => Ok(read(listing).await?),
    }
}

/// The page behind an item, whether that item is still there or not. The store goes on by its own
/// cursors only, so what stands before is read, too: a price for clients that are out of date.
async fn behind<T, F, R>(
    last: &str,
    mut listing: Listing,
    id: fn(&T) -> &Uuid,
    read: F,
) -> ApiResult<CursorPage<T>>
where
    F: Fn(Listing) -> R,
    R: Future<Output = Result<CursorPage<T>>>,
{
    if listing.order_by == Some(OrderBy::CreatedAt) {
        return Err(ApiError::bad_request(
            "uuid_cursor can only be used where the order is by uuid",
        ));
    }
    let last = uuid::Uuid::try_parse(last)
        .map_err(|_| ApiError::bad_request("uuid_cursor must be a UUID"))?
        .to_string();
    let downwards = listing.direction.unwrap_or(Direction::Desc) == Direction::Desc;
    let is_behind = |item: &T| match downwards {
        true => id(item).as_str() < last.as_str(),
        false => id(item).as_str() > last.as_str(),
    };
    let size = listing.limit.map_or(limits::PAGE_ITEMS, |limit| {
        limit.clamp(1, limits::PAGE_ITEMS)
    });
    let mut items = Vec::new();
    loop {
        // Never more than is missing, so that the page ends where its cursor goes on.
        listing.limit = Some(size - items.len() as u32);
        let page = read(listing.clone()).await?;
        items.extend(page.items.into_iter().filter(is_behind));
        if items.len() as u32 >= size || page.next_cursor.is_none() {
            return Ok(CursorPage {
                items,
                next_cursor: page.next_cursor,
            });
        }
        listing.cursor = page.next_cursor;
    }
}

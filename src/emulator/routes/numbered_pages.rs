//! Numbered pages, and searching in lists that the store cannot search.

use std::future::Future;

use serde::Deserialize;

use crate::emulator::error::{ApiError, ApiResult};
use crate::local::{Direction, PageNumber};
use crate::zep::Result;

/// The default page size (zep-cloud 3.30.0, `graph.list_all`; not documented
/// for users and threads).
const DEFAULT_SIZE: u32 = 50;
/// The page size for reading a whole list from the store.
const CHUNK: u32 = 100;

/// The query of a list that can be searched.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListQuery {
    pub(super) page_number: Option<u32>,
    pub(super) page_size: Option<u32>,
    pub(super) search: Option<String>,
    #[serde(rename = "order_by")]
    pub(super) order_by: Option<String>,
    pub(super) asc: Option<bool>,
}

/// The requested page.
pub(super) fn page_number(number: Option<u32>, size: Option<u32>) -> ApiResult<PageNumber> {
    Ok(PageNumber {
        number: positive("page number", number.unwrap_or(1))?,
        size: positive("page size", size.unwrap_or(DEFAULT_SIZE))?,
    })
}

fn positive(what: &str, number: u32) -> ApiResult<u32> {
    if number == 0 {
        return Err(ApiError::bad_request(format_args!(
            "the {what} must be at least 1"
        )));
    }
    Ok(number)
}

/// Ascending by default: Zep documents no default.
pub(super) fn direction(asc: Option<bool>) -> Direction {
    match asc {
        Some(false) => Direction::Desc,
        _ => Direction::Asc,
    }
}

/// 400: a list cannot be ordered by this column.
pub(super) fn no_column(column: &str) -> ApiError {
    ApiError::bad_request(format_args!("cannot order by {column}"))
}

/// A search term in lower case; `None` if it is blank.
pub(super) fn search_term(search: Option<&str>) -> Option<String> {
    let term = search?.trim().to_lowercase();
    (!term.is_empty()).then_some(term)
}

/// Whether one of these texts contains a lower-case term.
pub(super) fn contains(texts: &[&Option<String>], term: &str) -> bool {
    texts
        .iter()
        .filter_map(|text| text.as_deref())
        .any(|text| text.to_lowercase().contains(term))
}

/// The whole list: an emulator's lists are short.
pub(super) async fn everything<T, F, R>(read: F) -> ApiResult<Vec<T>>
where
    F: Fn(PageNumber) -> R,
    R: Future<Output = Result<Vec<T>>>,
{
    let mut items = Vec::new();
    for number in 1.. {
        let more = read(PageNumber {
            number,
            size: CHUNK,
        })
        .await?;
        if more.is_empty() {
            break;
        }
        items.extend(more);
    }
    Ok(items)
}

/// One page of a whole list.
pub(super) fn cut<T>(items: Vec<T>, page: PageNumber) -> Vec<T> {
    let size = page.size as usize;
    let skip = (page.number as usize - 1).saturating_mul(size);
    items.into_iter().skip(skip).take(size).collect()
}

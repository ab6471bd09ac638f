//! Numbered lists: which page, and how to find and order what the store only lists whole.

use std::future::Future;

use crate::emulator::error::{ApiError, ApiResult};
use crate::local::{Direction, PageNumber};
use crate::zep::Result;

/// Items of a page if the client does not say (zep-cloud 3.30.0, `graph.list_all`; not documented
/// for users and threads).
const DEFAULT_SIZE: u32 = 50;
/// Items asked of the store at once where the whole list is needed.
const CHUNK: u32 = 100;

/// The page that a client asks for.
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

/// Upwards if the client does not say: Zep does not document it.
pub(super) fn direction(asc: Option<bool>) -> Direction {
    match asc {
        Some(false) => Direction::Desc,
        _ => Direction::Asc,
    }
}

/// There is no such column to order by.
pub(super) fn no_column(column: &str) -> ApiError {
    ApiError::bad_request(format_args!("cannot order by {column}"))
}

/// A search term, in lower case, unless it is blank.
pub(super) fn search_term(search: Option<&str>) -> Option<String> {
    let term = search?.trim().to_lowercase();
    (!term.is_empty()).then_some(term)
}

/// Whether a lower-case term occurs in one of these texts.
pub(super) fn contains(texts: &[&Option<String>], term: &str) -> bool {
    texts
        .iter()
        .filter_map(|text| text.as_deref())
        .any(|text| text.to_lowercase().contains(term))
}

/// The whole list: the emulator's are as long as one person's tests.
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

//! Pages: by number, and by keyset, where each page continues behind the last item of the page
//! before, so that items added in between shift nothing.

use crate::local::check::invalid;
use crate::local::query::{CursorPage, Direction, Listing, OrderBy, PageNumber};
use crate::local::sqlite::{Step, Work};
use crate::zep::{Error, limits};

/// How many users, threads or graphs a page may hold.
const PAGE_SIZE: u32 = 1_000;
/// Items of a page if its request does not say (zep-cloud 3.30.0, `GraphEpisodeListRequest`).
const DEFAULT_PAGE: u32 = 100;

/// `LIMIT` and `OFFSET` of a numbered page.
pub(super) fn window(page: PageNumber) -> (i64, i64) {
    let size = i64::from(page.size.clamp(1, PAGE_SIZE));
    (size, i64::from(page.number.max(1) - 1) * size)
}

/// The result of a `count` without parameters.
pub(super) fn count(w: &Work<'_>, sql: &str) -> Step<u64> {
    let number: i64 = w.tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(number.unsigned_abs())
}

/// SQL's keyword for a direction.
pub(crate) fn sql_direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Asc => "ASC",
        Direction::Desc => "DESC",
    }
}

/// The order of a listing, and where a page of it begins.
pub(crate) struct Keyset {
    pub(crate) by: OrderBy,
    pub(crate) direction: Direction,
    pub(crate) after: Option<Key>,
    pub(crate) size: usize,
}

/// What an item is ordered by: its time, if the listing is by time, and a value of its own.
pub(crate) type Key = (i64, u128);

impl Keyset {
    /// All items in one page.
    pub(crate) const WHOLE: Self = Self {
        by: OrderBy::Uuid,
        direction: Direction::Desc,
        after: None,
        size: usize::MAX,
    };

    /// By UUID and descending unless the listing says otherwise, as in Zep.
    pub(crate) fn new(listing: &Listing) -> Result<Self, Error> {
        let by = listing.order_by.unwrap_or(OrderBy::Uuid);
        let direction = listing.direction.unwrap_or(Direction::Desc);
        let after = listing
            .cursor
            .as_deref()
            .map(|cursor| {
                parse_cursor(cursor, mark(by, direction))
                    .ok_or_else(|| invalid("cursor: is not one of this listing"))
            })
            .transpose()?;
        let size = listing
            .limit
            .map_or(DEFAULT_PAGE, |limit| limit.clamp(1, limits::PAGE_ITEMS))
            as usize;
        Ok(Self {
            by,
            direction,
            after,
            size,
        })
    }

    /// The key of an item.
    pub(crate) fn key(&self, created_at: i64, unique: u128) -> Key {
        match self.by {
            OrderBy::Uuid => (0, unique),
            OrderBy::CreatedAt => (created_at, unique),
        }
    }

    /// The page, out of all items in any order.
    pub(super) fn page<T>(&self, mut items: Vec<(Key, T)>) -> CursorPage<T> {
        items.sort_by_key(|(key, _)| *key);
        if self.direction == Direction::Desc {
            items.reverse();
        }
        if let Some(after) = self.after {
            items.retain(|(key, _)| match self.direction {
                Direction::Asc => *key > after,
                Direction::Desc => *key < after,
            });
        }
        self.cut(items)
    }

    /// The page, out of its items in order and, if more follow, at least one of those.
    pub(crate) fn cut<T>(&self, mut items: Vec<(Key, T)>) -> CursorPage<T> {
        let more = items.len() > self.size;
        items.truncate(self.size);
        let next_cursor = items.last().filter(|_| more).map(|((at, unique), _)| {
            format!("{}{at:016x}{unique:032x}", mark(self.by, self.direction))
        });
        CursorPage {
            items: items.into_iter().map(|(_, item)| item).collect(),
            next_cursor,
        }
    }
}

/// The prefix of a cursor: a cursor of another order is refused.
fn mark(by: OrderBy, direction: Direction) -> &'static str {
    match (by, direction) {
        (OrderBy::Uuid, Direction::Asc) => "ua",
        (OrderBy::Uuid, Direction::Desc) => "ud",
        (OrderBy::CreatedAt, Direction::Asc) => "ca",
        (OrderBy::CreatedAt, Direction::Desc) => "cd",
    }
}

fn parse_cursor(cursor: &str, mark: &str) -> Option<Key> {
    let (at, unique) = cursor.strip_prefix(mark)?.split_at_checked(16)?;
    let at = u64::from_str_radix(at, 16).ok()?.cast_signed();
    let unique = u128::from_str_radix(unique, 16).ok()?;
    Some((at, unique))
}

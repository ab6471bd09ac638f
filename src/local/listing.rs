//! Pages of episodes and facts: every page begins behind the last item of the one before, wherever
//! that item now stands, so that what is added in the meantime moves nothing.

use std::collections::HashSet;

use rusqlite::types::Value;
use uuid::Uuid as Raw;

use super::check::invalid;
use super::filter::{Restriction, Seen, check_length};
use super::query::{CursorPage, Direction, Listing, OrderBy};
use super::rows::{COLUMNS, Row, TABLES};
use super::store::{Step, Work};
use super::{entities, ids, owners};
use crate::zep::{Episode, Error, Fact, Owner, Uuid, limits};

/// Items of a page where its request does not say (zep-cloud 3.30.0, `GraphEpisodeListRequest`).
const DEFAULT_PAGE: u32 = 100;

/// The order of a listing, and where a page begins.
pub(super) struct Order {
    by: OrderBy,
    direction: Direction,
    after: Option<Key>,
    size: usize,
}

/// What orders an item: its time, if that is asked for, and what no other item has.
pub(super) type Key = (i64, u128);

impl Order {
    /// Everything on one page.
    const WHOLE: Self = Self {
        by: OrderBy::Uuid,
        direction: Direction::Desc,
        after: None,
        size: usize::MAX,
    };

    /// Zep lists by uuid, downwards, if nothing else is asked for.
    pub fn new(listing: &Listing) -> Result<Self, Error> {
        let by = listing.order_by.unwrap_or(OrderBy::Uuid);
        let direction = listing.direction.unwrap_or(Direction::Desc);
        let mark = mark(by, direction);
        let after = listing
            .cursor
            .as_deref()
            .map(|cursor| {
                parse_cursor(cursor, mark)
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
    pub fn key(&self, created_at: i64, unique: u128) -> Key {
        match self.by {
            OrderBy::Uuid => (0, unique),
            OrderBy::CreatedAt => (created_at, unique),
        }
    }

    /// The page out of all items and their keys.
    pub fn page<T>(&self, mut items: Vec<(Key, T)>) -> CursorPage<T> {
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

    /// The page out of its items and at least one more, if there are more.
    fn cut<T>(&self, mut items: Vec<(Key, T)>) -> CursorPage<T> {
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

pub(super) fn episodes(
    w: &Work<'_>,
    owner: &Owner,
    listing: &Listing,
) -> Step<CursorPage<Episode>> {
    let filter = listing.episode_metadata_filters.as_ref();
    let mut query = Query {
        restriction: Restriction::default().with_metadata(filter)?,
        seen: Seen::AsEpisode,
        mentioned: None,
    };
    let found = owners::find(w, owner)?;
    if let Some(mentioned) = &listing.mentioned_node_uuids {
        const FIELD: &str = "mentioned_node_uuids";
        check_length(FIELD, mentioned.len())?;
        let given = mentioned
            .iter()
            .map(ids::parse)
            .collect::<Option<Vec<Raw>>>()
            .ok_or_else(|| invalid(format!("{FIELD}: must be UUIDs")))?;
        let (speakers, own) = entities::rows_of(w, found.id, &given)?;
        // The owner is what the whole graph is about.
        query.mentioned = (!own).then_some(Mentioned {
            episodes: given,
            speakers,
        });
    }
    let page = query.page(w, found.id, &Order::new(listing)?)?;
    Ok(CursorPage {
        items: page
            .items
            .into_iter()
            .map(|row| row.into_episode(w.clock, None))
            .collect(),
        next_cursor: page.next_cursor,
    })
}

pub(super) fn facts(w: &Work<'_>, owner: &Owner, listing: &Listing) -> Step<CursorPage<Fact>> {
    let query = Query {
        restriction: Restriction::new(&listing.filters.clone().unwrap_or_default())?,
        seen: Seen::AsFact,
        mentioned: None,
    };
    let found = owners::find(w, owner)?;
    let page = query.page(w, found.id, &Order::new(listing)?)?;
    Ok(CursorPage {
        items: page
            .items
            .into_iter()
            .map(|row| row.into_fact(None))
            .collect(),
        next_cursor: page.next_cursor,
    })
}

/// Which of these episodes an owner has.
pub(super) fn episodes_by_id(w: &Work<'_>, owner: &Owner, asked: &[Uuid]) -> Step<Vec<Episode>> {
    let only = asked.iter().filter_map(ids::parse).collect();
    let rows = rows_of(w, owner, only, Seen::AsEpisode)?;
    Ok(rows
        .into_iter()
        .map(|row| row.into_episode(w.clock, None))
        .collect())
}

/// Which of these facts an owner has.
pub(super) fn facts_by_id(w: &Work<'_>, owner: &Owner, asked: &[Uuid]) -> Step<Vec<Fact>> {
    let asked = asked.iter().filter_map(ids::parse);
    let only = asked.filter_map(ids::episode_of).collect();
    let rows = rows_of(w, owner, only, Seen::AsFact)?;
    Ok(rows.into_iter().map(|row| row.into_fact(None)).collect())
}

fn rows_of(w: &Work<'_>, owner: &Owner, only: HashSet<Raw>, seen: Seen) -> Step<Vec<Row>> {
    let query = Query {
        restriction: Restriction::to_episodes(only),
        seen,
        mentioned: None,
    };
    let found = owners::find(w, owner)?;
    Ok(query.page(w, found.id, &Order::WHOLE)?.items)
}

/// Episodes by their own ids or by those of the entities that they mention.
struct Mentioned {
    episodes: Vec<Raw>,
    speakers: Vec<i64>,
}

/// Which rows a listing is of.
struct Query {
    restriction: Restriction,
    seen: Seen,
    mentioned: Option<Mentioned>,
}

impl Query {
    /// The ids of the only rows that can pass, as JSON, if there is such a list.
    fn known(&self) -> Option<String> {
        let list = |ids: &mut dyn Iterator<Item = &Raw>| {
            let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
            serde_json::Value::from(ids).to_string()
        };
        match &self.mentioned {
            Some(mentioned) if mentioned.speakers.is_empty() => {
                Some(list(&mut mentioned.episodes.iter()))
            }
            Some(_) => None,
            None => self.restriction.known().map(|ids| list(&mut ids.iter())),
        }
    }

    fn admits(&self, w: &Work<'_>, row: &Row) -> bool {
        let is_one = match self.seen {
            Seen::AsEpisode => row.in_graph,
            Seen::AsFact => row.is_fact(w.clock),
        };
        let mentioned = self.mentioned.as_ref().is_none_or(|mentioned| {
            mentioned.episodes.contains(&row.uuid)
                || row
                    .speaker
                    .is_some_and(|one| mentioned.speakers.contains(&one))
        });
        is_one && mentioned && self.restriction.admits(row, self.seen)
    }

    /// Reads row after row in order, each checked, until the page is full.
    fn page(&self, w: &Work<'_>, owner: i64, order: &Order) -> Step<CursorPage<Row>> {
        let mut values = vec![Value::from(owner)];
        let mut conditions = String::new();
        let mut narrow = |condition: &str, value: String| {
            values.push(Value::from(value));
            conditions.push_str(&condition.replace('?', &format!("?{}", values.len())));
        };
        if let Some(known) = self.known() {
            narrow(
                " AND e.uuid IN (SELECT unhex(value) FROM json_each(?))",
                known,
            );
        }
        if let Some(record) = self.restriction.record() {
            narrow(" AND e.metadata ->> '$.zm_id' = ?", record.to_owned());
        }
        // A `+` keeps SQLite from going through all of the owner's rows where there is a shorter
        // way to those that can pass.
        let owner_column = if conditions.is_empty() {
            "e.owner"
        } else {
            "+e.owner"
        };
        let (beyond, way) = match order.direction {
            Direction::Asc => (">", "ASC"),
            Direction::Desc => ("<", "DESC"),
        };
        let columns = match order.by {
            OrderBy::Uuid => {
                if let Some((_, uuid)) = order.after {
                    values.push(Value::from(uuid.to_be_bytes().to_vec()));
                    conditions.push_str(&format!(" AND e.uuid {beyond} ?{}", values.len()));
                }
                format!("e.uuid {way}")
            }
            OrderBy::CreatedAt => {
                if let Some((at, id)) = order.after {
                    values.push(Value::from(at));
                    values.push(Value::from(i64::try_from(id).unwrap_or(i64::MAX)));
                    conditions.push_str(&format!(
                        " AND (e.created_at, e.id) {beyond} (?{}, ?{})",
                        values.len() - 1,
                        values.len()
                    ));
                }
                format!("e.created_at {way}, e.id {way}")
            }
        };
        let mut statement = w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE {owner_column} = ?1{conditions}
             ORDER BY {columns}"
        ))?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), Row::read)?;
        let mut items = Vec::new();
        for row in rows {
            let row = row?;
            if !self.admits(w, &row) {
                continue;
            }
            let unique = match order.by {
                OrderBy::Uuid => row.uuid.as_u128(),
                OrderBy::CreatedAt => u128::from(row.id.unsigned_abs()),
            };
            items.push((order.key(row.created_at, unique), row));
            if items.len() > order.size {
                break;
            }
        }
        Ok(order.cut(items))
    }
}

//! Listings of episodes and facts, in pages by keyset.

use std::collections::HashSet;

use rusqlite::types::Value;
use uuid::Uuid as Raw;

use super::check::{self, invalid};
use super::query::{CursorPage, Direction, Listing, OrderBy};
use super::row_filter::{RowFilter, ShownAs};
use super::sqlite::{Step, Work};
use super::tables::episode_row::{COLUMNS, EpisodeRow, TABLES};
use super::tables::paging::{Keyset, sql_direction};
use super::tables::{entities, facts, owners};
use super::uuids;
use crate::zep::{Episode, Fact, Owner, Uuid};

pub(super) fn episodes(
    w: &Work<'_>,
    owner: &Owner,
    listing: &Listing,
) -> Step<CursorPage<Episode>> {
    let mut query = Query {
        filter: RowFilter::metadata(listing.episode_metadata_filters.as_ref())?,
        shown_as: ShownAs::Episode,
        mentioned: None,
    };
    let found = owners::find(w, owner)?;
    if let Some(mentioned) = &listing.mentioned_node_uuids {
        const FIELD: &str = "mentioned_node_uuids";
        check::filter_entries(FIELD, mentioned.len())?;
        let given = mentioned
            .iter()
            .map(uuids::parse)
            .collect::<Option<Vec<Raw>>>()
            .ok_or_else(|| invalid(format!("{FIELD}: must be UUIDs")))?;
        let (speakers, has_owner) = entities::rows_of(w, found.id, &given)?;
        // Every episode mentions the owner.
        query.mentioned = (!has_owner).then_some(Mentioned {
            episodes: given,
            speakers,
        });
    }
    let page = query.page(w, found.id, &Keyset::new(listing)?)?;
    let rows = page.items.into_iter();
    Ok(CursorPage {
        items: rows.map(|row| row.into_episode(w.clock, None)).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(super) fn facts(w: &Work<'_>, owner: &Owner, listing: &Listing) -> Step<CursorPage<Fact>> {
    let query = Query {
        filter: RowFilter::new(&listing.filters.clone().unwrap_or_default())?,
        shown_as: ShownAs::Fact,
        mentioned: None,
    };
    let found = owners::find(w, owner)?;
    let page = query.page(w, found.id, &Keyset::new(listing)?)?;
    Ok(CursorPage {
        items: whole(w, page.items)?,
        next_cursor: page.next_cursor,
    })
}

/// The facts of these rows.
fn whole(w: &Work<'_>, rows: Vec<EpisodeRow>) -> Step<Vec<Fact>> {
    let rows = rows.into_iter();
    rows.map(|row| facts::whole(w, row, None)).collect()
}

/// Those of these episodes that the owner has.
pub(super) fn episodes_by_id(w: &Work<'_>, owner: &Owner, asked: &[Uuid]) -> Step<Vec<Episode>> {
    let only = asked.iter().filter_map(uuids::parse).collect();
    let rows = by_id(w, owner, only, ShownAs::Episode)?;
    Ok(rows
        .into_iter()
        .map(|row| row.into_episode(w.clock, None))
        .collect())
}

/// Those of these facts that the owner has.
pub(super) fn facts_by_id(w: &Work<'_>, owner: &Owner, asked: &[Uuid]) -> Step<Vec<Fact>> {
    let asked = asked.iter().filter_map(uuids::parse);
    let only = facts::heads(w, asked.filter_map(uuids::episode_of).collect())?;
    whole(w, by_id(w, owner, only, ShownAs::Fact)?)
}

fn by_id(
    w: &Work<'_>,
    owner: &Owner,
    only: HashSet<Raw>,
    shown_as: ShownAs,
) -> Step<Vec<EpisodeRow>> {
    let query = Query {
        filter: RowFilter::episodes(only),
        shown_as,
        mentioned: None,
    };
    let found = owners::find(w, owner)?;
    Ok(query.page(w, found.id, &Keyset::WHOLE)?.items)
}

/// Episodes by their own ids, or by those of the entities that they mention.
struct Mentioned {
    episodes: Vec<Raw>,
    speakers: Vec<i64>,
}

/// The rows that a listing has.
struct Query {
    filter: RowFilter,
    shown_as: ShownAs,
    mentioned: Option<Mentioned>,
}

impl Query {
    /// The ids of the episodes that can pass, as JSON, if the listing names them.
    fn listed(&self) -> Option<String> {
        let list = |ids: &mut dyn Iterator<Item = &Raw>| {
            let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
            serde_json::Value::from(ids).to_string()
        };
        match &self.mentioned {
            Some(mentioned) if mentioned.speakers.is_empty() => {
                Some(list(&mut mentioned.episodes.iter()))
            }
            Some(_) => None,
            None => self.filter.listed().map(|ids| list(&mut ids.iter())),
        }
    }

    fn admits(&self, w: &Work<'_>, row: &EpisodeRow) -> bool {
        let is_shown = match self.shown_as {
            ShownAs::Episode => row.in_graph,
            ShownAs::Fact => row.is_fact(w.clock),
        };
        let mentioned = self.mentioned.as_ref().is_none_or(|mentioned| {
            mentioned.episodes.contains(&row.uuid)
                || row
                    .speaker
                    .is_some_and(|one| mentioned.speakers.contains(&one))
        });
        is_shown && mentioned && self.filter.admits(row, self.shown_as)
    }

    /// Reads and filters rows in order until the page is full.
    fn page(&self, w: &Work<'_>, owner: i64, keyset: &Keyset) -> Step<CursorPage<EpisodeRow>> {
        let mut values = vec![Value::from(owner)];
        let mut conditions = String::new();
        let mut narrow = |condition: &str, value: String| {
            values.push(Value::from(value));
            conditions.push_str(&condition.replace('?', &format!("?{}", values.len())));
        };
        if let Some(listed) = self.listed() {
            narrow(
                " AND e.uuid IN (SELECT unhex(value) FROM json_each(?))",
                listed,
            );
        }
        if let Some(record) = self.filter.record() {
            narrow(" AND e.metadata ->> '$.zm_id' = ?", record.to_owned());
        }
        // The `+` makes SQLite use the narrower condition's index, not that of the owner's rows.
        let owner_column = if conditions.is_empty() {
            "e.owner"
        } else {
            "+e.owner"
        };
        let direction = sql_direction(keyset.direction);
        let beyond = match keyset.direction {
            Direction::Asc => ">",
            Direction::Desc => "<",
        };
        let columns = match keyset.by {
            OrderBy::Uuid => {
                if let Some((_, uuid)) = keyset.after {
                    values.push(Value::from(uuid.to_be_bytes().to_vec()));
                    conditions.push_str(&format!(" AND e.uuid {beyond} ?{}", values.len()));
                }
                format!("e.uuid {direction}")
            }
            OrderBy::CreatedAt => {
                if let Some((at, id)) = keyset.after {
                    values.push(Value::from(at));
                    values.push(Value::from(i64::try_from(id).unwrap_or(i64::MAX)));
                    conditions.push_str(&format!(
                        " AND (e.created_at, e.id) {beyond} (?{}, ?{})",
                        values.len() - 1,
                        values.len()
                    ));
                }
                format!("e.created_at {direction}, e.id {direction}")
            }
        };
        let mut statement = w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE {owner_column} = ?1{conditions}
             ORDER BY {columns}"
        ))?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), EpisodeRow::read)?;
        let mut items = Vec::new();
        for row in rows {
            let row = row?;
            if !self.admits(w, &row) {
                continue;
            }
            let unique = match keyset.by {
                OrderBy::Uuid => row.uuid.as_u128(),
                OrderBy::CreatedAt => u128::from(row.id.unsigned_abs()),
            };
            items.push((keyset.key(row.created_at, unique), row));
            if items.len() > keyset.size {
                break;
            }
        }
        Ok(keyset.cut(items))
    }
}

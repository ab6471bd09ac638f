//! Entities, matched by the words of their name and summary.

use std::collections::HashSet;

use crate::local::check;
use crate::local::query::Filters;
use crate::local::row_filter::RowFilter;
use crate::local::sqlite::{Step, Work};
use crate::local::tables::entities;
use crate::local::tables::episode_row::{COLUMNS, EpisodeRow, TABLES};
use crate::local::tables::owners::OwnerRow;
use crate::local::words::words;
use crate::zep::{Entity, Uuid};

/// The entities with the largest shares of the question's words, with those shares.
pub(super) fn best(
    w: &Work<'_>,
    owner: &OwnerRow,
    asked: &[String],
    filters: &Filters,
    filter: &RowFilter,
    limit: usize,
) -> Step<Vec<(f64, Entity)>> {
    if filters.edge_uuids.is_some() {
        return Err(check::invalid("edge_uuids: cannot be used with nodes").into());
    }
    let mut found: Vec<(f64, Entity)> = Vec::new();
    for node in entities::of_owner(w, owner)? {
        let own: Vec<String> = words(&node.name).chain(words(&node.summary)).collect();
        let hits = asked.iter().filter(|word| own.contains(word)).count();
        if hits > 0 && filter.admits_time(node.created_at) {
            found.push((hits as f64 / asked.len() as f64, node));
        }
    }
    if filters.episode_uuids.is_some() || filters.episode_metadata_filters.is_some() {
        let mentioned = mentioned(w, owner, filter)?;
        found.retain(|(_, node)| mentioned.contains(&node.uuid));
    }
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    found.truncate(limit);
    Ok(found)
}

/// The entities of the facts whose episodes pass the filter.
fn mentioned(w: &Work<'_>, owner: &OwnerRow, filter: &RowFilter) -> Step<HashSet<Uuid>> {
    let mut nodes = HashSet::new();
    let mut statement = w.tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE e.id BETWEEN ?1 AND ?2"
    ))?;
    for row in statement.query_map(owner.range(), EpisodeRow::read)? {
        let row = row?;
        if row.is_fact(w.clock) && filter.admits_episode(&row) {
            let fact = row.into_fact(None);
            nodes.extend(fact.source_node_uuid);
            nodes.extend(fact.target_node_uuid);
        }
    }
    Ok(nodes)
}

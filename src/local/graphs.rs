//! Graphs beside the users.

use rusqlite::{OptionalExtension, Row};

use super::check;
use super::ids;
use super::owners::{self, count, fresh, window};
use super::query::{NumberedPage, PageNumber};
use super::rows::uuid;
use super::store::{Step, Work};
use super::time;
use crate::zep::{Graph, GraphId, Owner};

const COLUMNS: &str = "uuid, name, title, description, created_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Graph> {
    Ok(Graph {
        uuid: Some(ids::shown(uuid(row, 0)?)),
        graph_id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        created_at: time::at(row.get(4)?),
    })
}

pub(super) fn create(w: &Work<'_>, graph: &GraphId, name: &str, description: &str) -> Step<Graph> {
    if find(w, graph)?.is_some() {
        return Err(check::conflict(400, "graph already exists with graph_id").into());
    }
    w.tx.execute(
        "INSERT INTO owner (kind, name, uuid, node, title, description, created_at, updated_at)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        (
            graph.as_str(),
            fresh(),
            fresh(),
            given(name),
            given(description),
            w.clock.now,
        ),
    )?;
    get(w, graph)
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(super) fn get(w: &Work<'_>, graph: &GraphId) -> Step<Graph> {
    find(w, graph)?.ok_or_else(|| check::not_found("graph").into())
}

fn find(w: &Work<'_>, graph: &GraphId) -> Step<Option<Graph>> {
    Ok(w.tx
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM owner WHERE kind = 1 AND name = ?1"
        ))?
        .query_row([graph.as_str()], read)
        .optional()?)
}

/// Oldest first.
pub(super) fn list(w: &Work<'_>, page: PageNumber) -> Step<NumberedPage<Graph>> {
    let items =
        w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM owner WHERE kind = 1 ORDER BY id LIMIT ?1 OFFSET ?2"
        ))?
        .query_map(window(page), read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(NumberedPage {
        items,
        total_count: count(w, "SELECT count(*) FROM owner WHERE kind = 1")?,
    })
}

pub(super) fn delete(w: &Work<'_>, graph: &GraphId) -> Step<()> {
    owners::delete(w, &Owner::Graph(graph.clone()))
}

//! Graphs that belong to no user.

use rusqlite::{OptionalExtension, Row};

use super::columns::uuid;
use super::owners;
use super::paging::{count, window};
use crate::local::query::{NumberedPage, PageNumber};
use crate::local::sqlite::{Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{Graph, GraphId, Owner};

const COLUMNS: &str = "uuid, name, title, description, created_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Graph> {
    Ok(Graph {
        uuid: Some(uuids::to_zep(uuid(row, 0)?)),
        graph_id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        created_at: timestamps::from_micros(row.get(4)?),
    })
}

pub(crate) fn create(w: &Work<'_>, graph: &GraphId, name: &str, description: &str) -> Step<Graph> {
    if find(w, graph)?.is_some() {
        return Err(check::conflict(400, "graph already exists with graph_id").into());
    }
    w.tx.execute(
        "INSERT INTO owner (kind, name, uuid, node, title, description, created_at, updated_at)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        (
            graph.as_str(),
            uuids::fresh().into_bytes(),
            uuids::fresh().into_bytes(),
            non_empty(name),
            non_empty(description),
            w.clock.now,
        ),
    )?;
    get(w, graph)
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(crate) fn get(w: &Work<'_>, graph: &GraphId) -> Step<Graph> {
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
pub(crate) fn list(w: &Work<'_>, page: PageNumber) -> Step<NumberedPage<Graph>> {
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

pub(crate) fn delete(w: &Work<'_>, graph: &GraphId) -> Step<()> {
    owners::delete(w, &Owner::Graph(graph.clone()))
}

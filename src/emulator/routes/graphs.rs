//! Graphs, and adding data to them.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::content::EpisodeBody;
use super::numbered_pages::{self, ListQuery};
use super::{Routes, Store};
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, PathId, Query, Success, created, success};
use crate::local::Direction;
use crate::zep::{Graph, GraphId, Graphs as _, Metadata};

/// The largest page (zep-cloud 3.30.0, `graph.list_all`).
const MAX_PAGE: u32 = 100;
/// The longest search term, in characters (zep-cloud 3.30.0, `graph.list_all`).
const MAX_SEARCH_CHARS: usize = 200;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/graph", post(add))
        .route("/graph/create", post(create))
        .route("/graph/list-all", get(list))
        .route("/graph/{graph_id}", get(show).delete(delete))
}

#[derive(Deserialize)]
struct CreateGraph {
    graph_id: String,
    name: Option<String>,
    description: Option<String>,
}

/// `graph.create`
async fn create(State(zep): Store, Body(body): Body<CreateGraph>) -> ApiResult<impl IntoResponse> {
    let graph = zep
        .create_graph(
            &GraphId::new(&body.graph_id)?,
            body.name.as_deref().unwrap_or_default(),
            body.description.as_deref().unwrap_or_default(),
        )
        .await?;
    Ok(created(graph))
}

/// `graph.get`
async fn show(State(zep): Store, PathId(graph): PathId<GraphId>) -> ApiResult<Answer<Graph>> {
    Ok(Answer(zep.graph(&graph).await?))
}

/// `graph.delete`
async fn delete(State(zep): Store, PathId(graph): PathId<GraphId>) -> ApiResult<Answer<Success>> {
    zep.delete_graph(&graph).await?;
    Ok(success("graph deleted"))
}

#[derive(Serialize)]
struct Graphs {
    graphs: Vec<Graph>,
    total_count: usize,
    row_count: usize,
    page_number: u32,
    page_size: u32,
}

/// `graph.list_all`
async fn list(State(zep): Store, Query(query): Query<ListQuery>) -> ApiResult<Answer<Graphs>> {
    let asked = numbered_pages::page_number(query.page_number, query.page_size)?;
    if asked.size > MAX_PAGE {
        return Err(ApiError::bad_request(format_args!(
            "pageSize must be between 1 and {MAX_PAGE}"
        )));
    }
    let term = numbered_pages::search_term(query.search.as_deref());
    if term
        .iter()
        .any(|term| term.chars().count() > MAX_SEARCH_CHARS)
    {
        return Err(ApiError::bad_request(format_args!(
            "search must have at most {MAX_SEARCH_CHARS} characters"
        )));
    }
    let mut graphs = numbered_pages::everything(async |page| {
        let page = zep.list_graphs(page).await?;
        Ok(page.items)
    })
    .await?;
    if let Some(term) = term {
        graphs.retain(|graph| {
            let texts = [&graph.graph_id, &graph.name, &graph.description];
            numbered_pages::contains(&texts, &term)
        });
    }
    match query.order_by.as_deref() {
        // The store's order.
        None | Some("created_at") => {}
        Some("graph_id") => graphs.sort_by(|a, b| a.graph_id.cmp(&b.graph_id)),
        Some("name") => graphs.sort_by(|a, b| a.name.cmp(&b.name)),
        Some(column) => return Err(numbered_pages::no_column(column)),
    }
    if numbered_pages::direction(query.asc) == Direction::Desc {
        graphs.reverse();
    }
    let total_count = graphs.len();
    let graphs = numbered_pages::cut(graphs, asked);
    Ok(Answer(Graphs {
        row_count: graphs.len(),
        graphs,
        total_count,
        page_number: asked.number,
        page_size: asked.size,
    }))
}

#[derive(Deserialize)]
struct AddData {
    user_id: Option<String>,
    graph_id: Option<String>,
    data: String,
    #[serde(rename = "type")]
    data_type: String,
    created_at: Option<String>,
    metadata: Option<Metadata>,
    source_description: Option<String>,
}

/// `graph.add`
async fn add(State(zep): Store, Body(body): Body<AddData>) -> ApiResult<impl IntoResponse> {
    let owner = super::owner(body.user_id.as_deref(), body.graph_id.as_deref())?;
    let episode = EpisodeBody {
        data: body.data,
        data_type: body.data_type,
        created_at: body.created_at,
        metadata: body.metadata,
        source_description: body.source_description,
    };
    let episode = zep.add_episode(&owner, &episode.into_episode()?).await?;
    // Accepted: Zep extracts facts later.
    Ok((StatusCode::ACCEPTED, Answer(episode)))
}

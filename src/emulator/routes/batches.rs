//! Batches.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::content::{EpisodeBody, MessageBody, roles};
use super::{Routes, Store};
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, PathId, Query, Success, created, success};
use crate::zep::{
    Batch, BatchItem, BatchItemState, BatchItemStatus, BatchStatus, Batches, Metadata, ThreadId,
    Uuid,
};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/batches", post(create).get(list))
        .route("/batches/{batch_id}", get(show).delete(delete))
        .route("/batches/{batch_id}/items", post(add).get(items))
        .route("/batches/{batch_id}/process", post(process))
}

#[derive(Deserialize)]
struct CreateBatch {
    metadata: Option<Metadata>,
    /// No facts are extracted from messages of these roles.
    ignore_roles: Option<Vec<String>>,
}

/// `batch.create`
async fn create(State(zep): Store, Body(body): Body<CreateBatch>) -> ApiResult<impl IntoResponse> {
    let ignored = roles(body.ignore_roles.as_deref())?;
    let metadata = body.metadata.unwrap_or_default();
    Ok(created(
        zep.create_batch_ignoring(&metadata, &ignored).await?,
    ))
}

#[derive(Deserialize)]
struct ListPage {
    limit: Option<u32>,
    cursor: Option<u64>,
    status: Option<String>,
}

#[derive(Serialize)]
struct BatchList {
    batches: Vec<Batch>,
    next_cursor: Option<u64>,
}

/// `batch.list`
async fn list(State(zep): Store, Query(query): Query<ListPage>) -> ApiResult<Answer<BatchList>> {
    let status = status(query.status, BatchStatus::Unknown)?;
    let page = zep.list_batches(status, query.limit, query.cursor).await?;
    Ok(Answer(BatchList {
        batches: page.items,
        next_cursor: page.next_cursor,
    }))
}

/// `batch.get`
async fn show(State(zep): Store, PathId(batch): PathId<String>) -> ApiResult<Answer<Batch>> {
    Ok(Answer(zep.batch(&batch).await?))
}

/// `batch.delete`
async fn delete(State(zep): Store, PathId(batch): PathId<String>) -> ApiResult<Answer<Success>> {
    zep.delete_batch(&batch).await?;
    Ok(success("batch deleted"))
}

/// `batch.process`
async fn process(State(zep): Store, PathId(batch): PathId<String>) -> ApiResult<Answer<Batch>> {
    Ok(Answer(zep.process_batch(&batch).await?))
}

/// An item to be stored (zep-cloud 3.30.0, `BatchAddItem`).
#[derive(Deserialize)]
struct ItemBody {
    #[serde(rename = "type")]
    kind: String,
    thread_id: Option<String>,
    role: Option<String>,
    content: Option<String>,
    name: Option<String>,
    user_id: Option<String>,
    graph_id: Option<String>,
    data: Option<String>,
    data_type: Option<String>,
    source_description: Option<String>,
    created_at: Option<String>,
    metadata: Option<Metadata>,
}

impl ItemBody {
    fn into_item(self) -> ApiResult<BatchItem> {
        match self.kind.as_str() {
            MESSAGE => {
                let thread = ThreadId::new(&required("thread_id", self.thread_id)?)?;
                let message = MessageBody {
                    role: required("role", self.role)?,
                    content: required("content", self.content)?,
                    name: self.name,
                    created_at: self.created_at,
                    metadata: self.metadata,
                };
                Ok(BatchItem::Message(thread, message.into_message()?))
            }
            EPISODE => {
                let owner = super::owner(self.user_id.as_deref(), self.graph_id.as_deref())?;
                let episode = EpisodeBody {
                    data: required("data", self.data)?,
                    data_type: self.data_type.unwrap_or_else(|| "text".into()),
                    created_at: self.created_at,
                    metadata: self.metadata,
                    source_description: self.source_description,
                };
                Ok(BatchItem::Episode(owner, episode.into_episode()?))
            }
            _ => Err(ApiError::bad_request(format_args!(
                "invalid type: must be one of {EPISODE}, {MESSAGE}"
            ))),
        }
    }
}

const MESSAGE: &str = "thread_message";
const EPISODE: &str = "graph_episode";

#[derive(Deserialize)]
struct AddItems {
    items: Vec<ItemBody>,
}

/// An item as Zep lists it (zep-cloud 3.30.0, `BatchItemDetail`).
#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    state: BatchItemState,
    /// Always equal to `episode_uuid`.
    source_uuid: Option<Uuid>,
}

impl From<BatchItemState> for Item {
    fn from(state: BatchItemState) -> Self {
        Self {
            source_uuid: state.episode_uuid.clone(),
            state,
        }
    }
}

/// `batch.add`
async fn add(
    State(zep): Store,
    PathId(batch): PathId<String>,
    Body(body): Body<AddItems>,
) -> ApiResult<Answer<Vec<Item>>> {
    let items = body
        .items
        .into_iter()
        .map(ItemBody::into_item)
        .collect::<ApiResult<Vec<_>>>()?;
    let states = zep.add_batch_items(&batch, &items).await?;
    Ok(Answer(states.into_iter().map(Item::from).collect()))
}

#[derive(Serialize)]
struct Items {
    items: Vec<Item>,
    next_cursor: Option<u64>,
}

/// `batch.list_items`
async fn items(
    State(zep): Store,
    PathId(batch): PathId<String>,
    Query(query): Query<ListPage>,
) -> ApiResult<Answer<Items>> {
    let status = status(query.status, BatchItemStatus::Unknown)?;
    let page = zep
        .list_batch_items(&batch, status, query.limit, query.cursor)
        .await?;
    Ok(Answer(Items {
        items: page.items.into_iter().map(Item::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// A status to filter by. A status that Zep does not have is refused; the port reads it as
/// `unknown`.
fn status<S: DeserializeOwned + PartialEq>(
    name: Option<String>,
    unknown: S,
) -> ApiResult<Option<S>> {
    name.map(|name| {
        serde_json::from_value(name.into())
            .ok()
            .filter(|status| *status != unknown)
            .ok_or_else(|| ApiError::bad_request("invalid status"))
    })
    .transpose()
}

fn required(field: &str, value: Option<String>) -> ApiResult<String> {
    value.ok_or_else(|| ApiError::bad_request(format_args!("{field} is required")))
}

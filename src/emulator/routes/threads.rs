//! Threads and their messages.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, patch, post};
use serde::{Deserialize, Serialize};

use super::content::{MessageBody, roles};
use super::episodes::Episodes;
use super::numbered_pages;
use super::{Routes, Store};
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, PathId, Query, Success, created, success};
use crate::local::ThreadOrder;
use crate::zep::{
    AddedMessages, Message, MessagePage, Metadata, Thread, ThreadContext, ThreadId, Threads as _,
    UserId, Uuid,
};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/threads", post(create).get(list))
        .route("/threads/{thread_id}", axum::routing::delete(delete))
        .route(
            "/threads/{thread_id}/messages",
            get(messages).post(add_messages),
        )
        .route("/threads/{thread_id}/context", get(context))
        .route("/threads/{thread_id}/episodes", get(episodes))
        .route("/threads/{thread_id}/summary", get(summary))
        .route("/messages/{message_uuid}", patch(update_message))
}

#[derive(Deserialize)]
struct CreateThread {
    thread_id: String,
    user_id: String,
}

/// `thread.create`
async fn create(State(zep): Store, Body(body): Body<CreateThread>) -> ApiResult<impl IntoResponse> {
    let thread = ThreadId::new(&body.thread_id)?;
    let user = UserId::new(&body.user_id)?;
    Ok(created(zep.create_thread(&thread, &user).await?))
}

#[derive(Deserialize)]
struct ListThreads {
    page_number: Option<u32>,
    page_size: Option<u32>,
    order_by: Option<String>,
    asc: Option<bool>,
}

#[derive(Serialize)]
struct Threads {
    threads: Vec<Thread>,
    total_count: u64,
    response_count: usize,
}

/// `thread.list_all`
async fn list(State(zep): Store, Query(query): Query<ListThreads>) -> ApiResult<Answer<Threads>> {
    let page = numbered_pages::page_number(query.page_number, query.page_size)?;
    let order = match query.order_by.as_deref() {
        None | Some("created_at") => ThreadOrder::CreatedAt,
        Some("updated_at") => ThreadOrder::UpdatedAt,
        Some("user_id") => ThreadOrder::UserId,
        Some("thread_id") => ThreadOrder::ThreadId,
        Some(column) => return Err(numbered_pages::no_column(column)),
    };
    let direction = numbered_pages::direction(query.asc);
    let page = zep.list_threads_by(page, order, direction).await?;
    Ok(Answer(Threads {
        response_count: page.items.len(),
        threads: page.items,
        total_count: page.total_count,
    }))
}

/// `thread.delete`
async fn delete(State(zep): Store, PathId(thread): PathId<ThreadId>) -> ApiResult<Answer<Success>> {
    zep.delete_thread(&thread).await?;
    Ok(success("thread deleted"))
}

#[derive(Deserialize)]
struct ListMessages {
    limit: Option<u32>,
    cursor: Option<u64>,
    lastn: Option<u32>,
}

#[derive(Serialize)]
struct Messages {
    #[serde(flatten)]
    page: MessagePage,
    row_count: usize,
}

/// `thread.get`
async fn messages(
    State(zep): Store,
    PathId(thread): PathId<ThreadId>,
    Query(query): Query<ListMessages>,
) -> ApiResult<Answer<Messages>> {
    let page = zep
        .messages_raw(&thread, query.limit, query.cursor, query.lastn)
        .await?;
    Ok(Answer(Messages {
        row_count: page.messages.len(),
        page,
    }))
}

#[derive(Deserialize)]
struct AddMessages {
    messages: Vec<MessageBody>,
    /// No facts are extracted from messages of these roles.
    ignore_roles: Option<Vec<String>>,
    return_context: Option<bool>,
}

/// `thread.add_messages`
async fn add_messages(
    State(zep): Store,
    PathId(thread): PathId<ThreadId>,
    Body(body): Body<AddMessages>,
) -> ApiResult<Answer<AddedMessages>> {
    let ignored = roles(body.ignore_roles.as_deref())?;
    let messages = body
        .messages
        .into_iter()
        .map(MessageBody::into_message)
        .collect::<ApiResult<Vec<_>>>()?;
    let mut added = zep
        .add_messages_ignoring(&thread, &messages, &ignored)
        .await?;
    if body.return_context == Some(true) {
        // The messages are stored: an error would deny that.
        added.context = match zep.thread_context(&thread).await {
            Ok(context) => context.context,
            Err(error) => {
                tracing::warn!(error = error.code(), "no context after adding messages");
                None
            }
        };
    }
    Ok(Answer(added))
}

#[derive(Deserialize)]
struct UpdateMessage {
    metadata: Metadata,
}

/// `thread.message.update`
async fn update_message(
    State(zep): Store,
    PathId(message): PathId<Uuid>,
    Body(body): Body<UpdateMessage>,
) -> ApiResult<Answer<Message>> {
    let message = zep.patch_message_metadata(&message, &body.metadata).await?;
    Ok(Answer(message))
}

/// `thread.get_user_context`. Templates are accepted and ignored: the embedded Zep has one form of
/// context.
async fn context(
    State(zep): Store,
    PathId(thread): PathId<ThreadId>,
) -> ApiResult<Answer<ThreadContext>> {
    Ok(Answer(zep.thread_context(&thread).await?))
}

/// `thread.get_episodes`
async fn episodes(
    State(zep): Store,
    PathId(thread): PathId<ThreadId>,
) -> ApiResult<Answer<Episodes>> {
    let episodes = zep.thread_episodes(&thread).await?;
    Ok(Answer(Episodes { episodes }))
}

/// `thread.get_summary`. The embedded Zep writes no summaries, and Zep answers 404 without one.
async fn summary(State(zep): Store, PathId(thread): PathId<ThreadId>) -> ApiResult<Answer<()>> {
    zep.messages_raw(&thread, None, None, Some(1)).await?;
    Err(ApiError::not_found("no summary exists for the thread"))
}

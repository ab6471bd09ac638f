//! Threads and their messages.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, patch, post};
use serde::{Deserialize, Serialize};

use super::Routes;
use super::content::{MessageBody, roles};
use super::episodes::Episodes;
use super::listing;
use crate::emulator::Emulator;
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, Query, Segment, Success, created, success};
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
async fn create(
    State(emulator): State<Arc<Emulator>>,
    Body(body): Body<CreateThread>,
) -> ApiResult<impl IntoResponse> {
    let thread = ThreadId::new(&body.thread_id)?;
    let user = UserId::new(&body.user_id)?;
    Ok(created(emulator.zep.create_thread(&thread, &user).await?))
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
async fn list(
    State(emulator): State<Arc<Emulator>>,
    Query(query): Query<ListThreads>,
) -> ApiResult<Answer<Threads>> {
    let page = listing::page_number(query.page_number, query.page_size)?;
    let order = match query.order_by.as_deref() {
        None | Some("created_at") => ThreadOrder::CreatedAt,
        Some("updated_at") => ThreadOrder::UpdatedAt,
        Some("user_id") => ThreadOrder::UserId,
        Some("thread_id") => ThreadOrder::ThreadId,
        Some(column) => return Err(listing::no_column(column)),
    };
    let direction = listing::direction(query.asc);
    let page = emulator.zep.list_threads_by(page, order, direction).await?;
    Ok(Answer(Threads {
        response_count: page.items.len(),
        threads: page.items,
        total_count: page.total_count,
    }))
}

/// `thread.delete`
async fn delete(
    State(emulator): State<Arc<Emulator>>,
    Segment(thread): Segment,
) -> ApiResult<Answer<Success>> {
    emulator.zep.delete_thread(&ThreadId::new(&thread)?).await?;
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
    State(emulator): State<Arc<Emulator>>,
    Segment(thread): Segment,
    Query(query): Query<ListMessages>,
) -> ApiResult<Answer<Messages>> {
    let thread = ThreadId::new(&thread)?;
    let page = emulator
        .zep
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
    /// From whose messages no facts are drawn.
    ignore_roles: Option<Vec<String>>,
    return_context: Option<bool>,
}

/// `thread.add_messages`
async fn add_messages(
    State(emulator): State<Arc<Emulator>>,
    Segment(thread): Segment,
    Body(body): Body<AddMessages>,
) -> ApiResult<Answer<AddedMessages>> {
    let thread = ThreadId::new(&thread)?;
    let ignored = roles(body.ignore_roles.as_deref())?;
    let messages = body
        .messages
        .into_iter()
        .map(MessageBody::into_message)
        .collect::<ApiResult<Vec<_>>>()?;
    let mut added = emulator
        .zep
        .add_messages_ignoring(&thread, &messages, &ignored)
        .await?;
    if body.return_context == Some(true) {
        // The messages are stored: an error now would say that they are not.
        added.context = match emulator.zep.thread_context(&thread).await {
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
struct Changed {
    metadata: Metadata,
}

/// `thread.message.update`
async fn update_message(
    State(emulator): State<Arc<Emulator>>,
    Segment(message): Segment,
    Body(body): Body<Changed>,
) -> ApiResult<Answer<Message>> {
    let message = emulator
        .zep
        .patch_message_metadata(&Uuid(message), &body.metadata)
        .await?;
    Ok(Answer(message))
}

/// `thread.get_user_context`. Templates are accepted and change nothing: the embedded Zep has one
/// form of context.
async fn context(
    State(emulator): State<Arc<Emulator>>,
    Segment(thread): Segment,
) -> ApiResult<Answer<ThreadContext>> {
    let thread = ThreadId::new(&thread)?;
    Ok(Answer(emulator.zep.thread_context(&thread).await?))
}

/// `thread.get_episodes`
async fn episodes(
    State(emulator): State<Arc<Emulator>>,
    Segment(thread): Segment,
) -> ApiResult<Answer<Episodes>> {
    let thread = ThreadId::new(&thread)?;
    let episodes = emulator.zep.thread_episodes(&thread).await?;
    Ok(Answer(Episodes { episodes }))
}

/// `thread.get_summary`. The embedded Zep writes no summaries, and Zep answers 404 where there is
/// none.
async fn summary(
    State(emulator): State<Arc<Emulator>>,
    Segment(thread): Segment,
) -> ApiResult<Answer<()>> {
    let thread = ThreadId::new(&thread)?;
    emulator
        .zep
        .messages_raw(&thread, None, None, Some(1))
        .await?;
    Err(ApiError::not_found("no summary exists for the thread"))
}

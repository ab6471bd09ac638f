//! Users.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::Routes;
use super::listing;
use crate::emulator::Emulator;
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, Body, Query, Segment, Success, created, success};
use crate::local::{NumberedPage, UserOrder};
use crate::zep::{Accounts, Entity, NewUser, Thread, User, UserFields, UserId};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/users", post(add))
        .route("/users-ordered", get(list))
        .route("/users/{user_id}", get(show).patch(update).delete(delete))
        .route("/users/{user_id}/threads", get(threads))
        .route("/users/{user_id}/node", get(node))
}

#[derive(Deserialize)]
struct AddUser {
    user_id: String,
    #[serde(flatten)]
    fields: UserFields,
}

/// `user.add`
async fn add(
    State(emulator): State<Arc<Emulator>>,
    Body(body): Body<AddUser>,
) -> ApiResult<impl IntoResponse> {
    let user = NewUser {
        user_id: UserId::new(&body.user_id)?,
        fields: body.fields,
    };
    Ok(created(emulator.zep.add_user(&user).await?))
}

/// `user.get`
async fn show(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
) -> ApiResult<Answer<User>> {
    Ok(Answer(emulator.zep.user(&UserId::new(&user)?).await?))
}

/// `user.update`
async fn update(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
    Body(fields): Body<UserFields>,
) -> ApiResult<Answer<User>> {
    let user = UserId::new(&user)?;
    Ok(Answer(emulator.zep.update_user(&user, &fields).await?))
}

/// `user.delete`
async fn delete(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
) -> ApiResult<Answer<Success>> {
    emulator.zep.delete_user(&UserId::new(&user)?).await?;
    Ok(success("user deleted"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListUsers {
    page_number: Option<u32>,
    page_size: Option<u32>,
    search: Option<String>,
    #[serde(rename = "order_by")]
    order_by: Option<String>,
    asc: Option<bool>,
}

#[derive(Serialize)]
struct Users {
    users: Vec<User>,
    total_count: u64,
    row_count: usize,
}

/// `user.list_ordered`
async fn list(
    State(emulator): State<Arc<Emulator>>,
    Query(query): Query<ListUsers>,
) -> ApiResult<Answer<Users>> {
    let page = listing::page_number(query.page_number, query.page_size)?;
    let direction = listing::direction(query.asc);
    let order = match query.order_by.as_deref() {
        None | Some("created_at") => UserOrder::CreatedAt,
        Some("user_id") => UserOrder::UserId,
        Some("email") => UserOrder::Email,
        Some(column) => return Err(listing::no_column(column)),
    };
    let zep = &emulator.zep;
    let page = match listing::search_term(query.search.as_deref()) {
        None => zep.list_users_by(page, order, direction).await?,
        Some(term) => {
            let mut users = listing::everything(async |page| {
                let page = zep.list_users_by(page, order, direction).await?;
                Ok(page.items)
            })
            .await?;
            users.retain(|user| {
                let texts = [
                    &user.user_id,
                    &user.email,
                    &user.first_name,
                    &user.last_name,
                ];
                listing::contains(&texts, &term)
            });
            NumberedPage {
                total_count: users.len() as u64,
                items: listing::cut(users, page),
            }
        }
    };
    Ok(Answer(Users {
        row_count: page.items.len(),
        users: page.items,
        total_count: page.total_count,
    }))
}

/// `user.get_threads`
async fn threads(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
) -> ApiResult<Answer<Vec<Thread>>> {
    let user = UserId::new(&user)?;
    Ok(Answer(emulator.zep.user_threads(&user).await?))
}

#[derive(Serialize)]
struct UserNode {
    node: Entity,
}

/// `user.get_node`
async fn node(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
) -> ApiResult<Answer<UserNode>> {
    let node = emulator.zep.user_node(&UserId::new(&user)?).await?;
    Ok(Answer(UserNode { node }))
}

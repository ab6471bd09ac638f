//! Users.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::numbered_pages::{self, ListQuery};
use super::{Routes, Store};
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, Body, PathId, Query, Success, created, success};
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
async fn add(State(zep): Store, Body(body): Body<AddUser>) -> ApiResult<impl IntoResponse> {
    let user = NewUser {
        user_id: UserId::new(&body.user_id)?,
        fields: body.fields,
    };
    Ok(created(zep.add_user(&user).await?))
}

/// `user.get`
async fn show(State(zep): Store, PathId(user): PathId<UserId>) -> ApiResult<Answer<User>> {
    Ok(Answer(zep.user(&user).await?))
}

/// `user.update`
async fn update(
    State(zep): Store,
    PathId(user): PathId<UserId>,
    Body(fields): Body<UserFields>,
) -> ApiResult<Answer<User>> {
    Ok(Answer(zep.update_user(&user, &fields).await?))
}

/// `user.delete`
async fn delete(State(zep): Store, PathId(user): PathId<UserId>) -> ApiResult<Answer<Success>> {
    zep.delete_user(&user).await?;
    Ok(success("user deleted"))
}

#[derive(Serialize)]
struct Users {
    users: Vec<User>,
    total_count: u64,
    row_count: usize,
}

/// `user.list_ordered`
async fn list(State(zep): Store, Query(query): Query<ListQuery>) -> ApiResult<Answer<Users>> {
    let page = numbered_pages::page_number(query.page_number, query.page_size)?;
    let direction = numbered_pages::direction(query.asc);
    let order = match query.order_by.as_deref() {
        None | Some("created_at") => UserOrder::CreatedAt,
        Some("user_id") => UserOrder::UserId,
        Some("email") => UserOrder::Email,
        Some(column) => return Err(numbered_pages::no_column(column)),
    };
    let page = match numbered_pages::search_term(query.search.as_deref()) {
        None => zep.list_users_by(page, order, direction).await?,
        Some(term) => {
            let mut users = numbered_pages::everything(async |page| {
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
                numbered_pages::contains(&texts, &term)
            });
            NumberedPage {
                total_count: users.len() as u64,
                items: numbered_pages::cut(users, page),
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
    State(zep): Store,
    PathId(user): PathId<UserId>,
) -> ApiResult<Answer<Vec<Thread>>> {
    Ok(Answer(zep.user_threads(&user).await?))
}

#[derive(Serialize)]
struct UserNode {
    node: Entity,
}

/// `user.get_node`
async fn node(State(zep): Store, PathId(user): PathId<UserId>) -> ApiResult<Answer<UserNode>> {
    let node = zep.user_node(&user).await?;
    Ok(Answer(UserNode { node }))
}

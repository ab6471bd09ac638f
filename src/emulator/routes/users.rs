//! Users.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::Routes;
use super::listing::{self, Ask, Listed};
use crate::emulator::Emulator;
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, Body, Query, Segment, Success, created, success};
use crate::zep::{Entity, NewUser, Thread, User, UserFields, UserId, UserPage, Zep};

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
    #[serde(flatten)]
    page: UserPage,
    row_count: usize,
}

impl Listed for User {
    fn order(column: &str) -> Option<fn(&Self, &Self) -> Ordering> {
        Some(match column {
            "created_at" => |a, b| a.created_at.cmp(&b.created_at),
            "user_id" => |a, b| a.user_id.cmp(&b.user_id),
            "email" => |a, b| a.email.cmp(&b.email),
            _ => return None,
        })
    }

    fn texts(&self) -> [Option<&str>; 4] {
        [
            &self.user_id,
            &self.email,
            &self.first_name,
            &self.last_name,
        ]
        .map(Option::as_deref)
    }
}

/// `user.list_ordered`
async fn list(
    State(emulator): State<Arc<Emulator>>,
    Query(query): Query<ListUsers>,
) -> ApiResult<Answer<Users>> {
    let ask = Ask {
        number: query.page_number,
        size: query.page_size,
        search: query.search,
        order_by: query.order_by,
        asc: query.asc,
    };
    let (users, total) = listing::page(&ask, async |page| {
        let page = emulator.zep.list_users(page).await?;
        Ok((page.users, page.total_count.unwrap_or_default()))
    })
    .await?;
    Ok(Answer(Users {
        row_count: users.len(),
        page: UserPage {
            users,
            total_count: Some(total),
        },
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

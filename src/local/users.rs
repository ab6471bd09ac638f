//! Users.

use rusqlite::{OptionalExtension, Row};

use super::check;
use super::ids;
use super::owners::{self, count, fresh, window};
use super::query::{Direction, NumberedPage, PageNumber};
use super::rows::{json, json_text, uuid};
use super::store::{Step, Work};
use super::time;
use crate::zep::{NewUser, Owner, User, UserFields, UserId};

/// By what a listing of users is ordered (zep-cloud 3.30.0, `user.list_ordered`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserOrder {
    /// By the time they were made.
    #[default]
    CreatedAt,
    /// By id.
    UserId,
    /// By address.
    Email,
}

const COLUMNS: &str = "uuid, name, email, first_name, last_name, metadata, created_at, updated_at";

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        uuid: Some(ids::shown(uuid(row, 0)?)),
        user_id: row.get(1)?,
        email: row.get(2)?,
        first_name: row.get(3)?,
        last_name: row.get(4)?,
        metadata: json(row, 5)?,
        created_at: time::at(row.get(6)?),
        updated_at: time::at(row.get(7)?),
    })
}

pub(super) fn add(w: &Work<'_>, user: &NewUser) -> Step<User> {
    if find(w, &user.user_id)?.is_some() {
        return Err(check::conflict(400, "user already exists with user_id").into());
    }
    let fields = &user.fields;
    w.tx.prepare_cached(
        "INSERT INTO owner (kind, name, uuid, node, email, first_name, last_name, metadata,
         created_at, updated_at) VALUES (0, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
    )?
    .execute((
        user.user_id.as_str(),
        fresh(),
        fresh(),
        &fields.email,
        &fields.first_name,
        &fields.last_name,
        fields.metadata.as_ref().and_then(json_text),
        w.clock.now,
    ))?;
    get(w, &user.user_id)
}

pub(super) fn get(w: &Work<'_>, user: &UserId) -> Step<User> {
    find(w, user)?.ok_or_else(|| check::not_found("user").into())
}

fn find(w: &Work<'_>, user: &UserId) -> Step<Option<User>> {
    Ok(w.tx
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM owner WHERE kind = 0 AND name = ?1"
        ))?
        .query_row([user.as_str()], read)
        .optional()?)
}

/// An empty metadata object empties it; absent fields stay.
pub(super) fn update(w: &Work<'_>, user: &UserId, fields: &UserFields) -> Step<User> {
    w.tx.execute(
        "UPDATE owner SET email = coalesce(?2, email), first_name = coalesce(?3, first_name),
         last_name = coalesce(?4, last_name), metadata = iif(?5, ?6, metadata), updated_at = ?7
         WHERE kind = 0 AND name = ?1",
        (
            user.as_str(),
            &fields.email,
            &fields.first_name,
            &fields.last_name,
            fields.metadata.is_some(),
            fields.metadata.as_ref().and_then(json_text),
            w.clock.now,
        ),
    )?;
    get(w, user)
}

pub(super) fn list(
    w: &Work<'_>,
    page: PageNumber,
    order: UserOrder,
    direction: Direction,
) -> Step<NumberedPage<User>> {
    let column = match order {
        UserOrder::CreatedAt => "id",
        UserOrder::UserId => "name",
        UserOrder::Email => "email",
    };
    let way = sql_direction(direction);
    let items =
        w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM owner WHERE kind = 0 ORDER BY {column} {way}, id {way}
             LIMIT ?1 OFFSET ?2"
        ))?
        .query_map(window(page), read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(NumberedPage {
        items,
        total_count: count(w, "SELECT count(*) FROM owner WHERE kind = 0")?,
    })
}

pub(super) fn delete(w: &Work<'_>, user: &UserId) -> Step<()> {
    owners::delete(w, &Owner::User(user.clone()))
}

/// SQL's word for a direction.
pub(super) fn sql_direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Asc => "ASC",
        Direction::Desc => "DESC",
    }
}

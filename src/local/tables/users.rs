//! Users.

use rusqlite::{OptionalExtension, Row};

use super::columns::{json_object, object_text, uuid};
use super::owners;
use super::paging::{count, sql_direction, window};
use crate::local::query::{Direction, NumberedPage, PageNumber};
use crate::local::sqlite::{Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{NewUser, Owner, User, UserFields, UserId};

/// The order of a listing of users (zep-cloud 3.30.0, `user.list_ordered`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserOrder {
    /// By creation time.
    #[default]
    CreatedAt,
    /// By id.
    UserId,
    /// By e-mail address.
    Email,
}

const COLUMNS: &str = "uuid, name, email, first_name, last_name, metadata, created_at, updated_at";

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        uuid: Some(uuids::to_zep(uuid(row, 0)?)),
        user_id: row.get(1)?,
        email: row.get(2)?,
        first_name: row.get(3)?,
        last_name: row.get(4)?,
        metadata: json_object(row, 5)?,
        created_at: timestamps::from_micros(row.get(6)?),
        updated_at: timestamps::from_micros(row.get(7)?),
    })
}

pub(crate) fn add(w: &Work<'_>, user: &NewUser) -> Step<User> {
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
        uuids::fresh().into_bytes(),
        uuids::fresh().into_bytes(),
        &fields.email,
        &fields.first_name,
        &fields.last_name,
        fields.metadata.as_ref().and_then(object_text),
        w.clock.now,
    ))?;
    get(w, &user.user_id)
}

pub(crate) fn get(w: &Work<'_>, user: &UserId) -> Step<User> {
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

/// Absent fields stay; an empty metadata object removes all metadata.
pub(crate) fn update(w: &Work<'_>, user: &UserId, fields: &UserFields) -> Step<User> {
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
            fields.metadata.as_ref().and_then(object_text),
            w.clock.now,
        ),
    )?;
    get(w, user)
}

pub(crate) fn list(
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
    let keyword = sql_direction(direction);
    let items =
        w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM owner WHERE kind = 0 ORDER BY {column} {keyword}, id {keyword}
             LIMIT ?1 OFFSET ?2"
        ))?
        .query_map(window(page), read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(NumberedPage {
        items,
        total_count: count(w, "SELECT count(*) FROM owner WHERE kind = 0")?,
    })
}

pub(crate) fn delete(w: &Work<'_>, user: &UserId) -> Step<()> {
    owners::delete(w, &Owner::User(user.clone()))
}

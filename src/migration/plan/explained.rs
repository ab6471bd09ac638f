//! What a record names by ids that only its source uses, in the names that they stand for.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use uuid::Uuid;

use crate::sources::{ContainerId, Defect, IdKind, Names, SourceRecord};

/// The field of a memory that holds ids of categories, and the one that holds their names.
const CATEGORY_IDS: &str = "category_ids";
const CATEGORIES: &str = "categories";

/// Whether the source explains any ids.
pub(super) fn any(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM explained)", [], |row| {
        row.get(0)
    })
}

/// Puts names in the place of ids that the containers around a record explain.
///
/// # Errors
/// The inner one: an id that could be one person's or another's.
pub(super) fn explain_names(
    db: &Connection,
    around: &[ContainerId],
    names: &mut Names,
) -> rusqlite::Result<Result<(), Defect>> {
    for (kind, name) in [
        (IdKind::Agent, &mut names.agent),
        (IdKind::App, &mut names.app),
    ] {
        if let Some(id) = name
            && let Some(known) = meaning(db, around, kind, id)?
        {
            *id = known;
        }
    }
    let Some(user) = &mut names.user else {
        return Ok(Ok(()));
    };
    let known = meaning(db, around, IdKind::User, user)?;
    let is_a_name = exists(db, around, "name = ?2", user)?;
    match known {
        Some(_) if is_a_name => {
            let reason = "is the internal id of one user and the `user_id` of another: whose the \
                          record is cannot be known";
            return Ok(Err(Defect::of("user_id", reason)));
        }
        Some(known) => *user = known,
        None if !is_a_name && looks_internal(db, around, user)? => {
            let reason = "is an internal id that the document does not explain: whose the record is \
                          cannot be known; export the user too";
            return Ok(Err(Defect::of("user_id", reason)));
        }
        None => {}
    }
    Ok(Ok(()))
}

/// Puts the names of categories in the place of their ids. Answers whether there were any.
pub(super) fn explain_categories(
    db: &Connection,
    around: &[ContainerId],
    record: &mut SourceRecord,
) -> rusqlite::Result<bool> {
    if record.metadata.contains_key(CATEGORIES) {
        return Ok(false);
    }
    let Some(Value::Array(ids)) = record.metadata.get(CATEGORY_IDS) else {
        return Ok(false);
    };
    let mut names = Vec::new();
    for id in ids {
        let known = match id.as_str() {
            Some(id) => meaning(db, around, IdKind::Category, id)?,
            None => None,
        };
        let Some(known) = known else {
            return Ok(false);
        };
        names.push(Value::String(known));
    }
    record.metadata.shift_remove(CATEGORY_IDS);
    record
        .metadata
        .insert(CATEGORIES.to_owned(), Value::Array(names));
    Ok(true)
}

fn meaning(
    db: &Connection,
    around: &[ContainerId],
    kind: IdKind,
    id: &str,
) -> rusqlite::Result<Option<String>> {
    for container in around {
        let known = db
            .prepare_cached(
                "SELECT name FROM explained WHERE container = ?1 AND kind = ?2 AND id = ?3",
            )?
            .query_row(params![container, kind as i64, id], |row| row.get(0))
            .optional()?;
        if known.is_some() {
            return Ok(known);
        }
    }
    Ok(None)
}

/// Whether a user is explained of whom this is true.
fn exists(db: &Connection, around: &[ContainerId], what: &str, of: &str) -> rusqlite::Result<bool> {
    for container in around {
        let found: bool = db
            .prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM explained
                 WHERE container = ?1 AND kind = 0 AND {what})"
            ))?
            .query_row(params![container, of], |row| row.get(0))?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an id has the form of the internal ids of users: numbers or UUIDs, and no name has it.
fn looks_internal(db: &Connection, around: &[ContainerId], id: &str) -> rusqlite::Result<bool> {
    let is_number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let is_uuid = |id: &str| Uuid::try_parse(id).is_ok();
    let (number, uuid) = (is_number(id), is_uuid(id));
    if !number && !uuid {
        return Ok(false);
    }
    for container in around {
        let some: Option<(String, String)> = db
            .prepare_cached(
                "SELECT id, name FROM explained WHERE container = ?1 AND kind = 0 LIMIT 1",
            )?
            .query_row([container], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((internal, name)) = some {
            return Ok(match number {
                true => is_number(&internal) && !is_number(&name),
                false => is_uuid(&internal) && !is_uuid(&name),
            });
        }
    }
    Ok(false)
}

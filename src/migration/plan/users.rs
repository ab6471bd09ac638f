//! Users that a source describes in several places: one description each.

use rusqlite::{Connection, OptionalExtension, params};

use super::spool::{kept, to_keep};
use crate::sources::SourceUser;

/// Adds a description of an owner to the earlier ones. Of contradicting values the first is kept;
/// answers the names of these fields.
pub(super) fn describe(
    db: &Connection,
    owner: i64,
    user: &SourceUser,
) -> rusqlite::Result<Vec<String>> {
    let known = db
        .prepare_cached("SELECT profile FROM owner WHERE n = ?1 AND profile IS NOT NULL")?
        .query_row([owner], |row| kept(row, 0))
        .optional()?;
    let (profile, differing) = match known {
        Some(known) => merged(known, user),
        None => (user.clone(), Vec::new()),
    };
    db.prepare_cached("UPDATE owner SET profile = ?2 WHERE n = ?1")?
        .execute(params![owner, to_keep(&profile)?])?;
    Ok(differing)
}

/// Merges two descriptions of a user. Answers also the fields that differ.
fn merged(mut known: SourceUser, more: &SourceUser) -> (SourceUser, Vec<String>) {
    let mut differing = Vec::new();
    for (name, known, more) in [
        ("name", &mut known.name, &more.name),
        ("email", &mut known.email, &more.email),
        ("role", &mut known.role, &more.role),
    ] {
        match (&*known, more) {
            (None, Some(_)) => known.clone_from(more),
            (Some(known), Some(more)) if known != more => differing.push(name.to_owned()),
            _ => {}
        }
    }
    for (key, value) in &more.metadata {
        match known.metadata.get(key) {
            None => {
                known.metadata.insert(key.clone(), value.clone());
            }
            Some(known) if known != value => differing.push(key.clone()),
            Some(_) => {}
        }
    }
    (known, differing)
}

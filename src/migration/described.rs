//! Users as a source describes them: what it says in several places, brought together.

use rusqlite::{Connection, params};

use super::spool::{kept, to_keep};
use crate::mem0::SourceUser;

/// Adds what a source says of an owner to what it said before. What it says twice, and differently,
/// stays as it was said first; answers the names of these fields.
pub(super) fn describe(
    db: &Connection,
    owner: i64,
    user: &SourceUser,
) -> rusqlite::Result<Vec<String>> {
    let known: Option<String> =
        db.query_row("SELECT profile FROM owner WHERE n = ?1", [owner], |row| {
            row.get(0)
        })?;
    let (profile, differing) = match known {
        Some(known) => merged(kept(&known)?, user),
        None => (user.clone(), Vec::new()),
    };
    db.prepare_cached("UPDATE owner SET profile = ?2 WHERE n = ?1")?
        .execute(params![owner, to_keep(&profile)?])?;
    Ok(differing)
}

/// Two descriptions of one user as one, and the fields in which they differ.
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

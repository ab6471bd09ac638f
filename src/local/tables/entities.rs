//! Entities: the owner, and each named speaker in the owner's graph. A speaker's row exists while a
//! message of theirs does.

use rusqlite::{OptionalExtension, Row};
use uuid::Uuid as Raw;

use super::columns::{same_name, uuid};
use super::owners::{self, OwnerRow};
use super::paging::Keyset;
use crate::local::query::{CursorPage, Listing};
use crate::local::sqlite::{Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{Entity, Owner, UserId, Uuid};

/// Counts a mention of a speaker, creating their row with the first one. Returns the row.
pub(crate) fn mention(w: &Work<'_>, owner: i64, name: &str) -> Step<i64> {
    Ok(w.tx
        .prepare_cached(
            "INSERT INTO entity (owner, name, uuid, mentions, created_at)
             VALUES (?1, ?2, ?3, 1, ?4)
             ON CONFLICT (owner, name) DO UPDATE SET mentions = mentions + 1 RETURNING id",
        )?
        .query_row(
            (owner, name, uuids::fresh().into_bytes(), w.clock.now),
            |row| row.get(0),
        )?)
}

/// A speaker's name.
pub(crate) fn name(w: &Work<'_>, entity: i64) -> Step<String> {
    Ok(w.tx
        .prepare_cached("SELECT name FROM entity WHERE id = ?1")?
        .query_row([entity], |row| row.get(0))?)
}

/// Takes one mention back; the last one deletes the row.
pub(crate) fn release(w: &Work<'_>, entity: i64) -> Step<()> {
    w.tx.prepare_cached("UPDATE entity SET mentions = mentions - 1 WHERE id = ?1")?
        .execute([entity])?;
    w.tx.prepare_cached("DELETE FROM entity WHERE id = ?1 AND mentions <= 0")?
        .execute([entity])?;
    Ok(())
}

/// Takes back the mentions of a thread's messages, which are about to be deleted.
pub(crate) fn release_thread(w: &Work<'_>, thread: i64) -> Step<()> {
    w.tx.execute(
        "WITH gone AS (SELECT speaker, count(*) AS times FROM episode
                       WHERE thread = ?1 AND speaker IS NOT NULL GROUP BY speaker)
         UPDATE entity SET mentions = mentions - gone.times FROM gone
         WHERE entity.id = gone.speaker",
        [thread],
    )?;
    w.tx.execute(
        "DELETE FROM entity WHERE mentions <= 0
         AND owner = (SELECT owner FROM thread WHERE id = ?1)",
        [thread],
    )?;
    Ok(())
}

/// An entity and its sort keys.
struct Keyed {
    uuid: Raw,
    created_at: i64,
    entity: Entity,
}

fn owner_entity(found: &OwnerRow) -> Keyed {
    let (label, is) = match found.kind {
        owners::USER => ("User", "the user this graph is about"),
        _ => ("Graph", "the graph itself"),
    };
    keyed(
        found.node,
        found.created_at,
        found.name.clone(),
        format!("{} is {is}.", found.name),
        vec!["Entity".into(), label.into()],
    )
}

fn speaker_entity(row: &Row<'_>) -> rusqlite::Result<Keyed> {
    let name: String = row.get(1)?;
    let mentions: i64 = row.get(2)?;
    let summary = match mentions {
        1 => format!("{name} speaks in 1 message."),
        mentions => format!("{name} speaks in {mentions} messages."),
    };
    Ok(keyed(
        uuid(row, 0)?,
        row.get(3)?,
        name,
        summary,
        vec!["Entity".into()],
    ))
}

fn keyed(uuid: Raw, created_at: i64, name: String, summary: String, labels: Vec<String>) -> Keyed {
    Keyed {
        uuid,
        created_at,
        entity: Entity {
            uuid: uuids::to_zep(uuid),
            name,
            summary,
            labels: Some(labels),
            created_at: timestamps::from_micros(created_at),
            attributes: None,
            score: None,
        },
    }
}

/// The processed entities of an owner's graph, the owner first.
fn all(w: &Work<'_>, owner: &OwnerRow) -> Step<Vec<Keyed>> {
    let speakers: Vec<Keyed> =
        w.tx.prepare_cached(
            "SELECT uuid, name, mentions, created_at FROM entity
             WHERE owner = ?1 AND created_at <= ?2 ORDER BY id",
        )?
        .query_map((owner.id, w.clock.processed_until), speaker_entity)?
        .collect::<rusqlite::Result<_>>()?;
    let mut entities = vec![owner_entity(owner)];
    // A speaker with the owner's name is the owner.
    entities.extend(
        speakers
            .into_iter()
            .filter(|speaker| !same_name(&speaker.entity.name, &owner.name)),
    );
    Ok(entities)
}

/// The processed entities of an owner's graph, for a search.
pub(crate) fn of_owner(w: &Work<'_>, owner: &OwnerRow) -> Step<Vec<Entity>> {
    Ok(all(w, owner)?.into_iter().map(|one| one.entity).collect())
}

pub(crate) fn list(w: &Work<'_>, owner: &Owner, listing: &Listing) -> Step<CursorPage<Entity>> {
    let keyset = Keyset::new(listing)?;
    let found = owners::find(w, owner)?;
    let entities = all(w, &found)?
        .into_iter()
        .map(|one| (keyset.key(one.created_at, one.uuid.as_u128()), one.entity))
        .collect();
    Ok(keyset.page(entities))
}

/// An entity by its UUID.
pub(crate) fn get(w: &Work<'_>, node: &Uuid) -> Step<Entity> {
    let wanted = uuids::parse(node).ok_or_else(|| check::not_found("node"))?;
    let speaker =
        w.tx.prepare_cached("SELECT uuid, name, mentions, created_at FROM entity WHERE uuid = ?1")?
            .query_row([wanted.as_bytes()], speaker_entity)
            .optional()?;
    if let Some(speaker) = speaker {
        return Ok(speaker.entity);
    }
    let owner = owners::by_node(w, wanted)?.ok_or_else(|| check::not_found("node"))?;
    Ok(owner_entity(&owner).entity)
}

/// A user's own entity.
pub(crate) fn of_user(w: &Work<'_>, user: &UserId) -> Step<Entity> {
    let found = owners::find(w, &Owner::User(user.clone()))?;
    Ok(owner_entity(&found).entity)
}

/// The rows of these entities, and whether the owner's own entity is among them.
pub(crate) fn rows_of(w: &Work<'_>, owner: i64, nodes: &[Raw]) -> Step<(Vec<i64>, bool)> {
    let mut rows = Vec::new();
    let mut own = false;
    for node in nodes {
        let row: Option<i64> =
            w.tx.prepare_cached("SELECT id FROM entity WHERE uuid = ?1 AND owner = ?2")?
                .query_row((node.as_bytes(), owner), |row| row.get(0))
                .optional()?;
        rows.extend(row);
        own |=
            w.tx.prepare_cached("SELECT 1 FROM owner WHERE node = ?1 AND id = ?2")?
                .exists((node.as_bytes(), owner))?;
    }
    Ok((rows, own))
}

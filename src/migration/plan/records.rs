//! Reading a plan back: owners, places, and records as they are written.

use jiff::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Row, params};

use super::identity::{owner_of, place_of};
use super::spool::{self, kept};
use super::{Plan, State};
use crate::memory;
use crate::memory::fit::Speaker;
use crate::memory::import::Imported;
use crate::memory::model::{
    AgentId, AppId, InvalidId, MemoryKind, Owner, Place, RecordId, TimeOrigin, Uuid,
};
use crate::sources::{Defect, Entry, Position, RecordKind, SourceRecord, SourceUser};
use crate::zep::PartNo;

/// How many owners or places are read at a time.
pub(super) const PAGE: usize = 64;

/// An owner of a plan.
#[derive(Debug, Clone)]
pub(in crate::migration) struct PlannedOwner {
    pub(in crate::migration) n: i64,
    pub(in crate::migration) owner: Owner,
    /// What the source says of a user.
    pub(in crate::migration) profile: Option<SourceUser>,
    /// Whether the owner is made for the migration.
    pub(in crate::migration) stands_in: bool,
}

/// A place of a plan.
#[derive(Debug, Clone)]
pub(in crate::migration) struct PlannedPlace {
    pub(in crate::migration) n: i64,
    pub(in crate::migration) place: Place,
    /// How many of its records were planned when it was read from the plan.
    pub(in crate::migration) planned: u64,
    /// How many messages or episodes the source's records of the place take, also of those that a
    /// sample leaves out.
    pub(in crate::migration) parts: u64,
}

/// A record of a plan.
#[derive(Debug, Clone)]
pub(in crate::migration) struct PlannedRecord {
    pub(in crate::migration) n: i64,
    /// Its place in the order of its session.
    pub(in crate::migration) order: Order,
    /// How many messages or episodes it takes.
    pub(in crate::migration) parts: usize,
    /// Those that are stored, if it is not stored completely.
    pub(in crate::migration) stored: Vec<(PartNo, Option<Uuid>)>,
    /// Whether an earlier process sent it, so that it may be stored.
    pub(in crate::migration) sent: bool,
    pub(in crate::migration) position: Position,
    pub(in crate::migration) record: Imported,
}

/// The place of a record in the order of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::migration) struct Order(pub(super) i64, pub(super) i64);

impl Order {
    /// Before all records.
    pub(in crate::migration) const START: Self = Self(i64::MIN, i64::MIN);

    /// Whether the record or one before it has a time.
    pub(in crate::migration) fn is_dated(self) -> bool {
        self.0 != i64::MIN
    }
}

/// How many messages or episodes a record takes at a place.
///
/// # Errors
/// Why it cannot be stored.
pub(super) fn part_count(
    system: &str,
    record: &SourceRecord,
    id: &str,
    place: &Place,
) -> Result<usize, Defect> {
    let time = record.created_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let record = imported(record.clone(), RecordId::new(id)?, time, system)?;
    record.parts(place).map_err(|error| match error {
        memory::Error::Invalid { field, problem } => Defect::of(field, problem),
        error => Defect::whole(error.to_string()),
    })
}

/// A record of this system as the domain takes it, at this time where it has none of its own.
fn imported(
    record: SourceRecord,
    id: RecordId,
    time: Timestamp,
    system: &str,
) -> Result<Imported, InvalidId> {
    let kind = record.memory_type.as_deref().map(MemoryKind::new);
    // A memory without a role of its own has no speaker.
    let unspoken =
        record.kind == RecordKind::Memory && !record.states_role && record.name.is_none();
    let (source, instead_of) = match record.stored {
        Some(stored) => (stored.migration_source, stored.instead_of),
        None => (system.to_owned(), None),
    };
    Ok(Imported {
        id,
        speaker: (!unspoken).then_some(Speaker {
            role: record.role,
            name: record.name,
        }),
        content: record.content,
        created_at: record.created_at.unwrap_or(time),
        time: match record.created_at {
            Some(_) => TimeOrigin::Given,
            None => TimeOrigin::Inferred,
        },
        updated: record.updated_at,
        kind: kind.transpose()?,
        source,
        instead_of,
        agent: None,
        app: None,
        run: None,
        metadata: record.metadata,
    })
}

/// What was kept is not what is read: an error, never a record less.
pub(super) fn misread(reason: impl ToString) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason.to_string().into())
}

const RECORD: &str = "SELECT record.n, record.id, record.agent, record.app, record.parts,
        record.carried, record.rank, record.exported_at, item.json,
        EXISTS (SELECT 1 FROM sent WHERE sent.record = record.n)
    FROM record JOIN item ON item.n = record.item";

impl Plan {
    /// The next owners after this one, in the order in which the source names them.
    pub(super) fn owners_after(&self, n: i64) -> spool::Result<Vec<PlannedOwner>> {
        let db = self.spool.db();
        let mut owners = db.prepare_cached(
            "SELECT n, key, profile, stands_in FROM owner
             WHERE n > ?1 AND (?3 OR EXISTS (SELECT 1 FROM place WHERE place.owner = owner.n))
             ORDER BY n LIMIT ?2",
        )?;
        let rows = owners.query_map(params![n, PAGE, self.empty_owners], |row| {
            let key: String = row.get(1)?;
            let is_described = row.get_ref(2)? != ValueRef::Null;
            Ok(PlannedOwner {
                n: row.get(0)?,
                owner: owner_of(&key).ok_or_else(|| misread("not an owner"))?,
                profile: is_described.then(|| kept(row, 2)).transpose()?,
                stands_in: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The next places of an owner after this one.
    pub(super) fn places_after(&self, owner: i64, n: i64) -> spool::Result<Vec<PlannedPlace>> {
        let db = self.spool.db();
        let mut places = db.prepare_cached(
            "SELECT place.n, owner.key, place.session,
                    (SELECT count(*) FROM record WHERE record.place = place.n AND state = ?4),
                    (SELECT coalesce(sum(parts), 0) FROM record
                     WHERE record.place = place.n AND state IN (?4, ?5))
             FROM place JOIN owner ON owner.n = place.owner
             WHERE place.owner = ?1 AND place.n > ?2 ORDER BY place.n LIMIT ?3",
        )?;
        let (planned, left_out) = (State::Planned as i64, State::NotSampled as i64);
        let rows = places.query_map(params![owner, n, PAGE, planned, left_out], |row| {
            let (key, session): (String, String) = (row.get(1)?, row.get(2)?);
            Ok(PlannedPlace {
                n: row.get(0)?,
                place: place_of(&key, &session).ok_or_else(|| misread("not a place"))?,
                planned: row.get(3)?,
                parts: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The next planned records of a place, in order.
    pub(in crate::migration) fn planned_after(
        &self,
        place: &PlannedPlace,
        after: Order,
        limit: usize,
    ) -> spool::Result<Vec<PlannedRecord>> {
        let db = self.spool.db();
        let mut records = db.prepare_cached(&format!(
            "{RECORD} WHERE record.place = ?1 AND record.state = ?2
               AND (record.carried, record.rank) > (?3, ?4)
             ORDER BY record.carried, record.rank LIMIT ?5"
        ))?;
        let planned = State::Planned as i64;
        let mut rows = records.query(params![place.n, planned, after.0, after.1, limit])?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            let mut record = self.load(row, &place.place)?;
            record.stored = stored_parts(&db, record.n)?;
            page.push(record);
        }
        Ok(page)
    }

    /// The planned record of this id, in any state in which the target may have it.
    pub(in crate::migration) fn record_of(
        &self,
        place: &PlannedPlace,
        id: &str,
    ) -> spool::Result<Option<PlannedRecord>> {
        let db = self.spool.db();
        let mut record = db.prepare_cached(&format!(
            "{RECORD} WHERE record.owner = (SELECT owner FROM place WHERE n = ?1)
               AND record.id = ?2 AND record.place = ?1 AND record.state <= ?3"
        ))?;
        let mut rows = record.query(params![place.n, id, State::Failed as i64])?;
        match rows.next()? {
            Some(row) => Ok(Some(self.load(row, &place.place)?)),
            None => Ok(None),
        }
    }

    /// The record of this number at a place, in any state.
    pub(in crate::migration) fn record(
        &self,
        place: &PlannedPlace,
        n: i64,
    ) -> spool::Result<PlannedRecord> {
        let db = self.spool.db();
        let mut record = db.prepare_cached(&format!("{RECORD} WHERE record.n = ?1"))?;
        let mut rows = record.query([n])?;
        match rows.next()? {
            Some(row) => Ok(self.load(row, &place.place)?),
            None => Err(misread("a record is gone").into()),
        }
    }

    fn load(&self, row: &Row<'_>, place: &Place) -> rusqlite::Result<PlannedRecord> {
        let id: String = row.get(1)?;
        let (agent, app): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        let order = Order(row.get(5)?, row.get(6)?);
        let exported_at: Option<i64> = row.get(7)?;
        let Entry::Record(source) = kept(row, 8)? else {
            return Err(misread("not a record"));
        };
        let carried = match place {
            Place::Session(..) if order.is_dated() => Some(order.0),
            _ => None,
        };
        let time = carried
            .or(exported_at)
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .unwrap_or(self.now);
        let position = source.origin.position.clone();
        let id = RecordId::new(&id).map_err(misread)?;
        let record = Imported {
            agent: checked(agent, AgentId::new)?,
            app: checked(app, AppId::new)?,
            ..imported(*source, id, time, self.system).map_err(misread)?
        };
        Ok(PlannedRecord {
            n: row.get(0)?,
            order,
            parts: row.get(4)?,
            stored: Vec::new(),
            sent: row.get(9)?,
            position,
            record,
        })
    }
}

/// An id that was checked before it was kept.
fn checked<T>(
    id: Option<String>,
    make: impl FnOnce(&str) -> Result<T, InvalidId>,
) -> rusqlite::Result<Option<T>> {
    id.map(|id| make(&id)).transpose().map_err(misread)
}

/// The stored parts of a record that is not stored completely.
fn stored_parts(db: &Connection, record: i64) -> rusqlite::Result<Vec<(PartNo, Option<Uuid>)>> {
    let mut parts = db.prepare_cached("SELECT number, total, uuid FROM part WHERE record = ?1")?;
    let rows = parts.query_map([record], |row| {
        let part = PartNo {
            number: row.get(0)?,
            total: row.get(1)?,
        };
        Ok((part, row.get::<_, Option<String>>(2)?.map(Uuid)))
    })?;
    rows.collect()
}

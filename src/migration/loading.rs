//! A plan's records, read back from disk as they are to be written.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params, types::Type};

use super::identity::{Placement, owner_of, place_of};
use super::plan::{Plan, State, Weight};
use super::spool::{self, kept};
use crate::mem0::{
    Item, Piece, Position, Problem, RecordKind, SourceRecord, SourceUser, interpret,
};
use crate::memory::fit::Speaker;
use crate::memory::import::Imported;
use crate::memory::model::{AgentId, AppId, MemoryKind, Owner, Place, RecordId, TimeOrigin, Uuid};
use crate::zep::PartNo;

/// What migrated records say of where they come from.
pub(super) const SOURCE: &str = "mem0";
/// How many owners or places are read at a time.
const PAGE: u32 = 64;

/// An owner of a plan.
#[derive(Debug, Clone)]
pub(super) struct PlannedOwner {
    pub(super) n: i64,
    pub(super) owner: Owner,
    /// What the source says of them.
    pub(super) profile: Option<SourceUser>,
    /// Whether they are made for the migration.
    pub(super) stands_in: bool,
}

/// A place of a plan.
#[derive(Debug, Clone)]
pub(super) struct PlannedPlace {
    pub(super) n: i64,
    pub(super) place: Place,
}

/// A record of a plan.
#[derive(Debug, Clone)]
pub(super) struct PlannedRecord {
    pub(super) n: i64,
    /// Where it stands in its session.
    pub(super) order: Order,
    /// How many messages or episodes it takes.
    pub(super) parts: usize,
    pub(super) position: Position,
    pub(super) record: Imported,
}

/// The place of a record in the order of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order(pub(super) i64, pub(super) i64);

impl Order {
    /// Before all records.
    pub(super) const START: Self = Self(i64::MIN, i64::MIN);
}

/// How many messages or episodes a record will take.
///
/// # Errors
/// Why it cannot be stored, naming the field.
pub(super) fn parts(
    record: &SourceRecord,
    id: &str,
    placement: &Placement,
) -> Result<usize, String> {
    let id = RecordId::new(id).map_err(|error| error.to_string())?;
    let time = record.created_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let record = imported(record.clone(), id, time)?;
    let parts = record.parts(&placement.place);
    parts.map_err(|error| error.to_string())
}

/// A source's record as the domain takes it, at this time where it has none of its own.
fn imported(record: SourceRecord, id: RecordId, time: Timestamp) -> Result<Imported, String> {
    let kind = record.memory_type.as_deref().map(MemoryKind::new);
    let kind = kind.transpose().map_err(|error| error.to_string())?;
    // A sentence that nobody in particular said has no speaker.
    let unspoken =
        record.kind == RecordKind::Memory && record.role == "user" && record.name.is_none();
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
        kind,
        source: SOURCE.into(),
        agent: None,
        app: None,
        metadata: record.metadata,
    })
}

/// A record of an item that was read and understood before.
fn understood(item: &Item, turn: usize) -> Result<SourceRecord, String> {
    match interpret(item)? {
        Piece::Record(record) => Some(*record),
        Piece::Turns(turns) => turns.into_iter().nth(turn),
        Piece::User(_) | Piece::Nothing => None,
    }
    .ok_or_else(|| "is no record any more".into())
}

/// An id that was checked before.
fn named<T, E: ToString>(
    id: Option<String>,
    make: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<Option<T>> {
    let made = id.map(|id| make(&id)).transpose();
    made.map_err(|error| misread(error.to_string()))
}

/// What was kept is not what was read: an error, never a record less.
fn misread(reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason.into())
}

const RECORD: &str = "SELECT record.n, record.turn, record.id, record.agent, record.app,
        record.parts, record.carried, record.rank, record.exported_at, item.json
    FROM record JOIN item ON item.n = record.item";

impl Plan {
    /// The owners after this one, in the order in which the source names them.
    pub(super) fn owners_after(&self, n: i64) -> spool::Result<Vec<PlannedOwner>> {
        let db = self.spool.db();
        let mut owners = db.prepare_cached(
            "SELECT n, key, profile, stands_in FROM owner
             WHERE n > ?1 AND (?3 OR EXISTS (SELECT 1 FROM place WHERE place.owner = owner.n))
             ORDER BY n LIMIT ?2",
        )?;
        let rows = owners.query_map(params![n, PAGE, self.empty_owners], |row| {
            let (key, profile): (String, Option<String>) = (row.get(1)?, row.get(2)?);
            Ok(PlannedOwner {
                n: row.get(0)?,
                owner: owner_of(&key).ok_or_else(|| misread("is no owner".into()))?,
                profile: profile.map(|text| kept(&text)).transpose()?,
                stands_in: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The places of an owner after this one.
    pub(super) fn places_after(&self, owner: i64, n: i64) -> spool::Result<Vec<PlannedPlace>> {
        let db = self.spool.db();
        let mut places = db.prepare_cached(
            "SELECT place.n, owner.key, place.session FROM place JOIN owner ON owner.n = place.owner
             WHERE place.owner = ?1 AND place.n > ?2 ORDER BY place.n LIMIT ?3",
        )?;
        let rows = places.query_map(params![owner, n, PAGE], |row| {
            let (key, session): (String, String) = (row.get(1)?, row.get(2)?);
            let place = place_of(&key, &session).ok_or_else(|| misread("is no place".into()))?;
            Ok(PlannedPlace {
                n: row.get(0)?,
                place,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The next records of a place that are in this state, in order.
    pub(super) fn records_after(
        &self,
        place: &PlannedPlace,
        state: State,
        after: Order,
        limit: usize,
    ) -> spool::Result<Vec<PlannedRecord>> {
        let db = self.spool.db();
        let mut records = db.prepare_cached(&format!(
            "{RECORD} WHERE record.place = ?1 AND record.state = ?2
               AND (record.carried, record.rank) > (?3, ?4)
             ORDER BY record.carried, record.rank LIMIT ?5"
        ))?;
        let mut rows = records.query(params![place.n, state as i64, after.0, after.1, limit])?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            page.push(self.load(row, &place.place)?);
        }
        Ok(page)
    }

    /// The planned record of this id, in whatever state that may stand in the target.
    pub(super) fn record_of(
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

    fn load(&self, row: &Row<'_>, place: &Place) -> rusqlite::Result<PlannedRecord> {
        let (n, turn, id): (i64, usize, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (agent, app): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
        let order = Order(row.get(6)?, row.get(7)?);
        let exported_at: Option<i64> = row.get(8)?;
        let text: String = row.get(9)?;
        let item: Item = kept(&text)?;
        let carried = match place {
            Place::Session(..) if order.0 != i64::MIN => Some(order.0),
            _ => None,
        };
        let time = carried
            .or(exported_at)
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .unwrap_or(self.now);
        let mut record = understood(&item, turn)
            .and_then(|record| {
                let id = RecordId::new(&id).map_err(|error| error.to_string())?;
                imported(record, id, time)
            })
            .map_err(misread)?;
        record.agent = named(agent, AgentId::new)?;
        record.app = named(app, AppId::new)?;
        Ok(PlannedRecord {
            n,
            order,
            parts: row.get(5)?,
            position: item.position,
            record,
        })
    }

    /// The state of the record of this id at a place, with its number; `None` if it is not planned.
    pub(super) fn state_of(
        &self,
        place: &PlannedPlace,
        id: &str,
    ) -> spool::Result<Option<(i64, State)>> {
        let db = self.spool.db();
        let mut record = db.prepare_cached(
            "SELECT n, state FROM record
             WHERE owner = (SELECT owner FROM place WHERE n = ?1) AND id = ?2 AND place = ?1
               AND state <= ?3",
        )?;
        Ok(record
            .query_row(params![place.n, id, State::Failed as i64], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?)
    }

    /// Notes a stored part of a record. Answers whether all of its parts are noted.
    pub(super) fn note_part(
        &self,
        record: i64,
        part: PartNo,
        uuid: Option<&Uuid>,
    ) -> spool::Result<bool> {
        let db = self.spool.db();
        db.prepare_cached("INSERT OR IGNORE INTO part VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                record,
                part.number,
                part.total,
                uuid.map(Uuid::as_str)
            ])?;
        let noted: u32 = db
            .prepare_cached("SELECT count(*) FROM part WHERE record = ?1 AND total = ?2")?
            .query_row(params![record, part.total], |row| row.get(0))?;
        Ok(noted >= part.total)
    }

    /// The stored parts of a record that is not stored whole.
    pub(super) fn parts_of(&self, record: i64) -> spool::Result<Vec<(PartNo, Option<Uuid>)>> {
        let db = self.spool.db();
        let mut parts =
            db.prepare_cached("SELECT number, total, uuid FROM part WHERE record = ?1")?;
        let rows = parts.query_map([record], |row| {
            let part = PartNo {
                number: row.get(0)?,
                total: row.get(1)?,
            };
            Ok((part, row.get::<_, Option<String>>(2)?.map(Uuid)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Moves a record to a state; whole by now, or given up.
    pub(super) fn set_state(&self, record: i64, state: State) -> spool::Result<()> {
        let db = self.spool.db();
        db.prepare_cached("UPDATE record SET state = ?2 WHERE n = ?1")?
            .execute(params![record, state as i64])?;
        if state != State::Failed {
            db.prepare_cached("DELETE FROM part WHERE record = ?1")?
                .execute([record])?;
        }
        Ok(())
    }

    /// Gives up all records of a place that are still planned. Answers how many.
    pub(super) fn give_up(&self, place: &PlannedPlace) -> spool::Result<u64> {
        let db = self.spool.db();
        let given_up = db
            .prepare_cached("UPDATE record SET state = ?2 WHERE place = ?1 AND state = ?3")?
            .execute(params![
                place.n,
                State::Failed as i64,
                State::Planned as i64
            ])?;
        Ok(given_up as u64)
    }

    /// Everything that is planned is planned again, as if nothing had been looked at or written.
    pub(super) fn forget_states(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute(
            "UPDATE record SET state = ?1 WHERE state <= ?2",
            [State::Planned as i64, State::Failed as i64],
        )?;
        db.execute("DELETE FROM part", [])?;
        Ok(())
    }

    /// How many records of a place are in a state.
    pub(super) fn count_of(&self, place: &PlannedPlace, state: State) -> spool::Result<u64> {
        let db = self.spool.db();
        Ok(db
            .prepare_cached("SELECT count(*) FROM record WHERE place = ?1 AND state = ?2")?
            .query_row(params![place.n, state as i64], |row| row.get(0))?)
    }

    /// How many records are planned and were neither found nor written nor given up.
    pub(super) fn not_reached(&self) -> spool::Result<u64> {
        let db = self.spool.db();
        Ok(db.query_row(
            "SELECT count(*) FROM record WHERE state = ?1",
            [State::Planned as i64],
            |row| row.get(0),
        )?)
    }

    /// What is not as it should be in the source, in the order in which it was found; the first so
    /// many.
    pub(super) fn problems(&self, weight: Weight, limit: usize) -> spool::Result<Vec<Problem>> {
        let db = self.spool.db();
        let mut problems = db.prepare_cached(
            "SELECT position, record, reason FROM problem WHERE minor = ?1 ORDER BY n LIMIT ?2",
        )?;
        let rows = problems.query_map(params![weight as i64, limit], |row| {
            Ok(Problem {
                position: Position(row.get(0)?),
                record: row.get(1)?,
                reason: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

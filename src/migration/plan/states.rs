//! How far each record of a plan has come.

use rusqlite::{Connection, OptionalExtension, params};

use super::records::PlannedPlace;
use super::spool;
use super::{Plan, State};
use crate::memory::import::PartOf;
use crate::memory::model::Uuid;
use crate::zep::PartNo;

/// What was recognised among stored parts.
#[derive(Debug, Default)]
pub(in crate::migration) struct Recognised {
    /// How many planned records are stored.
    pub(in crate::migration) records: u64,
    /// Those of them, with the run that wrote each, where it is named.
    pub(in crate::migration) stored: Vec<(String, Option<String>)>,
    /// The parts that are of planned records, by the number of the record.
    pub(in crate::migration) parts: Vec<(i64, PartNo)>,
}

impl Plan {
    /// Recognises stored parts of planned records by record id, and notes which are stored.
    pub(in crate::migration) fn recognise(
        &self,
        place: &PlannedPlace,
        parts: &[(PartOf, Option<Uuid>)],
    ) -> spool::Result<Recognised> {
        let db = self.spool.db();
        let mut recognised = Recognised::default();
        for (part, uuid) in parts {
            if let Some(changed) = &part.instead_of
                && let Some((record, State::Planned)) = state_of(&db, place, changed)?
            {
                // It was changed since it was migrated: it is there in its new form.
                set_state(&db, record, State::There)?;
                recognised.records += 1;
                recognised.stored.push((changed.clone(), None));
            }
            let Some((record, state)) = state_of(&db, place, &part.record)? else {
                continue;
            };
            if state == State::Planned
                && (part.number.total == 1 || note_part(&db, record, part.number, uuid.as_ref())?)
            {
                set_state(&db, record, State::There)?;
                recognised.records += 1;
                let stored = (part.record.clone(), part.run.clone());
                recognised.stored.push(stored);
            }
            recognised.parts.push((record, part.number));
        }
        Ok(recognised)
    }

    /// The state of the record of this id at a place, with its number; `None` if it is not planned.
    pub(in crate::migration) fn state_of(
        &self,
        place: &PlannedPlace,
        id: &str,
    ) -> spool::Result<Option<(i64, State)>> {
        Ok(state_of(&self.spool.db(), place, id)?)
    }

    /// Moves records to a state.
    pub(in crate::migration) fn set_states(
        &self,
        records: &[i64],
        state: State,
    ) -> spool::Result<()> {
        let db = self.spool.db();
        for record in records {
            set_state(&db, *record, state)?;
        }
        Ok(())
    }

    /// Marks all records of a place as failed that are still planned. Answers how many.
    pub(in crate::migration) fn give_up(&self, place: &PlannedPlace) -> spool::Result<u64> {
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

    /// Makes everything planned again that was found, written or given up.
    pub(in crate::migration) fn forget_states(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute(
            "UPDATE record SET state = ?1 WHERE state <= ?2 OR state = ?3",
            [
                State::Planned as i64,
                State::Failed as i64,
                State::InBatch as i64,
            ],
        )?;
        db.execute("DELETE FROM part", [])?;
        Ok(())
    }

    /// Makes everything planned again that was found.
    pub(in crate::migration) fn forget_found(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute(
            "UPDATE record SET state = ?1 WHERE state = ?2",
            [State::Planned as i64, State::There as i64],
        )?;
        Ok(())
    }

    /// How many records of a place are still planned.
    pub(in crate::migration) fn planned_at(&self, place: &PlannedPlace) -> spool::Result<u64> {
        let db = self.spool.db();
        Ok(db
            .prepare_cached("SELECT count(*) FROM record WHERE place = ?1 AND state = ?2")?
            .query_row(params![place.n, State::Planned as i64], |row| row.get(0))?)
    }

    /// How many records were neither found nor written nor given up.
    pub(in crate::migration) fn not_reached(&self) -> spool::Result<u64> {
        let db = self.spool.db();
        Ok(db.query_row(
            "SELECT count(*) FROM record WHERE state IN (?1, ?2)",
            [State::Planned as i64, State::InBatch as i64],
            |row| row.get(0),
        )?)
    }
}

fn state_of(
    db: &Connection,
    place: &PlannedPlace,
    id: &str,
) -> rusqlite::Result<Option<(i64, State)>> {
    db.prepare_cached(
        "SELECT n, state FROM record
         WHERE owner = (SELECT owner FROM place WHERE n = ?1) AND id = ?2 AND place = ?1
           AND state <= ?3",
    )?
    .query_row(params![place.n, id, State::Failed as i64], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .optional()
}

/// Notes a stored part. Answers whether all parts of the record are noted.
fn note_part(
    db: &Connection,
    record: i64,
    part: PartNo,
    uuid: Option<&Uuid>,
) -> rusqlite::Result<bool> {
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

fn set_state(db: &Connection, record: i64, state: State) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE record SET state = ?2 WHERE n = ?1")?
        .execute(params![record, state as i64])?;
    if state != State::Failed {
        db.prepare_cached("DELETE FROM part WHERE record = ?1")?
            .execute([record])?;
    }
    Ok(())
}

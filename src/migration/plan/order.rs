//! The third pass: equal records are numbered, conflicts found, sessions sorted, everything counted.

use rusqlite::{Connection, params};

use super::identity::numbered;
use super::problems::{count_problems, keep_problem};
use super::spool::{self, kept};
use super::{Plan, State};
use crate::sources::{Defect, Entry, Severity};

impl Plan {
    /// Leaves out records that are marked as deleted where the source repeats them, and those whose
    /// owner is known from another file if they repeat one of that file.
    pub(super) fn find_repeated(&self) -> spool::Result<()> {
        let db = self.spool.db();
        // The index alone answers which ids occur more than once: the other steps look at those only.
        db.execute_batch(
            "CREATE INDEX record_id ON record (owner, id);
             CREATE TEMP TABLE repeated (owner INTEGER, id TEXT, PRIMARY KEY (owner, id)) WITHOUT ROWID;
             INSERT INTO repeated SELECT owner, id FROM record GROUP BY owner, id HAVING count(*) > 1;",
        )?;
        db.execute(
            "UPDATE record SET state = ?1 WHERE (owner, id) IN (
                SELECT owner.n, left_out.id FROM left_out JOIN owner ON owner.key = left_out.owner
                WHERE left_out.deleted)",
            [State::Duplicate as i64],
        )?;
        let mut both = db.prepare(
            "SELECT record.n, this.json, other.json FROM record
             JOIN record AS owned
               ON owned.owner = record.owner AND owned.id = record.id AND owned.borrowed = 0
             JOIN item AS this ON this.n = record.item
             JOIN item AS other ON other.n = owned.item
             WHERE record.borrowed = 1 AND record.state = 0",
        )?;
        let mut repeats = db.prepare("UPDATE record SET state = ?2 WHERE n = ?1")?;
        let mut rows = both.query([])?;
        while let Some(row) = rows.next()? {
            if let (Entry::Record(this), Entry::Record(other)) = (kept(row, 1)?, kept(row, 2)?)
                && this.content == other.content
            {
                repeats.execute(params![row.get::<_, i64>(0)?, State::Duplicate as i64])?;
            }
        }
        Ok(())
    }

    /// Numbers equal records that have no ids of their own.
    pub(super) fn number_equal_ones(&self) -> spool::Result<()> {
        let db = self.spool.db();
        let mut equal = db.prepare(
            "SELECT n, id, row_number() OVER (PARTITION BY owner, id ORDER BY position) AS number
             FROM record
             WHERE by_content = 1 AND state = 0 AND (owner, id) IN (SELECT owner, id FROM repeated)",
        )?;
        let mut name = db.prepare("UPDATE record SET id = ?2 WHERE n = ?1")?;
        let mut named: Vec<(i64, String)> = Vec::new();
        let mut rows = equal.query([])?;
        while let Some(row) = rows.next()? {
            let (n, id, number): (i64, String, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if number > 1 {
                named.push((n, numbered(&id, number)));
            }
        }
        drop(rows);
        for (n, id) in named {
            name.execute(params![n, id])?;
        }
        Ok(())
    }

    /// Finds records with the same id: equal ones are one. Of different ones the one that was changed
    /// last is written; where nothing says which, none is.
    pub(super) fn find_conflicts(&mut self) -> spool::Result<()> {
        let db = self.spool.db();
        let conflicts = db.execute(
            "UPDATE record SET state = ?1 WHERE (owner, id) IN (
                SELECT owner, id FROM record WHERE state = ?2
                AND (owner, id) IN (SELECT owner, id FROM repeated)
                GROUP BY owner, id HAVING count(DISTINCT digest) > 1) AND state = ?2",
            [State::Conflict as i64, State::Planned as i64],
        )?;
        if conflicts > 0 {
            settle_conflicts(&db)?;
        }
        db.execute(
            "UPDATE record SET state = ?1
             WHERE state = ?2 AND (owner, id) IN (SELECT owner, id FROM repeated) AND n NOT IN (
                SELECT min(n) FROM record
                WHERE state = ?2 AND (owner, id) IN (SELECT owner, id FROM repeated)
                GROUP BY owner, id)",
            [State::Duplicate as i64, State::Planned as i64],
        )?;
        db.execute_batch("DROP TABLE repeated")?;
        Ok(())
    }

    /// Sorts each session by time. Undated records stay behind the dated one that they follow. A
    /// session that the source lists newest first is reversed.
    pub(super) fn order(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute_batch(
            "CREATE TEMP TABLE backwards AS
             SELECT place FROM (
                SELECT place, time, lag(time) OVER (PARTITION BY place ORDER BY position) AS before
                FROM record WHERE state = 0 AND time IS NOT NULL AND snapshot = 0)
             GROUP BY place HAVING total(time < before) > total(time > before);
             UPDATE record SET rank = -position WHERE place IN (SELECT place FROM backwards);
             CREATE TEMP TABLE carry (n INTEGER PRIMARY KEY, carried INTEGER);
             INSERT INTO carry SELECT n, max(time) OVER (PARTITION BY place, dated) AS carried FROM (
                SELECT n, place, time, count(time) OVER (PARTITION BY place ORDER BY rank) AS dated
                FROM record WHERE state = 0 AND place IN (
                    SELECT place FROM record WHERE state = 0 AND time IS NULL));",
        )?;
        // Records before the first dated one stay there.
        db.execute(
            "UPDATE record SET carried = coalesce(
                (SELECT carry.carried FROM carry WHERE carry.n = record.n), ?1) WHERE time IS NULL",
            [i64::MIN],
        )?;
        db.execute_batch(
            "DROP TABLE carry; DROP TABLE backwards;
             CREATE INDEX record_order ON record (place, state, carried, rank);",
        )?;
        Ok(())
    }

    /// Counts what was planned.
    pub(super) fn count(&mut self) -> spool::Result<()> {
        let db = self.spool.db();
        let states = |state: State| -> rusqlite::Result<u64> {
            db.query_row(
                "SELECT count(*) FROM record WHERE state = ?1",
                [state as i64],
                |row| row.get(0),
            )
        };
        self.counts.records = states(State::Planned)?;
        self.counts.duplicates = states(State::Duplicate)?;
        self.counts.undated = db.query_row(
            "SELECT count(*) FROM record WHERE state = 0 AND time IS NULL",
            [],
            |row| row.get(0),
        )?;
        self.counts.failed = count_problems(&db, Severity::Record)?;
        self.counts.problems = self.counts.failed + count_problems(&db, Severity::Other)?;
        self.counts.warnings = count_problems(&db, Severity::Warning)?;
        Ok(())
    }
}

/// Plans the latest state of what is there in several: a directory has exports of two days, or a memory
/// was changed while it was read. Reports the others.
fn settle_conflicts(db: &Connection) -> spool::Result<()> {
    db.execute_batch(
        "CREATE TEMP TABLE latest (
            owner INTEGER, id TEXT, updated INTEGER, PRIMARY KEY (owner, id)) WITHOUT ROWID;",
    )?;
    db.execute(
        "INSERT INTO latest SELECT owner, id, max(updated) FROM record WHERE state = ?1
         GROUP BY owner, id HAVING count(updated) = count(*)",
        [State::Conflict as i64],
    )?;
    db.execute(
        "DELETE FROM latest WHERE 1 < (
            SELECT count(DISTINCT digest) FROM record
            WHERE state = ?1 AND record.owner = latest.owner AND record.id = latest.id
            AND record.updated = latest.updated)",
        [State::Conflict as i64],
    )?;
    db.execute(
        "UPDATE record SET state = ?2
         WHERE state = ?1 AND (owner, id, updated) IN (SELECT owner, id, updated FROM latest)",
        [State::Conflict as i64, State::Planned as i64],
    )?;
    let mut others = db.prepare(
        "SELECT item.json, (owner, id) IN (SELECT owner, id FROM latest)
         FROM record JOIN item ON item.n = record.item WHERE state = ?1 ORDER BY record.n",
    )?;
    let mut rows = others.query([State::Conflict as i64])?;
    while let Some(row) = rows.next()? {
        let Entry::Record(record) = kept(row, 0)? else {
            continue;
        };
        let (severity, reason) = match row.get(1)? {
            true => (
                Severity::Warning,
                "is that of a record that was changed later, which is migrated instead",
            ),
            false => (
                Severity::Record,
                "is that of another record with different content, too; none of them is migrated: \
                 leave one, or give each its own id",
            ),
        };
        keep_problem(db, &record.problem(severity, Defect::of("id", reason)))?;
    }
    drop(rows);
    db.execute(
        "UPDATE record SET state = ?2
         WHERE state = ?1 AND (owner, id) IN (SELECT owner, id FROM latest)",
        [State::Conflict as i64, State::Duplicate as i64],
    )?;
    db.execute_batch("DROP TABLE latest")?;
    Ok(())
}

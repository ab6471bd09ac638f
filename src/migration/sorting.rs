//! Putting a plan in order: equal records are told apart, conflicts found, sessions sorted.

use rusqlite::params;

use super::identity::numbered;
use super::placing::source_id;
use super::plan::{Plan, State, Weight, keep_problem};
use super::spool::{self, kept};
use crate::mem0::{Item, Problem};

impl Plan {
    /// Records that only their number tells from equal ones get it.
    pub(super) fn number_equal_ones(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute_batch("CREATE INDEX record_id ON record (owner, id)")?;
        let mut equal = db.prepare(
            "SELECT n, id, row_number() OVER (PARTITION BY owner, id ORDER BY stands) AS number
             FROM record WHERE by_content = 1 AND (owner, id) IN (
                SELECT owner, id FROM record WHERE by_content = 1
                GROUP BY owner, id HAVING count(*) > 1)",
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

    /// Of records with one id: equal ones are one, and of different ones none is written.
    pub(super) fn find_conflicts(&mut self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute(
            "UPDATE record SET state = ?1 WHERE (owner, id) IN (
                SELECT owner, id FROM record GROUP BY owner, id HAVING count(DISTINCT digest) > 1)",
            [State::Conflict as i64],
        )?;
        db.execute(
            "UPDATE record SET state = ?1 WHERE state = ?2 AND n NOT IN (
                SELECT min(n) FROM record WHERE state = ?2 GROUP BY owner, id)",
            [State::Duplicate as i64, State::Planned as i64],
        )?;
        let mut conflicts = db.prepare(
            "SELECT record.item, item.json FROM record JOIN item ON item.n = record.item
             WHERE state = ?1 ORDER BY record.n",
        )?;
        let mut rows = conflicts.query([State::Conflict as i64])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            let item: Item = kept(&text)?;
            let problem = Problem {
                record: source_id(&item),
                position: item.position,
                reason: "has the same id as another record with different content; none of them \
                         is migrated: leave one, or give them ids of their own"
                    .into(),
            };
            keep_problem(&db, &problem)?;
        }
        Ok(())
    }

    /// Puts each session in the order of time. Undated records stay behind the dated one that they
    /// follow. A source that lists the newest first is read backwards.
    pub(super) fn order(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute_batch(
            "CREATE TEMP TABLE backwards AS
             SELECT place FROM (
                SELECT place, time, lag(time) OVER (PARTITION BY place ORDER BY stands) AS before
                FROM record WHERE state = 0 AND time IS NOT NULL)
             GROUP BY place HAVING total(time < before) > total(time > before);
             UPDATE record SET rank = -stands WHERE place IN (SELECT place FROM backwards);
             UPDATE record SET rank = stands WHERE rank IS NULL;
             CREATE INDEX record_rank ON record (place, rank, time);
             CREATE TEMP TABLE carry (n INTEGER PRIMARY KEY, carried INTEGER);
             INSERT INTO carry SELECT n, max(time) OVER (PARTITION BY place, dated) AS carried FROM (
                SELECT n, place, time, count(time) OVER (PARTITION BY place ORDER BY rank) AS dated
                FROM record WHERE state = 0);",
        )?;
        // What stands before the first dated record stays there.
        db.execute(
            "UPDATE record SET carried = coalesce(
                (SELECT carry.carried FROM carry WHERE carry.n = record.n), ?1)",
            [i64::MIN],
        )?;
        db.execute_batch(
            "DROP TABLE carry; DROP TABLE backwards; DROP INDEX record_rank;
             CREATE INDEX record_order ON record (place, state, carried, rank);",
        )?;
        Ok(())
    }

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
        self.counts.broken += states(State::Conflict)?;
        let noted = |weight: Weight| -> rusqlite::Result<u64> {
            db.query_row(
                "SELECT count(*) FROM problem WHERE minor = ?1",
                [weight as i64],
                |row| row.get(0),
            )
        };
        self.counts.problems = noted(Weight::Problem)?;
        self.counts.minor = noted(Weight::Minor)?;
        Ok(())
    }
}

//! What in a source is not as it should be, as the plan keeps it.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};

use super::Plan;
use super::spool;
use crate::sources::{Defect, Position, Problem, Severity};

/// A severity in the file.
struct Stored(Severity);

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((self.0 as i64).into())
    }
}

impl FromSql for Stored {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        [Severity::Record, Severity::Other, Severity::Warning]
            .into_iter()
            .find(|severity| *severity as i64 == number)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(number))
    }
}

pub(super) fn keep_problem(db: &Connection, problem: &Problem) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO problem (position, record, severity, field, reason)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        problem.position.0,
        problem.record,
        Stored(problem.severity),
        problem.defect.field,
        problem.defect.reason,
    ])?;
    Ok(())
}

/// How many problems of this severity there are.
pub(super) fn count_problems(db: &Connection, severity: Severity) -> rusqlite::Result<u64> {
    db.query_row(
        "SELECT count(*) FROM problem WHERE severity = ?1",
        [Stored(severity)],
        |row| row.get(0),
    )
}

impl Plan {
    /// The first problems of the source that keep something from being migrated.
    pub(in crate::migration) fn problems(&self, limit: usize) -> spool::Result<Vec<Problem>> {
        self.noted("severity <> ?1", limit)
    }

    /// The first warnings about the source: what they are about is migrated all the same.
    pub(in crate::migration) fn warnings(&self, limit: usize) -> spool::Result<Vec<Problem>> {
        self.noted("severity = ?1", limit)
    }

    fn noted(&self, which: &str, limit: usize) -> spool::Result<Vec<Problem>> {
        let db = self.spool.db();
        let mut problems = db.prepare_cached(&format!(
            "SELECT position, record, severity, field, reason FROM problem
             WHERE {which} ORDER BY n LIMIT ?2"
        ))?;
        let rows = problems.query_map(params![Stored(Severity::Warning), limit], |row| {
            Ok(Problem {
                position: Position(row.get(0)?),
                record: row.get(1)?,
                severity: row.get::<_, Stored>(2)?.0,
                defect: Defect {
                    field: row.get(3)?,
                    reason: row.get(4)?,
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

//! A sample of a plan's records, and how much an owner has.

use std::collections::BinaryHeap;

use rusqlite::params;
use uuid::Uuid;

use super::spool;
use super::{Plan, State};

/// What a plan has of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::migration) struct Load {
    /// Records that are planned.
    pub(in crate::migration) planned: u64,
    /// Sessions with records that are planned.
    pub(in crate::migration) sessions: u64,
    /// How many messages and episodes all records take, also of those that a sample leaves out.
    pub(in crate::migration) parts: u64,
}

impl Plan {
    /// Leaves only this many of the planned records, chosen at random by the seed and their ids: the
    /// same ones each time, whatever else is in the source. Answers how many there were.
    pub(in crate::migration) fn keep_sample(&self, size: usize, seed: u64) -> spool::Result<u64> {
        let db = self.spool.db();
        let namespace = Uuid::from_u64_pair(0, seed);
        // The ones with the smallest hashes: the largest of those kept is on top.
        let mut kept: BinaryHeap<(Uuid, i64)> = BinaryHeap::new();
        let mut all = 0;
        let mut records = db.prepare("SELECT n, id FROM record WHERE state = ?1")?;
        let mut rows = records.query([State::Planned as i64])?;
        while let Some(row) = rows.next()? {
            all += 1;
            let id: String = row.get(1)?;
            let hash = Uuid::new_v5(&namespace, id.as_bytes());
            kept.push((hash, row.get(0)?));
            if kept.len() > size {
                kept.pop();
            }
        }
        drop(rows);
        let (planned, left_out) = (State::Planned as i64, State::NotSampled as i64);
        db.execute(
            "UPDATE record SET state = ?2 WHERE state = ?1",
            params![planned, left_out],
        )?;
        let mut choose = db.prepare("UPDATE record SET state = ?2 WHERE n = ?1")?;
        for (_, n) in kept {
            choose.execute(params![n, planned])?;
        }
        Ok(all)
    }

    /// What the plan has of an owner.
    pub(in crate::migration) fn load_of(&self, owner: i64) -> spool::Result<Load> {
        let db = self.spool.db();
        let mut load = db.prepare_cached(
            "SELECT count(*) FILTER (WHERE state = ?2),
                    count(DISTINCT place.n) FILTER (WHERE state = ?2 AND session <> ''),
                    coalesce(sum(parts), 0)
             FROM place JOIN record ON record.place = place.n
             WHERE place.owner = ?1 AND state IN (?2, ?3)",
        )?;
        let (planned, left_out) = (State::Planned as i64, State::NotSampled as i64);
        Ok(load.query_row(params![owner, planned, left_out], |row| {
            Ok(Load {
                planned: row.get(0)?,
                sessions: row.get(1)?,
                parts: row.get(2)?,
            })
        })?)
    }
}

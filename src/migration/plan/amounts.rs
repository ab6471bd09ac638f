//! How much of a plan is left to write, in requests.

use rusqlite::params;

use super::spool;
use super::{Plan, State};
use crate::zep::limits::{BATCH_ITEMS_PER_CALL, MESSAGES_PER_CALL, SAFE_BATCH_ITEMS};

/// Requests of a batch beside those that add items: it is created, started and looked at.
const REQUESTS_PER_BATCH: u64 = 3;

/// How much is left to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::migration) struct Amounts {
    /// Messages and episodes.
    pub(in crate::migration) items: u64,
    /// The fewest requests that write them directly: 30 messages of a session in one, episodes singly.
    pub(in crate::migration) direct: u64,
}

impl Amounts {
    /// The fewest requests that write them by batch.
    pub(in crate::migration) fn by_batch(self) -> u64 {
        self.items.div_ceil(BATCH_ITEMS_PER_CALL as u64) + REQUESTS_PER_BATCH * self.batches()
    }

    /// How many batches they fill.
    pub(in crate::migration) fn batches(self) -> u64 {
        self.items.div_ceil(SAFE_BATCH_ITEMS as u64)
    }
}

impl Plan {
    /// Counts what is left to write.
    pub(in crate::migration) fn amounts(&self) -> spool::Result<Amounts> {
        let db = self.spool.db();
        let planned = State::Planned as i64;
        Ok(db.query_row(
            "SELECT coalesce(sum(items), 0),
                    coalesce(sum(iif(session = '', items, (items + ?2 - 1) / ?2)), 0)
             FROM (SELECT place.session, sum(record.parts) AS items
                FROM place JOIN record ON record.place = place.n AND record.state = ?1
                GROUP BY place.n)",
            params![planned, MESSAGES_PER_CALL],
            |row| {
                Ok(Amounts {
                    items: row.get(0)?,
                    direct: row.get(1)?,
                })
            },
        )?)
    }
}

//! One run at a time works on an owner, also if several processes migrate the same.

use rusqlite::{OptionalExtension, params};

use super::error::Result;
use super::lock::{self, is_alive};
use super::run::LedgerRun;
use super::values::OwnerNo;

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The owner is this run's.
    Taken {
        /// Whether another run has worked on it since this one was begun: what was known of its records
        /// may be outdated.
        outdated: bool,
    },
    /// Another run works on it.
    Held {
        /// Its id.
        by: String,
    },
}

impl LedgerRun {
    /// Claims an owner. Where another run has it, it must be asked again.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn claim(&self, owner: OwnerNo) -> Result<Claim> {
        let locks = self.path.with_file_name(lock::DIRECTORY);
        self.writer.step(|tx| {
            let (holder, released_at): (Option<i64>, Option<i64>) = tx
                .prepare_cached("SELECT held_by, released_at FROM owner WHERE n = ?1")?
                .query_row([owner.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let other = holder.filter(|holder| *holder != self.n);
            if let Some(other) = other {
                let id: Option<String> = tx
                    .query_row("SELECT id FROM run WHERE n = ?1", [other], |row| row.get(0))
                    .optional()?;
                if let Some(by) = id.filter(|id| is_alive(&locks, id)) {
                    return Ok(Claim::Held { by });
                }
            }
            tx.prepare_cached("UPDATE owner SET held_by = ?2 WHERE n = ?1")?
                .execute(params![owner.0, self.n])?;
            let released_since = released_at.is_some_and(|at| at >= self.begun_at);
            Ok(Claim::Taken {
                outdated: other.is_some() || released_since,
            })
        })
    }

    /// Gives up an owner.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn release(&self, owner: OwnerNo) -> Result<()> {
        let now = jiff::Timestamp::now().as_microsecond();
        self.writer.step(|tx| {
            tx.prepare_cached(
                "UPDATE owner SET held_by = NULL, released_at = ?3 WHERE n = ?1 AND held_by = ?2",
            )?
            .execute([owner.0, self.n, now])
        })?;
        Ok(())
    }
}

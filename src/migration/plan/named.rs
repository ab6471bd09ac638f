//! The agents and apps that records name beside their owners.

use rusqlite::params;

use super::records::{PAGE, misread};
use super::{Plan, State, spool};
use crate::memory::model::{AgentId, AppId, GraphId};

/// The graph by which a named agent or app is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::migration) struct Named {
    /// Its number in the plan.
    pub(super) n: i64,
    /// The graph.
    pub(in crate::migration) graph: GraphId,
}

impl Plan {
    /// Collects what the records name that are or will be stored.
    pub(in crate::migration) fn collect_named(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute_batch(
            "CREATE TABLE named (n INTEGER PRIMARY KEY, is_app INTEGER NOT NULL, name TEXT NOT NULL)",
        )?;
        for (is_app, name) in [(false, "agent"), (true, "app")] {
            let insert = format!(
                "INSERT INTO named (is_app, name)
                 SELECT DISTINCT ?1, {name} FROM record WHERE {name} IS NOT NULL AND state <= ?2"
            );
            db.execute(&insert, params![is_app, State::Written as i64])?;
        }
        Ok(())
    }

    /// Whether this is an owner of the plan.
    pub(in crate::migration) fn has_owner(&self, key: &str) -> spool::Result<bool> {
        let db = self.spool.db();
        let mut owner = db.prepare_cached("SELECT 1 FROM owner WHERE key = ?1")?;
        Ok(owner.exists([key])?)
    }

    /// The next ones after this one.
    pub(super) fn named_after(&self, n: i64) -> spool::Result<Vec<Named>> {
        let db = self.spool.db();
        let mut named = db
            .prepare_cached("SELECT n, is_app, name FROM named WHERE n > ?1 ORDER BY n LIMIT ?2")?;
        let rows = named.query_map(params![n, PAGE], |row| {
            let (is_app, name): (bool, String) = (row.get(1)?, row.get(2)?);
            let graph = match is_app {
                true => AppId::new(&name).map(|app| app.graph()),
                false => AgentId::new(&name).map(|agent| agent.graph()),
            };
            Ok(Named {
                n: row.get(0)?,
                graph: graph.map_err(misread)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

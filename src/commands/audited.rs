//! Entries of the audit trail on commands that read or change memories.

use zep_mcp_server::audit::{Action, Door, Entry, Trail, Who};
use zep_mcp_server::config::Config;

/// A command, and the trail that it has its entries in.
#[derive(Debug)]
pub(super) struct Audited {
    pub(super) trail: Trail,
    pub(super) command: &'static str,
    pub(super) action: Action,
}

impl Audited {
    pub(super) fn new(config: &Config, command: &'static str, action: Action) -> Self {
        Self {
            trail: trail(config),
            command,
            action,
        }
    }

    /// Does the work of the command. It may take hours and be killed, so that it has an entry at its
    /// beginning, too; both have the same request id. `is_well` tells how it ended.
    ///
    /// # Errors
    /// Those of the work, and if the trail cannot be written and is required.
    pub(super) async fn during<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
        is_well: impl FnOnce(&T) -> bool,
    ) -> anyhow::Result<T> {
        let who = Who::operator();
        let request = uuid::Uuid::now_v7().to_string();
        let call = self.trail.begin(
            &who,
            Door::Command,
            self.command,
            self.action,
            Some(request.clone()),
        );
        let call = call.await?;
        let mut begun = Entry::new(Door::Command, self.command, self.action).by(&who);
        begun.request = Some(request);
        begun.outcome = "begun".into();
        self.trail.record(&begun).await;
        let done = call.during(work).await;
        let is_well = done.as_ref().is_ok_and(is_well);
        call.end(if is_well { "ok" } else { "failed" }).await;
        done
    }
}

/// The trail of these settings.
pub(super) fn trail(config: &Config) -> Trail {
    let directory = config.data_dir.as_deref();
    let options = directory.and_then(|directory| config.audit.options(directory));
    options.map_or_else(Trail::off, Trail::new)
}

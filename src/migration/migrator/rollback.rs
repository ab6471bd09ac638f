//! Undoing a run.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::Migrator;
use super::account::requests;
use super::validate::stopped;
use crate::migration::Error;
use crate::migration::history::{HistoryError, find_run};
use crate::migration::ledger::{Ledger, RunEntry, RunState};
use crate::migration::plan::blocking;
use crate::migration::progress::Watch;
use crate::migration::retry::with_retries;
use crate::migration::undo::{self, Receipt, Rollback, Undo};
use crate::migration::validate::await_processed;
use crate::migration::waits::Teller;
use crate::migration::write::settle_left_behind;

impl Migrator {
    /// Undoes a run: removes what it wrote, and nothing else. `name` is its id, the beginning of its id,
    /// or `latest`. Undoing a run that is undone answers the receipt of that.
    ///
    /// # Errors
    /// If there is no such run in the ledger, if it is under way, if it went to another backend, or if the
    /// ledger cannot be used. What could not be removed is in the receipt.
    pub async fn rollback(
        &self,
        name: &str,
        options: &Rollback,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Receipt, Error> {
        let no_run = || HistoryError::NoRun {
            id: name.to_owned(),
        };
        let data_dir = self.data_dir.clone().ok_or_else(no_run)?;
        let (begun, before) = (Instant::now(), self.service.stats());
        let wanted = name.to_owned();
        let found = blocking(move || -> Result<_, HistoryError> {
            let Some(ledger) = Ledger::open_existing(&data_dir)? else {
                return Err(HistoryError::NoRun { id: wanted });
            };
            let entry = find_run(&ledger, &wanted)?;
            Ok((Arc::new(ledger), entry))
        });
        let (ledger, entry) = found.await?;
        let earlier = undo::earlier(&entry);
        if let Some(receipt) = earlier.filter(|receipt| is_undone(&entry, receipt, options)) {
            return Ok(Receipt {
                undone_before: true,
                ..receipt
            });
        }
        let project = with_retries(cancelled, || self.service.project()).await?;
        if project.as_ref() != Some(&entry.target) {
            return Err(Error::AnotherTarget {
                run: entry.id,
                target: entry.target,
                here: project.unwrap_or_else(|| "another backend".into()),
            });
        }
        let _teller = Teller::new(&self.service, &watch);
        if !options.dry_run
            && let Some(data_dir) = &self.data_dir
        {
            let of = (data_dir.as_path(), entry.target.as_str());
            settle_left_behind(self.backend(), of, watch.as_ref(), cancelled).await?;
        }
        await_processed(&self.service, &self.caller, watch.as_ref(), cancelled)
            .await
            .map_err(stopped)?;
        let context = (&self.service, &self.caller);
        let undo = Undo::new(context, options, (&watch, cancelled), ledger, &entry).await?;
        let mut receipt = undo.run(&entry).await?;
        receipt.requests += requests(before, self.service.stats());
        receipt.duration_secs += begun.elapsed().as_secs_f64();
        Ok(receipt)
    }
}

/// Whether nothing of what is asked for is left to undo.
fn is_undone(entry: &RunEntry, receipt: &Receipt, options: &Rollback) -> bool {
    let keeps_what_is_asked_for = options.include_changed && !receipt.kept.is_empty();
    entry.state == RunState::Undone && receipt.complete && !keeps_what_is_asked_for
}

//! Batches that a killed or stopped run left behind: drafts are deleted, what Zep processes is awaited.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::requests::{Draft, Requests, Waits};
use crate::memory::MemoryService;
use crate::memory::access::Caller;
use crate::migration::Error;
use crate::migration::ledger::{Ledger, LedgerError, OpenBatch, Settled};
use crate::migration::plan::blocking;
use crate::migration::progress::Watch;

/// Settles all batches that runs to a target left behind. Sends nothing if there are none.
///
/// A draft is deleted and not finished: since it was filled, the source may have changed and agents may
/// have written to its sessions.
///
/// # Errors
/// If Zep or the ledger cannot be used, or the run was cancelled: what may still be stored later must not
/// be written again.
pub(in crate::migration) async fn settle_left_behind(
    (service, caller): (&MemoryService, &Caller),
    (data_dir, target): (&Path, &str),
    watch: &dyn Watch,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let (directory, to) = (data_dir.to_owned(), target.to_owned());
    let found = blocking(move || -> Result<_, LedgerError> {
        let Some(ledger) = Ledger::open_existing(&directory)? else {
            return Ok(None);
        };
        let open = ledger.open_batches(&to)?;
        Ok(Some((Arc::new(ledger), open)))
    });
    let Some((ledger, open)) = found.await? else {
        return Ok(());
    };
    if open.is_empty() {
        return Ok(());
    }
    let waits = Waits::default();
    // Nothing else is done meanwhile.
    waits.idle.store(true, Ordering::Relaxed);
    let requests = Requests {
        service,
        caller,
        watch,
        stop,
        waits: &waits,
    };
    let mut deleted = HashSet::new();
    for (name, id) in requests.drafts().await? {
        let (of, run) = (ledger.clone(), name.run.clone());
        let is_over = blocking(move || of.is_over(&run)).await?;
        if is_over && requests.delete(&id).await? {
            deleted.insert(id);
        }
    }
    for OpenBatch { n, id, .. } in open {
        let settled = match id {
            // Nothing is added before the id is known.
            None => Settled::Deleted,
            Some(id) if deleted.contains(&id) => Settled::Deleted,
            Some(id) => requests.end(&id, Draft::LeftBehind).await?.0,
        };
        let ledger = ledger.clone();
        blocking(move || ledger.settle_batch(n, &settled)).await?;
    }
    Ok(())
}

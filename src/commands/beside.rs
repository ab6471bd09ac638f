//! The mem0 that the settings put beside Zep, or in its place.

use std::sync::Arc;

use zep_mcp_server::config::{Backend, Config, Mem0Account};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::beside::{Extras, Mode};
use zep_mcp_server::memory::queue::Queue;
use zep_mcp_server::queue::WriteQueue;
use zep_mcp_server::sources::mem0::LiveMem0;
use zep_mcp_server::zep::Zep;

/// The service on this backend, with the mem0 of the settings. Sends nothing yet.
///
/// # Errors
/// If the address or the key of mem0 cannot be used.
pub(super) fn service(config: &Config, zep: Arc<dyn Zep>) -> anyhow::Result<MemoryService> {
    let memories = MemoryService::new(zep, config.default_user.clone());
    if let Backend::Mem0(account) = &config.backend {
        return Ok(memories.beside(open(account)?, Mode::Only, Extras::default()));
    }
    let Some(beside) = &config.beside else {
        return Ok(memories);
    };
    let mem0 = open(&beside.account)?;
    let mode = match super::write_queue_even_if_off(config).filter(|_| beside.phased) {
        Some(sides) => Mode::Phased(sides),
        None => Mode::Kept,
    };
    let extras = Extras {
        fallback: beside.fallback,
        mirror: beside.mirror,
        copies: copies(config).map(|copies| copies as Arc<dyn Queue>),
    };
    Ok(memories.beside(mem0, mode, extras))
}

/// What mem0 is still to be told, in the same file as what waits for Zep.
pub(super) fn copies(config: &Config) -> Option<Arc<WriteQueue>> {
    let (beside, directory) = (config.beside.as_ref()?, config.data_dir.as_ref()?);
    let wait = config.write_wait.unwrap_or_default();
    let name = format!("mem0 {}", beside.account.name());
    let queue = WriteQueue::new(directory, name, wait);
    Some(Arc::new(queue.sealing(config.encryption_key.clone())))
}

/// What stands where nothing is Zep's: whatever asks it gets an error, and nothing is kept in it.
///
/// # Errors
/// If this program does not know where it is.
pub(super) fn no_zep() -> anyhow::Result<Arc<dyn Zep>> {
    // A file cannot be a directory, so that no store can be made there.
    let nowhere = std::env::current_exe()?.join("no store");
    Ok(Arc::new(LocalZep::open(&nowhere, Behavior::default())?))
}

fn open(account: &Mem0Account) -> anyhow::Result<Arc<LiveMem0>> {
    Ok(Arc::new(LiveMem0::new(&account.url, &account.key)?))
}

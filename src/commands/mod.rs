//! One file or folder for each subcommand.

pub(crate) mod audit;
mod audited;
mod beside;
pub(crate) mod doctor;
pub(crate) mod emulate;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod install;
pub(crate) mod key;
mod mem0_entries;
pub(crate) mod migrate;
mod migration;
pub(crate) mod queue;
pub(crate) mod report;
pub(crate) mod rollback;
mod running;
pub(crate) mod serve;
mod signals;
pub(crate) mod status;
pub(crate) mod switch;
pub(crate) mod token;
pub(crate) mod try_it;
pub(crate) mod validate;

use std::sync::Arc;

use anyhow::bail;
use zep_mcp_server::config::{Backend, Config};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::queue::{LateWrites, WriteQueue};
use zep_mcp_server::zep::{Zep, v3::ZepCloud};

use crate::output::Misuse;

/// The configured backend. Sends nothing yet; the file of the embedded store is opened, or created, by
/// its first call. Must be called within a runtime.
///
/// # Errors
/// If the path of the embedded store is not valid, or everything is mem0's.
pub(crate) fn open_backend(config: &Config) -> anyhow::Result<Arc<dyn Zep>> {
    if let Backend::Mem0(_) = config.backend {
        bail!(Misuse(
            "MEMORY_BACKEND is `mem0`, which this command does not work on; set ZEP_API_KEY and \
             MEMORY_BACKEND=phased (or zep)"
                .into()
        ));
    }
    open_backend_telling(config, None)
}

/// The list of records that were sent again to the configured backend. Opens nothing.
fn late_writes(config: &Config) -> Option<Arc<LateWrites>> {
    let (Backend::Zep(connection), Some(directory)) = (&config.backend, &config.data_dir) else {
        return None;
    };
    let looks = config.recheck.clone();
    Some(Arc::new(LateWrites::new(
        directory,
        connection.account(),
        looks,
    )))
}

/// The queue of writes to the configured backend. Opens nothing.
fn write_queue(config: &Config) -> Option<Arc<WriteQueue>> {
    config
        .write_wait
        .and_then(|_| write_queue_even_if_off(config))
}

/// The same, also if nothing new is put into it.
fn write_queue_even_if_off(config: &Config) -> Option<Arc<WriteQueue>> {
    let (Backend::Zep(connection), Some(directory)) = (&config.backend, &config.data_dir) else {
        return None;
    };
    let wait = config.write_wait.unwrap_or_default();
    let queue = WriteQueue::new(directory, connection.account(), wait);
    Some(Arc::new(queue.sealing(config.encryption_key.clone())))
}

/// The same as [`open_backend`]; what is sent again is noted in the list.
fn open_backend_telling(
    config: &Config,
    late: Option<Arc<LateWrites>>,
) -> anyhow::Result<Arc<dyn Zep>> {
    signals::outlive_file_size_limit()?;
    match &config.backend {
        Backend::Zep(connection) => {
            let zep = ZepCloud::new(connection.clone());
            Ok(match late {
                Some(late) => Arc::new(zep.telling(Arc::new(late))),
                None => Arc::new(zep),
            })
        }
        Backend::Mem0(_) => beside::no_zep(),
        Backend::Local { path } => {
            let store = LocalZep::open(path, Behavior::default())?;
            if let Some(why) = store.why_unwritable() {
                tracing::warn!("{why}");
            }
            Ok(Arc::new(store))
        }
    }
}

/// Logs the warnings of the configuration and the backend.
fn log_start(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!("memories are kept by the backend {}", config.backend);
}

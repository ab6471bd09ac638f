//! One file a subcommand.

pub mod doctor;
pub mod emulate;
pub mod health;
pub mod install;
pub mod migrate;
mod moving;
pub mod serve;
pub mod token;
pub mod try_it;
pub mod validate;

use std::sync::Arc;

use zep_mcp_server::config::{Backend, Config};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::zep::{Zep, v3::ZepCloud};

/// The backend that the configuration names, ready for calls. Sends nothing yet; the embedded
/// store's file is opened, and made if it does not exist.
///
/// # Errors
/// If the embedded store's file cannot be used.
pub fn open_backend(config: &Config) -> anyhow::Result<Arc<dyn Zep>> {
    match &config.backend {
        Backend::Zep(connection) => Ok(Arc::new(ZepCloud::new(connection.clone()))),
        Backend::Local { path } => Ok(Arc::new(LocalZep::open(path, Behavior::default())?)),
    }
}

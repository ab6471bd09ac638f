//! Flags, the environment and `.env` become one validated [`Config`].
//!
//! Nothing else in the program reads the environment. Loading finds every wrong value in one go and
//! names them all in [`ConfigError`]. To add a setting, add a row to the table in `setting.rs` and
//! read it in the file of its topic.

mod access;
mod audit;
mod backend;
mod dotenv;
mod encryption;
mod error;
mod flags;
mod host_names;
mod logging;
mod mem0;
mod migration_source;
mod network;
mod parse;
mod reader;
mod setting;
mod sources;
mod tools;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::seal::SealKey;
use crate::zep::UserId;

pub use access::{AccessSettings, OauthSettings};
pub use audit::{AuditMode, AuditSettings};
pub use backend::Backend;
pub use error::{ConfigError, Problem};
pub use flags::{Flags, HttpFlags, without_flags};
pub use host_names::{HostName, WebOrigin};
pub use logging::{LogFormat, LogLevel, Logging, colours};
pub use mem0::{BesideZep, Mem0Account};
pub use migration_source::SourceSettings;
pub use network::{Bounds, HttpConfig, Tls};
pub(crate) use parse::is_secure;
pub use setting::Setting;
pub use sources::Origin;
pub use tools::{Confirm, Tool, Tools};

use reader::Reader;
use sources::Sources;

/// Everything that a command needs to know, valid as a whole.
#[derive(Debug)]
pub struct Config {
    /// Where memories are kept.
    pub backend: Backend,
    /// How mem0 is used beside Zep.
    pub beside: Option<BesideZep>,
    /// The directory of this program's own files, absolute. It need not exist yet.
    pub data_dir: Option<PathBuf>,
    /// Encrypts contents on the disk.
    pub encryption_key: Option<Arc<SealKey>>,
    /// How the audit trail is written.
    pub audit: AuditSettings,
    /// When a write that was sent again is looked at, counted from its repeat.
    pub recheck: Vec<Duration>,
    /// How long a call waits for Zep before its writes are queued. `None`: there is no queue.
    pub write_wait: Option<Duration>,
    /// The user of memories where a call names nobody.
    pub default_user: UserId,
    /// The only directory from which tools read export files, with all symbolic links resolved.
    /// It existed when the configuration was loaded. `None`: they read no files.
    pub import_dir: Option<PathBuf>,
    /// Where migrations may read from.
    pub sources: SourceSettings,
    /// Which tools the MCP server has.
    pub tools: Tools,
    /// Whether people are asked before memories are deleted in bulk.
    pub confirm: Confirm,
    /// How to serve on a network; `None` unless it was loaded for that.
    pub http: Option<HttpConfig>,
    /// What is logged, and how.
    pub logging: Logging,
    /// Every setting that was read, with its value and its origin. Never holds a secret.
    pub in_force: Vec<InForce>,
    /// What was found but does not count, and why. Never holds a value.
    pub warnings: Vec<String>,
    /// The `.env` file that was read.
    pub dotenv: Option<PathBuf>,
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The setting.
    pub setting: Setting,
    /// Its value as it may be shown: of a secret only whether it is set.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// How agents reach the server.
#[derive(Debug, Clone, Copy)]
enum Transport {
    Stdio,
    Http { with_api: bool },
}

impl Config {
    /// The configuration from `flags`, the environment, and `.env` in the working directory, in
    /// this order.
    ///
    /// # Errors
    /// [`ConfigError`] with every value that is wrong.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        Self::from_sources(Sources::read(flags), Transport::Stdio)
    }

    /// The file of the embedded store in a data directory.
    pub fn store_in(directory: &Path) -> PathBuf {
        directory.join(backend::STORE_FILE)
    }

    /// The same with a key of Zep that was typed, in place of that in the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every value that is wrong.
    pub fn load_with_key(flags: Flags, key: SecretString) -> Result<Self, ConfigError> {
        Self::from_sources(Sources::read(flags).with_key(key), Transport::Stdio)
    }

    /// The same with the settings of serving on a network.
    ///
    /// # Errors
    /// [`ConfigError`] with every value that is wrong.
    pub fn load_for_http(flags: Flags, http: HttpFlags) -> Result<Self, ConfigError> {
        let sources = Sources::read(flags).with_http(http);
        Self::from_sources(sources, Transport::Http { with_api: false })
    }

    /// The same with the Memory API, which has a port of its own.
    ///
    /// # Errors
    /// [`ConfigError`] with every value that is wrong.
    pub fn load_for_api(flags: Flags, http: HttpFlags) -> Result<Self, ConfigError> {
        let sources = Sources::read(flags).with_http(http);
        Self::from_sources(sources, Transport::Http { with_api: true })
    }

    /// The key with which contents on the disk are encrypted, whatever the other settings are.
    ///
    /// # Errors
    /// [`ConfigError`] if it cannot be used.
    pub fn sealing_key(flags: Flags) -> Result<Option<Arc<SealKey>>, ConfigError> {
        let mut reader = Reader::new(Sources::read(flags));
        let key = encryption::read(&mut reader);
        reader.finish()?;
        Ok(key.unwrap_or_else(|| unreachable!("absent values were reported as problems")))
    }

    /// The directory of the audit trail, whatever the other settings are; `None` without a data directory.
    ///
    /// # Errors
    /// [`ConfigError`] if the data directory cannot be used.
    pub fn audit_directory(flags: Flags) -> Result<Option<PathBuf>, ConfigError> {
        let mut reader = Reader::new(Sources::read(flags));
        let directory = backend::any_data_directory(&mut reader);
        reader.finish()?;
        let directory =
            directory.unwrap_or_else(|| unreachable!("absent values were reported as problems"));
        Ok(directory.as_deref().map(AuditSettings::directory))
    }

    fn from_sources(sources: Sources, transport: Transport) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(sources);
        let migration_sources = migration_source::read(&mut reader);
        let kept = backend::read(&mut reader, &migration_sources);
        let encryption_key = encryption::read(&mut reader);
        let audit = audit::read(&mut reader);
        let recheck = backend::recheck(&mut reader);
        let default_user = backend::default_user(&mut reader);
        let import_dir = import_dir(&mut reader);
        let tools = reader.value(Setting::Tools, Tools::parse, ToString::to_string);
        let confirm = reader.value(Setting::Confirm, Confirm::parse, ToString::to_string);
        let logging = logging::read(&mut reader);
        let http = match transport {
            Transport::Stdio => Some(None),
            Transport::Http { with_api } => network::read(&mut reader, with_api).map(Some),
        };
        let findings = reader.finish()?;
        let complete = || {
            let backend::Kept {
                backend,
                beside,
                data_dir,
                write_wait,
            } = kept?;
            Some(Self {
                backend,
                beside,
                data_dir,
                encryption_key: encryption_key?,
                audit: audit?,
                recheck: recheck?,
                write_wait,
                default_user: default_user?,
                import_dir: import_dir?,
                sources: migration_sources,
                tools: tools?,
                confirm: confirm?,
                http: http?,
                logging: logging?,
                in_force: findings.in_force,
                warnings: findings.warnings,
                dotenv: findings.dotenv,
            })
        };
        Ok(complete().unwrap_or_else(|| unreachable!("absent values were reported as problems")))
    }
}

/// The directory of export files. It must exist: otherwise only an agent would learn that it does
/// not.
fn import_dir(reader: &mut Reader) -> Option<Option<PathBuf>> {
    reader.optional(
        Setting::ImportDir,
        |raw| {
            // Resolved once: whether a file is inside is decided by comparing resolved paths.
            parse::directory(raw)?
                .canonicalize()
                .map_err(|error| format!("cannot be used: {error}; make the directory first"))
        },
        |directory| directory.display().to_string(),
    )
}

#[cfg(all(test, unix))]
mod tests;

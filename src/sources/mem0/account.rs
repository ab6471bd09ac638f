//! Where mem0's own command line keeps the key of mem0 Platform.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::Value;

/// The largest file that is read, in bytes. mem0's has a few hundred.
const LARGEST: u64 = 1024 * 1024;

/// An account of mem0 Platform.
#[derive(Debug, Clone)]
pub struct Account {
    /// The key.
    pub key: SecretString,
    /// The address, if it is another one than mem0's own.
    pub url: Option<String>,
    /// The user whom calls mean that name nobody.
    pub default_user: Option<String>,
    /// The file that it was found in.
    pub path: PathBuf,
}

/// Why the file of mem0's command line cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// It cannot be opened or read.
    #[error("{path} cannot be read: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// It is not what mem0's command line writes.
    #[error("{path} is not valid JSON; set MEM0_API_KEY instead")]
    NotJson {
        /// The file.
        path: PathBuf,
    },
}

impl Account {
    /// The account that mem0's command line uses for the person with this home directory: what
    /// `mem0 init` wrote to `.mem0/config.json`. `None` if there is no such file, or no key in it.
    ///
    /// # Errors
    /// If there is a file that cannot be read.
    pub fn of_command_line(home: &Path) -> Result<Option<Self>, AccountError> {
        let path = home.join(".mem0").join("config.json");
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(LARGEST).read_to_end(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AccountError::Io { path, error }),
        }
        let Ok(config) = serde_json::from_slice::<Value>(&text) else {
            return Err(AccountError::NotJson { path });
        };
        let text = |pointer: &str| {
            let text = config.pointer(pointer)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Ok(text("/platform/api_key").map(|key| Self {
            key: SecretString::from(key),
            url: text("/platform/base_url"),
            default_user: text("/defaults/user_id"),
            path,
        }))
    }
}

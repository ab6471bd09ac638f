//! Where the server gets its key from, and how little of it is seen here.

use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use zep_mcp_server::config::Setting;
use zep_mcp_server::hosts::places::Place;
use zep_mcp_server::hosts::plan::{self, Key};
use zep_mcp_server::zep::Connection;

use super::ask;
use super::find::Target;
use crate::cli::InstallArgs;
use crate::output::Misuse;

/// Where the key will come from, decided before anybody is asked for it.
pub enum KeySource {
    /// No file needs one written into it.
    Unwritten(Keys),
    /// The environment of this process.
    Environment(SecretString),
    /// A person; Enter takes that of the environment, if there is one.
    Person(Option<SecretString>),
}

/// What is written about the key.
pub enum Keys {
    /// Memories stay on this machine.
    Local,
    /// Nowhere the key itself.
    References,
    /// The key, but for projects' files.
    Given(SecretString),
}

impl KeySource {
    /// Decides it.
    ///
    /// # Errors
    /// [`Misuse`] if a host cannot have it as it is asked for, or if nobody says which key.
    pub fn choose(targets: &[Target], args: &InstallArgs) -> anyhow::Result<Self> {
        if args.local {
            return Ok(Self::Unwritten(Keys::Local));
        }
        let lacking: Vec<_> = targets
            .iter()
            .filter(|target| !plan::has_key(&target.entry))
            .collect();
        if args.key_from_env {
            let unable = lacking.iter().find(|it| it.place.reference().is_none());
            return match unable {
                None => Ok(Self::Unwritten(Keys::References)),
                Some(target) => Err(Misuse(format!(
                    "{} does not say that it can leave a key to the environment: leave \
                     --key-from-env away, or name other hosts with --host",
                    target.place.owner()
                ))
                .into()),
            };
        }
        if !lacking.iter().any(|it| plan::takes_a_key(&it.place)) {
            return Ok(Self::Unwritten(Keys::References));
        }
        let set = from_environment()?;
        if ask::is_possible() && !args.yes {
            return Ok(Self::Person(set));
        }
        match set {
            Some(key) => Ok(Self::Environment(key)),
            // A dry run writes none.
            None if args.dry_run => Ok(Self::Person(None)),
            None => Err(Misuse(
                "no key: set ZEP_API_KEY in the environment (https://app.getzep.com), or say \
                 --key-from-env to leave it to the host, or --local to need none"
                    .to_owned(),
            )
            .into()),
        }
    }

    /// Something to show in the key's place.
    pub fn stand_in(&self, place: &Place) -> Key {
        match self {
            Self::Unwritten(keys) => keys.for_place(place),
            Self::Environment(_) | Self::Person(_) if plan::takes_a_key(place) => {
                Key::Given("the key".into())
            }
            Self::Environment(_) | Self::Person(_) => Key::Reference,
        }
    }

    /// The key itself; a person is asked now.
    ///
    /// # Errors
    /// If the terminal fails, or if it cannot be a key.
    pub fn obtain(self) -> anyhow::Result<Keys> {
        let key = match self {
            Self::Unwritten(keys) => return Ok(keys),
            Self::Environment(key) => key,
            Self::Person(set) => {
                let or = match set {
                    Some(_) => ", or Enter for the one in ZEP_API_KEY",
                    None => ", from https://app.getzep.com",
                };
                let typed = ask::secretly(&format!("Zep API key (not shown{or}): "))?;
                match set {
                    Some(set) if typed.expose_secret().trim().is_empty() => set,
                    _ => typed,
                }
            }
        };
        checked(key).map(Keys::Given)
    }
}

impl Keys {
    /// What a file of this place says about the key.
    pub fn for_place(&self, place: &Place) -> Key {
        match self {
            Self::Local => Key::Local,
            Self::Given(key) if plan::takes_a_key(place) => Key::Given(key.clone()),
            Self::Given(_) | Self::References => Key::Reference,
        }
    }

    /// Whether the key itself is in files of this place.
    pub fn is_written_to(&self, place: &Place) -> bool {
        matches!(self.for_place(place), Key::Given(_))
    }
}

fn from_environment() -> anyhow::Result<Option<SecretString>> {
    let Some(value) = std::env::var_os(Setting::ApiKey.name()) else {
        return Ok(None);
    };
    let value = value
        .into_string()
        .map_err(|_| Misuse("ZEP_API_KEY is not UTF-8 text".to_owned()))?;
    Ok((!value.trim().is_empty()).then(|| SecretString::from(value)))
}

/// A key as the server takes it, without space around it.
fn checked(key: SecretString) -> anyhow::Result<SecretString> {
    let connection = Connection::new("https://api.getzep.com", key, Duration::from_secs(1))
        .context("this cannot be a key")?;
    Ok(connection.key().clone())
}

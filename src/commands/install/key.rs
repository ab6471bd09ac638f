//! Where the server gets its Zep API key from.

use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use zep_mcp_server::agent_hosts::plan::{self, ApiKey};
use zep_mcp_server::config::Setting;
use zep_mcp_server::zep::Connection;

use super::ask;
use super::find::ConfigFile;
use crate::cli::EntryArgs;
use crate::output::Misuse;

/// Where the key comes from, decided before the user is asked for it.
pub(super) enum KeySource {
    /// No file gets the key itself.
    Unwritten(ApiKey),
    /// The environment of this process.
    Environment(SecretString),
    /// The user; Enter takes the key from the environment, if there is one.
    Prompt(Option<SecretString>),
}

impl KeySource {
    /// Decides it.
    ///
    /// # Errors
    /// [`Misuse`] if a host does not support the requested way, or if there is no key.
    pub(in crate::commands) fn choose(
        files: &[ConfigFile],
        args: &EntryArgs,
    ) -> anyhow::Result<Self> {
        if args.local {
            return Ok(Self::Unwritten(ApiKey::NotNeeded));
        }
        let mut without_key = files
            .iter()
            .filter(|file| file.targets.iter().any(|it| !plan::has_key(&it.entry)))
            .map(|file| &file.location);
        if args.key_from_env {
            return match without_key.find(|it| it.reference.is_none()) {
                None => Ok(Self::Unwritten(ApiKey::Reference)),
                Some(location) => Err(Misuse(format!(
                    "{} has no documented way to read a key from the environment: omit \
                     --key-from-env, or name other hosts with --host",
                    location.title()
                ))
                .into()),
            };
        }
        if without_key.all(|it| it.is_shared()) {
            return Ok(Self::Unwritten(ApiKey::Reference));
        }
        let set = from_environment()?;
        if ask::is_possible() && !args.yes {
            return Ok(Self::Prompt(set));
        }
        match set {
            Some(key) => Ok(Self::Environment(key)),
            // A dry run needs none.
            None if args.dry_run => Ok(Self::Prompt(None)),
            None => Err(Misuse(
                "no key: set ZEP_API_KEY in the environment (https://app.getzep.com), or use \
                 --key-from-env to leave it to the host, or --local to need none"
                    .to_owned(),
            )
            .into()),
        }
    }

    /// A placeholder for what [`Self::obtain`] will return.
    pub(in crate::commands) fn stand_in(&self) -> ApiKey {
        match self {
            Self::Unwritten(key) => key.clone(),
            Self::Environment(_) | Self::Prompt(_) => ApiKey::Literal("the key".into()),
        }
    }

    /// The key, asking the user if necessary.
    ///
    /// # Errors
    /// If the terminal fails, or if the text cannot be a key.
    pub(in crate::commands) fn obtain(self) -> anyhow::Result<ApiKey> {
        let key = match self {
            Self::Unwritten(key) => return Ok(key),
            Self::Environment(key) => key,
            Self::Prompt(set) => {
                let hint = match set {
                    Some(_) => ", or Enter for the one in ZEP_API_KEY",
                    None => ", from https://app.getzep.com",
                };
                let typed = ask::secretly(&format!("Zep API key (not shown{hint}): "))?;
                match set {
                    Some(set) if typed.expose_secret().trim().is_empty() => set,
                    _ => typed,
                }
            }
        };
        checked(key).map(ApiKey::Literal)
    }
}

/// A key of Zep to migrate with: that of an entry, of the environment, or the one that the user types.
///
/// # Errors
/// [`Misuse`] if there is none and nobody can be asked, or if the text cannot be a key.
pub(in crate::commands) fn of_zep(
    of_entry: Option<SecretString>,
    asks: bool,
) -> anyhow::Result<SecretString> {
    let known = match of_entry {
        Some(key) => Some(key),
        None => from_environment()?,
    };
    let key = match known {
        Some(key) => key,
        None if asks && ask::is_possible() => {
            ask::secretly("Zep API key (not shown, from https://app.getzep.com): ")?
        }
        None => {
            return Err(Misuse(
                "no key of Zep: set ZEP_API_KEY in the environment (https://app.getzep.com), or use \
                 --local to keep memories on this machine, or --rehearse to try it without Zep"
                    .to_owned(),
            )
            .into());
        }
    };
    checked(key)
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

/// The key as the server accepts it, without surrounding space.
fn checked(key: SecretString) -> anyhow::Result<SecretString> {
    let connection = Connection::new("https://api.getzep.com", key, Duration::from_secs(1))
        .context("this cannot be a key")?;
    Ok(connection.key().clone())
}

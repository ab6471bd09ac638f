//! The entries that run mem0, and what they say of it.

use std::collections::BTreeSet;
use std::env;

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use zep_mcp_server::agent_hosts::entry::{self, Runs};
use zep_mcp_server::agent_hosts::mem0::{EntryKey, Mem0, mem0};
use zep_mcp_server::config::Setting;

use crate::cli::{EntryArgs, HostEntry};
use crate::commands::install::find::{self, ConfigFile, Target};
use crate::commands::install::{host_dirs, locations, refuse_several, tell_installed};
use crate::output::{Misuse, Page, on_one_line};

/// Variables of a default user, the one that counts first.
const DEFAULT_USERS: [&str; 2] = ["ZEP_DEFAULT_USER_ID", "MEM0_DEFAULT_USER_ID"];

/// The entries that will change.
pub(super) struct Found {
    pub(super) files: Vec<ConfigFile>,
}

/// Finds the entries that run mem0.
///
/// # Errors
/// If a file cannot be read, or if no entry runs mem0 or this server.
pub(super) fn find(page: &Page, args: &EntryArgs) -> anyhow::Result<Found> {
    let dirs = host_dirs()?;
    let locations = locations(&dirs, args)?;
    let mut files = find::files(&locations, args)?;
    if files.iter().any(|file| !file.targets.is_empty()) {
        if args.yes && !args.all && args.entry.is_empty() {
            refuse_several(&files)?;
        }
        files.retain(|file| !file.targets.is_empty());
        return Ok(Found { files });
    }
    anyhow::ensure!(
        tell_installed(page, &files, args)?,
        "no entry runs mem0. To move memories without an entry, use `zep-mcp-server migrate`; to \
         add an entry, `zep-mcp-server install --host HOST`; to name another file, --config"
    );
    Ok(Found { files: Vec::new() })
}

impl Found {
    /// Whether no entry is left to change.
    pub(super) fn is_done(&self) -> bool {
        self.files.is_empty()
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.files.iter().flat_map(|file| &file.targets)
    }

    /// mem0's key in the entries; `None` if they have none.
    ///
    /// # Errors
    /// [`Misuse`] if they use a mem0 that is not mem0 Platform, or several keys.
    pub(super) fn mem0_key(&self) -> Result<Option<SecretString>, Misuse> {
        let mut keys = BTreeSet::new();
        for target in self.targets() {
            if let Some(key) = platform_key(target)? {
                keys.insert(key.expose_secret().to_owned());
            }
        }
        if keys.len() > 1 {
            return Err(Misuse(
                "the entries use different keys of mem0: switch one after the other, with --host or \
                 --entry"
                    .to_owned(),
            ));
        }
        Ok(keys.pop_first().map(SecretString::from))
    }

    /// Zep's key, if an entry has it already.
    pub(super) fn zep_key(&self) -> Option<SecretString> {
        let key = self.targets().find_map(|target| {
            let key = entry::variables(&target.entry)?.get(Setting::ApiKey.name())?;
            Some(key.as_str()?.trim().to_owned())
        });
        key.filter(|key| !key.is_empty() && !key.contains('$') && !key.starts_with('{'))
            .map(SecretString::from)
    }

    /// The user of calls that name nobody, if all entries have the same one.
    pub(super) fn default_user(&self) -> Option<String> {
        let mut users: BTreeSet<_> = self.targets().map(default_user).collect();
        match users.len() {
            1 => users.pop_first().flatten(),
            _ => None,
        }
    }

    /// The entry as `--entry` names it, if it is a single one of a known host.
    pub(super) fn as_argument(&self) -> Option<String> {
        let [file] = &self.files[..] else {
            return None;
        };
        let [target] = &file.targets[..] else {
            return None;
        };
        let host = file.location.host?.to_possible_value()?;
        let name = target.name();
        let is_plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        is_plain.then(|| format!("{}:{name}", host.get_name()))
    }
}

fn default_user(target: &Target) -> Option<String> {
    let carried = target
        .entry
        .as_object()
        .map(entry::carried)
        .unwrap_or_default();
    let variables = entry::variables(&target.entry);
    let user = DEFAULT_USERS.iter().find_map(|name| {
        let set = variables.and_then(|all| all.get(*name)?.as_str());
        set.or_else(|| carried.get(name).map(String::as_str))
    });
    user.map(str::trim)
        .filter(|user| !user.is_empty())
        .map(str::to_owned)
}

fn platform_key(target: &Target) -> Result<Option<SecretString>, Misuse> {
    let name = on_one_line(&target.name());
    match mem0(&target.entry) {
        Mem0::Platform(key) => Ok(key.and_then(resolved)),
        Mem0::SelfHosted(url) => Err(Misuse(format!(
            "the entry `{name}` uses a mem0 of your own: name it with --from mem0-server --mem0-url \
             {}",
            on_one_line(&url)
        ))),
        Mem0::OpenMemory => Err(Misuse(format!(
            "the entry `{name}` runs OpenMemory. Name its database (openmemory.db, in the directory \
             or volume of its API) with --from openmemory PATH, or its backup (a .zip) with --file"
        ))),
    }
}

/// The key itself, if the variable that holds it is set here.
fn resolved(key: EntryKey) -> Option<SecretString> {
    match key {
        EntryKey::Literal(key) => Some(key),
        EntryKey::Variable(name) => {
            let value = env::var(name).ok()?;
            let value = value.trim();
            // A whole header may stand in the variable.
            let key = value.split_whitespace().next_back()?;
            Some(SecretString::from(key))
        }
    }
}

/// mem0's key in an entry of a host: one that runs mem0, or that did before it ran this server.
///
/// # Errors
/// If there is no such entry, if there are several, or if it holds no key.
pub(super) fn key_of_entry(named: &HostEntry) -> anyhow::Result<SecretString> {
    let args = EntryArgs::of_host(named.host);
    let dirs = host_dirs()?;
    let locations = locations(&dirs, &args)?;
    let mut keys = BTreeSet::new();
    let mut seen = false;
    for file in find::files(&locations, &args)? {
        for listed in file.listed(named.name.as_slice())? {
            let runs = entry::runs(listed.name(), &listed.entry);
            let is_named = named.name.is_some();
            let counts = match runs {
                Runs::Mem0(_) | Runs::Ours => true,
                Runs::Unsure | Runs::Other => is_named,
            };
            if !counts {
                continue;
            }
            seen = true;
            if let Mem0::Platform(Some(key)) = mem0(&listed.entry)
                && let Some(key) = resolved(key)
            {
                keys.insert(key.expose_secret().to_owned());
            }
        }
    }
    let misuse = |problem: &str| Err(Misuse(format!("--entry: {problem}")).into());
    match (keys.len(), seen) {
        (1, _) => Ok(keys.pop_first().unwrap_or_default().into()),
        (0, false) => misuse("no such entry runs mem0"),
        (0, true) => misuse("the entry holds no key of mem0; set MEM0_API_KEY"),
        _ => misuse("several entries hold different keys: name one, as HOST:NAME"),
    }
}

//! How mem0 is used beside Zep, or in its place.

use secrecy::SecretString;

use super::Setting;
use super::migration_source::SourceSettings;
use super::reader::Reader;

/// mem0 Platform's own address.
const URL: &str = "https://api.mem0.ai";

/// An account of mem0 Platform.
#[derive(Debug, Clone)]
pub struct Mem0Account {
    /// The address.
    pub url: String,
    /// The key.
    pub key: SecretString,
}

/// How mem0 is used beside Zep.
#[derive(Debug, Clone)]
pub struct BesideZep {
    /// The account.
    pub account: Mem0Account,
    /// Whether users are moved one after the other, and are mem0's until then.
    pub phased: bool,
    /// Whether mem0 is read where Zep does not have a user, or does not answer.
    pub fallback: bool,
    /// Whether what is added to Zep is added to mem0, too.
    pub mirror: bool,
}

/// What the settings say of mem0.
pub(super) struct Stated {
    is_enabled: Option<bool>,
    fallback: Option<bool>,
    mirror: Option<bool>,
}

/// Reads what the settings say of mem0.
pub(super) fn read(reader: &mut Reader) -> Stated {
    Stated {
        is_enabled: reader.truth(Setting::Mem0Enabled),
        fallback: reader.truth(Setting::Mem0Fallback),
        mirror: reader.truth(Setting::Mem0Mirror),
    }
}

/// The account of a backend that is mem0 alone.
pub(super) fn only(
    reader: &mut Reader,
    stated: &Stated,
    sources: &SourceSettings,
) -> Option<Mem0Account> {
    if !stated.is_enabled? {
        reader.missing(
            Setting::Mem0Enabled,
            "is false, but MEMORY_BACKEND is `mem0`; set one of them otherwise",
        );
        return None;
    }
    account(reader, sources, "MEMORY_BACKEND is `mem0`")
}

/// How mem0 is used beside Zep; the inner `None` if it is not.
pub(super) fn beside(
    reader: &mut Reader,
    stated: &Stated,
    sources: &SourceSettings,
    phased: bool,
) -> Option<Option<BesideZep>> {
    let (is_enabled, fallback, mirror) = (stated.is_enabled?, stated.fallback?, stated.mirror?);
    if !is_enabled || !(phased || fallback || mirror) {
        return Some(None);
    }
    let why = match (phased, fallback) {
        (true, _) => "MEMORY_BACKEND is `phased`",
        (false, true) => "MEM0_FALLBACK is true",
        (false, false) => "MEM0_MIRROR is true",
    };
    Some(Some(BesideZep {
        account: account(reader, sources, why)?,
        phased,
        fallback,
        mirror,
    }))
}

/// Reports where users cannot be moved one after the other.
pub(super) fn check_phased(
    reader: &mut Reader,
    has_queue: bool,
    has_directory: bool,
) -> Option<()> {
    if !has_queue {
        reader.missing(
            Setting::Queue,
            "is off, but MEMORY_BACKEND is `phased`: what is written while a user is moved waits in the \
             queue; leave it on",
        );
        return None;
    }
    if !has_directory {
        reader.missing(
            Setting::DataDir,
            "is needed, since MEMORY_BACKEND is `phased`: which users are moved is kept there",
        );
        return None;
    }
    Some(())
}

fn account(reader: &mut Reader, sources: &SourceSettings, why: &str) -> Option<Mem0Account> {
    let Some(key) = sources.mem0_key.clone() else {
        reader.missing(
            Setting::Mem0ApiKey,
            &format!("is needed, since {why}; keys: https://app.mem0.ai"),
        );
        return None;
    };
    Some(Mem0Account {
        url: sources.mem0_url.clone().unwrap_or_else(|| URL.to_owned()),
        key,
    })
}

impl Mem0Account {
    /// A name of the account that does not tell the key.
    pub fn name(&self) -> String {
        crate::outgoing::account(&self.url, &self.key)
    }
}

//! Where memories are kept, and for whom where a call names nobody.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::mem0::{self, BesideZep, Mem0Account};
use super::migration_source::SourceSettings;
use super::reader::Reader;
use super::words::words;
use super::{Origin, Setting, parse};
use crate::zep::{Connection, UserId, check_key, check_url};

/// The file in the data directory that holds the embedded store.
pub(super) const STORE_FILE: &str = "memory.db";
/// Our directory within the platform's data directory.
const DATA_DIR: &str = "zep-mcp-server";
/// The shortest and the longest time for one call to Zep, in seconds.
const TIMEOUT_SECS: std::ops::RangeInclusive<u64> = 1..=600;
/// How long after its repeat a write may be looked at, in seconds. Ours: what has not arrived within a
/// day was lost.
const RECHECK_SECS: std::ops::RangeInclusive<u64> = 1..=86_400;
/// How long a call may wait for Zep, in milliseconds. Ours: hosts give up after a minute.
const WRITE_WAIT_MS: std::ops::RangeInclusive<u64> = 0..=60_000;
/// How often a write is looked at. Ours: each look may read a whole thread.
const MAX_RECHECKS: usize = 10;

/// Where memories are kept.
#[derive(Debug)]
pub enum Backend {
    /// In Zep Cloud, or a server with the same API.
    Zep(Connection),
    /// In one SQLite file on this machine.
    Local {
        /// The file, absolute. It need not exist yet.
        path: PathBuf,
    },
    /// In mem0 Platform, as mem0-mcp-server kept them.
    Mem0(Mem0Account),
}

impl Backend {
    /// The backend's name in settings and answers: `zep`, `local` or `mem0`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Zep(_) => BackendName::Zep.as_str(),
            Self::Local { .. } => BackendName::Local.as_str(),
            Self::Mem0(_) => BackendName::Mem0.as_str(),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zep(connection) => write!(f, "zep at {}", connection.host()),
            Self::Local { path } => write!(f, "local in {}", path.display()),
            Self::Mem0(account) => write!(f, "mem0 at {}", account.url),
        }
    }
}

words!(
    BackendName {
        Zep = "zep",
        Local = "local",
        Mem0 = "mem0",
        Phased = "phased",
    }
);

words!(
    Switch {
        On = "on",
        Off = "off",
    }
);

/// What is known of the key.
enum Key {
    NotSet,
    Usable(SecretString, Origin),
    /// It cannot be used; the problem is reported.
    Wrong(Origin),
}

impl Key {
    fn is_set(&self) -> bool {
        !matches!(self, Self::NotSet)
    }

    fn origin(&self) -> Option<Origin> {
        match self {
            Self::NotSet => None,
            Self::Usable(_, origin) | Self::Wrong(origin) => Some(*origin),
        }
    }
}

/// Where memories are kept.
pub(super) struct Kept {
    pub(super) backend: Backend,
    /// How mem0 is used beside it.
    pub(super) beside: Option<BesideZep>,
    pub(super) data_dir: Option<PathBuf>,
    /// How long a call waits for Zep; `None` without a queue.
    pub(super) write_wait: Option<Duration>,
}

/// Where memories are kept.
pub(super) fn read(reader: &mut Reader, sources: &SourceSettings) -> Option<Kept> {
    let key = key(reader);
    let url = url(reader, key.origin());
    let timeout = reader.value(
        Setting::TimeoutSecs,
        |raw| parse::number(raw, TIMEOUT_SECS, "seconds"),
        ToString::to_string,
    );
    let named = reader.value_or(
        Setting::Backend,
        |raw| BackendName::parse(raw).map(Some),
        || Ok(None),
        |name| match name {
            Some(name) => name.to_string(),
            None if key.is_set() => "zep (ZEP_API_KEY is set)".to_owned(),
            None => "local (ZEP_API_KEY is not set)".to_owned(),
        },
    );
    let decided = key.is_set() || !matches!(named, Some(None));
    reader.report_unreadable_dotenv(decided);
    let named = named.map(|named| {
        named.unwrap_or(match key.is_set() {
            true => BackendName::Zep,
            false => BackendName::Local,
        })
    });
    let directory = data_directory(reader, named);
    let (queue, wait) = write_wait(reader);
    let mem0 = mem0::read(reader);
    let named = named?;
    let phased = named == BackendName::Phased;
    let beside = match named {
        BackendName::Zep | BackendName::Phased => mem0::beside(reader, &mem0, sources, phased),
        BackendName::Local | BackendName::Mem0 => Some(None),
    };
    if phased {
        mem0::check_phased(reader, queue? == Switch::On, directory.as_ref()?.is_some())?;
    }
    let backend = match named {
        BackendName::Zep | BackendName::Phased => {
            let key = required_key(reader, key)?;
            let timeout = Duration::from_secs(timeout?);
            // Each of the three is checked already, so this cannot fail.
            Backend::Zep(Connection::new(&url?, key, timeout).ok()?)
        }
        BackendName::Local => Backend::Local {
            path: directory.as_ref()?.as_ref()?.join(STORE_FILE),
        },
        BackendName::Mem0 => Backend::Mem0(mem0::only(reader, &mem0, sources)?),
    };
    Some(Kept {
        backend,
        beside: beside?,
        data_dir: directory?,
        write_wait: (queue? == Switch::On).then_some(Duration::from_millis(wait?)),
    })
}

/// Reads the key and shows only whether it is set.
fn key(reader: &mut Reader) -> Key {
    let origin = reader.origin(Setting::ApiKey);
    let key = reader.optional(
        Setting::ApiKey,
        |raw| {
            let key = SecretString::from(raw);
            check_key(&key).map(|()| key)
        },
        |_| "set".to_owned(),
    );
    match (origin, key) {
        (None, _) => Key::NotSet,
        (Some(origin), Some(Some(key))) => Key::Usable(key, origin),
        (Some(origin), _) => Key::Wrong(origin),
    }
}

fn required_key(reader: &mut Reader, key: Key) -> Option<SecretString> {
    match key {
        Key::Usable(key, _) => Some(key),
        Key::Wrong(_) => None,
        Key::NotSet => {
            reader.missing(
                Setting::ApiKey,
                "is needed, since MEMORY_BACKEND is `zep` or `phased`; set it in the environment or in .env \
                 (keys: https://app.getzep.com), or set MEMORY_BACKEND to `local`",
            );
            None
        }
    }
}

/// Zep's address. From `.env` it counts only if the key is from there too: otherwise the author of
/// a foreign `.env` could have somebody else's key sent to a server of their own.
fn url(reader: &mut Reader, key: Option<Origin>) -> Option<String> {
    if reader.origin(Setting::ApiUrl) == Some(Origin::DotEnv) && key != Some(Origin::DotEnv) {
        reader.ignore(
            Setting::ApiUrl,
            "since ZEP_API_KEY does not come from that file; set it in the environment or with \
             --api-url",
        );
    }
    reader.value(Setting::ApiUrl, check_url, Clone::clone)
}

/// The data directory. Only the embedded store cannot do without, so it is an error only there to have none.
fn data_directory(reader: &mut Reader, backend: Option<BackendName>) -> Option<Option<PathBuf>> {
    reader.value_or(
        Setting::DataDir,
        |raw| parse::directory(raw).map(Some),
        || match directories::BaseDirs::new() {
            Some(base) => Ok(Some(base.data_local_dir().join(DATA_DIR))),
            None if backend == Some(BackendName::Local) => Err(
                "is not set, and this account has no home directory to put memories in; set it to \
                 a directory that only you can read"
                    .to_owned(),
            ),
            None => Ok(None),
        },
        |directory| match directory {
            Some(directory) => directory.display().to_string(),
            None => "none".to_owned(),
        },
    )
}

/// The data directory, for whatever backend.
pub(super) fn any_data_directory(reader: &mut Reader) -> Option<Option<PathBuf>> {
    data_directory(reader, None)
}

/// When a write that was sent again is looked at.
pub(super) fn recheck(reader: &mut Reader) -> Option<Vec<Duration>> {
    let parse = |raw: &str| {
        let times = raw.split(',').map(str::trim);
        let times: Result<Vec<_>, _> = times
            .map(|secs| parse::number(secs, RECHECK_SECS, "seconds").map(Duration::from_secs))
            .collect();
        times.and_then(|times| match times.len() <= MAX_RECHECKS {
            true => Ok(times),
            false => Err(format!("has more than {MAX_RECHECKS} times")),
        })
    };
    let show = |times: &Vec<Duration>| {
        let times: Vec<_> = times
            .iter()
            .map(|time| time.as_secs().to_string())
            .collect();
        times.join(",")
    };
    reader.value(Setting::RecheckSecs, parse, show)
}

/// Whether there is a queue, and how long a call waits for Zep, in milliseconds.
fn write_wait(reader: &mut Reader) -> (Option<Switch>, Option<u64>) {
    let queue = reader.value(Setting::Queue, Switch::parse, ToString::to_string);
    let wait = reader.value(
        Setting::WriteWaitMs,
        |raw| parse::number(raw, WRITE_WAIT_MS, "milliseconds"),
        ToString::to_string,
    );
    (queue, wait)
}

pub(super) fn default_user(reader: &mut Reader) -> Option<UserId> {
    let parse = |raw: &str| UserId::new(raw).map_err(|invalid| invalid.problem);
    let ours = reader.optional(Setting::DefaultUserId, parse, ToString::to_string);
    let mem0s = reader.value(Setting::Mem0DefaultUserId, parse, ToString::to_string);
    ours?.or(mem0s)
}

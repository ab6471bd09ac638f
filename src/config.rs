//! Flags, the environment and `.env` become one validated [`Config`].
//!
//! Nothing else in the program reads the environment. A [`Config`] is whole or it is not there:
//! every wrong value is found in one go and named in [`ConfigError`].

mod access;
mod dotenv;
mod error;
mod flags;
mod http;
mod reader;
mod setting;
mod sources;
mod tools;

use std::fmt;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::zep::{Connection, UserId};

pub(crate) use access::is_safe;
pub use access::{AccessSettings, OauthSettings};
pub use error::{ConfigError, Problem};
pub use flags::Flags;
pub use http::{HttpConfig, HttpFlags, Tls};
pub use setting::{Origin, Setting};
pub use tools::Tools;

use reader::Reader;
use sources::Sources;

/// The file in the data directory that holds the embedded store.
const STORE_FILE: &str = "memory.db";
/// Our directory within the platform's data directory.
const DATA_DIR: &str = "zep-mcp-server";
/// Where Zep Cloud is (zep-cloud 3.30.0, `ZepEnvironment`).
const ZEP_CLOUD: &str = "https://api.getzep.com";
/// Seconds for one call to Zep, all attempts together; the smallest and the largest that may be set.
const TIMEOUT_SECS: (u64, u64, u64) = (30, 1, 600);
/// The user of memories that name nobody, as in mem0-mcp-server.
const DEFAULT_USER: &str = "mem0-mcp";

/// Everything that a command needs to know, valid as a whole.
#[derive(Debug)]
pub struct Config {
    /// Where memories are kept.
    pub backend: Backend,
    /// Whose memory it is where a call names nobody.
    pub default_user: UserId,
    /// The only directory from which tools read export files, with all symbolic links resolved.
    /// It existed when the configuration was loaded. `None`: they read no files.
    pub import_dir: Option<PathBuf>,
    /// Which tools the MCP server has.
    pub tools: Tools,
    /// Whether people are asked before memories are deleted in bulk.
    pub confirm: Confirm,
    /// How to serve on a network; `None` where that was not asked for.
    pub http: Option<HttpConfig>,
    /// What is logged, and how.
    pub logging: Logging,
    /// Every setting as it is in force, and where its value comes from. Never holds the key.
    pub in_force: Vec<InForce>,
    /// What was found but does not count, and why. Never holds a value.
    pub warnings: Vec<String>,
    /// The `.env` file that was read.
    pub dotenv: Option<PathBuf>,
}

/// Where memories are kept.
#[derive(Debug)]
pub enum Backend {
    /// In Zep Cloud, or whatever answers as it does.
    Zep(Connection),
    /// In one SQLite file on this machine.
    Local {
        /// The file, absolute. It need not exist yet.
        path: PathBuf,
    },
}

impl Backend {
    /// The backend's name in settings and answers: `zep` or `local`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Zep(_) => BackendName::Zep.as_str(),
            Self::Local { .. } => BackendName::Local.as_str(),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zep(connection) => write!(f, "zep at {}", connection.host()),
            Self::Local { path } => write!(f, "local in {}", path.display()),
        }
    }
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Which.
    pub setting: Setting,
    /// Its value as it may be shown: of the key only whether it is set.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// What is logged to stderr, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// The least important messages that are still logged.
    pub level: LogLevel,
    /// How they are written.
    pub format: LogFormat,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

/// Defines an enum that is set by one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that sets it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word in any case; otherwise says what it may be.
            fn parse(raw: &str) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|word| word.as_str().eq_ignore_ascii_case(raw))
                    .ok_or_else(|| {
                        let may_be: Vec<_> = Self::ALL.iter().map(|w| format!("`{}`", w.as_str())).collect();
                        format!("{} is not known; it may be {}", error::quoted(raw), may_be.join(", "))
                    })
            }
        }
    };
}

words!(
    /// How important a message must be to be logged.
    pub LogLevel {
        /// Only what failed.
        Error = "error",
        /// Also what is doubtful.
        Warn = "warn",
        /// Also what happens once a run, such as the choice of the backend.
        Info = "info",
        /// Also every call, without its content.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
);
words!(
    /// How log messages are written.
    pub LogFormat {
        /// One readable line each.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
);
words!(
    /// Whether people are asked, by MCP elicitation, before memories are deleted in bulk.
    pub Confirm {
        /// Where the client can ask.
        Elicit = "elicit",
        /// Never: the agent's word counts.
        Never = "never",
    }
);
words!(
    /// A tool of the MCP server.
    pub Tool {
        /// Ours.
        AddMemory = "add_memory",
        /// Ours.
        SearchMemory = "search_memory",
        /// Ours.
        GetSession = "get_session",
        /// Ours.
        MigrateUser = "migrate_user",
        /// Ours.
        ValidateMigration = "validate_migration",
        /// Ours, beside the core.
        ListSessions = "list_sessions",
        /// mem0's.
        SearchMemories = "search_memories",
        /// mem0's.
        GetMemories = "get_memories",
        /// mem0's.
        GetMemory = "get_memory",
        /// mem0's.
        UpdateMemory = "update_memory",
        /// mem0's.
        DeleteMemory = "delete_memory",
        /// mem0's.
        DeleteAllMemories = "delete_all_memories",
        /// mem0's.
        DeleteEntities = "delete_entities",
        /// mem0's.
        ListEntities = "list_entities",
        /// Of mem0's hosted server.
        ListEvents = "list_events",
        /// Of mem0's hosted server.
        GetEventStatus = "get_event_status",
    }
);
words!(
    BackendName {
        Zep = "zep",
        Local = "local",
    }
);

impl Config {
    /// The configuration from `flags`, the environment, and `.env` in the working directory, in
    /// this order.
    ///
    /// # Errors
    /// [`ConfigError`] with every value that is wrong.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        Self::from_sources(Sources::read(flags), Door::Stdio)
    }

    /// The same with what serving on a network needs.
    ///
    /// # Errors
    /// [`ConfigError`] with every value that is wrong.
    pub fn load_for_http(flags: Flags, http: HttpFlags) -> Result<Self, ConfigError> {
        Self::from_sources(Sources::read(flags).with_http(http), Door::Http)
    }

    fn from_sources(sources: Sources, door: Door) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(sources);
        let backend = backend(&mut reader);
        let default_user = default_user(&mut reader);
        let import_dir = import_dir(&mut reader);
        let tools = tools(&mut reader);
        let confirm = confirm(&mut reader);
        let logging = logging(&mut reader);
        let http = match door {
            Door::Stdio => Some(None),
            Door::Http => http::read(&mut reader).map(Some),
        };
        let findings = reader.finish()?;
        match (
            backend,
            default_user,
            import_dir,
            tools,
            confirm,
            logging,
            http,
        ) {
            (
                Some(backend),
                Some(default_user),
                Some(import_dir),
                Some(tools),
                Some(confirm),
                Some(logging),
                Some(http),
            ) => Ok(Self {
                backend,
                default_user,
                import_dir,
                tools,
                confirm,
                http,
                logging,
                in_force: findings.in_force,
                warnings: findings.warnings,
                dotenv: findings.dotenv,
            }),
            _ => unreachable!("a value is absent only where a problem was reported"),
        }
    }
}

/// Through which door agents come.
#[derive(Debug, Clone, Copy)]
enum Door {
    Stdio,
    Http,
}

impl Logging {
    /// The settings of logging alone, for commands that need no backend.
    ///
    /// # Errors
    /// [`ConfigError`] with every value of these settings that is wrong.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(Sources::read(flags));
        let logging = logging(&mut reader);
        reader.finish()?;
        Ok(logging.unwrap_or_default())
    }
}

/// Whether to write colours to this stream: it is a terminal that shows them, and nobody objects
/// (<https://no-color.org>).
pub fn colours(stream: &impl IsTerminal) -> bool {
    let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    stream.is_terminal() && !objects && !dumb
}

fn backend(reader: &mut Reader) -> Option<Backend> {
    let key = reader.key();
    let url = reader.url(key.origin());
    let timeout = reader.value(
        Setting::TimeoutSecs,
        parse_timeout,
        || Ok(Duration::from_secs(TIMEOUT_SECS.0)),
        |timeout| timeout.as_secs().to_string(),
    );
    let named = reader.value(
        Setting::Backend,
        |raw| BackendName::parse(raw).map(Some),
        || Ok(None),
        |name| match name {
            Some(name) => name.as_str().to_owned(),
            None if key.is_set() => "zep (ZEP_API_KEY is set)".to_owned(),
            None => "local (ZEP_API_KEY is not set)".to_owned(),
        },
    );
    reader.backend_decided(key.is_set() || !matches!(named, Some(None)));
    let named = named.map(|named| {
        named.unwrap_or(if key.is_set() {
            BackendName::Zep
        } else {
            BackendName::Local
        })
    });
    let path = data_dir(reader, named);
    match named? {
        BackendName::Zep => {
            let key = reader.required_key(key)?;
            // Each of the three is checked already, so this cannot fail.
            Connection::new(&url?, key, timeout?).ok().map(Backend::Zep)
        }
        BackendName::Local => Some(Backend::Local {
            path: path??.join(STORE_FILE),
        }),
    }
}

/// The data directory. Only the embedded store needs one, so only there it is an error to have none.
fn data_dir(reader: &mut Reader, backend: Option<BackendName>) -> Option<Option<PathBuf>> {
    reader.value(
        Setting::DataDir,
        |raw| parse_dir(raw).map(Some),
        || match directories::BaseDirs::new() {
            Some(base) => Ok(Some(base.data_local_dir().join(DATA_DIR))),
            None if backend == Some(BackendName::Local) => Err(
                "is not set, and this account has no home directory to put memories in; set it to \
                 a directory that only you can read"
                    .to_owned(),
            ),
            None => Ok(None),
        },
        |dir| match dir {
            Some(dir) => dir.display().to_string(),
            None => "none".to_owned(),
        },
    )
}

fn default_user(reader: &mut Reader) -> Option<UserId> {
    let parse = |raw: &str| {
        UserId::new(raw)
            .map(Some)
            .map_err(|invalid| invalid.problem)
    };
    let show = |user: &Option<UserId>| match user {
        Some(user) => user.to_string(),
        None => "not set".to_owned(),
    };
    let ours = reader.value(Setting::DefaultUserId, parse, || Ok(None), show);
    let mem0s = reader.value(
        Setting::Mem0DefaultUserId,
        parse,
        || {
            UserId::new(DEFAULT_USER)
                .map(Some)
                .map_err(|invalid| invalid.problem)
        },
        show,
    );
    ours?.or(mem0s?)
}

/// The directory of export files. It must be there: whoever set it would otherwise learn only from
/// an agent that it is not.
fn import_dir(reader: &mut Reader) -> Option<Option<PathBuf>> {
    if reader.not_from_dotenv(Setting::ImportDir) {
        return Some(None);
    }
    reader.value(
        Setting::ImportDir,
        |raw| {
            let dir = parse_dir(raw)?;
            // Resolved once and for all: what is inside is told by comparing resolved paths.
            let resolved = dir
                .canonicalize()
                .map_err(|error| format!("cannot be used: {error}; make the directory first"))?;
            Ok(Some(resolved))
        },
        || Ok(None),
        |dir| match dir {
            Some(dir) => dir.display().to_string(),
            None => "not set".to_owned(),
        },
    )
}

fn tools(reader: &mut Reader) -> Option<Tools> {
    reader.value(
        Setting::Tools,
        Tools::parse,
        || Ok(Tools::all()),
        ToString::to_string,
    )
}

/// Whether people are asked. Not from `.env`, which may be somebody else's.
fn confirm(reader: &mut Reader) -> Option<Confirm> {
    if reader.not_from_dotenv(Setting::Confirm) {
        return Some(Confirm::Elicit);
    }
    reader.value(
        Setting::Confirm,
        Confirm::parse,
        || Ok(Confirm::Elicit),
        |confirm| confirm.as_str().to_owned(),
    )
}

fn logging(reader: &mut Reader) -> Option<Logging> {
    let default = Logging::default();
    let level = reader.value(
        Setting::LogLevel,
        LogLevel::parse,
        || Ok(default.level),
        |level| level.as_str().to_owned(),
    );
    let format = reader.value(
        Setting::LogFormat,
        LogFormat::parse,
        || Ok(default.format),
        |format| format.as_str().to_owned(),
    );
    Some(Logging {
        level: level?,
        format: format?,
    })
}

fn parse_timeout(raw: &str) -> Result<Duration, String> {
    let (_, least, most) = TIMEOUT_SECS;
    match raw.parse() {
        Ok(secs) if (least..=most).contains(&secs) => Ok(Duration::from_secs(secs)),
        _ => Err(format!(
            "{} is not a whole number of seconds from {least} to {most}",
            error::quoted(raw)
        )),
    }
}

fn parse_path(raw: &str) -> Result<PathBuf, String> {
    if raw.starts_with('~') {
        return Err(
            "begins with `~`, which only a shell replaces; write the whole path".to_owned(),
        );
    }
    std::path::absolute(Path::new(raw))
        .map_err(|error| format!("cannot be made an absolute path: {error}"))
}

fn parse_file(raw: &str) -> Result<PathBuf, String> {
    let file = parse_path(raw)?;
    if file.is_dir() {
        return Err("is a directory; it must be a file".to_owned());
    }
    Ok(file)
}

fn parse_dir(raw: &str) -> Result<PathBuf, String> {
    let dir = parse_path(raw)?;
    if dir.exists() && !dir.is_dir() {
        return Err("is a file; it must be a directory".to_owned());
    }
    Ok(dir)
}

#[cfg(all(test, unix))]
mod tests;

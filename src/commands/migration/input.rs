//! The source that the command line names.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::agent_hosts::locations::HostDirs;
use zep_mcp_server::config::{Backend, Config};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::memory::model::{SessionId, UserId};
use zep_mcp_server::migration::{Request, Selection};
use zep_mcp_server::sources::mem0::{
    self, Account, Entity, EntityKind, Limits, Platform, PlatformSettings, Server, ServerSettings,
};
use zep_mcp_server::sources::qdrant::{self, Qdrant, QdrantSettings};
use zep_mcp_server::sources::{Export, Mem0Dir, Mem0DirSettings, OpenMemory, Source, Stored};

use crate::cli::{SourceArgs, SystemArg};
use crate::output::{Misuse, on_one_line, shown_path};

/// What the command line says of the source, complete with the settings.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// An export: a file, a directory, or an archive.
    File(PathBuf),
    /// An export on standard input.
    Stdin,
    /// mem0 Platform.
    Mem0 {
        /// `None`: the usual address.
        url: Option<String>,
        key: SecretString,
        history: bool,
    },
    /// A self-hosted mem0.
    Mem0Server {
        url: String,
        key: Option<SecretString>,
        history: bool,
    },
    /// Qdrant.
    Qdrant {
        /// `None`: on this machine.
        url: Option<String>,
        key: Option<SecretString>,
        collection: Option<String>,
    },
    /// The directory of mem0's library.
    Mem0Dir(Mem0DirSettings),
    /// OpenMemory's database, or its backup.
    OpenMemory(PathBuf),
    /// An embedded store.
    Local(PathBuf),
}

impl Input {
    /// What these flags and settings name. `found` is a key of mem0 Platform that was found elsewhere.
    /// Opens nothing.
    ///
    /// # Errors
    /// [`Misuse`] if something is missing; also if the file of a key cannot be read.
    pub(crate) fn of(
        args: &SourceArgs,
        found: Option<SecretString>,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let settings = &config.sources;
        let Some(system) = args.from else {
            return match args.file.as_deref() {
                Some(file) if file == Path::new("-") => Ok(Self::Stdin),
                Some(file) => Ok(Self::File(file.to_owned())),
                None => Err(Misuse("name a source: --file or --from".to_owned()).into()),
            };
        };
        let missing = |what: &str| Err(Misuse(what.to_owned()).into());
        match system {
            SystemArg::Mem0 => {
                if args.mem0_key.is_some() {
                    return missing(
                        "--mem0-key is for a self-hosted mem0; set MEM0_API_KEY, or use \
                         --mem0-key-file or --entry",
                    );
                }
                let mut url = args.mem0_url.clone().or_else(|| settings.mem0_url.clone());
                let key = key_file(args)?.or(found);
                let mut key = key.or_else(|| settings.mem0_key.clone());
                if key.is_none()
                    && let Some(home) = HostDirs::from_process().map(|dirs| dirs.home)
                    && let Some(account) = Account::of_command_line(&home)?
                {
                    // A key belongs to its address.
                    url = url.or(account.url);
                    key = Some(account.key);
                }
                let Some(key) = key else {
                    return missing(
                        "--from mem0 needs the key of mem0: set MEM0_API_KEY, or use --entry or \
                         --mem0-key-file",
                    );
                };
                Ok(Self::Mem0 {
                    url,
                    key,
                    history: args.history,
                })
            }
            SystemArg::Mem0Server => {
                let Some(url) = args.mem0_url.as_ref().or(settings.server_url.as_ref()) else {
                    return missing("--from mem0-server needs the server's address: --mem0-url");
                };
                let key = match &args.mem0_key {
                    Some(key) => Some(SecretString::from(key.as_str())),
                    None => key_file(args)?.or_else(|| settings.server_key.clone()),
                };
                Ok(Self::Mem0Server {
                    url: url.clone(),
                    key,
                    history: args.history,
                })
            }
            SystemArg::Qdrant => Ok(Self::Qdrant {
                url: args.qdrant_url.clone(),
                key: settings.qdrant_key.clone(),
                collection: args.collection.clone(),
            }),
            SystemArg::Mem0Dir => {
                let usual = settings.mem0_dir.clone().or_else(|| {
                    let home = HostDirs::from_process()?.home;
                    Some(Mem0Dir::usual(&home))
                });
                let Some(path) = args.path.clone().or_else(|| usual.clone()) else {
                    return missing("--from mem0-dir needs the directory of mem0's library");
                };
                Ok(Self::Mem0Dir(Mem0DirSettings {
                    is_usual: usual.as_ref() == Some(&path),
                    path,
                    collection: args.collection.clone(),
                    history: args.history,
                }))
            }
            SystemArg::OpenMemory => match &args.path {
                Some(path) => Ok(Self::OpenMemory(path.clone())),
                None => missing(
                    "--from openmemory needs the path of its database: --from openmemory \
                     openmemory.db",
                ),
            },
            SystemArg::Local => {
                let directory = args.path.as_ref().or(config.data_dir.as_ref());
                let Some(path) = directory else {
                    return missing("--from local needs the data directory of the store");
                };
                let path = match path.is_file() {
                    true => path.clone(),
                    false => Config::store_in(path),
                };
                if !path.is_file() {
                    let path = shown_path(&path);
                    return missing(&format!(
                        "--from local: there is no store at {path}; name its data directory"
                    ));
                }
                Ok(Self::Local(path))
            }
        }
    }

    /// Whether it is the store that is written to.
    pub(crate) fn is_target(&self, backend: &Backend) -> bool {
        match (self, backend) {
            (Self::Local(path), Backend::Local { path: target }) => {
                match (path.canonicalize(), target.canonicalize()) {
                    (Ok(path), Ok(target)) => path == target,
                    _ => path == target,
                }
            }
            _ => false,
        }
    }

    /// Whether it is mem0 Platform itself.
    pub(crate) fn is_mem0(&self) -> bool {
        matches!(self, Self::Mem0 { .. })
    }

    /// Whether it is a server that may hold memories of many people, so that whose are meant must be
    /// said.
    pub(crate) fn is_server(&self) -> bool {
        matches!(
            self,
            Self::Mem0 { .. } | Self::Mem0Server { .. } | Self::Qdrant { .. }
        )
    }

    /// The users whose memories it holds, if it can be asked. Must be called outside of a runtime.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub(crate) fn users(&self) -> anyhow::Result<Vec<String>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listed = match self {
            Self::Mem0 { url, key, .. } => {
                let settings = platform_settings(url.clone(), key.clone());
                let source = Platform::new(settings).map_err(misuse)?;
                runtime.block_on(source.listed())
            }
            Self::Mem0Server { url, key, .. } => {
                let source = server(url.clone(), key.clone(), Vec::new()).map_err(misuse)?;
                runtime.block_on(source.listed())
            }
            Self::Qdrant {
                url,
                key,
                collection,
            } => {
                let settings = qdrant_settings(url.clone(), key.clone(), collection.clone());
                let source = Qdrant::new(settings).map_err(misuse)?;
                runtime.block_on(source.listed())
            }
            _ => return Ok(Vec::new()),
        };
        let users = listed?.into_iter();
        let mut users: Vec<_> = users
            .filter(|entity| entity.kind == EntityKind::User)
            .map(|entity| entity.name)
            .collect();
        users.sort();
        Ok(users)
    }

    /// Opens it. Must be called within a runtime; reading ends when `stop` is cancelled.
    ///
    /// # Errors
    /// [`Misuse`] if it cannot be opened.
    pub(crate) fn open(
        self,
        request: &Request,
        stop: &CancellationToken,
    ) -> anyhow::Result<Box<dyn Source>> {
        match self {
            Self::File(path) => match Export::file(&path) {
                Ok(export) => Ok(Box::new(export)),
                Err(error) => {
                    let path = path.display();
                    Err(Misuse(format!("--file {path} cannot be opened: {error}")).into())
                }
            },
            Self::Stdin => Ok(Box::new(Export::reader(Stdin {
                inner: tokio::io::stdin(),
                runtime: Handle::current(),
                stop: stop.clone(),
            }))),
            Self::Mem0 { url, key, history } => {
                let source = Platform::new(PlatformSettings {
                    entities: entities(&request.selection),
                    history,
                    include_expired: request.include_expired,
                    ..platform_settings(url, key)
                });
                Ok(Box::new(source.map_err(misuse)?))
            }
            Self::Mem0Server { history: true, .. } => Err(Misuse(
                "--history is for --from mem0 and mem0-dir: a self-hosted mem0 shows no original turns".into(),
            )
            .into()),
            Self::Mem0Server { url, key, .. } => {
                let source = server(url, key, entities(&request.selection));
                Ok(Box::new(source.map_err(misuse)?))
            }
            Self::Qdrant {
                url,
                key,
                collection,
            } => {
                let source = Qdrant::new(QdrantSettings {
                    entities: entities(&request.selection),
                    ..qdrant_settings(url, key, collection)
                });
                Ok(Box::new(source.map_err(misuse)?))
            }
            Self::Mem0Dir(settings) => {
                let path = shown_path(&settings.path);
                match Mem0Dir::open(settings) {
                    Ok(source) => Ok(Box::new(source)),
                    Err(error) => Err(Misuse(format!(
                        "--from mem0-dir {path} cannot be read: {error}"
                    ))
                    .into()),
                }
            }
            Self::OpenMemory(path) => match OpenMemory::open(&path) {
                Ok(Some(database)) => Ok(Box::new(database)),
                Ok(None) => Self::File(path).open(request, stop),
                Err(error) => {
                    let path = shown_path(&path);
                    Err(Misuse(format!("--from openmemory {path} cannot be read: {error}")).into())
                }
            },
            Self::Local(path) => {
                let store = LocalZep::open(&path, Behavior::default())?;
                let name = path.canonicalize().unwrap_or(path);
                Ok(Box::new(Stored::new(
                    Arc::new(store),
                    request.selection.users.iter().cloned().collect(),
                    format!("local {}", name.display()),
                )))
            }
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(&shown_path(path)),
            Self::Stdin => f.write_str("standard input"),
            Self::Mem0 { url: None, .. } => f.write_str("mem0 Platform"),
            Self::Mem0 { url: Some(url), .. } => write!(f, "mem0 Platform at {}", on_one_line(url)),
            Self::Mem0Server { url, .. } => write!(f, "mem0 at {}", on_one_line(url)),
            Self::Qdrant { url: None, .. } => f.write_str("Qdrant"),
            Self::Qdrant { url: Some(url), .. } => write!(f, "Qdrant at {}", on_one_line(url)),
            Self::Mem0Dir(Mem0DirSettings { path, .. }) => {
                write!(f, "mem0's library in {}", shown_path(path))
            }
            Self::OpenMemory(path) => write!(f, "OpenMemory in {}", shown_path(path)),
            Self::Local(path) => f.write_str(&shown_path(path)),
        }
    }
}

/// The entities of mem0 to which the selected memories belong; none: all. The session `default` is not
/// one of mem0's: it holds turns that have none.
fn entities(selection: &Selection) -> Vec<Entity> {
    let Selection {
        users, sessions, ..
    } = selection;
    if users.is_empty() && sessions.iter().any(SessionId::is_default) {
        return Vec::new();
    }
    let user = |id: &UserId| Entity::user(id.as_str());
    let run = |id: &SessionId| Entity {
        kind: EntityKind::Run,
        name: id.as_str().to_owned(),
    };
    match users.is_empty() {
        true => sessions.iter().map(run).collect(),
        false => users.iter().map(user).collect(),
    }
}

/// The whole of mem0 Platform.
fn platform_settings(url: Option<String>, key: SecretString) -> PlatformSettings {
    let usual = PlatformSettings::new(key);
    PlatformSettings {
        url: url.unwrap_or(usual.url),
        ..usual
    }
}

fn server(
    url: String,
    key: Option<SecretString>,
    entities: Vec<Entity>,
) -> Result<Server, mem0::Error> {
    Server::new(ServerSettings {
        url,
        key,
        entities,
        limits: Limits::default(),
    })
}

/// A whole collection of Qdrant.
fn qdrant_settings(
    url: Option<String>,
    key: Option<SecretString>,
    collection: Option<String>,
) -> QdrantSettings {
    QdrantSettings {
        url: url.unwrap_or_else(|| qdrant::URL.to_owned()),
        key,
        collection: collection.unwrap_or_else(|| qdrant::COLLECTION.to_owned()),
        ..QdrantSettings::default()
    }
}

fn misuse(error: mem0::Error) -> Misuse {
    Misuse(error.to_string())
}

/// The key in the first line of `--mem0-key-file`.
fn key_file(args: &SourceArgs) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = &args.mem0_key_file else {
        return Ok(None);
    };
    let text =
        fs::read_to_string(path).with_context(|| format!("--mem0-key-file {}", path.display()))?;
    match text.lines().next().map(str::trim) {
        Some(key) if !key.is_empty() => Ok(Some(SecretString::from(key))),
        _ => Err(Misuse(format!(
            "--mem0-key-file {}: its first line is empty",
            path.display()
        ))
        .into()),
    }
}

/// Standard input for a thread that may block. Reading fails when the run is stopped, because input
/// may never come.
struct Stdin {
    inner: tokio::io::Stdin,
    runtime: Handle,
    stop: CancellationToken,
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reading = self.stop.run_until_cancelled(self.inner.read(buffer));
        self.runtime
            .block_on(reading)
            .unwrap_or_else(|| Err(io::Error::other("stopped while reading standard input")))
    }
}

//! The file of tokens: reads it again when it changes, so that a revoked token stops working, and
//! appends entries.
//!
//! Requests read a published snapshot. The file itself is read on a thread for blocking work, by one
//! request at a time.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::Mutex;

use super::{table::TokenTable, tokens::Entry};

/// The largest file that is read, in bytes. Ours: thousands of tokens.
const MAX_BYTES: u64 = 4 << 20;
/// How old a snapshot may be before the file is checked for changes.
const CHECKED_EVERY: Duration = Duration::from_secs(1);
/// A file that was changed less than this before it was read is read again: its time may not show a
/// further change.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How long the last tokens stay valid while the file cannot be used: long enough to save it again.
/// After that nobody is authenticated, since revoked tokens are not known.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is wrong with a file of tokens. Names line and field, no token and no person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}", path = .path.display())]
pub struct TokensFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// A file of tokens.
#[derive(Debug)]
pub(super) struct TokensFile {
    published: Arc<RwLock<Snapshot>>,
    reader: Arc<Mutex<Reader>>,
}

/// The tokens as they were in the file at one moment.
#[derive(Debug, Clone)]
struct Snapshot {
    table: Arc<TokenTable>,
    checked_at: Instant,
    /// Since when the file cannot be used.
    broken_since: Option<Instant>,
}

impl Snapshot {
    fn is_recent(&self) -> bool {
        self.checked_at.elapsed() < CHECKED_EVERY
    }

    /// The tokens; `None` if the file cannot be used for too long.
    fn table(self) -> Option<Arc<TokenTable>> {
        self.broken_since
            .is_none_or(|since| since.elapsed() < PATIENCE)
            .then_some(self.table)
    }
}

impl TokensFile {
    /// Reads the file. Blocks.
    ///
    /// # Errors
    /// [`TokensFileError`] if it cannot be used.
    pub(super) fn open(path: &Path) -> Result<Self, TokensFileError> {
        let (table, stamp) = read(path)?;
        if table.0.is_empty() {
            tracing::warn!("the file of tokens has no entry: it authenticates nobody");
        }
        Ok(Self {
            published: Arc::new(RwLock::new(Snapshot {
                table: Arc::new(table),
                checked_at: Instant::now(),
                broken_since: None,
            })),
            reader: Arc::new(Mutex::new(Reader {
                path: path.to_owned(),
                stamp: stamp.is_settled().then_some(stamp),
                problem: None,
            })),
        })
    }

    /// The tokens as they were in the file at most a second ago. `None` if that is not known.
    pub(super) async fn table(&self) -> Option<Arc<TokenTable>> {
        let snapshot = self.snapshot();
        if snapshot.is_recent() {
            return snapshot.table();
        }
        let mut reader = Arc::clone(&self.reader).lock_owned().await;
        let snapshot = self.snapshot();
        if snapshot.is_recent() {
            return snapshot.table();
        }
        let published = Arc::clone(&self.published);
        // The thread keeps the lock, so that one reads at a time even if this request is dropped.
        let read = tokio::task::spawn_blocking(move || {
            let snapshot = reader.check(snapshot);
            *published.write().unwrap_or_else(PoisonError::into_inner) = snapshot.clone();
            snapshot.table()
        });
        read.await.ok().flatten()
    }

    fn snapshot(&self) -> Snapshot {
        self.published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Reads the file again when it changes.
#[derive(Debug)]
struct Reader {
    path: PathBuf,
    /// How the file looked when it was read, unless a change since may not show.
    stamp: Option<Stamp>,
    /// Why the file cannot be used.
    problem: Option<String>,
}

impl Reader {
    /// The snapshot that follows this one.
    fn check(&mut self, last: Snapshot) -> Snapshot {
        let checked_at = Instant::now();
        let unchanged = self.problem.is_none()
            && self.stamp.is_some()
            && std::fs::metadata(&self.path)
                .ok()
                .map(|metadata| Stamp::of(&metadata))
                == self.stamp;
        if unchanged {
            return Snapshot { checked_at, ..last };
        }
        match read(&self.path) {
            Ok((table, stamp)) => {
                if last.table.0.len() != table.0.len() || self.problem.is_some() {
                    tracing::info!(tokens = table.0.len(), "read the file of tokens");
                }
                self.stamp = stamp.is_settled().then_some(stamp);
                self.problem = None;
                Snapshot {
                    table: Arc::new(table),
                    checked_at,
                    broken_since: None,
                }
            }
            Err(TokensFileError { problem, .. }) => {
                if self.problem.as_ref() != Some(&problem) {
                    tracing::error!(
                        problem,
                        "the file of tokens cannot be used; within seconds it authenticates nobody"
                    );
                }
                self.problem = Some(problem);
                Snapshot {
                    table: last.table,
                    checked_at,
                    broken_since: last.broken_since.or(Some(checked_at)),
                }
            }
        }
    }
}

/// How a file looks from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                (
                    metadata.dev(),
                    metadata.ino(),
                    metadata.ctime(),
                    metadata.ctime_nsec(),
                )
            },
        }
    }

    /// Whether a later change would show.
    fn is_settled(&self) -> bool {
        let age = self.modified.and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age > SETTLED_AFTER)
    }
}

fn read(path: &Path) -> Result<(TokenTable, Stamp), TokensFileError> {
    let wrong = |problem: String| TokensFileError {
        path: path.to_owned(),
        problem,
    };
    let unreadable = |error: io::Error| wrong(format!("cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check_metadata(&metadata).map_err(wrong)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("is larger than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text".into()))?;
    let table = TokenTable::parse(&text)
        .map_err(|error| wrong(format!("line {}: {}", error.line, error.problem)))?;
    Ok((table, Stamp::of(&metadata)))
}

/// Refuses files that others can write: they could authenticate themselves.
fn check_metadata(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("is no file".to_owned());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o022 != 0 {
            return Err(
                "can be written by others than its owner, who could authenticate themselves; run \
                 `chmod go-w` on it"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

/// Appends an entry, if the file is valid with it. A missing file is created, readable by its owner
/// only. Blocks.
///
/// # Errors
/// [`TokensFileError`] if the file cannot be used or written, or has an entry with that name.
pub fn append(path: &Path, entry: &Entry) -> Result<(), TokensFileError> {
    let wrong = |problem: String| TokensFileError {
        path: path.to_owned(),
        problem,
    };
    let unwritable = |error: io::Error| wrong(format!("cannot be written: {error}"));
    let mut options = File::options();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(unwritable)?;
    // Two processes at once would not see each other's entry.
    file.lock().map_err(unwritable)?;
    check_metadata(&file.metadata().map_err(unwritable)?).map_err(wrong)?;
    let mut existing = String::new();
    Read::by_ref(&mut file)
        .take(MAX_BYTES)
        .read_to_string(&mut existing)
        .map_err(unwritable)?;
    let separator = match existing.is_empty() || existing.ends_with('\n') {
        true => "",
        false => "\n",
    };
    let line = format!("{separator}{}\n", entry.line());
    TokenTable::parse(&format!("{existing}{line}"))
        .map_err(|error| wrong(format!("line {}: {}", error.line, error.problem)))?;
    if (existing.len() + line.len()) as u64 > MAX_BYTES {
        return Err(wrong(format!("would be larger than {MAX_BYTES} bytes")));
    }
    let length = existing.len() as u64;
    // One write, so that a server that reads meanwhile sees the whole entry or nothing.
    let written = file
        .seek(SeekFrom::End(0))
        .and_then(|_| file.write_all(line.as_bytes()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Removes half an entry.
        let _ = file.set_len(length);
        return Err(unwritable(error));
    }
    Ok(())
}

//! The file of tokens, read again when it changes, so that a token can be taken back at once.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{table::Table, tokens::Entry};

/// The largest file that is read, in bytes. Ours: thousands of tokens.
const MAX_BYTES: u64 = 4 << 20;
/// How often it is looked at whether the file changed.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// A file that was changed less than this before it was read may change once more without a trace
/// in its time, and is read again.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How long the tokens read last are good where the file cannot be read: as long as somebody takes
/// to save it again. Then nobody is let in, since who was taken back is not known.
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

/// A file of tokens. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct TokensFile {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How the file looked when it was read, unless it may have changed unseen.
    stamp: Option<Stamp>,
    table: Arc<Table>,
    looked_at: Instant,
    /// Since when it cannot be used, and why.
    broken: Option<(Instant, String)>,
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

impl TokensFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`TokensFileError`] if it cannot be used.
    pub(super) fn open(path: &Path) -> Result<Self, TokensFileError> {
        let (table, stamp) = read(path)?;
        if table.0.is_empty() {
            tracing::warn!("the file of tokens holds none: nobody is let in by it");
        }
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                state: Mutex::new(State {
                    stamp: stamp.is_settled().then_some(stamp),
                    table: Arc::new(table),
                    looked_at: Instant::now(),
                    broken: None,
                }),
            }),
        })
    }

    /// The tokens as they stand in the file now, at most a second ago. `None` if that cannot be
    /// known.
    pub(super) async fn table(&self) -> Option<Arc<Table>> {
        if let Some(known) = self.inner.known() {
            return known;
        }
        let inner = self.inner.clone();
        // Files can take their time, and others wait for this thread.
        let looked = tokio::task::spawn_blocking(move || inner.look());
        looked.await.ok().flatten()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What needs no look; `None` if it is time for one.
    fn known(&self) -> Option<Option<Arc<Table>>> {
        let state = self.state();
        (state.looked_at.elapsed() < LOOKED_AT_EVERY).then(|| state.current())
    }

    /// Reads the file if it changed.
    fn look(&self) -> Option<Arc<Table>> {
        // Held while reading: others wait for what is found, instead of reading it, too.
        let mut state = self.state();
        if state.looked_at.elapsed() < LOOKED_AT_EVERY {
            return state.current();
        }
        state.looked_at = Instant::now();
        let unchanged = state.broken.is_none()
            && state.stamp.is_some()
            && std::fs::metadata(&self.path)
                .ok()
                .map(|found| Stamp::of(&found))
                == state.stamp;
        if unchanged {
            return state.current();
        }
        match read(&self.path) {
            Ok((table, stamp)) => {
                let changed = state.table.0.len() != table.0.len() || state.broken.is_some();
                if changed {
                    tracing::info!(tokens = table.0.len(), "read the file of tokens");
                }
                state.table = Arc::new(table);
                state.stamp = stamp.is_settled().then_some(stamp);
                state.broken = None;
            }
            Err(error) => {
                let (since, said) = state
                    .broken
                    .take()
                    .unwrap_or_else(|| (Instant::now(), String::new()));
                if said != error.problem {
                    tracing::error!(
                        problem = error.problem,
                        "the file of tokens cannot be used; within seconds it lets nobody in"
                    );
                }
                state.broken = Some((since, error.problem));
            }
        }
        state.current()
    }
}

impl State {
    fn current(&self) -> Option<Arc<Table>> {
        let usable = self
            .broken
            .as_ref()
            .is_none_or(|(since, _)| since.elapsed() < PATIENCE);
        usable.then(|| self.table.clone())
    }
}

fn read(path: &Path) -> Result<(Table, Stamp), TokensFileError> {
    let wrong = |problem: String| TokensFileError {
        path: path.to_owned(),
        problem,
    };
    let unreadable = |error: io::Error| wrong(format!("cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check(&metadata).map_err(wrong)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("is larger than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text".into()))?;
    let table = Table::parse(&text)
        .map_err(|error| wrong(format!("line {}: {}", error.line, error.problem)))?;
    Ok((table, Stamp::of(&metadata)))
}

/// Whoever can write the file can let themselves in.
pub(super) fn check(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("is no file".to_owned());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o022 != 0 {
            return Err(
                "can be written by others than its owner, who could let themselves in; run \
                 `chmod go-w` on it"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

/// Puts an entry behind those that are there, after making sure that the file is then still a good
/// one. The file is made, readable by its owner only, if it is not there.
///
/// # Errors
/// [`TokensFileError`] if the file cannot be used or written, or has an entry of that name.
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
    // Two of us at once would not see each other's entry.
    file.lock().map_err(unwritable)?;
    check(&file.metadata().map_err(unwritable)?).map_err(wrong)?;
    let mut there = String::new();
    Read::by_ref(&mut file)
        .take(MAX_BYTES)
        .read_to_string(&mut there)
        .map_err(unwritable)?;
    let separator = match there.is_empty() || there.ends_with('\n') {
        true => "",
        false => "\n",
    };
    let line = format!("{separator}{}\n", entry.line());
    Table::parse(&format!("{there}{line}"))
        .map_err(|error| wrong(format!("line {}: {}", error.line, error.problem)))?;
    if (there.len() + line.len()) as u64 > MAX_BYTES {
        return Err(wrong(format!("would be larger than {MAX_BYTES} bytes")));
    }
    let length = there.len() as u64;
    // One write, so that a server that reads meanwhile sees all of the entry or nothing.
    let written = file
        .seek(SeekFrom::End(0))
        .and_then(|_| file.write_all(line.as_bytes()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // No half entry stays behind.
        let _ = file.set_len(length);
        return Err(unwritable(error));
    }
    Ok(())
}

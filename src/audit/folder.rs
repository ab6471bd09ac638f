//! The files of the trail.
//!
//! `audit-<number>.jsonl` holds the entries from this number on; the one with the highest number is
//! appended to. `head` notes the last entry, so that entries missing at the end are found; it has a
//! fixed length and is overwritten in place, which needs no room on the disk. `lock` is locked by who
//! writes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chain::{Hash, Link};

const LOCK: &str = "lock";
const HEAD: &str = "head";
const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
/// How long a process waits for another's turn. Ours: a turn takes microseconds.
const LOCKED_FOR: Duration = Duration::from_secs(5);
/// How often it looks whether the turn is over, at first and at most.
const LOOK: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(5));

/// The directory of the trail.
#[derive(Debug, Clone)]
pub(super) struct Folder(pub(super) PathBuf);

/// Where the chain ended when an entry was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) link: Link,
    /// Goes up when a file is begun, so that other processes look for it.
    pub(super) generation: u64,
}

impl Head {
    fn to_text(self) -> String {
        let Self { link, generation } = self;
        format!("{:020} {} {generation:020}\n", link.seq, link.hash)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix('\n')?.split(' ');
        let (seq, hash, generation) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            link: Link {
                seq: seq.parse().ok()?,
                hash: Hash::parse(hash.as_bytes())?,
            },
            generation: generation.parse().ok()?,
        })
    }
}

impl Folder {
    /// Waits for the turn to write, until it is dropped. Makes the directory, for its owner only.
    pub(super) fn lock(&self, open: &mut Open) -> io::Result<Turn> {
        open.begin_turn();
        let lock = open.lock.at(&self.0.join(LOCK), |path| {
            let mut options = private();
            options.write(true).create(true).truncate(false);
            match options.open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let mut builder = fs::DirBuilder::new();
                    builder.recursive(true);
                    #[cfg(unix)]
                    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                    builder.create(&self.0)?;
                    options.open(path)
                }
                opened => opened,
            }
        })?;
        wait_for(|| lock.try_lock())?;
        Ok(Turn(lock))
    }

    /// Waits until nobody writes, until the file is dropped; `None` where nothing was ever written.
    pub(super) fn lock_for_reading(&self) -> io::Result<Option<File>> {
        let lock = match File::open(self.0.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock?,
        };
        wait_for(|| lock.try_lock_shared())?;
        Ok(Some(lock))
    }

    /// The files by the number of their first entry, in order.
    pub(super) fn files(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let number: Option<u64> = name.to_str().and_then(|name| {
                let number = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
                number.parse().ok()
            });
            found.extend(number);
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The file whose first entry has this number.
    pub(super) fn file(&self, first: u64) -> PathBuf {
        self.0.join(format!("{PREFIX}{first:020}{SUFFIX}"))
    }

    /// A file that is appended to, which must be there.
    pub(super) fn append(&self, first: u64, open: &mut Open) -> io::Result<Arc<File>> {
        open.file.at(&self.file(first), |path| {
            OpenOptions::new().append(true).open(path)
        })
    }

    /// Makes a file.
    pub(super) fn make(&self, first: u64) -> io::Result<File> {
        private()
            .append(true)
            .create_new(true)
            .open(self.file(first))
    }

    /// Where the chain ended; `None` if that is not noted.
    pub(super) fn head(&self) -> io::Result<Option<Head>> {
        match File::open(self.0.join(HEAD)) {
            Ok(mut file) => read_head(&mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same in the turn to write.
    pub(super) fn head_now(&self, open: &mut Open) -> io::Result<Option<Head>> {
        read_head(&mut &*self.open_head(open)?)
    }

    /// Notes where the chain ends.
    pub(super) fn note(&self, head: Head, open: &mut Open) -> io::Result<()> {
        let file = self.open_head(open)?;
        (&*file).seek(SeekFrom::Start(0))?;
        (&*file).write_all(head.to_text().as_bytes())
    }

    fn open_head(&self, open: &mut Open) -> io::Result<Arc<File>> {
        open.head.at(&self.0.join(HEAD), |path| {
            let mut options = private();
            options.read(true).write(true).create(true).truncate(false);
            options.open(path)
        })
    }

    /// Makes what was appended to a file survive a power cut.
    pub(super) fn sync(&self, first: u64) -> io::Result<()> {
        let file = OpenOptions::new().append(true).open(self.file(first))?;
        file.sync_data()?;
        OpenOptions::new()
            .write(true)
            .open(self.0.join(HEAD))?
            .sync_data()
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Reads where the chain ended. More than a note has is no note.
fn read_head(file: &mut (impl Read + Seek)) -> io::Result<Option<Head>> {
    let mut bytes = [0; 1_024];
    file.seek(SeekFrom::Start(0))?;
    let length = file.read(&mut bytes)?;
    Ok(str::from_utf8(&bytes[..length]).ok().and_then(Head::parse))
}

/// The turn to write, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<File>);

impl Drop for Turn {
    fn drop(&mut self) {
        // The file stays open; closed, it would be unlocked as well.
        let _ = self.0.unlock();
    }
}

/// The files that stay open between turns.
#[derive(Debug, Default)]
pub(super) struct Open {
    lock: Kept,
    head: Kept,
    file: Kept,
}

impl Open {
    /// Between turns anybody may move, remove or replace the files.
    fn begin_turn(&mut self) {
        for kept in [&mut self.lock, &mut self.head, &mut self.file] {
            kept.is_checked = false;
        }
    }

    /// Forgets the file that was appended to: another one follows.
    pub(super) fn forget_file(&mut self) {
        self.file = Kept::default();
    }
}

/// A file that stays open as long as its path leads to it.
#[derive(Debug, Default)]
struct Kept {
    file: Option<(FileId, Arc<File>)>,
    /// Whether the path was found to lead to it in this turn.
    is_checked: bool,
}

impl Kept {
    /// The file at this path.
    fn at(
        &mut self,
        path: &Path,
        open: impl FnOnce(&Path) -> io::Result<File>,
    ) -> io::Result<Arc<File>> {
        if let Some((id, file)) = &self.file
            && (self.is_checked || fs::metadata(path).is_ok_and(|it| file_id(&it) == Some(*id)))
        {
            self.is_checked = true;
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(open(path)?);
        self.file = file_id(&file.metadata()?).map(|id| (id, Arc::clone(&file)));
        self.is_checked = true;
        Ok(file)
    }
}

/// Device and inode. An open file keeps them, so that no other gets them meanwhile.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(found: &fs::Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

/// Elsewhere a file cannot be told from another, and is opened each time.
#[cfg(not(unix))]
fn file_id(_: &fs::Metadata) -> Option<FileId> {
    None
}

/// Options that create a file for its owner only.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Tries to get a lock until it is free. A process that is stopped in its turn must not stop all others
/// forever.
fn wait_for(attempt: impl Fn() -> Result<(), TryLockError>) -> io::Result<()> {
    let begun = Instant::now();
    let (mut pause, longest) = LOOK;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCKED_FOR => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(TryLockError::WouldBlock) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

//! The files of the trail.
//!
//! `audit-<number>.jsonl` holds the entries from this number on; the one with the highest number is
//! appended to. `head` notes the last entry, so that entries missing at the end are found; it has a
//! fixed length and is overwritten in place, which needs no room on the disk. `lock` is locked by who
//! writes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
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
    /// Waits for the turn to write, until the file is dropped. Makes the directory, for its owner only.
    pub(super) fn lock(&self) -> io::Result<File> {
        let open = || {
            private()
                .write(true)
                .create(true)
                .truncate(false)
                .open(self.0.join(LOCK))
        };
        let lock = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = fs::DirBuilder::new();
                builder.recursive(true);
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                builder.create(&self.0)?;
                open()?
            }
            lock => lock?,
        };
        wait_for(|| lock.try_lock())?;
        Ok(lock)
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

    /// Opens a file to append to it.
    pub(super) fn append(&self, first: u64) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.file(first))
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
        let mut text = String::new();
        let read = File::open(self.0.join(HEAD)).and_then(|file| {
            // More than a note has.
            file.take(1_024).read_to_string(&mut text)
        });
        match read {
            Ok(_) => Ok(Head::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes where the chain ends.
    pub(super) fn note(&self, head: Head) -> io::Result<()> {
        let mut file = private()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.0.join(HEAD))?;
        file.write_all(head.to_text().as_bytes())
    }

    /// Makes what was appended to a file survive a power cut.
    pub(super) fn sync(&self, first: u64) -> io::Result<()> {
        self.append(first)?.sync_data()?;
        OpenOptions::new()
            .write(true)
            .open(self.0.join(HEAD))?
            .sync_data()
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
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

//! Which runs did not end: each run has a file in the data directory while it is under way, which
//! stays if it is killed. It holds nothing.
//!
//! A killed run's last write may still be on its way to Zep. Not the file's content but the lock on
//! it says whether its run lives, since a lock ends with its process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Where the files are in the data directory.
const DIRECTORY: &str = "migrations";

/// The file of a run that is under way.
#[derive(Debug)]
pub(super) struct Begun {
    /// Locked while the run lives.
    _file: File,
    path: PathBuf,
    /// The files of runs that did not end.
    unended: Vec<PathBuf>,
}

impl Begun {
    /// Makes the file of a run, and finds those of runs that did not end. Blocks.
    pub(super) fn note(data_dir: &Path) -> io::Result<Self> {
        let directory = data_dir.join(DIRECTORY);
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&directory)?;
        let mut unended = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if did_not_end(&path) {
                unended.push(path);
            }
        }
        let path = directory.join(uuid::Uuid::now_v7().to_string());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        file.lock()?;
        Ok(Self {
            _file: file,
            path,
            unended,
        })
    }

    /// Whether an earlier run did not end.
    pub(super) fn follows_unended(&self) -> bool {
        !self.unended.is_empty()
    }

    /// Forgets the runs that did not end: what they sent has arrived. Blocks.
    pub(super) fn forget_unended(&mut self) {
        for path in self.unended.drain(..) {
            if did_not_end(&path) {
                remove(&path);
            }
        }
    }

    /// The run has ended, and nothing of it is on its way. Blocks.
    pub(super) fn end(self) {
        remove(&self.path);
    }
}

/// Whether the run of this file is over, and left it there.
fn did_not_end(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// A file that stays only makes the next run look once more.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, "the note of a migration could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_did_not_end_is_noticed_and_until_it_is_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let note = || Begun::note(home.path()).unwrap();
        note().end();
        let living = note();
        assert!(!living.follows_unended());
        let killed = note();
        assert!(!killed.follows_unended());
        drop(killed);
        let mut next = note();
        assert!(next.follows_unended());
        assert!(note().follows_unended(), "not before it is forgotten");
        next.forget_unended();
        living.end();
        next.end();
        // The one that was dropped above.
        let mut last = note();
        last.forget_unended();
        last.end();
        let left = fs::read_dir(home.path().join(DIRECTORY)).unwrap().count();
        assert_eq!(left, 0);
    }
}

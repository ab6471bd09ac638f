//! The directory of mem0's library: Qdrant's local mode, and history.db.
//!
//! Memories are the points of the collections (`points`, read by `pickle` as data); `found` finds them.
//! history.db (`history`) knows which memories were deleted, and keeps the last turns of each session.
//! `notes` keeps ids meanwhile. All files are read in short steps, because the library may be running and
//! could not write otherwise.

mod found;
mod history;
mod notes;
mod pickle;
mod points;

use std::fmt::Display;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use self::found::{Found, find};
use self::notes::Notes;
use super::{Defect, MEM0, Position, Problem, ReadError, Severity, Sink, Source, SourceItem};

/// A directory of mem0, and the memories to read from it.
#[derive(Debug, Clone)]
pub struct Mem0DirSettings {
    /// The directory: one with `qdrant/` and `history.db`, or that of Qdrant itself.
    pub path: PathBuf,
    /// Whether it is the library's own directory, so that Qdrant may be where the library puts it.
    pub is_usual: bool,
    /// Only this collection.
    pub collection: Option<String>,
    /// Also the turns that history.db keeps: the last ten of each session.
    pub history: bool,
}

/// The directory of mem0's library as a source. A running library is not disturbed, and nothing is
/// written.
#[derive(Debug)]
pub struct Mem0Dir {
    settings: Mem0DirSettings,
    found: Found,
}

impl Mem0Dir {
    /// Looks which files there are.
    ///
    /// # Errors
    /// If there is nothing to read in the directory.
    pub fn open(settings: Mem0DirSettings) -> io::Result<Self> {
        let Mem0DirSettings {
            path,
            is_usual,
            collection,
            ..
        } = &settings;
        let found = find(path, *is_usual, collection.as_deref())?;
        Ok(Self { settings, found })
    }

    /// The directory that mem0's library uses (`MEM0_DIR`, if it is set).
    pub fn usual(home: &Path) -> PathBuf {
        home.join(".mem0")
    }
}

impl Source for Mem0Dir {
    fn system(&self) -> &'static str {
        MEM0
    }

    fn name(&self) -> String {
        let path = &self.settings.path;
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        match &self.settings.collection {
            Some(only) => format!("mem0-dir {}, collection {only}", path.display()),
            None => format!("mem0-dir {}", path.display()),
        }
    }

    fn read(
        self: Box<Self>,
        sink: &mut dyn Sink,
        cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        let notes = Notes::new().map_err(|error| unusable_notes(&error))?;
        let mut reading = Reading {
            sink,
            cancelled,
            notes,
            history: self.settings.history,
            done: 0,
            total: 0,
        };
        let Found {
            collections,
            old,
            history,
        } = self.found;
        if let Some(history) = &history {
            reading.deletions(history)?;
        }
        for name in old {
            let reason = "has the format of qdrant-client before 1.1.7: open it with a later version \
                          before 1.19 once";
            reading.trouble(format!("collection {name}"), Severity::Other, reason)?;
        }
        for (number, (name, storage)) in (0..).zip(&collections) {
            reading.collection(number, name, storage)?;
        }
        if let Some(history) = &history {
            reading.turns(history)?;
        }
        // With a collection of one's choice, others are elsewhere by intention.
        if self.settings.collection.is_none() {
            reading.elsewhere()?;
        }
        Ok(())
    }
}

/// The state of reading a directory.
struct Reading<'r> {
    sink: &'r mut dyn Sink,
    cancelled: &'r CancellationToken,
    notes: Notes,
    history: bool,
    /// Points read, and how many there are.
    done: u64,
    total: u64,
}

impl Reading<'_> {
    /// Says how many memories history.db knows that no collection has.
    fn elsewhere(&mut self) -> Result<(), ReadError> {
        let elsewhere = self.notes.elsewhere();
        let elsewhere = elsewhere.map_err(|error| unusable_notes(&error))?;
        if elsewhere == 0 {
            return Ok(());
        }
        let reason = format!(
            "names {elsewhere} memories that were not deleted and are in none of these collections: \
             they may be in a vector store elsewhere; name its directory, or use --from qdrant or \
             `migrate --print-exporter`"
        );
        self.trouble("history.db".to_owned(), Severity::Warning, reason)
    }

    fn progress(&mut self) -> Result<(), ReadError> {
        self.sink
            .progress(self.done, Some(self.total.max(self.done)));
        self.stopped()
    }

    fn stopped(&self) -> Result<(), ReadError> {
        match self.cancelled.is_cancelled() {
            true => Err(ReadError::Stopped),
            false => Ok(()),
        }
    }

    /// Reports a record that cannot be migrated.
    fn lost(
        &mut self,
        position: Position,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), ReadError> {
        self.send(SourceItem::Problem(Problem {
            position,
            record,
            severity: Severity::Record,
            defect,
        }))
    }

    fn trouble(
        &mut self,
        position: String,
        severity: Severity,
        reason: impl Into<String>,
    ) -> Result<(), ReadError> {
        self.send(SourceItem::Problem(Problem {
            position: Position(position),
            record: None,
            severity,
            defect: Defect::whole(reason),
        }))
    }

    fn send(&mut self, item: SourceItem) -> Result<(), ReadError> {
        match self.sink.item(item) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReadError::Stopped),
        }
    }
}

/// A file cannot be read.
fn unusable(at: &str, error: &dyn Display) -> ReadError {
    ReadError::Io(io::Error::other(format!("{at}: {error}")))
}

/// There may be no room for temporary files.
fn unusable_notes(error: &rusqlite::Error) -> ReadError {
    unusable("the temporary file of ids (TMPDIR)", error)
}

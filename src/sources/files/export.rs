//! An export as a source.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::documents;
use super::input::Input;
use super::output::Output;
use crate::sources::{GIVEN, MEM0, ReadError, Sink, Source, SourceItem};

/// Progress is reported once per this number of items.
const PROGRESS_EVERY: u64 = 256;

/// One JSON document, several one after the other, or JSON Lines, whichever it is.
///
/// All of these are recognised: pages and search answers of mem0 Platform, answers of a self-hosted
/// server and of the library, bare lists, histories, lists of entities, and an application's users
/// with messages, sessions and snapshots, also keyed by id. What is broken is a problem, and reading
/// continues where it can: after a broken line with the next one, not after broken syntax in a document.
///
/// Reading holds one item and a megabyte or two.
pub struct Export {
    reader: Box<dyn Read + Send>,
    bytes: Option<u64>,
    name: String,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Export {
    /// An export from any reader.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self {
            reader: Box::new(reader),
            bytes: None,
            name: GIVEN.into(),
        }
    }

    /// The same, under this name of a source ([`Source::name`]).
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// An export file.
    ///
    /// # Errors
    /// If it cannot be opened, or is a directory.
    pub fn file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::other("is a directory, not a file"));
        }
        let export = match metadata.is_file() {
            true => Self::of_length(file, metadata.len()),
            false => Self::reader(file),
        };
        // A pipe is another one each time.
        Ok(match path.canonicalize() {
            Ok(path) if metadata.is_file() => export.named(format!("file {}", path.display())),
            _ => export,
        })
    }

    /// An export of this length.
    pub(crate) fn of_length(reader: impl Read + Send + 'static, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..Self::reader(reader)
        }
    }

    /// An export in memory: one document.
    pub fn value(value: &Value) -> Self {
        let text = value.to_string();
        let bytes = text.len() as u64;
        Self::of_length(Cursor::new(text), bytes)
    }
}

impl Source for Export {
    fn system(&self) -> &'static str {
        MEM0
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    /// A reader that may wait must end by itself once the run is cancelled.
    fn read(
        self: Box<Self>,
        sink: &mut dyn Sink,
        _cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        let read = Cell::new(0);
        let mut reader = Counting {
            inner: self.reader,
            read: &read,
        };
        let mut sink = WithProgress {
            inner: sink,
            items: 0,
            read: &read,
            total: self.bytes,
        };
        documents::read(Input::new(&mut reader), &mut Output::new(&mut sink))?;
        sink.progress(read.get(), self.bytes);
        Ok(())
    }
}

/// Counts the bytes that are read.
struct Counting<'a> {
    inner: Box<dyn Read + Send>,
    read: &'a Cell<u64>,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// Reports progress now and then.
struct WithProgress<'a> {
    inner: &'a mut dyn Sink,
    items: u64,
    read: &'a Cell<u64>,
    total: Option<u64>,
}

impl Sink for WithProgress<'_> {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        self.items += 1;
        if self.items.is_multiple_of(PROGRESS_EVERY) {
            self.inner.progress(self.read.get(), self.total);
        }
        self.inner.item(item)
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.inner.progress(done, total);
    }
}

//! Where a run reads from.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use serde_json::Value;

/// A stream of JSON in any of the shapes that [`crate::mem0::read_export`] knows.
pub struct Source {
    reader: Box<dyn Read + Send>,
    bytes: Option<u64>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Whatever can be read.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self {
            reader: Box::new(reader),
            bytes: None,
        }
    }

    /// A file on disk.
    ///
    /// # Errors
    /// If it cannot be opened, or is a directory.
    pub fn file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::other("is a directory, not a file"));
        }
        Ok(match metadata.is_file() {
            true => Self::of_length(file, metadata.len()),
            false => Self::reader(file),
        })
    }

    /// A file of so many bytes.
    pub(super) fn of_length(file: File, bytes: u64) -> Self {
        Self {
            reader: Box::new(file),
            bytes: Some(bytes),
        }
    }

    /// An export in memory: one document.
    pub fn value(value: &Value) -> Self {
        let text = value.to_string().into_bytes();
        Self {
            bytes: Some(text.len() as u64),
            reader: Box::new(Cursor::new(text)),
        }
    }

    /// A source in which nothing stands.
    pub fn nothing() -> Self {
        Self::value(&Value::Array(Vec::new()))
    }

    /// How long it is, where that is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    pub(super) fn into_reader(self) -> Box<dyn Read + Send> {
        self.reader
    }
}

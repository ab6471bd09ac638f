//! An export as a source.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::collection::Files;
use crate::sources::{GIVEN, MEM0, ReadError, Sink, Source};

/// One JSON document, several one after the other, or JSON Lines, whichever it is; packed as `.gz`, or
/// several files in a `.zip` or a directory.
///
/// All of these are recognised: pages and search answers of mem0 Platform, answers of a self-hosted
/// server and of the library, bare lists, histories, lists of entities, and an application's users
/// with messages, sessions and snapshots, also keyed by id. What is broken is a problem, and reading
/// continues where it can: after a broken line with the next one, not after broken syntax in a document.
///
/// Reading holds one item and a megabyte or two.
pub struct Export {
    opened: Opened,
    name: String,
}

/// Where an export is.
enum Opened {
    /// Bytes, of this length where it is known.
    Bytes(Box<dyn Read + Send>, Option<u64>),
    /// A file of this length, in which a `.zip` can be read out of order.
    File(File, u64),
    /// A directory, which no path leads out of.
    Directory(Dir),
}

impl From<Opened> for Export {
    fn from(opened: Opened) -> Self {
        let name = GIVEN.into();
        Self { opened, name }
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").finish_non_exhaustive()
    }
}

impl Export {
    /// An export from any reader.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Opened::Bytes(Box::new(reader), None).into()
    }

    /// The same, under this name of a source ([`Source::name`]).
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// An export file, or a directory of them.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn file(path: &Path) -> io::Result<Self> {
        let name = path.canonicalize();
        let named = |export: Self| match name {
            Ok(path) => export.named(format!("file {}", path.display())),
            Err(_) => export,
        };
        if path.is_dir() {
            let directory = Dir::open_ambient_dir(path, ambient_authority())?;
            return Ok(named(Self::directory(directory)));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(match metadata.is_file() {
            true => named(Self::plain_file(file, metadata.len())),
            // A pipe is another one each time.
            false => Self::reader(file),
        })
    }

    /// The files of a directory.
    pub(super) fn directory(directory: Dir) -> Self {
        Opened::Directory(directory).into()
    }

    /// A plain file of this length.
    pub(super) fn plain_file(file: File, bytes: u64) -> Self {
        Opened::File(file, bytes).into()
    }

    /// An export of this length.
    pub(crate) fn of_length(reader: impl Read + Send + 'static, bytes: u64) -> Self {
        Opened::Bytes(Box::new(reader), Some(bytes)).into()
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
        cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        match self.opened {
            Opened::Bytes(mut reader, bytes) => {
                Files::new(sink, cancelled, bytes).bytes(&mut reader)
            }
            Opened::File(file, bytes) => Files::new(sink, cancelled, Some(bytes)).file(file, bytes),
            Opened::Directory(directory) => {
                Files::new(sink, cancelled, None).directory_alone(&directory)
            }
        }
    }
}

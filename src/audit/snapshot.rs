//! The trail as it is at one moment, read line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::error::ReadError;
use super::folder::{Folder, Head};
use super::tail::MAX_LINE;

/// How much of a file is read at once, in bytes.
const BUFFER: usize = 256 * 1024;

/// What there is to read. Lines that are written meanwhile are not part of it.
#[derive(Debug)]
pub(super) struct Snapshot {
    folder: Folder,
    files: Vec<u64>,
    /// The length of the last file.
    last_length: u64,
    pub(super) head: Option<Head>,
}

/// A line and its place.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The file, and the number in its name.
    pub(super) file: &'a Path,
    pub(super) first: u64,
    /// From 1.
    pub(super) number: u64,
    /// Without its line break.
    pub(super) line: &'a [u8],
    /// Whether it ends with a line break.
    pub(super) is_whole: bool,
    pub(super) is_in_last_file: bool,
}

impl Snapshot {
    pub(super) fn take(directory: &Path) -> Result<Self, ReadError> {
        let folder = Folder(directory.to_owned());
        let failed = |error| ReadError::file(directory, error);
        if !directory.is_dir() {
            return Err(ReadError::None(directory.to_owned()));
        }
        let _turn = folder.lock_for_reading().map_err(failed)?;
        let head = folder.head().map_err(failed)?;
        let files = folder.files().map_err(failed)?;
        let last_length = match files.last() {
            Some(last) => std::fs::metadata(folder.file(*last)).map_err(failed)?.len(),
            None => 0,
        };
        Ok(Self {
            folder,
            files,
            last_length,
            head,
        })
    }

    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Reads the lines in order, until `each` breaks. A file that was removed by age meanwhile is left
    /// out; gives how many were.
    pub(super) fn read(
        &self,
        mut each: impl FnMut(Place<'_>) -> ControlFlow<()>,
    ) -> Result<u64, ReadError> {
        let mut gone = 0;
        for (index, first) in self.files.iter().enumerate() {
            let path = self.folder.file(*first);
            let is_last = index + 1 == self.files.len();
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_last => {
                    gone += 1;
                    continue;
                }
                file => file.map_err(|error| ReadError::file(&path, error))?,
            };
            let length = if is_last { self.last_length } else { u64::MAX };
            let mut lines = BufReader::with_capacity(BUFFER, file.take(length));
            let mut line = Vec::new();
            for number in 1.. {
                line.clear();
                let read = Read::by_ref(&mut lines)
                    .take(MAX_LINE)
                    .read_until(b'\n', &mut line)
                    .map_err(|error| ReadError::file(&path, error))?;
                if read == 0 {
                    break;
                }
                let is_whole = line.last() == Some(&b'\n');
                if is_whole {
                    line.pop();
                }
                let place = Place {
                    file: &path,
                    first: *first,
                    number,
                    line: &line,
                    is_whole,
                    is_in_last_file: is_last,
                };
                if each(place).is_break() {
                    return Ok(gone);
                }
            }
        }
        Ok(gone)
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

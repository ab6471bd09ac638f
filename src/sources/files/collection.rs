//! The files of an export: one, or those of an archive or a directory, one after the other.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::ops::ControlFlow;

use cap_std::fs::Dir;
use tokio_util::sync::CancellationToken;

use super::documents;
use super::input::Input;
use super::output::Output;
use super::own;
use super::packed::{Counted, MAX_LAYERS, Meter, Packing, Unpacked, damage_of, start};
use super::place::{Place, SOURCE, in_order, is_hidden};
use super::sets::Sets;
use super::zip::{Member, Zip, gunzip};
use crate::sources::lines::BEGINNING;
use crate::sources::{
    ContainerId, Defect, Position, Problem, ReadError, Severity, Sink, SourceItem,
};

/// Progress is reported once per this number of items.
const PROGRESS_EVERY: u64 = 256;

/// The most files of an archive or a directory with all that is in it. Ours: far more than an export
/// of one file for each user and day has, and each is opened.
const MAX_FILES: u64 = 100_000;

/// How deep directories may nest.
const MAX_DEPTH: usize = 16;

/// The ends of the names of files that are read as exports whatever is in them.
const EXPORTS: [&str; 6] = ["json", "jsonl", "ndjson", "jsonlines", "gz", "zip"];

const SQLITE: &[u8] = b"SQLite format 3\0";

/// Reads files and hands on what is in them.
pub(super) struct Files<'s> {
    sink: &'s mut dyn Sink,
    cancelled: &'s CancellationToken,
    /// The length of the source, where it is known.
    total: Option<u64>,
    /// The archives and directories around the file that is read.
    sets: Sets,
    /// How many files were opened.
    files: u64,
    items: u64,
}

impl<'s> Files<'s> {
    pub(super) fn new(
        sink: &'s mut dyn Sink,
        cancelled: &'s CancellationToken,
        total: Option<u64>,
    ) -> Self {
        Self {
            sink,
            cancelled,
            total,
            sets: Sets::default(),
            files: 0,
            items: 0,
        }
    }

    /// Reads a source of bytes.
    pub(super) fn bytes(mut self, reader: &mut dyn Read) -> Result<(), ReadError> {
        let meter = Meter::default();
        let mut reader = Counted {
            inner: reader,
            meter: &meter,
            adds: true,
        };
        self.content(SOURCE, &meter, &mut reader)?;
        self.sink.progress(meter.read(), self.total);
        Ok(())
    }

    /// Reads a source that is a file of this length.
    pub(super) fn file(mut self, file: File, length: u64) -> Result<(), ReadError> {
        let meter = Meter::default();
        self.plain_file(SOURCE, &meter, file, length)?;
        self.sink.progress(meter.read(), self.total);
        Ok(())
    }

    /// Reads a source that is a directory.
    pub(super) fn directory_alone(mut self, directory: &Dir) -> Result<(), ReadError> {
        let meter = Meter::default();
        self.sets.begin();
        self.directory(SOURCE, &meter, directory, 0)?;
        self.end_set()?;
        if self.files == 0 {
            self.problem("", "there are no files in it")?;
        }
        self.sink.progress(meter.read(), self.total);
        Ok(())
    }

    fn plain_file(
        &mut self,
        place: Place<'_>,
        meter: &Meter,
        mut file: File,
        length: u64,
    ) -> Result<(), ReadError> {
        meter.add_packed(length);
        let begins = start(&mut file)?;
        file.rewind()?;
        if Packing::of(&begins) == Packing::Zip {
            return self.zip(place, meter, &file, length);
        }
        let mut reader = Counted {
            inner: file,
            meter,
            adds: false,
        };
        self.content(place, meter, &mut reader)
    }

    /// Reads a file, packed or not.
    fn content(
        &mut self,
        place: Place<'_>,
        meter: &Meter,
        reader: &mut dyn Read,
    ) -> Result<(), ReadError> {
        let begins = start(reader)?;
        let packing = Packing::of(&begins);
        if packing != Packing::None && place.layers == MAX_LAYERS {
            return self.problem(
                place.path,
                format!(
                    "is packed more than {MAX_LAYERS} times, and was not read; unpack it first"
                ),
            );
        }
        let mut reader = begins.as_slice().chain(reader);
        match packing {
            Packing::None if self.is_other(place, &begins) => self.other(place, &begins),
            Packing::None => {
                let is_own = begins.starts_with(BEGINNING);
                self.document(place, meter, is_own, &mut reader)
            }
            Packing::Gzip => {
                let mut unpacked = Unpacked {
                    inner: gunzip(BufReader::new(reader)),
                    meter,
                };
                let read = self.content(place.packed(), meter, &mut unpacked);
                self.unless_damaged(place, read)
            }
            Packing::Zip => {
                // Its directory is at its end.
                let mut spooled = tempfile::tempfile()?;
                let length = io::copy(&mut reader, &mut spooled)?;
                self.zip(place, meter, &spooled, length)
            }
        }
    }

    fn zip(
        &mut self,
        place: Place<'_>,
        meter: &Meter,
        file: &File,
        length: u64,
    ) -> Result<(), ReadError> {
        self.sets.begin();
        let read = self.members(place, meter, file, length);
        let read = self.unless_damaged(place, read);
        self.end_set()?;
        read
    }

    fn members(
        &mut self,
        place: Place<'_>,
        meter: &Meter,
        file: &File,
        length: u64,
    ) -> Result<(), ReadError> {
        let (mut zip, count) = Zip::open(file, length)?;
        if count == 0 {
            return self.problem(place.path, "there are no files in it");
        }
        while let Some(member) = zip.next()? {
            if member.is_directory || is_hidden(&member.name) {
                continue;
            }
            let path = place.path_of(&member.name);
            let inner = Place {
                path: &path,
                layers: place.layers + 1,
            };
            if !self.may_open(inner)? {
                break;
            }
            if member.is_symlink {
                self.symlink(inner)?;
                continue;
            }
            let read = self.member(inner, meter, &zip, &member);
            self.unless_damaged(inner, read)?;
        }
        Ok(())
    }

    fn member(
        &mut self,
        place: Place<'_>,
        meter: &Meter,
        zip: &Zip<'_>,
        member: &Member,
    ) -> Result<(), ReadError> {
        let mut unpacked = Unpacked {
            inner: zip.content(member, meter)?,
            meter,
        };
        self.content(place, meter, &mut unpacked)
    }

    fn directory(
        &mut self,
        place: Place<'_>,
        meter: &Meter,
        directory: &Dir,
        depth: usize,
    ) -> Result<(), ReadError> {
        let mut entries = Vec::new();
        for entry in directory.entries()? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_hidden(&name) {
                continue;
            }
            if entries.len() as u64 >= MAX_FILES {
                self.too_many(place)?;
                break;
            }
            entries.push((name, entry));
        }
        // Pages of a list are numbered.
        entries.sort_by_cached_key(|(name, _)| in_order(name));
        for (name, entry) in entries {
            let path = place.path_of(&name);
            let inner = Place {
                path: &path,
                ..place
            };
            // Checked before the file is opened: opening a pipe waits for its writer.
            let kind = entry.file_type()?;
            if kind.is_dir() && depth == MAX_DEPTH {
                self.problem(
                    &path,
                    format!("is more than {MAX_DEPTH} directories deep, and was not read"),
                )?;
            } else if kind.is_dir() {
                self.directory(inner, meter, &entry.open_dir()?, depth + 1)?;
            } else if !self.may_open(inner)? {
                return Ok(());
            } else if kind.is_symlink() {
                self.symlink(inner)?;
            } else if kind.is_file() {
                let file = entry.open()?;
                let length = file.metadata()?.len();
                self.plain_file(inner, meter, file.into_std(), length)?;
            } else {
                self.problem(&path, "is not a plain file, and was not read")?;
            }
        }
        Ok(())
    }

    /// Counts a file. Answers whether it may be opened.
    fn may_open(&mut self, place: Place<'_>) -> Result<bool, ReadError> {
        if self.cancelled.is_cancelled() {
            return Err(ReadError::Stopped);
        }
        self.files += 1;
        if self.files <= MAX_FILES {
            return Ok(true);
        }
        if self.files == MAX_FILES + 1 {
            self.too_many(place)?;
        }
        Ok(false)
    }

    fn too_many(&mut self, place: Place<'_>) -> Result<(), ReadError> {
        let reason = format!(
            "there are more than {MAX_FILES} files: from here on none was read; put records of \
             several files into one"
        );
        self.problem(place.path, reason)
    }

    fn symlink(&mut self, place: Place<'_>) -> Result<(), ReadError> {
        let reason = "is a symbolic link, and was not followed; put the file itself in its place";
        self.problem(place.path, reason)
    }

    /// Whether a file of several is no export, by its name and beginning.
    fn is_other(&self, place: Place<'_>, begins: &[u8]) -> bool {
        let end = place.path.rsplit_once('.').map(|(_, end)| end);
        let is_export = end.is_some_and(|end| {
            let end = end.to_ascii_lowercase();
            EXPORTS.contains(&end.as_str())
        });
        let text = begins.strip_prefix(super::detect::UTF_8_MARK);
        let text = text.unwrap_or(begins).trim_ascii_start();
        !place.path.is_empty() && !is_export && !matches!(text, [b'{' | b'[', ..])
    }

    fn other(&mut self, place: Place<'_>, begins: &[u8]) -> Result<(), ReadError> {
        if begins.starts_with(SQLITE) {
            let reason = "is a database, and was not read; mem0's own directory is read with --from \
                          mem0-dir, OpenMemory's database with --from openmemory";
            return self.problem(place.path, reason);
        }
        let warning = Problem {
            severity: Severity::Warning,
            ..problem(
                place.path,
                "is neither JSON nor packed, and was not read".into(),
            )
        };
        self.send(SourceItem::Problem(warning))
    }

    fn document(
        &mut self,
        place: Place<'_>,
        meter: &Meter,
        is_own: bool,
        reader: &mut dyn Read,
    ) -> Result<(), ReadError> {
        let mut named = Named {
            base: self.sets.containers(),
            path: place.path,
            meter,
            files: self,
        };
        match is_own {
            true => own::read(reader, &mut named),
            false => documents::read(Input::new(reader), &mut Output::new(&mut named)),
        }
    }

    /// A file that cannot be unpacked is a problem, and the others are read.
    fn unless_damaged(
        &mut self,
        place: Place<'_>,
        read: Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        match read {
            Err(ReadError::Io(error)) => match damage_of(&error) {
                Some(reason) => self.problem(place.path, reason),
                None => Err(ReadError::Io(error)),
            },
            read => read,
        }
    }

    fn end_set(&mut self) -> Result<(), ReadError> {
        match self.sets.end() {
            Some(container) => self.send(SourceItem::Container(container)),
            None => Ok(()),
        }
    }

    fn problem(&mut self, path: &str, reason: impl Into<String>) -> Result<(), ReadError> {
        self.send(SourceItem::Problem(problem(path, reason.into())))
    }

    fn send(&mut self, item: SourceItem) -> Result<(), ReadError> {
        match self.sink.item(item) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReadError::Stopped),
        }
    }
}

/// The items of one file, with its path in their positions.
struct Named<'f, 's> {
    files: &'f mut Files<'s>,
    meter: &'f Meter,
    path: &'f str,
    /// Container ids count from 1 in each file.
    base: ContainerId,
}

impl Sink for Named<'_, '_> {
    fn item(&mut self, mut item: SourceItem) -> ControlFlow<()> {
        self.files.sets.adopt(&mut item, self.base, self.path);
        self.files.items += 1;
        if self.files.items.is_multiple_of(PROGRESS_EVERY) {
            self.files
                .sink
                .progress(self.meter.read(), self.files.total);
        }
        self.files.sink.item(item)
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.files.sink.progress(done, total);
    }
}

fn problem(path: &str, reason: String) -> Problem {
    let position = match path {
        "" => "the source",
        path => path,
    };
    Problem {
        position: Position(position.to_owned()),
        record: None,
        severity: Severity::Other,
        defect: Defect::whole(reason),
    }
}

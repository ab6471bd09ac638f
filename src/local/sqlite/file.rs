//! The file itself: created private, told apart from others, recognised by its header, and whether it
//! may be written.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::schema::{NOT_OURS, check_marks};

/// Device and inode: a file that replaces another has others.
pub(super) type FileId = (u64, u64);

/// Where the SQLite file format keeps the version and the application id (sqlite.org, "Database
/// File Format", 1.3).
const HEADER_BYTES: usize = 100;
const VERSION_OFFSET: usize = 60;
const APPLICATION_ID_OFFSET: usize = 68;

/// Beside a file that has held memories: an empty one there is a lost one, not a new one.
const MADE: &str = "-made";
const MADE_SAYS: &str = "The memory file beside this one was made. If that is empty, its memories were \
    lost: it is not used as a new one.\n";

pub(super) const EMPTIED: &str = "it is empty and was not before, so its memories are lost (a copy that \
    failed, a damaged disk); restore it from a backup, or delete it to begin anew";

/// Creates the file, and its directory where it is missing, readable by the owner only.
pub(crate) fn make_private(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err("it is not a file".into()),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(format!("it cannot be reached ({error}); check the path")),
    }
    if let Some(directory) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(directory)
            .map_err(|error| format!("its directory cannot be created ({error})"))?;
    }
    let unmade = match fs::remove_file(beside(path, MADE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    // SQLite gives its log and its shared memory the same permissions.
    unmade
        .and_then(|()| private().open(path))
        .map_err(|error| format!("it cannot be created ({error}); check the directory"))?;
    Ok(())
}

/// Options that create a file for its owner only.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Notes that the file is complete. Without the note, an empty file passes for a new one.
pub(super) fn note_made(path: &Path) {
    if was_made(path) {
        return;
    }
    let noted = private()
        .open(beside(path, MADE))
        .and_then(|mut file| file.write_all(MADE_SAYS.as_bytes()));
    if let Err(error) = noted {
        tracing::warn!("cannot note beside the memory file that it was made: {error}");
    }
}

/// Whether the file was complete before.
pub(super) fn was_made(path: &Path) -> bool {
    beside(path, MADE).exists()
}

/// Why the file cannot be written; `None` if it can be. Opens it: see the rule for files that SQLite
/// has open.
pub(super) fn unwritable(path: &Path) -> Option<String> {
    let marked = |path: &Path| fs::metadata(path).is_ok_and(|it| it.permissions().readonly());
    let denied = |error: &std::io::Error| {
        let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
        kinds.contains(&error.kind())
    };
    let directory = path.parent()?;
    // A privileged user could write it all the same, but somebody said that it should not be.
    let why = if marked(path) {
        "it is marked read-only".into()
    } else if cfg!(unix) && marked(directory) {
        "its directory is marked read-only".into()
    } else if let Err(error) = OpenOptions::new().write(true).open(path)
        && denied(&error)
    {
        error.to_string()
    } else if let Err(error) = tempfile::tempfile_in(directory)
        && denied(&error)
    {
        format!("its directory: {error}")
    } else {
        return None;
    };
    Some(format!(
        "it cannot be written ({why}): what it holds can be read, and nothing can be stored, changed or \
         deleted; make it and its directory writable for this user and start the server again"
    ))
}

/// Whether the log holds anything that is not in the file yet.
pub(super) fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

#[cfg(unix)]
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// On other systems an open file cannot be moved away.
#[cfg(not(unix))]
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    path.exists().then_some((0, 0))
}

/// Checks the file's first bytes before SQLite opens it, because opening a database can change it
/// (a leftover log is written back).
pub(super) fn check_header(path: &Path) -> Result<(), String> {
    let first = header(path)?;
    // The note is made after the file, which another process may have finished meanwhile.
    if first.is_empty() && (was_made(path) || has_log(path)) && header(path)?.is_empty() {
        return Err(EMPTIED.into());
    }
    // Another process may be creating the file, or died doing so: SQLite's journal decides.
    if check(&first).is_ok() || beside(path, "-journal").exists() {
        return Ok(());
    }
    // Without a journal, a file that another process was creating a moment ago is complete by now.
    check(&header(path)?)
}

fn header(path: &Path) -> Result<Vec<u8>, String> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header))
        .map_err(|error| format!("it cannot be read ({error}); check its permissions"))?;
    Ok(header)
}

fn check(header: &[u8]) -> Result<(), String> {
    if header.is_empty() {
        return Ok(());
    }
    let number = |offset: usize| {
        let bytes = header.get(offset..)?.first_chunk()?;
        Some(i32::from_be_bytes(*bytes))
    };
    match (number(APPLICATION_ID_OFFSET), number(VERSION_OFFSET)) {
        (Some(application_id), Some(version)) if header.starts_with(b"SQLite format 3\0") => {
            check_marks(application_id, version)
        }
        _ => Err(NOT_OURS.into()),
    }
}

/// The file of the same name with this at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

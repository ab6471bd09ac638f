//! The file itself: created private, told apart from others, and recognised by its header.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::schema::{NOT_OURS, check_marks};

/// Device and inode: a file that replaces another has others.
pub(super) type FileId = (u64, u64);

/// Where the SQLite file format keeps the version and the application id (sqlite.org, "Database
/// File Format", 1.3).
const HEADER_BYTES: usize = 100;
const VERSION_OFFSET: usize = 60;
const APPLICATION_ID_OFFSET: usize = 68;

/// Creates the file, and its directory where it is missing, readable by the owner only. Refuses a
/// file that cannot be written.
pub(super) fn make_private(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err("it is not a file".into()),
        Ok(found) if found.permissions().readonly() => {
            return Err("it is marked read-only; make it writable (chmod u+w)".into());
        }
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
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // SQLite gives its log and its shared memory the same permissions.
    options
        .open(path)
        .map_err(|error| format!("it cannot be created ({error}); check the directory"))?;
    Ok(())
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
    // Another process may be creating the file, or died doing so: SQLite's journal decides.
    if check(&first).is_ok() || journal(path).exists() {
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

fn journal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}

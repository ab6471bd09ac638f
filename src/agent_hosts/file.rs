//! Configuration files on disk: read whole, replaced atomically, and restored.
//!
//! A file keeps its owner, group and permissions, also if root changes it. Before it is replaced, its
//! content is kept beside it as `NAME.zep-backup-TIME-HASH`, with the same owner and readable by that
//! owner only. The hash is of the new content, so that a restore detects later changes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use crate::seal::{self, SealKey};

/// The largest file that is read, in bytes. Claude Code's file, which holds its project history, is
/// known to reach several hundred kilobytes.
pub const LARGEST: u64 = 10 * 1024 * 1024;
const BACKUP: &str = ".zep-backup-";
/// Content that a forced restore replaced; `--restore` does not use it.
const REPLACED: &str = ".zep-replaced-";
/// What backups are encrypted for.
const PLACE: &str = "backup of a host's file 1";
const BOM: &str = "\u{feff}";

/// Why a file could not be read, written or restored.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is a directory.
    #[error("{0} is a directory, not a file")]
    Directory(PathBuf),
    /// It is larger than [`LARGEST`].
    #[error("{0} is larger than 10 MB, which no host's configuration is")]
    TooLarge(PathBuf),
    /// It is not UTF-8.
    #[error("{0} is not UTF-8 text")]
    NotText(PathBuf),
    /// An I/O error.
    #[error("{path} cannot be {done}: {source}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// The operation, as a participle.
        done: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// It changed between reading and writing.
    #[error("{0} was changed by another program just now; nothing was written to it, try again")]
    Changed(PathBuf),
    /// There is no backup.
    #[error("{0} has no backup beside it")]
    NoBackup(PathBuf),
    /// The backup is encrypted, and there is no key.
    #[error("{0} is encrypted: set ZEP_MCP_ENCRYPTION_KEY_FILE to the file of its key")]
    Sealed(PathBuf),
    /// The backup is encrypted with another key.
    #[error(
        "{0} is encrypted with another key than that of ZEP_MCP_ENCRYPTION_KEY_FILE, or damaged"
    )]
    SealedOtherwise(PathBuf),
    /// It changed since `install` wrote it.
    #[error(
        "{0} was changed since `install` wrote it; --force restores the backup anyway and keeps \
         the current content beside it"
    )]
    ChangedSince(PathBuf),
}

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// As given.
    path: PathBuf,
    /// With symbolic links resolved, so that writing keeps the links.
    real: PathBuf,
    /// Without a byte order mark; `None` if the file does not exist.
    text: Option<String>,
    has_bom: bool,
}

impl Snapshot {
    /// Reads the file. A missing file is not an error.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            // Writing would replace a dangling link by a file.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                path.to_owned()
            }
            Err(source) => return Err(refused(path, "read", source)),
        };
        let text = read_if_any(&real)?
            .map(|bytes| String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned())))
            .transpose()?;
        let bare = text.as_deref().and_then(|text| text.strip_prefix(BOM));
        Ok(Self {
            path: path.to_owned(),
            real,
            has_bom: bare.is_some(),
            text: bare.map(str::to_owned).or(text),
        })
    }

    /// Whether the file exists.
    pub fn exists(&self) -> bool {
        self.text.is_some()
    }

    /// Its text, without a byte order mark; empty if the file does not exist.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Whether other users of this machine can read it; unknown, so false, except on Unix.
    pub fn is_readable_by_others(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::metadata(&self.real).is_ok_and(|it| it.permissions().mode() & 0o044 != 0)
        }
        #[cfg(not(unix))]
        false
    }

    /// Checks that the file is still as it was read.
    ///
    /// # Errors
    /// [`FileError::Changed`] if not.
    pub fn check_unchanged(&self) -> Result<(), FileError> {
        match Self::read(&self.path) {
            Ok(now) if now == *self => Ok(()),
            _ => Err(FileError::Changed(self.path.clone())),
        }
    }

    /// Replaces the text and keeps the permissions; only the owner can read a new file. Returns the
    /// backup, which is encrypted if there is a key; `None` for a new file.
    ///
    /// # Errors
    /// [`FileError`]; the file is then unchanged.
    pub fn replace(&self, text: &str, key: Option<&SealKey>) -> Result<Option<PathBuf>, FileError> {
        let bytes = self.bytes(text);
        let prepared = prepared(&self.real, &self.real, &bytes)?;
        self.check_unchanged()?;
        let backup = match &self.text {
            Some(old) => {
                let old = sealed(key, self.bytes(old));
                Some(keep(&self.real, BACKUP, &old, &bytes)?)
            }
            None => None,
        };
        let written = self
            .check_unchanged()
            .and_then(|()| put_in_place(prepared, &self.real));
        if let (Err(_), Some(backup)) = (&written, &backup) {
            // Nothing was replaced. A leftover backup does no harm.
            let _ = fs::remove_file(backup);
        }
        written.map(|()| backup)
    }

    /// A text as bytes of this file, with its byte order mark.
    fn bytes(&self, text: &str) -> Vec<u8> {
        let mark = if self.has_bom { BOM } else { "" };
        format!("{mark}{text}").into_bytes()
    }
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// The backup was restored.
    Done {
        /// Where later changes were kept, if there were any.
        kept: Option<PathBuf>,
    },
    /// The file had the content of the backup already.
    AlreadyThere,
}

/// What a restore may overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Only what `install` wrote.
    OwnChanges,
    /// Later changes too, which are kept beside the file.
    AnyChanges,
}

/// A restore that is prepared; its file is unchanged until [`Restoration::carry_out`].
#[derive(Debug)]
pub struct Restoration {
    real: PathBuf,
    backup: PathBuf,
    old: Vec<u8>,
    now: Option<Vec<u8>>,
    /// The same as it is kept where it is replaced.
    kept: Option<Vec<u8>>,
    is_ours: bool,
    prepared: tempfile::NamedTempFile,
}

impl Restoration {
    /// Prepares to restore the latest backup of a file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn of(path: &Path, over: Overwrite, key: Option<&SealKey>) -> Result<Self, FileError> {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let backup = latest_backup(&real).ok_or_else(|| FileError::NoBackup(path.to_owned()))?;
        let old = opened(key, &backup, read_bounded(&backup)?)?;
        let now = read_if_any(&real)?;
        let is_ours = now
            .as_ref()
            .is_some_and(|now| *now == old || backup.to_string_lossy().ends_with(&hash(now)));
        if !is_ours && over == Overwrite::OwnChanges {
            return Err(FileError::ChangedSince(path.to_owned()));
        }
        Ok(Self {
            // A file that is gone comes back with the owner of its backup.
            prepared: prepared(&real, if real.exists() { &real } else { &backup }, &old)?,
            real,
            backup,
            old,
            kept: now.clone().map(|now| sealed(key, now)),
            now,
            is_ours,
        })
    }

    /// Restores the backup, byte for byte, and removes it, so that the next restore takes the one
    /// before it.
    ///
    /// # Errors
    /// [`FileError`]; the file is then unchanged.
    pub fn carry_out(self) -> Result<Restored, FileError> {
        if read_if_any(&self.real)? != self.now {
            return Err(FileError::Changed(self.real));
        }
        if self.now.as_ref() == Some(&self.old) {
            remove(&self.backup)?;
            return Ok(Restored::AlreadyThere);
        }
        let kept = match &self.kept {
            Some(now) if !self.is_ours => Some(keep(&self.real, REPLACED, now, &self.old)?),
            _ => None,
        };
        put_in_place(self.prepared, &self.real)?;
        remove(&self.backup)?;
        Ok(Restored::Done { kept })
    }
}

/// A content as it is kept.
fn sealed(key: Option<&SealKey>, content: Vec<u8>) -> Vec<u8> {
    match key {
        Some(key) => key.seal(PLACE, &content).into_bytes(),
        None => content,
    }
}

/// A content as it was.
fn opened(key: Option<&SealKey>, backup: &Path, kept: Vec<u8>) -> Result<Vec<u8>, FileError> {
    let text = std::str::from_utf8(&kept).ok();
    let Some(text) = text.filter(|text| seal::is_sealed(text)) else {
        return Ok(kept);
    };
    let key = key.ok_or_else(|| FileError::Sealed(backup.to_owned()))?;
    let opened = key.open(PLACE, text);
    opened.map_err(|_| FileError::SealedOtherwise(backup.to_owned()))
}

/// Whether the file has a backup.
pub fn has_backup(path: &Path) -> bool {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    latest_backup(&real).is_some()
}

/// The times in their names sort as text.
fn latest_backup(real: &Path) -> Option<PathBuf> {
    let mut prefix = real.file_name()?.to_owned();
    prefix.push(BACKUP);
    let prefix = prefix.to_string_lossy().into_owned();
    fs::read_dir(real.parent()?)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && path.is_file()
        })
        .max()
}

/// Writes `old` to a new file beside `real`, of the same owner and readable by that owner only.
fn keep(real: &Path, mark: &str, old: &[u8], new: &[u8]) -> Result<PathBuf, FileError> {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%S.%9fZ").to_string();
    let mut name: OsString = real.file_name().unwrap_or_default().to_owned();
    name.push(format!("{mark}{time}-{}", hash(new)));
    let backup = real.with_file_name(name);
    let failed = |source| refused(&backup, "written", source);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&backup).map_err(failed)?;
    let written = fs::metadata(real)
        .and_then(|like| give_to_owner_of(&file, &like))
        .and_then(|()| file.write_all(old))
        .and_then(|()| file.sync_all());
    if let Err(source) = written {
        // A restore could not tell half a backup from a whole one.
        let _ = fs::remove_file(&backup);
        return Err(failed(source));
    }
    Ok(backup)
}

/// A temporary file beside `real` with these bytes, and the owner and permissions of `like`.
fn prepared(real: &Path, like: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, FileError> {
    let failed = |source| refused(real, "written", source);
    let directory = real.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(failed)?;
    let old = match fs::metadata(like) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(failed(source)),
    };
    if let Some(old) = &old
        && old.permissions().readonly()
    {
        // Renaming over a read-only file would succeed.
        return Err(failed(io::ErrorKind::PermissionDenied.into()));
    }
    let mut file = tempfile::Builder::new()
        .prefix(".zep-mcp-server-")
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if let Some(old) = old {
        // A change of the owner clears some of the permissions.
        give_to_owner_of(file.as_file(), &old)
            .and_then(|()| file.as_file().set_permissions(old.permissions()))
            .map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

/// Gives a new file the owner and the group of another, if they differ. Only root can give a file
/// away; for others, a replacement that changes the owner is an error.
#[cfg(unix)]
fn give_to_owner_of(file: &File, like: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
}

/// On other systems a file inherits its access from its directory.
#[cfg(not(unix))]
fn give_to_owner_of(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

fn put_in_place(prepared: tempfile::NamedTempFile, real: &Path) -> Result<(), FileError> {
    prepared
        .persist(real)
        .map(drop)
        .map_err(|error| refused(real, "written", error.error))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |source| refused(path, "read", source);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(FileError::Directory(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

fn read_if_any(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match read_bounded(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Refused { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(|source| refused(path, "removed", source))
}

fn refused(path: &Path, done: &'static str, source: io::Error) -> FileError {
    FileError::Refused {
        path: path.to_owned(),
        done,
        source,
    }
}

/// Identifies content; not for security.
fn hash(bytes: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes)
        .simple()
        .to_string()
}

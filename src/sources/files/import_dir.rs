//! The directory that agents may have files read from.

use std::io;
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::Export;

/// A directory that no path and no symbolic link leads out of.
#[derive(Debug)]
pub struct ImportDir {
    path: PathBuf,
    dir: Dir,
}

impl ImportDir {
    /// The directory at this path.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            dir: Dir::open_ambient_dir(path, ambient_authority())?,
            path: path.to_owned(),
        })
    }

    /// A file in it, by its path within the directory, with or without the directory's own path.
    ///
    /// # Errors
    /// If the file does not exist, lies outside, or is not a plain file. The text names nothing that
    /// is not in the directory.
    pub fn file(&self, name: &str) -> io::Result<Export> {
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
        let name = Path::new(name);
        let name = name.strip_prefix(&self.path).unwrap_or(name);
        let outside = name
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
        if outside {
            return refuse("lies outside the import directory; name a file within it");
        }
        // Checked before the file is opened: opening a pipe waits for its writer.
        let metadata = match self.dir.metadata(name) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refuse("is not there; name a file within the import directory");
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return refuse("may not be read, or leads out of the import directory");
            }
            Err(error) => return Err(error),
        };
        if !metadata.is_file() {
            return refuse("is not a plain file");
        }
        let file = self.dir.open(name)?;
        let export = Export::of_length(file.into_std(), metadata.len());
        Ok(export.named(format!("file {}", self.path.join(name).display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_directory_can_be_opened() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("exports");
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(inside.join("deep")).unwrap();
        std::fs::write(home.path().join("secret.json"), "{}").unwrap();
        std::fs::write(inside.join("export.json"), "{}").unwrap();
        std::fs::write(inside.join("deep/export.json"), "{}").unwrap();
        let exports = ImportDir::open(&inside).unwrap();
        for name in ["export.json", "./export.json", "deep/export.json"] {
            assert!(exports.file(name).is_ok(), "{name}");
        }
        let whole = inside.join("export.json");
        assert!(exports.file(whole.to_str().unwrap()).is_ok());
        let outside = home.path().join("secret.json");
        for name in [
            "../secret.json",
            "deep/../../secret.json",
            outside.to_str().unwrap(),
            "/etc/passwd",
            "",
            "deep",
            "none.json",
        ] {
            assert!(exports.file(name).is_err(), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_lead_nowhere_outside() {
        use std::os::unix::fs::symlink;
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("exports");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(home.path().join("secret.json"), "{}").unwrap();
        std::fs::write(inside.join("export.json"), "{}").unwrap();
        symlink(home.path().join("secret.json"), inside.join("direct")).unwrap();
        symlink("../secret.json", inside.join("relative")).unwrap();
        symlink(home.path(), inside.join("up")).unwrap();
        symlink("export.json", inside.join("within")).unwrap();
        let exports = ImportDir::open(&inside).unwrap();
        for name in ["direct", "relative", "up/secret.json"] {
            assert!(exports.file(name).is_err(), "{name}");
        }
        assert!(exports.file("within").is_ok());
    }
}

//! What a directory of mem0's library holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the library keeps its vectors unless it is told otherwise (mem0ai, `QdrantConfig.path`).
const USUAL_QDRANT: &str = "/tmp/qdrant";
/// The end of the name of a collection of entities, which are no memories.
const ENTITIES: &str = "_entities";
/// The format of qdrant-client before 1.1.7.
const OLD_STORAGE: &str = "storage.dbm";

/// The files to read.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Name and file, sorted by name.
    pub(super) collections: Vec<(String, PathBuf)>,
    /// Collections in a format that is not read.
    pub(super) old: Vec<String>,
    pub(super) history: Option<PathBuf>,
}

/// Finds the files of a directory: `qdrant/` and `history.db`, or the directory of Qdrant itself. The
/// library's own directory is usually without `qdrant/`, which is elsewhere then.
///
/// # Errors
/// Why there is nothing to read, and what to do.
pub(super) fn find(path: &Path, is_usual: bool, only: Option<&str>) -> io::Result<Found> {
    let listed = |directory: &Path| directory.join("collection").is_dir();
    let (inner, usual) = (path.join("qdrant"), PathBuf::from(USUAL_QDRANT));
    let is_qdrant = listed(path);
    let qdrant = if is_qdrant {
        Some(path.to_owned())
    } else {
        let mut places = [Some(inner), is_usual.then_some(usual)].into_iter();
        places.find_map(|place| place.filter(|place| listed(place)))
    };
    let history = path.join("history.db");
    let beside = path.parent().filter(|_| is_qdrant);
    let beside = beside.map(|parent| parent.join("history.db"));
    let mut found = Found {
        history: [Some(history), beside]
            .into_iter()
            .flatten()
            .find(|file| file.is_file()),
        ..Found::default()
    };
    let Some(qdrant) = qdrant else {
        let reason = match (path.is_dir(), &found.history) {
            (true, Some(_)) => {
                "it has a history.db and no Qdrant: history.db names no owners. Name the `path` of the \
                 vector store in your mem0 configuration; for another store than Qdrant use \
                 `migrate --print-exporter`"
            }
            (true, None) => {
                "there is no collection of Qdrant in it (`qdrant/collection/<name>/storage.sqlite`): name \
                 the `path` of the vector store in your mem0 configuration; for another store than \
                 Qdrant use `migrate --print-exporter`"
            }
            (false, _) => "it is not a directory",
        };
        return Err(io::Error::other(reason));
    };
    for entry in fs::read_dir(qdrant.join("collection"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_read = only.map_or(!name.ends_with(ENTITIES), |only| only == name);
        let storage = entry.path().join("storage.sqlite");
        if is_read && storage.is_file() {
            found.collections.push((name, storage));
        } else if is_read && entry.path().join(OLD_STORAGE).exists() {
            found.old.push(name);
        }
    }
    found.collections.sort();
    if found.collections.is_empty() && found.old.is_empty() {
        let reason = match only {
            Some(_) => "there is no collection of that name in it",
            None => "there is no collection of memories in it",
        };
        return Err(io::Error::other(reason));
    }
    Ok(found)
}

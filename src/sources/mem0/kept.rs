//! Memories of one entity as they came, until it is known that they are all of them.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::SpooledTempFile;
use uuid::Uuid;

/// Above this, memories go to a private temporary file. Ours: several pages of usual memories.
const IN_MEMORY: usize = 1024 * 1024;

/// A memory as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    /// The page of the list, from 1.
    pub(super) page: u64,
    /// Its index in the page.
    pub(super) index: u64,
    pub(super) json: String,
}

/// Memories as they came, each id once.
pub(super) struct Kept {
    file: SpooledTempFile,
    ids: HashSet<Uuid>,
    /// Where each memory is in the file.
    places: Vec<u64>,
    end: u64,
    /// When the first and the last one were made, as mem0 writes it.
    times: Option<(String, String)>,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            file: SpooledTempFile::new(IN_MEMORY),
            ids: HashSet::new(),
            places: Vec::new(),
            end: 0,
            times: None,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    /// How many of these are not in the other.
    pub(super) fn missing_in(&self, other: &Self) -> u64 {
        self.ids.difference(&other.ids).count() as u64
    }

    /// Keeps those of a page that are not here yet; answers how many these are.
    pub(super) fn add(&mut self, page: u64, memories: &[Box<RawValue>]) -> io::Result<u64> {
        let before = self.ids.len();
        for (index, memory) in (0u64..).zip(memories) {
            let Known { id, created_at } = serde_json::from_str(memory.get()).unwrap_or_default();
            if !self.ids.insert(key(id, memory)) {
                continue;
            }
            if let Value::String(time) = created_at {
                let first = self
                    .times
                    .take()
                    .map_or_else(|| time.clone(), |times| times.0);
                self.times = Some((first, time));
            }
            let json = memory.get();
            let numbers = [page, index, json.len() as u64].map(u64::to_le_bytes);
            let bytes = [&numbers.concat(), json.as_bytes()].concat();
            self.file.write_all(&bytes)?;
            self.places.push(self.end);
            self.end += bytes.len() as u64;
        }
        Ok((self.ids.len() - before) as u64)
    }

    /// All of them, oldest first: that is the order of what was said, for which memories of one
    /// moment have nothing but their order.
    pub(super) fn read(self) -> Reading {
        let newest_first = self.times.is_some_and(|(first, last)| first > last);
        let mut places = self.places;
        if !newest_first {
            places.reverse();
        }
        Reading {
            file: self.file,
            places,
        }
    }
}

/// What must be known of a memory to keep it.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Known {
    id: Value,
    created_at: Value,
}

/// What identifies a memory in a list: its id, and of one without an id all of it.
fn key(id: Value, memory: &RawValue) -> Uuid {
    match id {
        Value::String(id) => Uuid::try_parse(&id)
            .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes())),
        _ => Uuid::new_v5(&Uuid::NAMESPACE_OID, memory.get().as_bytes()),
    }
}

/// Reads what was kept.
pub(super) struct Reading {
    file: SpooledTempFile,
    /// Those that are left, the next one last.
    places: Vec<u64>,
}

impl Reading {
    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn one(&mut self, place: u64) -> io::Result<Raw> {
        self.file.seek(SeekFrom::Start(place))?;
        let (page, index, length) = (self.number()?, self.number()?, self.number()?);
        // Written from a text in memory, so that it fits.
        let mut json = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact(&mut json)?;
        let json = String::from_utf8(json).map_err(io::Error::other)?;
        Ok(Raw { page, index, json })
    }
}

impl Iterator for Reading {
    type Item = io::Result<Raw>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.places.pop()?;
        Some(self.one(place))
    }
}

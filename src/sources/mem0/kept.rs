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
}

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            file: SpooledTempFile::new(IN_MEMORY),
            ids: HashSet::new(),
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
            if self.ids.insert(key(memory)) {
                let json = memory.get();
                for number in [page, index, json.len() as u64] {
                    self.file.write_all(&number.to_le_bytes())?;
                }
                self.file.write_all(json.as_bytes())?;
            }
        }
        Ok((self.ids.len() - before) as u64)
    }

    /// All of them, in the order in which they came.
    pub(super) fn read(mut self) -> io::Result<Reading> {
        let left = self.len();
        self.file.seek(SeekFrom::Start(0))?;
        Ok(Reading {
            file: io::BufReader::new(self.file),
            left,
        })
    }
}

/// What identifies a memory in a list: its id, and of one without an id all of it.
fn key(memory: &RawValue) -> Uuid {
    #[derive(serde::Deserialize)]
    struct Identified {
        id: Value,
    }
    let id = serde_json::from_str(memory.get()).map(|Identified { id }| id);
    match id {
        Ok(Value::String(id)) => Uuid::try_parse(&id)
            .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes())),
        _ => Uuid::new_v5(&Uuid::NAMESPACE_OID, memory.get().as_bytes()),
    }
}

/// Reads what was kept.
pub(super) struct Reading {
    file: io::BufReader<SpooledTempFile>,
    left: u64,
}

impl Reading {
    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn one(&mut self) -> io::Result<Raw> {
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
        self.left = self.left.checked_sub(1)?;
        Some(self.one())
    }
}

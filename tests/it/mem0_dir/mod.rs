//! The directory of mem0's library and OpenMemory's database as sources: what they show is what arrives,
//! nothing in them is executed or changed, and what cannot be read is named.

mod hostile;
mod library;
mod openmemory;
pub mod pickled;
mod running;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::sources::{
    Entry, Mem0Dir, Mem0DirSettings, Origin, Problem, ReadError, Sink, Source, SourceItem,
    SourceRecord,
};

use crate::common::program::World;

/// What the library wrote: mem0ai 2.2.1, and 1.0.0 in `old-1.0.0`.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mem0-store")
}

/// A copy of a directory that may be changed.
fn copy(from: &Path) -> TempDir {
    fn into(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => into(&entry.path(), &to),
                false => drop(fs::copy(entry.path(), to).unwrap()),
            }
        }
    }
    let to = TempDir::new().unwrap();
    into(from, to.path());
    to
}

/// A directory with a collection of these points, the first one in row 1.
pub fn with_points(points: &[Vec<u8>]) -> TempDir {
    let directory = TempDir::new().unwrap();
    let collection = directory.path().join("qdrant/collection/mem0");
    fs::create_dir_all(&collection).unwrap();
    let db = Connection::open(collection.join("storage.sqlite")).unwrap();
    db.execute_batch("CREATE TABLE points (id TEXT PRIMARY KEY, point BLOB); BEGIN")
        .unwrap();
    for (number, point) in points.iter().enumerate() {
        let values = (format!("key {number}"), point);
        db.execute("INSERT INTO points VALUES (?1, ?2)", values)
            .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    directory
}

/// What a source yields.
#[derive(Debug, Default)]
pub struct Items {
    pub records: Vec<SourceRecord>,
    pub problems: Vec<Problem>,
    pub left_out: Vec<&'static str>,
}

impl Items {
    /// The records by id, without where they come from.
    fn by_id(mut self) -> Vec<SourceRecord> {
        for record in &mut self.records {
            record.origin = Origin::default();
        }
        self.records.sort_by(|one, other| one.id.cmp(&other.id));
        self.records
    }

    fn texts(&self) -> Vec<&str> {
        self.records.iter().map(|record| &*record.content).collect()
    }

    /// Positions and reasons.
    fn named(&self) -> Vec<String> {
        let named = |problem: &Problem| format!("{}: {}", problem.position, problem.defect);
        self.problems.iter().map(named).collect()
    }
}

impl Sink for Items {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        match item {
            SourceItem::Entry(Entry::Record(record)) => self.records.push(*record),
            SourceItem::Problem(problem) => self.problems.push(problem),
            SourceItem::LeftOut(what) => self.left_out.push(what),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

pub fn read(source: impl Source) -> Result<Items, ReadError> {
    let mut items = Items::default();
    let source: Box<dyn Source> = Box::new(source);
    source.read(&mut items, &CancellationToken::new())?;
    Ok(items)
}

pub fn library(path: &Path) -> Mem0Dir {
    Mem0Dir::open(settings(path)).unwrap()
}

fn settings(path: &Path) -> Mem0DirSettings {
    Mem0DirSettings {
        path: path.to_owned(),
        is_usual: false,
        collection: None,
        history: false,
    }
}

/// Every file below a directory with its bytes.
fn bytes(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(bytes(&path)),
            false => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

/// How a migration by the program ended: its exit code, its report, what it said.
struct Moved {
    code: i32,
    report: Value,
    stderr: String,
}

/// Runs `migrate` with these arguments.
fn migrate(world: &World, arguments: &[&str]) -> Moved {
    let mut command = world.command();
    let output = command
        .args(["migrate", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    Moved {
        code: output.status.code().unwrap(),
        report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

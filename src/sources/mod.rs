//! Where memories come from.
//!
//! A [`Source`] yields [`SourceItem`]s: users, records and conversations, parsed and interpreted, in
//! the source's own words. Sources know nothing of Zep; [`crate::migration`] knows a source by this
//! trait only.
//!
//! - [`Stored`]: this program's own memories; [`ToFile`] writes them, and `files` reads that back.
//! - [`files`]: export files of mem0 and of the applications around it.
//! - [`mem0`]: a living mem0: the Platform, or a self-hosted server.
//! - [`Mem0Dir`]: the directory of mem0's library; [`OpenMemory`]: OpenMemory's database.
//! - [`qdrant`]: a Qdrant server in which mem0's library keeps memories.
//! - `client`: the HTTP client of sources that are services.

mod client;
pub mod files;
mod lines;
pub mod mem0;
mod mem0_dir;
mod model;
mod openmemory;
mod payload;
pub mod qdrant;
mod sqlite;
mod stored;

use std::io;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

pub(crate) use files::interpret_object;
pub use files::{Export, ImportDir};
pub use lines::{Format, ToFile, Written};
pub use mem0_dir::{Mem0Dir, Mem0DirSettings};
pub use model::{
    Change, Container, ContainerId, Conversation, Defect, Entry, Explained, Gone, IdKind, Names,
    Origin, Position, Problem, RecordKind, SNAPSHOTS, Severity, SourceItem, SourceRecord,
    SourceUser, StoredRecord,
};
pub use openmemory::OpenMemory;
pub use stored::Stored;

/// The system that today's sources read the memories of.
pub const MEM0: &str = "mem0";

/// The name of sources that are another one each time: data that is given in a call, or piped.
pub const GIVEN: &str = "data";

/// Where memories come from. Read once, from beginning to end.
pub trait Source: Send {
    /// The system that the memories come from, as reports and the `migration_source` of each record
    /// name it. Part of the ids of owners that a migration makes, so it must never change.
    fn system(&self) -> &'static str;

    /// Names the source for people and for the ledger of migrations: `file /data/export.json`, `mem0
    /// https://api.mem0.ai`. The same source has the same name each time. Never holds a key.
    fn name(&self) -> String;

    /// Hands everything to the sink, one item after the other, and holds no more than a few of them.
    ///
    /// Blocks. The caller runs it on a thread that may block, within a Tokio runtime: a source that
    /// reads pages from a network does so with `Handle::current().block_on`, and gives up once
    /// `cancelled`.
    ///
    /// # Errors
    /// [`ReadError`]. An item that cannot be used is a [`SourceItem::Problem`] instead.
    fn read(
        self: Box<Self>,
        sink: &mut dyn Sink,
        cancelled: &CancellationToken,
    ) -> Result<(), ReadError>;
}

/// Takes what a source yields.
pub trait Sink {
    /// Takes the next item. On `Break` the source stops reading.
    fn item(&mut self, item: SourceItem) -> ControlFlow<()>;

    /// How far the reading is, of how much where that is known, in bytes or whatever else the source
    /// counts.
    fn progress(&mut self, done: u64, total: Option<u64>);
}

/// Takes everything and keeps nothing.
struct Unheard;

impl Sink for Unheard {
    fn item(&mut self, _item: SourceItem) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _done: u64, _total: Option<u64>) {}
}

/// Why a source was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The sink asked for no more.
    #[error("reading was stopped")]
    Stopped,
}

/// A source without items: for a user who has no memories.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Source for Nothing {
    fn system(&self) -> &'static str {
        MEM0
    }

    fn name(&self) -> String {
        GIVEN.into()
    }

    fn read(
        self: Box<Self>,
        _sink: &mut dyn Sink,
        _cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        Ok(())
    }
}

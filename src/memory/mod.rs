//! The domain: what a memory is, whose it is, and how it fits into Zep and comes back whole.
//!
//! Knows no MCP, no HTTP and no wire format. The doors call [`MemoryService`]; it calls
//! [`crate::zep::Zep`].
//!
//! - `record`: what is stored: content split and packed, drafts, assembling, views
//! - `write`: requests, jobs, locks, imported records
//! - `read`: a session, a user's sessions, memories and their list cache, a memory by id, events
//! - `search`: the query, candidates, restrictions
//! - `delivery`: what waits in the queue is carried out; changes of it, and calls that wait
//! - `beside`: mem0 beside Zep, or in its place; `mem0`: what is needed of it
//! - `change`: update, delete, purge, replacement
//! - `people`: owners, entities, profiles
//! - `filter`: the filter language
//! - `input`, `answers`: what callers send, checked; the shapes in which all doors answer
//! - `access`: the only place that decides who may do what

pub mod access;
pub mod answers;
pub mod beside;
mod change;
mod delivery;
mod error;
pub mod filter;
pub mod input;
pub mod mapping;
pub mod mem0;
pub mod model;
pub mod opened;
mod people;
pub mod queue;
mod read;
mod record;
mod search;
mod service;
mod sessions;
mod write;

pub use change::delete::{Deleted, Removed};
pub use change::purge::{EntityId, Failure, Purged};
pub use change::undo;
pub use change::update::Changed;
pub use delivery::{breaker::Away, changes::Settled};
pub use error::{Error, PartlyStored, Result};
pub use model::{AddedMemory, Change};
pub use people::entities::{Entities, Entity, EntityKind, MAX_ENTITIES};
pub use people::{person, profile};
pub use read::events::{Delivery, Event};
pub use read::memories::{BrowseQuery, MAX_PAGE_SIZE, MemoryPage};
pub use read::session::{Cursor, MAX_RECORDS, PageOf, SessionPage, SessionQuery, Summary};
pub use read::sessions::{SessionInfo, SessionList};
pub(crate) use record::view::is_changed_fact;
pub use record::view::{Form, Memory};
pub use record::{assemble as records, fit};
pub use search::query::{Answer, SearchQuery, SearchTarget, Selector};
pub use service::{Likeness, MemoryService};
pub use write::batch;
pub use write::import;
pub use write::request::{Added, MAX_MESSAGES, NewMemories, NewTurn};

//! The domain: what a memory is, whose it is, and how it fits into Zep and comes back whole.
//!
//! Knows no MCP, no HTTP and no wire format. The doors call [`MemoryService`]; it calls
//! [`crate::zep::Zep`].

pub mod access;
mod add;
mod browse;
mod condition;
mod delete;
mod entities;
mod error;
mod events;
pub mod filter;
mod finder;
pub mod fit;
pub mod import;
mod list;
mod locks;
mod lookup;
pub mod mapping;
pub mod model;
mod narrow;
mod outgoing;
mod owners;
pub mod profile;
mod purge;
mod read;
pub mod records;
mod replaced;
mod search;
mod service;
mod sessions;
mod shown;
mod update;
mod write;

pub use add::{Added, AddedMemory, MAX_MESSAGES, NewMemories, NewTurn};
pub use browse::{BrowseQuery, MAX_PAGE_SIZE, MemoryPage};
pub use delete::{Deleted, Removed};
pub use entities::{Entities, Entity, EntityKind, MAX_ENTITIES};
pub use error::{Error, PartlyStored, Result};
pub use events::Event;
pub use list::{SessionInfo, SessionList};
pub use purge::{EntityId, Failure, Purged};
pub use read::{Cursor, MAX_RECORDS, PageOf, SessionPage, SessionQuery, Summary};
pub use search::{Among, Answer, SearchQuery, Whose};
pub use service::MemoryService;
pub use shown::{Form, Memory};
pub use update::{Change, Changed};

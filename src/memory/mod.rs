//! The domain: what a memory is, whose it is, and how it fits into Zep and comes back whole.
//!
//! Knows no MCP, no HTTP and no wire format. The doors call [`MemoryService`]; it calls
//! [`crate::zep::Zep`].

mod add;
mod error;
pub mod filter;
mod finder;
pub mod fit;
pub mod import;
mod list;
pub mod mapping;
pub mod model;
mod outgoing;
pub mod profile;
mod read;
pub mod records;
mod search;
mod service;
mod sessions;
mod write;

pub use add::{Added, AddedMemory, MAX_MESSAGES, NewMemories, NewTurn};
pub use error::{Error, PartlyStored, Result};
pub use list::{SessionInfo, SessionList};
pub use read::{Cursor, MAX_RECORDS, PageOf, SessionPage, SessionQuery, Summary};
pub use search::{Among, Answer, Hit, HitKind, SearchQuery};
pub use service::MemoryService;

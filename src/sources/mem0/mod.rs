//! A living mem0 as a source.
//!
//! - `client`: mem0's HTTP APIs, typed. Knows nothing of migrations.
//! - [`Platform`]: mem0 Platform, entity by entity and page by page.
//! - [`Server`]: mem0's self-hosted server, whose lists are cut without a word.
//! - `entity`: what memories belong to. `listing`: one entity's pages, read until they agree with each
//!   other, since a memory may be added or deleted between two of them; `kept` holds them meanwhile.
//!   `handing`: each memory once, interpreted as in an export.
//! - [`LiveMem0`]: mem0 Platform as the service needs it: each memory is read and changed there.
//! - `account`: where mem0's command line keeps its key.

mod account;
mod client;
mod entity;
pub(super) mod handing;
mod kept;
mod listing;
mod live;
mod platform;
mod server;

pub use super::client::{Error, Limits};
pub use account::{Account, AccountError};
pub use entity::{Entity, EntityKind};
pub use live::LiveMem0;
pub use platform::{Platform, PlatformSettings};
pub use server::{Server, ServerSettings};

//! The SQLite file: connections, transactions, layout. Knows nothing of what the rows mean.
//!
//! - `store`: runs calls on blocking threads: each read in a transaction of its own; `writing`: the writes
//!   that wait, in one transaction.
//! - `connection`: opens and configures a connection; `file`: creates and identifies the file;
//!   `log`: gives it a write-ahead log.
//! - `schema`: the tables, and the versions of their layout.
//! - `transaction`: what a call works with; `error`: how it ends.

mod connection;
mod error;
mod file;
mod log;
mod schema;
mod store;
mod transaction;
mod writing;

pub(super) use error::{Fault, Step};
pub(crate) use file::make_private;
pub(crate) use log::write_ahead;
pub(super) use store::Store;
pub(super) use transaction::{Clock, Work};
pub(crate) use writing::{Writes, WrittenFile, write};

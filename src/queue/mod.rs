//! Work for writes that outlives their calls, kept in files of the data directory, so that another
//! process does it if this one ends.
//!
//! - `jobs`: writes that are safe before Zep has them. `rows`: what each step reads and writes;
//!   `connection`: how; `schema`, `file`: its tables, and opening them.
//! - `late`: records that were sent again are looked at later, since the first write may still arrive.
//! - `seal`: contents, encrypted. `sides`: on which side of a migration in phases owners are.
//! - `columns`: owners and times in both.

mod columns;
mod connection;
mod file;
mod jobs;
mod late;
mod rows;
mod schema;
mod seal;
mod sides;

pub use jobs::WriteQueue;
pub use late::LateWrites;
pub use seal::Sealed;

//! Work for writes after their calls were answered, kept in a file of the data
//! directory, so that another process does it if this one ends.
//!
//! - `late`: records that were sent again are looked at later, since the first write may still arrive.

mod late;

pub use late::LateWrites;

//! What is stored: content split and packed to fit Zep's limits, records drafted for writing,
//! assembled from their parts, and shown as memories.

pub mod assemble;
pub(crate) mod doubles;
pub(crate) mod draft;
pub mod fit;
pub(crate) mod sources;
pub(crate) mod view;

//! Where memories come from: what mem0 and the applications around it leave in files.
//!
//! Knows mem0's shapes and nothing of Zep. [`read_export`] turns a stream of JSON into [`Event`]s, one
//! for each thing that stands in it, without holding more than one of them; [`interpret`] turns such
//! a thing into a [`Piece`]: a record, a user, the turns that a memory was made from.

mod export;
mod interpret;
mod model;

pub use export::{MAX_ITEM_BYTES, Stopped, read_export};
pub use interpret::interpret;
pub use model::{
    Event, Frame, FrameId, Item, ItemKind, Named, Piece, Position, Problem, RecordKind, SNAPSHOTS,
    SourceRecord, SourceUser,
};

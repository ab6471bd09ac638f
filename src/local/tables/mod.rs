//! The tables: each file reads and changes one of them, within the caller's transaction. Arrows
//! only point down this list.
//!
//! - `messages`: the episodes of a thread, in its order.
//! - `facts`: an episode's own text, which can be changed and deleted.
//! - `episodes`: everything stored in a graph; `episode_row` shows one row as message, episode or
//!   fact.
//! - `threads`, `entities`, `users`, `graphs`, and what the last two share, `owners`.
//! - `index`: the words of each row.
//! - `project`: the file itself.
//! - `columns`, `paging`: values and pages, as all tables have them.

mod columns;
pub(super) mod entities;
pub(super) mod episode_row;
pub(super) mod episodes;
pub(super) mod facts;
pub(super) mod graphs;
pub(super) mod index;
pub(super) mod messages;
pub(super) mod owners;
pub(super) mod paging;
pub(super) mod project;
pub(super) mod threads;
pub(super) mod users;

pub(super) use columns::{json_object, object_text, uuid};

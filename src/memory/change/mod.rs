//! Changing and deleting: one memory, all memories of a scope, and what replaces a changed text.

pub(crate) mod delete;
mod doubles;
pub(crate) mod purge;
pub(crate) mod replacement;
mod turn;
pub mod undo;
pub(crate) mod update;

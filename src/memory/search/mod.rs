//! Searching: the query, candidates from one owner's graph, and the restrictions they must meet.

pub(crate) mod candidates;
pub(crate) mod narrow;
pub(crate) mod owners;
pub(crate) mod query;
pub(crate) mod restriction;

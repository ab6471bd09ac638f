//! Reading: one session, a user's sessions, memories page by page, a memory by its id, and events.

pub(crate) mod by_id;
pub(crate) mod events;
pub(crate) mod known;
pub(crate) mod list_cache;
pub(crate) mod listing;
pub(crate) mod memories;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod waiting;
pub(crate) mod waits;

//! Counting the requests of a call.

use std::collections::BTreeMap;

use crate::common::program::World;

/// The requests that it received during some work, by `METHOD route`.
pub fn requests(world: &World, what: impl FnOnce()) -> BTreeMap<String, u64> {
    world.control("POST", "reset-stats", None);
    what();
    world.requests()
}

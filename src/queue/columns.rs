//! Owners and times as columns, alike in all files of the queue.

use std::time::Duration;

use jiff::Timestamp;

use crate::zep::{GraphId, Owner, UserId};

/// In the column `kind`. `0` is a thread, where there are threads.
pub(super) const THREAD: i64 = 0;
const USER: i64 = 1;
const GRAPH: i64 = 2;

/// The columns `kind` and `owner`.
pub(super) fn owner_columns(owner: &Owner) -> (i64, &str) {
    match owner {
        Owner::User(user) => (USER, user.as_str()),
        Owner::Graph(graph) => (GRAPH, graph.as_str()),
    }
}

/// The owner in these columns.
pub(super) fn owner_of(kind: i64, owner: &str) -> rusqlite::Result<Owner> {
    let owner = match kind {
        USER => UserId::new(owner).map(Owner::User),
        _ => GraphId::new(owner).map(Owner::Graph),
    };
    owner.map_err(|_| rusqlite::Error::InvalidQuery)
}

/// In milliseconds since 1970: processes share these times.
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// As a column.
pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

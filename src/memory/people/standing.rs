//! Whether a user's memories may be used: those of suspended and deleted users are neither read nor
//! written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::memory::{
    Error, Result,
    error::if_found,
    model::{Owner, UserId},
    people::person::{STATUS_FIELD, Status},
    record::fit::unpack_flat,
    service::MemoryService,
};

/// How long a status counts without being looked up again: another machine may change it. Ours.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A user's status, as it was found.
#[derive(Debug)]
pub(crate) struct Standing {
    status: Status,
    found: Instant,
}

impl Standing {
    /// As it is now.
    pub(crate) fn now(status: Status) -> Self {
        Self {
            status,
            found: Instant::now(),
        }
    }
}

impl MemoryService {
    /// The same, which looks up whether a user is suspended before their memories are used: one request
    /// a minute and user.
    #[must_use]
    pub fn minding_status(mut self) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.minds_status = true;
        }
        self
    }

    /// Refuses to read the memories of a user who is suspended or deleted. While Zep does not answer at all,
    /// and only what waits here is shown, what was known last holds.
    ///
    /// # Errors
    /// [`Error::Suspended`], or the backend's error.
    pub(crate) async fn admits(&self, owner: &Owner) -> Result<()> {
        let Some(user) = self.minded(owner) else {
            return Ok(());
        };
        if let Some(status) = self.known_status(user) {
            return check(user, status);
        }
        let found = self.asked(self.status_in_zep(user)).await?;
        check(user, found.unwrap_or_else(|| self.last_status(user)))
    }

    /// The same for writing: what was said waits for no slow Zep, and is kept if the status is not known.
    ///
    /// # Errors
    /// [`Error::Suspended`].
    pub(crate) async fn admits_writing(&self, owner: &Owner, begun: Instant) -> Result<()> {
        let Some(user) = self.minded(owner) else {
            return Ok(());
        };
        if let Some(status) = self.known_status(user) {
            return check(user, status);
        }
        let found = self.asked_shortly(begun, self.status_in_zep(user)).await;
        let found = found.ok().flatten();
        check(user, found.unwrap_or_else(|| self.last_status(user)))
    }

    /// The user of an owner, if statuses are minded.
    fn minded<'a>(&self, owner: &'a Owner) -> Option<&'a UserId> {
        match owner {
            Owner::User(user) if self.inner.minds_status => Some(user),
            Owner::User(_) | Owner::Graph(_) => None,
        }
    }

    /// The status that was found within the last minute.
    fn known_status(&self, user: &UserId) -> Option<Status> {
        let known = self.inner.standing.get(user)?;
        (known.found.elapsed() < KEPT_FOR).then_some(known.status)
    }

    /// The status that was found last, however long ago.
    fn last_status(&self, user: &UserId) -> Status {
        let known = self.inner.standing.get(user);
        known.map(|known| known.status).unwrap_or_default()
    }

    async fn status_in_zep(&self, user: &UserId) -> Result<Status> {
        let found = if_found(self.zep().user(user).await)?;
        let metadata = found.and_then(|user| user.metadata).unwrap_or_default();
        let fields = unpack_flat(&metadata);
        let word = fields.get(STATUS_FIELD).and_then(|word| word.as_str());
        let status = word.and_then(|word| word.parse().ok()).unwrap_or_default();
        let standing = Arc::new(Standing::now(status));
        self.inner.standing.insert(user.clone(), standing);
        Ok(status)
    }
}

fn check(user: &UserId, status: Status) -> Result<()> {
    match status.admits() {
        true => Ok(()),
        false => Err(Error::Suspended {
            user: user.to_string(),
        }),
    }
}

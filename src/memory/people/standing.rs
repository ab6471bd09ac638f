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

    /// Refuses to use the memories of a user who is suspended or deleted. While Zep does not answer, what
    /// was known last holds.
    ///
    /// # Errors
    /// [`Error::Suspended`].
    pub(crate) async fn admits(&self, owner: &Owner) -> Result<()> {
        let Owner::User(user) = owner else {
            return Ok(());
        };
        match self.inner.minds_status {
            true if !self.status_of(user).await.admits() => Err(Error::Suspended {
                user: user.to_string(),
            }),
            _ => Ok(()),
        }
    }

    async fn status_of(&self, user: &UserId) -> Status {
        let known = self.inner.standing.get(user);
        if let Some(known) = known.as_ref().filter(|it| it.found.elapsed() < KEPT_FOR) {
            return known.status;
        }
        let asked = self.asked_shortly(async { if_found(self.zep().user(user).await) });
        let Ok(Some(found)) = asked.await else {
            return known.map(|known| known.status).unwrap_or_default();
        };
        let metadata = found.and_then(|user| user.metadata).unwrap_or_default();
        let fields = unpack_flat(&metadata);
        let word = fields.get(STATUS_FIELD).and_then(|word| word.as_str());
        let status = word.and_then(|word| word.parse().ok()).unwrap_or_default();
        let standing = Arc::new(Standing::now(status));
        self.inner.standing.insert(user.clone(), standing);
        status
    }
}

//! Lists a user's sessions.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    model::{Owner, Scope, SessionId, UserId},
    service::MemoryService,
};
use crate::zep::{Thread, ThreadId, Window};

/// How many sessions are read at the same time.
const SIDE_BY_SIDE: usize = 4;

/// A user's sessions.
#[derive(Debug, Clone)]
pub struct SessionList {
    /// The user.
    pub user: UserId,
    /// The newest ones, newest first.
    pub sessions: Vec<SessionInfo>,
    /// How many the user has in all.
    pub total_count: usize,
}

/// A session's properties, without its content.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// The session.
    pub session: String,
    /// When it was created in Zep.
    pub created_at: Option<Timestamp>,
    /// The time of its newest message.
    pub last_used_at: Option<Timestamp>,
    /// How many messages Zep stores in it.
    pub message_count: u64,
}

impl MemoryService {
    /// The newest sessions of a user: one request for the list and one per session of the page. An
    /// unknown user has none.
    ///
    /// # Errors
    /// The backend's error.
    pub async fn sessions(
        &self,
        caller: &Caller,
        scope: &Scope,
        offset: usize,
        limit: usize,
    ) -> Result<SessionList> {
        let owner = self.owner(caller, Right::Read, scope)?;
        let Owner::User(user) = owner else {
            return Err(Error::invalid(
                "user_id",
                "is needed: an agent's own memories have no sessions",
            ));
        };
        let mut threads = match self.zep().user_threads(&user).await {
            Ok(threads) => threads,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        threads.sort_by(|a, b| (b.created_at, &b.thread_id).cmp(&(a.created_at, &a.thread_id)));
        let total_count = threads.len();
        let sessions = stream::iter(threads.into_iter().skip(offset).take(limit))
            .map(|thread| self.look_into(thread, &user))
            .buffered(SIDE_BY_SIDE)
            .try_filter_map(async |info| Ok(info))
            .try_collect()
            .await?;
        Ok(SessionList {
            user,
            sessions,
            total_count,
        })
    }

    /// `None` if the thread was deleted meanwhile.
    async fn look_into(&self, thread: Thread, user: &UserId) -> Result<Option<SessionInfo>> {
        let Some(id) = thread.thread_id else {
            return Ok(None);
        };
        let thread_id = ThreadId::new(&id)?;
        match self
            .zep()
            .messages(&thread_id, &Window::Last { limit: 1 })
            .await
        {
            Ok(page) => Ok(Some(SessionInfo {
                session: SessionId::of_thread(&id, user),
                created_at: thread.created_at,
                last_used_at: page.messages.last().and_then(|message| message.created_at),
                message_count: page
                    .total_count
                    .unwrap_or(page.messages.len() as u64)
                    .saturating_sub(
                        self.inner
                            .repeats
                            .get(&thread_id)
                            .map_or(0, |it| it.doubles),
                    ),
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

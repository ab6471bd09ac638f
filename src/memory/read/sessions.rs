//! Lists a user's sessions.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::memory::{
    Away, Error, Result,
    access::{Caller, Right},
    beside::reading,
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
    /// Since when Zep does not answer and why, if it did not: then only sessions in which something waits are
    /// listed.
    pub away: Option<Away>,
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
    /// How many more wait until Zep has them.
    pub pending_count: u64,
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
        let of_user = Owner::User(user.clone());
        self.admits(&of_user).await?;
        let waits = self.waits(&of_user).await?;
        let waiting = waits.sessions();
        if let Some(mem0) = self.mem0_of(&of_user).await? {
            let mut sessions = reading::sessions(mem0.as_ref(), &of_user).await?;
            for (session, (count, newest)) in waiting {
                match sessions
                    .iter_mut()
                    .find(|it| it.session == session.as_str())
                {
                    Some(there) => there.pending_count = count,
                    None => sessions.insert(0, waiting_session(session, count, newest)),
                }
            }
            return Ok(SessionList {
                total_count: sessions.len(),
                sessions: sessions.into_iter().skip(offset).take(limit).collect(),
                user,
                away: None,
            });
        }
        let threads = self.asked(async {
            match self.zep().user_threads(&user).await {
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                threads => Ok(threads?),
            }
        });
        let threads = threads.await?;
        let mut away = threads.is_none().then(|| self.away());
        let mut threads = threads.unwrap_or_default();
        threads.sort_by(|a, b| (b.created_at, &b.thread_id).cmp(&(a.created_at, &a.thread_id)));
        let session_of = |thread: &Thread| {
            let id = thread.thread_id.as_deref()?;
            Some(SessionId::of_thread(id, &user))
        };
        let known: HashSet<String> = threads.iter().filter_map(session_of).collect();
        // Sessions that Zep does not have yet are the newest.
        let mut listed: Vec<SessionInfo> = waiting
            .iter()
            .filter(|(session, _)| !known.contains(session.as_str()))
            .map(|(session, (count, newest))| waiting_session(session, *count, *newest))
            .collect();
        listed.sort_by(|a, b| (b.last_used_at, &b.session).cmp(&(a.last_used_at, &a.session)));
        let total_count = listed.len() + threads.len();
        let new = listed.len();
        let mut sessions: Vec<_> = listed.into_iter().skip(offset).take(limit).collect();
        let page = threads.into_iter().skip(offset.saturating_sub(new));
        let looked = stream::iter(page.take(limit - sessions.len()))
            .map(|thread| self.look_into(thread, &user))
            .buffered(SIDE_BY_SIDE)
            .try_filter_map(async |info| Ok(info))
            .try_collect::<Vec<_>>();
        match self.asked(looked).await? {
            Some(looked) => sessions.extend(looked),
            None => away = Some(self.away()),
        }
        for session in &mut sessions {
            let here = waiting
                .iter()
                .find(|(id, _)| id.as_str() == session.session);
            if let Some((_, (count, newest))) = here {
                session.pending_count = *count;
                session.last_used_at = session.last_used_at.max(*newest);
            }
        }
        Ok(SessionList {
            user,
            sessions,
            total_count,
            away,
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
                pending_count: 0,
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

/// A session that Zep does not have yet.
fn waiting_session(session: &SessionId, count: u64, newest: Option<Timestamp>) -> SessionInfo {
    SessionInfo {
        session: session.to_string(),
        created_at: None,
        last_used_at: newest,
        message_count: 0,
        pending_count: count,
    }
}

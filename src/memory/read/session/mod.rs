//! Reads sessions: whole records, in order, page by page.
//!
//! - `cursor`: a place in a session. `pages`: reading a thread in windows that begin and end on whole
//!   records.

mod cursor;
mod pages;

use jiff::Timestamp;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    model::{MemoryKind, Owner, Record, Scope, SessionId, UserId},
    service::MemoryService,
};
use crate::zep::ThreadId;

pub use cursor::Cursor;
use pages::Reader;

/// The most records of a page.
pub const MAX_RECORDS: u32 = 200;

/// Which part of a session to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageOf {
    /// From the beginning, or from the end of an earlier page.
    Forward {
        /// The earlier page's [`SessionPage::next_cursor`].
        cursor: Option<Cursor>,
        /// 1–200 records.
        limit: u32,
    },
    /// The newest records.
    Last {
        /// 1–200 records.
        count: u32,
    },
}

/// What to read of a session.
#[derive(Debug, Clone)]
pub struct SessionQuery {
    /// The user and the session.
    pub scope: Scope,
    /// Which part.
    pub page: PageOf,
    /// Only records of this kind.
    pub kind: Option<MemoryKind>,
    /// Whether to include Zep's context block.
    pub include_context: bool,
    /// Whether to include counts over the whole session, which reads all of it.
    pub include_summary: bool,
}

/// A page of a session.
#[derive(Debug, Clone)]
pub struct SessionPage {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// Whole records, oldest first.
    pub records: Vec<Record>,
    /// How many messages Zep stores in the session, without known doubles: a long record counts once
    /// per part.
    pub total_count: u64,
    /// Where the next page begins; absent on the last one.
    pub next_cursor: Option<Cursor>,
    /// Zep's context block, if asked for.
    pub context: Option<String>,
    /// Counts over the whole session, if asked for.
    pub summary: Option<Summary>,
}

/// Counts over a whole session.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Whole records.
    pub record_count: usize,
    /// Records by kind, in the order first met; `None` for those without a kind.
    pub by_kind: Vec<(Option<String>, usize)>,
    /// The earliest time of a record.
    pub first: Option<Timestamp>,
    /// The latest time of a record.
    pub last: Option<Timestamp>,
}

impl MemoryService {
    /// Reads part of a user's session. Creates nothing.
    ///
    /// # Errors
    /// [`Error::NoSession`] if the user has none of this name, even if another user has.
    pub async fn session(&self, caller: &Caller, query: SessionQuery) -> Result<SessionPage> {
        let owner = self.owner(caller, Right::Read, &query.scope)?;
        let Owner::User(user) = owner else {
            return Err(Error::invalid(
                "session_id",
                "is needed: an agent's own memories have no sessions",
            ));
        };
        let session = query
            .scope
            .session
            .clone()
            .unwrap_or_else(SessionId::default_session);
        let sessions = &self.inner.sessions;
        let no_session = || Error::NoSession {
            user: user.to_string(),
            session: session.to_string(),
        };
        let mut resolved_again = false;
        loop {
            let thread = sessions
                .find(self.zep(), &user, &session)
                .await?
                .ok_or_else(no_session)?;
            match self.read(&thread, &user, &session, &query).await {
                // The cached resolution is outdated: the thread is gone, or another user's now.
                Err(error) if is_stale(&error) && !resolved_again => {
                    resolved_again = true;
                    sessions.forget(&user, &session);
                }
                Err(error) if is_stale(&error) => {
                    sessions.forget(&user, &session);
                    return Err(no_session());
                }
                outcome => return outcome,
            }
        }
    }

    async fn read(
        &self,
        thread: &ThreadId,
        user: &UserId,
        session: &SessionId,
        query: &SessionQuery,
    ) -> Result<SessionPage> {
        let reader = Reader {
            threads: self.zep(),
            thread,
            user,
            kind: query.kind.as_ref(),
            repeats: &self.inner.repeats,
        };
        let (records, total_count, next_cursor) = match &query.page {
            PageOf::Forward { cursor, limit } => {
                reader.forward(cursor.as_ref(), *limit as usize).await?
            }
            PageOf::Last { count } => reader.last(*count as usize).await?,
        };
        let context = if query.include_context {
            self.zep().thread_context(thread).await?.context
        } else {
            None
        };
        let summary = if query.include_summary {
            Some(summarise(&reader.whole().await?))
        } else {
            None
        };
        let doubles = self.inner.repeats.get(thread).map_or(0, |it| it.doubles);
        Ok(SessionPage {
            user: user.clone(),
            session: session.clone(),
            records,
            total_count: total_count.saturating_sub(doubles),
            next_cursor,
            context,
            summary,
        })
    }
}

/// Whether an error says that a thread is no longer this session.
fn is_stale(error: &Error) -> bool {
    match error {
        Error::Zep(error) => error.is_not_found(),
        Error::NotYours { .. } => true,
        _ => false,
    }
}

fn summarise(records: &[Record]) -> Summary {
    let mut by_kind: Vec<(Option<String>, usize)> = Vec::new();
    for record in records {
        match by_kind
            .iter_mut()
            .find(|(kind, _)| *kind == record.memory_type)
        {
            Some((_, count)) => *count += 1,
            None => by_kind.push((record.memory_type.clone(), 1)),
        }
    }
    let times = || records.iter().filter_map(|record| record.created_at);
    Summary {
        record_count: records.len(),
        by_kind,
        first: times().min(),
        last: times().max(),
    }
}

//! Reads sessions: whole records, in order, page by page.
//!
//! - `cursor`: a place in a session. `pages`: reading a thread in windows that begin and end on whole
//!   records.

mod cursor;
mod pages;

use jiff::Timestamp;

use crate::audit::touched;
use crate::memory::{
    Away, Error, Result,
    access::{Caller, Right},
    beside::reading,
    model::{MemoryKind, Owner, Record, Scope, SessionId, UserId, Uuid},
    queue::queue_id,
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
    /// Whole records, oldest first. Those that Zep does not have yet come last.
    pub records: Vec<Record>,
    /// How many of the session's records wait until Zep has them.
    pub pending: usize,
    /// Since when Zep does not answer and why, if it did not: then only what waits is shown.
    pub away: Option<Away>,
    /// How many messages Zep stores in the session, without known doubles: a long record counts once
    /// per part.
    pub total_count: u64,
    /// Where the next page begins; absent on the last one.
    pub next_cursor: Option<Cursor>,
    /// The place behind this page, where nothing more is stored.
    end: Option<Cursor>,
    /// Zep's context block, if asked for.
    pub context: Option<String>,
    /// Counts over the whole session, if asked for.
    pub summary: Option<Summary>,
    /// Whether it is mem0's, which keeps memories and not the turns themselves.
    pub in_mem0: bool,
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
        let page = self.page_of_session(caller, query).await?;
        for record in &page.records {
            touched::id(record.id.as_str());
        }
        Ok(page)
    }

    async fn page_of_session(&self, caller: &Caller, query: SessionQuery) -> Result<SessionPage> {
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
        let of_user = Owner::User(user.clone());
        self.admits(&of_user).await?;
        // Before Zep is asked: what is delivered meanwhile is shown once, since its record is known.
        let waits = self.waits(&of_user).await?;
        let waiting = waits.turns(&session);
        let nothing = SessionPage {
            user: user.clone(),
            session: session.clone(),
            records: Vec::new(),
            pending: 0,
            away: None,
            total_count: 0,
            next_cursor: None,
            end: None,
            context: None,
            summary: None,
            in_mem0: false,
        };
        if let Some(mem0) = self.mem0_of(&of_user).await? {
            let turns = reading::turns(mem0.as_ref(), &of_user, &session, query.kind.as_ref());
            let mut page = nothing.of_mem0(turns.await?, &query)?;
            if page.total_count == 0 && waiting.is_empty() {
                return Err(Error::NoSession {
                    user: user.to_string(),
                    session: session.to_string(),
                });
            }
            waits.apply_to_turns(&mut page.records);
            if page.next_cursor.is_none() {
                page.pending = waiting.len();
                page.records.extend(waiting);
            }
            return Ok(page);
        }
        let mut page = match self
            .asked(self.stored_session(&user, &session, &query))
            .await
        {
            Ok(Some(page)) => {
                if self.inner.queue.is_some() {
                    self.inner.known.note_turns(&user, &session, &page.records);
                }
                page
            }
            Ok(None) => {
                let from_mem0 = match self.fallback(&of_user, &waits).await {
                    Some(mem0) => {
                        let kind = query.kind.as_ref();
                        let turns = reading::turns(mem0.as_ref(), &of_user, &session, kind);
                        turns.await.ok().filter(|turns| !turns.is_empty())
                    }
                    None => None,
                };
                let in_mem0 = from_mem0.is_some();
                let mut records = match from_mem0 {
                    Some(turns) => turns,
                    None => {
                        let outdated = self.outdated().await?;
                        self.inner.known.turns(&user, &session, outdated)
                    }
                };
                let kind = query.kind.as_ref().map(MemoryKind::as_str);
                records.retain(|turn| kind.is_none() || turn.memory_type.as_deref() == kind);
                SessionPage {
                    in_mem0,
                    away: Some(self.away()),
                    records,
                    ..nothing
                }
            }
            Err(Error::NoSession { .. }) if !waiting.is_empty() => nothing,
            Err(error) => return Err(error),
        };
        waits.apply_to_turns(&mut page.records);
        page.add(waiting, &query);
        Ok(page)
    }

    /// Reads part of a session in Zep.
    async fn stored_session(
        &self,
        user: &UserId,
        session: &SessionId,
        query: &SessionQuery,
    ) -> Result<SessionPage> {
        let sessions = &self.inner.sessions;
        let no_session = || Error::NoSession {
            user: user.to_string(),
            session: session.to_string(),
        };
        let mut resolved_again = false;
        loop {
            let thread = sessions
                .find(self.zep(), user, session)
                .await?
                .ok_or_else(no_session)?;
            match self.read(&thread, user, session, query).await {
                // The cached resolution is outdated: the thread is gone, or another user's now.
                Err(error) if is_stale(&error) && !resolved_again => {
                    resolved_again = true;
                    sessions.forget(user, session);
                }
                Err(error) if is_stale(&error) => {
                    sessions.forget(user, session);
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
        let read = match &query.page {
            PageOf::Forward { cursor, limit } => {
                let place = cursor.as_ref().and_then(Cursor::in_zep);
                reader.forward(place, *limit as usize).await?
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
            records: read.records,
            pending: 0,
            away: None,
            total_count: read.total.saturating_sub(doubles),
            next_cursor: read.next,
            end: read.end,
            context,
            summary,
            in_mem0: false,
        })
    }
}

impl SessionPage {
    /// The page of a session of mem0's, whose turns are all read: a page begins behind the cursor's.
    fn of_mem0(self, turns: Vec<Record>, query: &SessionQuery) -> Result<Self> {
        let total_count = turns.len() as u64;
        let summary = query.include_summary.then(|| summarise(&turns));
        let (records, next_cursor) = match &query.page {
            PageOf::Last { count } => {
                let surplus = turns.len().saturating_sub(*count as usize);
                (turns.into_iter().skip(surplus).collect(), None)
            }
            PageOf::Forward { cursor, limit } => {
                let behind = cursor.as_ref().and_then(|cursor| cursor.behind.clone());
                let begin = match &behind {
                    Some(id) => turns
                        .iter()
                        .position(|turn| turn.id == *id)
                        .map_or(0, |at| at + 1),
                    None => 0,
                };
                let more = turns.len() > begin + *limit as usize;
                let page = turns.into_iter().skip(begin).take(*limit as usize);
                let records: Vec<Record> = page.collect();
                let last = records.last().filter(|_| more);
                let next = last.map(|turn| Cursor::behind_waiting(turn.id.clone()));
                (records, next)
            }
        };
        Ok(Self {
            records,
            total_count,
            next_cursor,
            summary,
            in_mem0: true,
            ..self
        })
    }

    /// Adds what waits behind the end of the session.
    fn add(&mut self, mut waiting: Vec<Record>, query: &SessionQuery) {
        waiting.retain(|turn| {
            let is_there = |there: &Record| there.record_id == turn.record_id;
            !self.records.iter().any(is_there)
        });
        if let (Some(summary), false) = (&mut self.summary, waiting.is_empty()) {
            summary.add(&waiting);
        }
        let kind = query.kind.as_ref().map(MemoryKind::as_str);
        waiting.retain(|turn| kind.is_none() || turn.memory_type.as_deref() == kind);
        self.pending = waiting.len();
        let (cursor, most) = match &query.page {
            PageOf::Forward { cursor, limit } if self.away.is_none() => (Some(cursor), *limit),
            PageOf::Forward { limit: most, .. } | PageOf::Last { count: most } => (None, *most),
        };
        let most = most as usize;
        match cursor {
            Some(cursor) => {
                let behind = cursor.as_ref().and_then(|cursor| cursor.behind.as_ref());
                self.go_on(waiting, behind, most);
            }
            // What is known without Zep has gaps, and cannot be paged.
            None => {
                self.records.append(&mut waiting);
                let surplus = self.records.len().saturating_sub(most);
                self.records.drain(..surplus);
            }
        }
    }

    /// Goes on behind a turn that waited when the page before was read, with what waits now.
    fn go_on(&mut self, waiting: Vec<Record>, behind: Option<&Uuid>, limit: usize) {
        let owner = Owner::User(self.user.clone());
        let id_of = |turn: &Record| {
            let record = turn.record_id.as_deref()?;
            Some(queue_id(&owner, Some(&self.session), record))
        };
        let is_whole = self.next_cursor.is_none();
        let mut turns = std::mem::take(&mut self.records);
        if is_whole {
            turns.extend(waiting);
        }
        if let Some(behind) = behind {
            let shown = turns
                .iter()
                .position(|turn| id_of(turn).as_ref() == Some(behind));
            match (shown, &mut self.next_cursor) {
                (Some(shown), _) => drop(turns.drain(..=shown)),
                // Everything up to it was shown already.
                (None, Some(next)) => {
                    turns.clear();
                    next.behind = Some(behind.clone());
                }
                // It was deleted.
                (None, None) => {}
            }
        }
        if is_whole && turns.len() > limit {
            turns.truncate(limit);
            let last = turns.iter().rfind(|turn| turn.pending).and_then(&id_of);
            self.next_cursor = match (self.end.take(), last) {
                (Some(end), behind) => Some(Cursor { behind, ..end }),
                (None, Some(behind)) => Some(Cursor::behind_waiting(behind)),
                (None, None) => None,
            };
        }
        self.records = turns;
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
    let mut summary = Summary {
        record_count: 0,
        by_kind: Vec::new(),
        first: None,
        last: None,
    };
    summary.add(records);
    summary
}

impl Summary {
    fn add(&mut self, records: &[Record]) {
        for record in records {
            let mut kinds = self.by_kind.iter_mut();
            match kinds.find(|(kind, _)| *kind == record.memory_type) {
                Some((_, count)) => *count += 1,
                None => self.by_kind.push((record.memory_type.clone(), 1)),
            }
        }
        self.record_count += records.len();
        let times = || records.iter().filter_map(|record| record.created_at);
        self.first = times().chain(self.first).min();
        self.last = times().chain(self.last).max();
    }
}

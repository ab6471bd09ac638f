//! Reads sessions: whole records, in order, page by page.

use std::{collections::HashSet, fmt, str::FromStr};

use jiff::Timestamp;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    model::{MemoryKind, Owner, Record, Scope, SessionId, UserId, Uuid},
    record::assemble::{Assembly, StoredPart, assemble},
    service::MemoryService,
};
use crate::zep::{self, Message, MessagePage, ThreadId, Threads, Window};

/// The most records of a page.
pub const MAX_RECORDS: u32 = 200;
/// The window, in messages, where most may be filtered out.
const WIDE_WINDOW: u32 = 200;
/// How many more messages are read if a record continues behind the window: more than a record of
/// usual length has parts.
const OVERHANG: u32 = 40;
/// The most windows that one call reads in search of records of one kind.
const MAX_WINDOWS: usize = 25;

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

/// A place between two records of a session: the number of messages before it, and the id of the
/// last of them, which proves the place. Opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    offset: u64,
    last: Uuid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.offset, self.last)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split_once('.')
            .and_then(|(offset, last)| {
                let offset = offset.parse().ok().filter(|offset| *offset > 0)?;
                let last = uuid::Uuid::parse_str(last).ok()?;
                Some(Self {
                    offset,
                    last: Uuid(last.to_string()),
                })
            })
            .ok_or_else(|| {
                Error::invalid(
                    "cursor",
                    "is not one of ours; pass `next_cursor` of the page before, unchanged",
                )
            })
    }
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
    /// How many messages Zep stores in the session: a long record counts once per part.
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
        Ok(SessionPage {
            user: user.clone(),
            session: session.clone(),
            records,
            total_count,
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

/// Records, the count of stored messages, and the place of the next page.
type ReadPage = (Vec<Record>, u64, Option<Cursor>);

struct Reader<'a> {
    threads: &'a dyn Threads,
    thread: &'a ThreadId,
    user: &'a UserId,
    kind: Option<&'a MemoryKind>,
}

impl Reader<'_> {
    async fn forward(&self, cursor: Option<&Cursor>, limit: usize) -> Result<ReadPage> {
        let fetch = match self.kind {
            Some(_) => WIDE_WINDOW,
            None => u32::try_from(limit).unwrap_or(MAX_RECORDS),
        };
        let mut place = cursor.cloned();
        let mut records = Vec::new();
        let mut windows = 0;
        loop {
            let (found, total, next) = self.window(place.as_ref(), fetch).await?;
            windows += 1;
            for (record, begins_after) in found {
                if records.len() == limit {
                    return Ok((records, total, begins_after));
                }
                if self.wants(&record) {
                    records.push(record);
                }
            }
            if next.is_none() || records.len() == limit || windows == MAX_WINDOWS {
                return Ok((records, total, next));
            }
            place = next;
        }
    }

    /// One window of whole records, each with the place where it begins, and the place after them.
    async fn window(
        &self,
        place: Option<&Cursor>,
        fetch: u32,
    ) -> Result<(Vec<(Record, Option<Cursor>)>, u64, Option<Cursor>)> {
        let start = place.map_or(0, |place| place.offset);
        let page = self.messages(&window_at(place, fetch)).await.map_err(|error| {
            match (error, place) {
                // The adapter could not find the place: the cursor belongs to another session, or
                // its message was deleted.
                (Error::Zep(zep::Error::BadAnswer { message }), Some(_)) => Error::invalid(
                    "cursor",
                    format!("does not lead into this session any more ({message}); start again without it"),
                ),
                (error, _) => error,
            }
        })?;
        let mut messages = page.messages;
        let mut total = page.total_count.unwrap_or(start + messages.len() as u64);
        let ends_here = |messages: &[Message], total: u64| start + messages.len() as u64 >= total;
        let mut assembly = assemble_messages(&messages);
        // The only record continues behind the window: read a little more.
        if !assembly.incomplete.is_empty()
            && assembly.records.len() == 1
            && !ends_here(&messages, total)
            && let Some(more) = place_behind(start, &messages, messages.len())
        {
            let page = self.messages(&window_at(Some(&more), OVERHANG)).await?;
            total = page.total_count.unwrap_or(total);
            messages.extend(page.messages);
            assembly = assemble_messages(&messages);
        }
        let mut end = messages.len();
        // The last record continues behind the window: the page ends before it.
        if !ends_here(&messages, total)
            && assembly.records.len() > 1
            && let Some(last) = assembly.records.last()
            && last.record.incomplete
        {
            end = last.first;
            let cut = assembly.records.pop();
            if let Some(id) = cut.and_then(|cut| cut.record.record_id) {
                assembly.incomplete.retain(|other| *other != id);
            }
        }
        let next = if start + (end as u64) < total {
            let behind = place_behind(start, &messages, end);
            Some(behind.ok_or_else(|| zep::Error::BadAnswer {
                message: format!("the thread holds {total} messages, but they cannot be paged"),
            })?)
        } else {
            None
        };
        let places: Vec<_> = assembly
            .records
            .iter()
            .map(|found| place_behind(start, &messages, found.first).or_else(|| place.cloned()))
            .collect();
        let records = self.complete(assembly).await?;
        Ok((records.into_iter().zip(places).collect(), total, next))
    }

    async fn last(&self, count: usize) -> Result<ReadPage> {
        let mut limit = match self.kind {
            Some(_) => WIDE_WINDOW,
            None => u32::try_from(count).unwrap_or(MAX_RECORDS),
        };
        loop {
            let page = self.messages(&Window::Last { limit }).await?;
            let total = page.total_count.unwrap_or(page.messages.len() as u64);
            let assembly = assemble_messages(&page.messages);
            let wanted = assembly
                .records
                .iter()
                .filter(|found| self.wants(&found.record))
                .count();
            if wanted >= count || page.messages.len() as u64 >= total {
                let mut records = self.complete(assembly).await?;
                records.retain(|record| self.wants(record));
                let surplus = records.len().saturating_sub(count);
                return Ok((records.split_off(surplus), total, None));
            }
            let Ok(all) = u32::try_from(total) else {
                return Err(zep::Error::BadAnswer {
                    message: "the session is too long to be read from its end".into(),
                }
                .into());
            };
            limit = limit.saturating_mul(2).saturating_add(OVERHANG).min(all);
        }
    }

    async fn whole(&self) -> Result<Vec<Record>> {
        let page = self.threads.all_messages(self.thread).await?;
        self.check_owner(&page)?;
        Ok(assemble_messages(&page.messages)
            .records
            .into_iter()
            .map(|found| found.record)
            .collect())
    }

    /// Fetches parts that are not next to their record's first part: an interrupted write that
    /// continued later put them elsewhere in the thread.
    async fn complete(&self, assembly: Assembly) -> Result<Vec<Record>> {
        let mut records: Vec<Record> = assembly
            .records
            .into_iter()
            .map(|found| found.record)
            .collect();
        if assembly.incomplete.is_empty() {
            return Ok(records);
        }
        let wanted: HashSet<String> = assembly.incomplete.into_iter().collect();
        let found = self.threads.find_messages(self.thread, &wanted).await?;
        for whole in assemble_messages(&found).records {
            let whole = whole.record;
            if let Some(record) = records
                .iter_mut()
                .find(|record| record.record_id == whole.record_id)
            {
                *record = whole;
            }
        }
        Ok(records)
    }

    async fn messages(&self, window: &Window) -> Result<MessagePage> {
        let page = self.threads.messages(self.thread, window).await?;
        self.check_owner(&page)?;
        Ok(page)
    }

    /// Every answer names the thread's owner, which reveals a thread that changed hands since it
    /// was resolved.
    fn check_owner(&self, page: &MessagePage) -> Result<()> {
        if page.user_id.as_deref() == Some(self.user.as_str()) {
            return Ok(());
        }
        Err(Error::NotYours {
            what: "this session".into(),
        })
    }

    fn wants(&self, record: &Record) -> bool {
        self.kind
            .is_none_or(|kind| record.memory_type.as_deref() == Some(kind.as_str()))
    }
}

fn window_at(place: Option<&Cursor>, limit: u32) -> Window {
    match place {
        None => Window::First { limit },
        Some(Cursor { offset, last }) => Window::After {
            offset: *offset,
            last: last.clone(),
            limit,
        },
    }
}

/// The place before the `index`th message of a window that starts after `start` messages.
fn place_behind(start: u64, messages: &[Message], index: usize) -> Option<Cursor> {
    let last = messages.get(index.checked_sub(1)?)?.uuid.clone()?;
    Some(Cursor {
        offset: start + index as u64,
        last,
    })
}

fn assemble_messages(messages: &[Message]) -> Assembly {
    assemble(messages.iter().cloned().map(StoredPart::from).collect())
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

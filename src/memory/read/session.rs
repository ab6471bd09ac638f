//! Reads sessions: whole records, in order, page by page.

use std::{collections::HashSet, fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;

use crate::cache::Cache;
use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    model::{MemoryKind, Owner, Record, Scope, SessionId, UserId, Uuid},
    record::assemble::{Assembly, StoredPart, assemble_without},
    record::doubles::{self, AHEAD, Repeats},
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

/// A place between two records of a session: the number of messages before it, the id of the last of
/// them, which proves the place, and their latest time, which shows what cannot repeat any of them.
/// Opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    offset: u64,
    last: Uuid,
    /// `None` if it is not known: then each message after it may repeat one before.
    latest: Option<Timestamp>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.offset, self.last)?;
        match self.latest {
            Some(latest) => write!(f, ".{}", latest.as_nanosecond()),
            None => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (offset, rest) = text.split_once('.')?;
            let (last, latest) = match rest.split_once('.') {
                Some((last, latest)) => (last, Some(latest)),
                None => (rest, None),
            };
            let last = uuid::Uuid::parse_str(last).ok()?;
            let time = |nanos: &str| Timestamp::from_nanosecond(nanos.parse().ok()?).ok();
            Some(Self {
                offset: offset.parse().ok().filter(|offset| *offset > 0)?,
                last: Uuid(last.to_string()),
                latest: match latest {
                    Some(latest) => Some(time(latest)?),
                    None => None,
                },
            })
        };
        read().ok_or_else(|| {
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

/// Records, the count of stored messages, and the place of the next page.
type ReadPage = (Vec<Record>, u64, Option<Cursor>);

struct Reader<'a> {
    threads: &'a dyn Threads,
    thread: &'a ThreadId,
    user: &'a UserId,
    kind: Option<&'a MemoryKind>,
    repeats: &'a Cache<ThreadId, Arc<Repeats>>,
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
        if place.is_none() && messages.len() as u64 >= total {
            self.note_repeats(&messages);
        }
        let ends_here = |messages: &[Message], total: u64| start + messages.len() as u64 >= total;
        let latest = place.map(|place| place.latest.or(Some(Timestamp::MAX)));
        let mut doubles = self.doubles(&messages, latest).await?;
        let mut assembly = assemble_messages(&messages, &doubles);
        // The only record continues behind the window: read a little more.
        if !assembly.incomplete.is_empty()
            && assembly.records.len() == 1
            && !ends_here(&messages, total)
            && let Some(more) = place_behind(place, &messages, messages.len())
        {
            let page = self.messages(&window_at(Some(&more), OVERHANG)).await?;
            total = page.total_count.unwrap_or(total);
            messages.extend(page.messages);
            doubles = self.doubles(&messages, latest).await?;
            assembly = assemble_messages(&messages, &doubles);
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
            let behind = place_behind(place, &messages, end);
            Some(behind.ok_or_else(|| zep::Error::BadAnswer {
                message: format!("the thread holds {total} messages, but they cannot be paged"),
            })?)
        } else {
            None
        };
        let places: Vec<_> = assembly
            .records
            .iter()
            .map(|found| place_behind(place, &messages, found.first).or_else(|| place.cloned()))
            .collect();
        let records = self.complete(assembly).await?;
        Ok((records.into_iter().zip(places).collect(), total, next))
    }

    async fn last(&self, count: usize) -> Result<ReadPage> {
        let mut limit = match self.kind {
            Some(_) => WIDE_WINDOW,
            None => u32::try_from(count).unwrap_or(MAX_RECORDS) + AHEAD,
        };
        loop {
            let page = self.messages(&Window::Last { limit }).await?;
            let total = page.total_count.unwrap_or(page.messages.len() as u64);
            let is_whole = page.messages.len() as u64 >= total;
            // What is in front of the page only shows what may repeat it.
            let ahead = match is_whole {
                true => 0,
                false => page.messages.len().min(AHEAD as usize),
            };
            if is_whole {
                self.note_repeats(&page.messages);
            }
            let latest = (!is_whole).then(|| doubles::latest(&page.messages[..ahead]));
            let doubles = self.doubles(&page.messages[ahead..], latest).await?;
            let mut assembly = assemble_messages(&page.messages, &doubles);
            assembly.begin_at(ahead);
            let wanted = assembly
                .records
                .iter()
                .filter(|found| self.wants(&found.record))
                .count();
            if wanted >= count || is_whole {
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
        self.note_repeats(&page.messages);
        Ok(assemble_messages(&page.messages, &HashSet::new())
            .records
            .into_iter()
            .map(|found| found.record)
            .collect())
    }

    /// The doubles among these messages, which come after others whose latest time is this;
    /// `None` if none come before them. The thread is read whole only if there may be any.
    async fn doubles(
        &self,
        messages: &[Message],
        latest: Option<Option<Timestamp>>,
    ) -> Result<HashSet<Uuid>> {
        let Some(latest) = latest else {
            return Ok(HashSet::new());
        };
        let in_doubt: Vec<&Uuid> = messages
            .iter()
            .filter(|message| doubles::may_repeat(message, latest))
            .filter_map(|message| message.uuid.as_ref())
            .collect();
        if in_doubt.is_empty() {
            return Ok(HashSet::new());
        }
        let known = self.repeats.get(self.thread);
        let all_known = |repeats: &Arc<Repeats>| {
            let mut in_doubt = in_doubt.iter();
            in_doubt.all(|message| repeats.is_double(message).is_some())
        };
        let repeats = match known.filter(all_known) {
            Some(repeats) => repeats,
            None => {
                let page = self.threads.all_messages(self.thread).await?;
                self.check_owner(&page)?;
                self.note_repeats(&page.messages)
            }
        };
        let doubles = in_doubt
            .into_iter()
            .filter(|message| repeats.is_double(message) == Some(true));
        Ok(doubles.cloned().collect())
    }

    /// Keeps what a whole thread tells of its doubles.
    fn note_repeats(&self, whole: &[Message]) -> Arc<Repeats> {
        let repeats = Arc::new(Repeats::of(whole));
        self.repeats.insert(self.thread.clone(), repeats.clone());
        repeats
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
        for whole in assemble_messages(&found, &HashSet::new()).records {
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
        Some(Cursor { offset, last, .. }) => Window::After {
            offset: *offset,
            last: last.clone(),
            limit,
        },
    }
}

/// The place before the `index`th message of a window that starts at `start`.
fn place_behind(start: Option<&Cursor>, messages: &[Message], index: usize) -> Option<Cursor> {
    let last = messages.get(index.checked_sub(1)?)?.uuid.clone()?;
    let latest = doubles::latest(&messages[..index]);
    Some(Cursor {
        offset: start.map_or(0, |start| start.offset) + index as u64,
        last,
        latest: latest.max(start.and_then(|start| start.latest)),
    })
}

fn assemble_messages(messages: &[Message], doubles: &HashSet<Uuid>) -> Assembly {
    let parts = messages.iter().cloned().map(StoredPart::from).collect();
    assemble_without(parts, |message| doubles.contains(message))
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

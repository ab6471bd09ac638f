//! Reads a thread in windows that begin and end on whole records, without doubles.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;

use super::MAX_RECORDS;
use super::cursor::{Cursor, place_behind};
use crate::cache::Cache;
use crate::memory::{
    Error, Result,
    model::{MemoryKind, Record, UserId, Uuid},
    record::assemble::{Assembly, StoredPart, assemble_without},
    record::doubles::{self, AHEAD, Repeats},
};
use crate::zep::{self, Message, MessagePage, ThreadId, Threads, Window};

/// The window, in messages, where most may be filtered out.
const WIDE_WINDOW: u32 = 200;
/// How many more messages are read if a record continues behind the window: more than a record of
/// usual length has parts.
const OVERHANG: u32 = 40;
/// The most windows that one call reads in search of records of one kind.
const MAX_WINDOWS: usize = 25;

/// Records, the count of stored messages, the place of the next page, and that of the end of this one.
pub(super) struct ReadPage {
    pub(super) records: Vec<Record>,
    pub(super) total: u64,
    pub(super) next: Option<Cursor>,
    pub(super) end: Option<Cursor>,
}

/// Whole records of a window, each with the place where it begins.
struct ReadWindow {
    records: Vec<(Record, Option<Cursor>)>,
    total: u64,
    next: Option<Cursor>,
    end: Option<Cursor>,
}

/// Reads one thread.
pub(super) struct Reader<'a> {
    pub(super) threads: &'a dyn Threads,
    pub(super) thread: &'a ThreadId,
    pub(super) user: &'a UserId,
    pub(super) kind: Option<&'a MemoryKind>,
    pub(super) repeats: &'a Cache<ThreadId, Arc<Repeats>>,
}

impl Reader<'_> {
    pub(super) async fn forward(&self, cursor: Option<&Cursor>, limit: usize) -> Result<ReadPage> {
        let fetch = match self.kind {
            Some(_) => WIDE_WINDOW,
            None => u32::try_from(limit).unwrap_or(MAX_RECORDS),
        };
        let mut place = cursor.cloned();
        let mut records = Vec::new();
        let mut windows = 0;
        loop {
            let window = self.window(place.as_ref(), fetch).await?;
            let (total, next, end) = (window.total, window.next, window.end);
            windows += 1;
            for (record, begins_after) in window.records {
                if records.len() == limit {
                    let (next, end) = (begins_after, None);
                    return Ok(ReadPage {
                        records,
                        total,
                        next,
                        end,
                    });
                }
                if self.wants(&record) {
                    records.push(record);
                }
            }
            if next.is_none() || records.len() == limit || windows == MAX_WINDOWS {
                return Ok(ReadPage {
                    records,
                    total,
                    next,
                    end,
                });
            }
            place = next;
        }
    }

    /// One window of whole records.
    async fn window(&self, place: Option<&Cursor>, fetch: u32) -> Result<ReadWindow> {
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
        let mut total = page
            .total_count
            .unwrap_or(start + page.messages.len() as u64);
        if place.is_none() && page.messages.len() as u64 >= total {
            self.note_repeats(&page);
        }
        let (mut messages, mut is_single) = (page.messages, page.is_single);
        let ends_here = |messages: &[Message], total: u64| start + messages.len() as u64 >= total;
        let latest = |is_single: bool| {
            let place = place.filter(|_| !is_single)?;
            Some(place.latest.or(Some(Timestamp::MAX)))
        };
        let mut doubles = self.doubles(&messages, latest(is_single)).await?;
        let mut assembly = assemble_messages(messages.clone(), &doubles);
        // The only record continues behind the window: read a little more.
        if !assembly.incomplete.is_empty()
            && assembly.records.len() == 1
            && !ends_here(&messages, total)
            && let Some(more) = place_behind(place, &messages, messages.len())
        {
            let page = self.messages(&window_at(Some(&more), OVERHANG)).await?;
            total = page.total_count.unwrap_or(total);
            is_single &= page.is_single;
            messages.extend(page.messages);
            doubles = self.doubles(&messages, latest(is_single)).await?;
            assembly = assemble_messages(messages.clone(), &doubles);
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
        let end = place_behind(place, &messages, end).or_else(|| place.cloned());
        Ok(ReadWindow {
            records: records.into_iter().zip(places).collect(),
            total,
            next,
            end,
        })
    }

    pub(super) async fn last(&self, count: usize) -> Result<ReadPage> {
        let mut limit = match self.kind {
            Some(_) => WIDE_WINDOW - AHEAD,
            None => u32::try_from(count).unwrap_or(MAX_RECORDS),
        };
        loop {
            let page = self.threads.newest_messages(self.thread, limit, AHEAD);
            let page = page.await?;
            self.check_owner(&page)?;
            let total = page.total_count.unwrap_or(page.messages.len() as u64);
            let is_whole = page.messages.len() as u64 >= total;
            if is_whole {
                self.note_repeats(&page);
            }
            let has_ahead = !is_whole && !page.is_single;
            // What is in front of the page only shows what may repeat it.
            let ahead = match has_ahead {
                true => page.messages.len().min(AHEAD as usize),
                false => 0,
            };
            let latest = has_ahead.then(|| doubles::latest(&page.messages[..ahead]));
            let doubles = self.doubles(&page.messages[ahead..], latest).await?;
            let mut assembly = assemble_messages(page.messages, &doubles);
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
                return Ok(ReadPage {
                    records: records.split_off(surplus),
                    total,
                    next: None,
                    end: None,
                });
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

    pub(super) async fn whole(&self) -> Result<Vec<Record>> {
        let page = self.threads.all_messages(self.thread).await?;
        self.check_owner(&page)?;
        self.note_repeats(&page);
        Ok(assemble_messages(page.messages, &HashSet::new())
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
                self.note_repeats(&page)
            }
        };
        let doubles = in_doubt
            .into_iter()
            .filter(|message| repeats.is_double(message) == Some(true));
        Ok(doubles.cloned().collect())
    }

    /// Keeps what a whole thread tells of its doubles.
    fn note_repeats(&self, whole: &MessagePage) -> Arc<Repeats> {
        let repeats = Arc::new(match whole.is_single {
            true => Repeats::default(),
            false => Repeats::of(&whole.messages),
        });
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
        for whole in assemble_messages(found, &HashSet::new()).records {
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

fn assemble_messages(messages: Vec<Message>, doubles: &HashSet<Uuid>) -> Assembly {
    let parts = messages.into_iter().map(StoredPart::from).collect();
    assemble_without(parts, |message| doubles.contains(message))
}

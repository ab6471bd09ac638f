//! What readers see of the queue: memories that Zep does not have yet, and changes and deletions that it
//! does not know of.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use jiff::Timestamp;

use crate::memory::{
    Result,
    delivery::{breaker::Away, fate::Fate},
    model::{Change, Owner, Record, SessionId, Uuid},
    record::{
        assemble::{Assembled, StoredPart, assemble, whole},
        view::{self, Form, Memory},
    },
    service::MemoryService,
    write::work::Work,
};
use crate::zep::{Episode, TimeOrder, limits::PAGE_ITEMS};

/// How many pages of an owner's newest episodes are looked through for those that Zep has not
/// processed. Ours: agents write few memories a minute.
const NEWEST_PAGES: usize = 2;
/// After this time since the last write everything counts as processed. Ours: Zep takes seconds to
/// minutes.
const PROCESSED_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_hours(2);

/// What waits of one owner.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    added: Vec<Added>,
    changed: HashMap<Uuid, Vec<Change>>,
    deleted: HashSet<Uuid>,
}

/// A memory that waits.
#[derive(Debug)]
struct Added {
    record: String,
    session: Option<SessionId>,
    parts: Vec<Episode>,
}

impl MemoryService {
    /// What waits of this owner.
    pub(crate) async fn waits(&self, owner: &Owner) -> Result<Waits> {
        let mut waits = Waits::default();
        let Some(queue) = &self.inner.queue else {
            return Ok(waits);
        };
        let mut last = 0;
        while let Some(job) = queue.after(Some(owner), last).await? {
            last = job.number;
            // What was refused for good is told by its event, and by the queue's commands.
            if job.parked.is_some() {
                continue;
            }
            match Work::decode(&job.body) {
                Ok(Work::Add(request)) => {
                    let place = request.place();
                    let records = request.records()?;
                    let ids = request.ids(&records);
                    for (index, (mut record, id)) in records.into_iter().zip(ids).enumerate() {
                        if request.deletion(index).is_some() {
                            continue;
                        }
                        let later = request.updates(index, false);
                        later.for_each(|change| record.change(change));
                        waits.added.push(Added {
                            record: record.id().to_owned(),
                            session: place.session().cloned(),
                            parts: record.as_episodes(&place, &id)?,
                        });
                    }
                }
                Ok(Work::Change(id, change)) => {
                    waits.changed.entry(id).or_default().push(change);
                }
                Ok(Work::Delete(id)) => {
                    waits.deleted.insert(id);
                }
                Err(_) => {}
            }
        }
        Ok(waits)
    }

    /// Asks Zep; `None` if it does not answer, and what is known here has to do. If it failed just now, it
    /// is asked for no longer than a call waits.
    pub(crate) async fn asked<T>(&self, ask: impl Future<Output = Result<T>>) -> Result<Option<T>> {
        let Some(queue) = &self.inner.queue else {
            return ask.await.map(Some);
        };
        let breaker = &self.inner.delivery.breaker;
        if breaker.is_away() {
            return Ok(None);
        }
        let outcome = match breaker.is_suspect() {
            false => ask.await,
            true => match tokio::time::timeout(queue.patience(), ask).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    breaker.failed(None);
                    return Ok(None);
                }
            },
        };
        match outcome {
            Ok(answer) => {
                breaker.answered();
                Ok(Some(answer))
            }
            Err(error) => match Fate::of(&error, false) {
                // Where nothing was ever written or read, there is nothing to show: the error tells more.
                Fate::Later { .. } if breaker.has_answered() || queue.is_used() => {
                    breaker.failed(Some(&error));
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }

    /// Asks Zep what a write is to know before it, as long as the call that began then may wait for the write
    /// itself. `None` if there is no answer by then.
    pub(crate) async fn asked_shortly<T>(
        &self,
        begun: Instant,
        ask: impl Future<Output = Result<T>>,
    ) -> Result<Option<T>> {
        let Some(queue) = &self.inner.queue else {
            return self.asked(ask).await;
        };
        let left = queue.patience().saturating_sub(begun.elapsed());
        let asked = tokio::time::timeout(left, self.asked(ask));
        asked.await.unwrap_or_else(|_| {
            self.inner.delivery.breaker.suspect();
            Ok(None)
        })
    }

    /// Since when Zep does not answer, and why.
    pub(crate) fn away(&self) -> Away {
        self.inner.delivery.breaker.away()
    }

    /// What Zep has of this owner and has not processed: it is not found there yet.
    pub(crate) async fn unprocessed(&self, owner: &Owner) -> Result<Vec<Memory>> {
        let Some(queue) = &self.inner.queue else {
            return Ok(Vec::new());
        };
        let Some(written) = queue.written(owner).await? else {
            return Ok(Vec::new());
        };
        let now = Timestamp::now();
        let processed = self.inner.processed.get(owner);
        if processed.is_some_and(|at| at > written) || now.duration_since(written) > PROCESSED_AFTER
        {
            return Ok(Vec::new());
        }
        let mut waiting = Vec::new();
        let mut pages = self
            .zep()
            .episodes(owner, TimeOrder::NewestFirst, PAGE_ITEMS);
        for _ in 0..NEWEST_PAGES {
            let page = match pages.next().await {
                Err(error) if error.is_not_found() => break,
                page => page?,
            };
            let Some(page) = page else { break };
            let unprocessed = page
                .items
                .into_iter()
                .filter(|it| it.processed == Some(false));
            let before = waiting.len();
            waiting.extend(unprocessed);
            if page.is_last || waiting.len() == before {
                break;
            }
        }
        if waiting.is_empty() {
            self.inner.processed.insert(owner.clone(), now);
        }
        let mut places: HashMap<Option<String>, Vec<Episode>> = HashMap::new();
        for episode in waiting {
            places
                .entry(episode.thread_id.clone())
                .or_default()
                .push(episode);
        }
        let mut memories = Vec::new();
        for (thread, episodes) in places {
            let form = episodes.first().map_or(Form::Episode, Form::of_episode);
            let parts = episodes.into_iter().map(StoredPart::from).collect();
            let mut records = assemble(parts).records;
            records.retain(|found| !found.record.incomplete);
            // A replaced text stays until its deletion is finished.
            let replaces = |found: &Assembled| found.ours.as_ref()?.marks.replaces.clone();
            let replaced: HashSet<String> = records.iter().filter_map(replaces).collect();
            let shown = records.into_iter();
            let shown = shown.filter(|found| !replaced.contains(found.record.id.as_str()));
            memories.extend(shown.map(|found| view::record(found, thread.as_deref(), form, owner)));
        }
        Ok(memories)
    }
}

impl Waits {
    /// The memories that Zep does not have yet, oldest first, without those whose records it has.
    pub(crate) fn memories(&self, owner: &Owner, there: &HashSet<String>) -> Vec<Memory> {
        let added = self
            .added
            .iter()
            .filter(|added| !there.contains(&added.record));
        let shown = added.filter_map(|added| {
            let first = added.parts.first()?;
            let (form, thread) = (Form::of_episode(first), first.thread_id.clone());
            let mut memory =
                view::record(whole(added.parts.clone())?, thread.as_deref(), form, owner);
            memory.pending = true;
            Some(memory)
        });
        shown.collect()
    }

    /// The turns of a session that Zep does not have yet, oldest first.
    pub(crate) fn turns(&self, session: &SessionId) -> Vec<Record> {
        let added = self.added.iter();
        let turns = added.filter(|added| added.session.as_ref() == Some(session));
        let records = turns.filter_map(|turn| {
            let mut record = whole(turn.parts.clone())?.record;
            record.pending = true;
            Some(record)
        });
        records.collect()
    }

    /// The sessions in which something waits, each with how many turns and the time of the newest.
    pub(crate) fn sessions(&self) -> HashMap<&SessionId, (u64, Option<Timestamp>)> {
        let mut sessions: HashMap<&SessionId, (u64, Option<Timestamp>)> = HashMap::new();
        for added in &self.added {
            if let Some(session) = &added.session {
                let (count, newest) = sessions.entry(session).or_default();
                *count += added.parts.len() as u64;
                *newest = added
                    .parts
                    .iter()
                    .filter_map(|part| part.created_at)
                    .max()
                    .max(*newest);
            }
        }
        sessions
    }

    /// Whether its deletion waits.
    pub(crate) fn is_deleted(&self, id: &Uuid) -> bool {
        self.deleted.contains(id)
    }

    /// Whether changes or deletions wait of what Zep has.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.deleted.is_empty()
    }

    /// Whether something of this session waits.
    pub(crate) fn has(&self, session: &SessionId) -> bool {
        self.added
            .iter()
            .any(|added| added.session.as_ref() == Some(session))
    }

    /// Changes memories as the queue will change them in Zep, and removes those that it will delete.
    pub(crate) fn apply(&self, memories: &mut Vec<Memory>) {
        if self.deleted.is_empty() && self.changed.is_empty() {
            return;
        }
        let is_gone = |id: &Uuid| self.deleted.contains(id);
        memories.retain(|memory| {
            let of_gone = !memory.sources.is_empty() && memory.sources.iter().all(is_gone);
            !is_gone(&memory.id) && !of_gone
        });
        for memory in memories {
            for change in self.changed.get(&memory.id).into_iter().flatten() {
                if let Some(text) = &change.text {
                    memory.text.clone_from(text);
                }
                if let Some(metadata) = &change.metadata {
                    memory.metadata.clone_from(metadata);
                }
            }
        }
    }

    /// The same for the turns of a session.
    pub(crate) fn apply_to_turns(&self, turns: &mut Vec<Record>) {
        turns.retain(|turn| !self.deleted.contains(&turn.id));
        for turn in turns {
            for change in self.changed.get(&turn.id).into_iter().flatten() {
                if let Some(metadata) = &change.metadata {
                    turn.metadata.clone_from(metadata);
                }
            }
        }
    }
}

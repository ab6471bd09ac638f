//! Removing what a run wrote of one owner: all at once where nothing else is there, else one by one.

use futures::{StreamExt, TryStreamExt, stream};

use super::look::{Looked, Page, ToRemove};
use super::{Stopped, Undo};
use crate::memory::import::UserSessions;
use crate::memory::model::{Owner, Place, UserId};
use crate::memory::undo::Touched;
use crate::migration::ledger::{OwnerEntry, WrittenPlace};
use crate::migration::retry::with_retries;
use crate::zep::ThreadId;

/// How many messages of a session are removed at a time.
const MESSAGES_AT_ONCE: usize = 4;

impl Undo<'_> {
    /// Removes what the run wrote of an owner.
    pub(super) async fn remove_owner(&self, entry: &OwnerEntry) -> Result<(), Stopped> {
        let (book, run, owner) = (self.book.clone(), self.run_id.clone(), entry.n);
        let places =
            crate::migration::plan::blocking(move || book.written_places(&run, owner)).await?;
        let (is_there, sessions) = match &entry.owner {
            Owner::User(user) => {
                let sessions = with_retries(self.cancelled, || {
                    self.service.sessions_of(self.caller, user)
                });
                let sessions = sessions.await?;
                (sessions.is_some(), sessions)
            }
            Owner::Graph(graph) => {
                let there = with_retries(self.cancelled, || {
                    self.service.has_graph(self.caller, graph)
                });
                (there.await?, None)
            }
        };
        if !is_there {
            // What the ledger knows as stored, somebody else has deleted.
            self.count_deleted(&places, 0).await?;
            return self.owner_is_gone(entry).await;
        }
        let touched = with_retries(self.cancelled, || {
            self.service
                .touched_facts(self.caller, &entry.owner, self.begun_at)
        });
        let touched = touched.await?;
        let kept_before = self.kept_of(&entry.owner);
        if entry.made
            && !touched.added
            && let Some(looked) = self
                .all_of(entry, &places, &touched, sessions.as_ref())
                .await?
        {
            return self.remove_whole(entry, &places, &looked).await;
        }
        for at in &places {
            self.go_on()?;
            self.remove_place(at, &touched, sessions.as_ref()).await?;
        }
        let kept = self.kept_of(&entry.owner).saturating_sub(kept_before);
        self.count_deleted(&places, kept).await?;
        if entry.made || self.is_rebuilt {
            self.receipt().note(match entry.made {
                true => format!("{} stays, since something else was added", entry.owner),
                false => format!(
                    "{} stays, since it is not known whether the run made it",
                    entry.owner
                ),
            });
        }
        Ok(())
    }

    /// Whether everything of an owner that the run made is of the run: then it is all noted as sent.
    async fn all_of(
        &self,
        entry: &OwnerEntry,
        places: &[WrittenPlace],
        touched: &Touched,
        sessions: Option<&UserSessions>,
    ) -> Result<Option<Vec<(bool, Looked)>>, Stopped> {
        let mut threads = 0;
        let mut looked = Vec::new();
        let mut has_graph = false;
        for at in places {
            let found = match &at.place {
                Place::Session(user, session) => {
                    let thread =
                        sessions.and_then(|known| self.service.thread_among(user, session, known));
                    let Some(thread) = thread else { continue };
                    threads += 1;
                    let scan = self.service.scan_thread(self.caller, user, &thread)?;
                    self.look(at, touched, scan, |page| self.note_sent(at, page))
                        .await?
                }
                Place::Graph(owner) => {
                    has_graph = true;
                    let scan = self.service.scan_graph(self.caller, owner)?;
                    self.look(at, touched, scan, |page| self.note_sent(at, page))
                        .await?
                }
            };
            if found.others {
                return Ok(None);
            }
            looked.push((matches!(at.place, Place::Session(..)), found));
        }
        let all_threads = sessions.map_or(0, |known| known.threads().count());
        if threads < all_threads {
            return Ok(None);
        }
        if !has_graph {
            let mut scan = self.service.scan_graph(self.caller, &entry.owner)?;
            while let Some(parts) = scan.next().await? {
                if !parts.is_empty() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(looked))
    }

    /// Notes what is about to be removed.
    async fn note_sent(&self, at: &WrittenPlace, page: Page) -> Result<(), Stopped> {
        if self.options.dry_run || page.to_remove.is_empty() {
            return Ok(());
        }
        let place = at.n;
        let ids = records_of(&page.to_remove);
        self.ledger(move |run| run.sent(place, ids)).await?;
        Ok(())
    }

    /// Removes an owner with everything.
    async fn remove_whole(
        &self,
        entry: &OwnerEntry,
        places: &[WrittenPlace],
        looked: &[(bool, Looked)],
    ) -> Result<(), Stopped> {
        self.go_on()?;
        if !self.options.dry_run {
            for at in places {
                self.rest_is_deleted(at).await?;
            }
            with_retries(self.cancelled, || {
                self.service.undo_owner(self.caller, &entry.owner)
            })
            .await?;
        }
        self.owner_is_gone(entry).await?;
        let mut records = 0;
        {
            let mut receipt = self.receipt();
            match entry.owner {
                Owner::User(_) => receipt.users_removed += 1,
                Owner::Graph(_) => receipt.graphs_removed += 1,
            }
            for (is_session, found) in looked {
                records += found.records;
                match is_session {
                    true => {
                        receipt.sessions_removed += 1;
                        receipt.messages_removed += found.parts;
                    }
                    false => receipt.texts_removed += found.parts,
                }
            }
            receipt.records_removed += records;
        }
        self.progress(records);
        Ok(())
    }

    async fn owner_is_gone(&self, entry: &OwnerEntry) -> Result<(), Stopped> {
        if !self.options.dry_run {
            let owner = entry.n;
            self.ledger(move |run| run.owner_is_gone(owner)).await?;
        }
        Ok(())
    }

    /// Removes what the run wrote at one place.
    async fn remove_place(
        &self,
        at: &WrittenPlace,
        touched: &Touched,
        sessions: Option<&UserSessions>,
    ) -> Result<(), Stopped> {
        match &at.place {
            Place::Session(user, session) => {
                let thread =
                    sessions.and_then(|known| self.service.thread_among(user, session, known));
                match thread {
                    Some(thread) => self.remove_from_session(at, touched, user, &thread).await,
                    None => self.removed(at, true).await,
                }
            }
            Place::Graph(owner) => {
                let scan = self.service.scan_graph(self.caller, owner)?;
                let looked = self
                    .look(at, touched, scan, |page| self.remove_texts(at, owner, page))
                    .await?;
                self.removed(at, false).await?;
                let mut receipt = self.receipt();
                receipt.texts_removed += looked.parts;
                receipt.records_removed += looked.records;
                drop(receipt);
                self.progress(looked.records);
                Ok(())
            }
        }
    }

    async fn remove_texts(
        &self,
        at: &WrittenPlace,
        owner: &Owner,
        page: Page,
    ) -> Result<(), Stopped> {
        if self.options.dry_run || page.to_remove.is_empty() {
            return Ok(());
        }
        let texts: Vec<_> = page
            .to_remove
            .iter()
            .map(|part| part.uuid.clone())
            .collect();
        self.note_sent(at, page).await?;
        with_retries(self.cancelled, || {
            self.service.undo_texts(self.caller, owner, &texts)
        })
        .await?;
        Ok(())
    }

    /// Removes a session if nothing else is in it and the run made it, else its messages one by one.
    async fn remove_from_session(
        &self,
        at: &WrittenPlace,
        touched: &Touched,
        user: &UserId,
        thread: &ThreadId,
    ) -> Result<(), Stopped> {
        let mut all = Page::default();
        let looked = {
            // The thread must not change while it is read.
            let pages = std::sync::Mutex::new(&mut all);
            let scan = self.service.scan_thread(self.caller, user, thread)?;
            self.look(at, touched, scan, |page| {
                let mut all = crate::migration::lock(&pages);
                all.to_remove.extend(page.to_remove);
                all.marked.extend(page.marked);
                std::future::ready(Ok(()))
            })
            .await?
        };
        let is_whole = (at.made || self.is_rebuilt) && !looked.others;
        let messages: Vec<_> = all.to_remove.iter().map(|part| part.uuid.clone()).collect();
        let marked = std::mem::take(&mut all.marked);
        if !self.options.dry_run {
            self.note_sent(at, all).await?;
            self.go_on()?;
            if is_whole {
                self.rest_is_deleted(at).await?;
                with_retries(self.cancelled, || {
                    self.service.undo_session(self.caller, user, thread)
                })
                .await?;
            } else {
                self.remove_messages(user, &messages, &marked).await?;
            }
        }
        self.removed(at, is_whole).await?;
        let hidden = match is_whole || (messages.is_empty() && marked.is_empty()) {
            true => 0,
            false if self.options.dry_run => looked.parts,
            false => {
                let scan = self.service.scan_thread(self.caller, user, thread)?;
                self.look(at, touched, scan, |_| std::future::ready(Ok(())))
                    .await?
                    .hidden
            }
        };
        {
            let mut receipt = self.receipt();
            receipt.sessions_removed += u64::from(is_whole);
            receipt.records_removed += looked.records;
            receipt.messages_hidden += hidden;
            receipt.messages_removed += looked.parts.saturating_sub(hidden);
        }
        self.progress(looked.records);
        Ok(())
    }

    async fn remove_messages(
        &self,
        user: &UserId,
        messages: &[crate::memory::model::Uuid],
        marked: &[crate::memory::model::Uuid],
    ) -> Result<(), Stopped> {
        stream::iter(messages)
            .map(Ok::<_, Stopped>)
            .try_for_each_concurrent(MESSAGES_AT_ONCE, async |message| {
                self.go_on()?;
                with_retries(self.cancelled, || {
                    self.service
                        .undo_message(self.caller, user, message, &self.run_id)
                })
                .await?;
                Ok(())
            })
            .await?;
        stream::iter(marked)
            .map(Ok::<_, Stopped>)
            .try_for_each_concurrent(MESSAGES_AT_ONCE, async |message| {
                self.go_on()?;
                with_retries(self.cancelled, || {
                    self.service.undo_episode(self.caller, user, message)
                })
                .await?;
                Ok(())
            })
            .await
    }

    /// Notes that everything of a place is removed that was noted as sent.
    async fn removed(&self, at: &WrittenPlace, is_gone: bool) -> Result<(), Stopped> {
        if self.options.dry_run {
            return Ok(());
        }
        let place = at.n;
        self.ledger(move |run| {
            run.removed(place)?;
            match is_gone {
                true => run.place_is_gone(place),
                false => Ok(()),
            }
        })
        .await?;
        Ok(())
    }

    /// What is known as stored of a place that is about to go whole was deleted by somebody.
    async fn rest_is_deleted(&self, at: &WrittenPlace) -> Result<(), Stopped> {
        let place = at.n;
        let deleted = self.ledger(move |run| run.rest_is_deleted(place)).await?;
        self.receipt().deleted_before += deleted;
        Ok(())
    }

    /// Counts what the ledger knows as stored of these places although it is not there.
    async fn count_deleted(&self, places: &[WrittenPlace], kept: u64) -> Result<(), Stopped> {
        if self.options.dry_run {
            return Ok(());
        }
        let numbers: Vec<_> = places.iter().map(|at| at.n).collect();
        let known = self.ledger(move |run| {
            let counts = numbers.into_iter().map(|place| run.confirmed_at(place));
            counts.sum::<Result<u64, _>>()
        });
        let known = known.await?;
        self.receipt().deleted_before += known.saturating_sub(kept);
        Ok(())
    }

    /// How many records of an owner are named as kept.
    fn kept_of(&self, owner: &Owner) -> u64 {
        let owner = owner.to_string();
        let receipt = self.receipt();
        receipt
            .kept
            .iter()
            .filter(|kept| kept.owner == owner)
            .count() as u64
    }
}

/// The ids of the records that parts are of, each once.
fn records_of(parts: &[ToRemove]) -> Vec<String> {
    let mut ids: Vec<_> = parts.iter().map(|part| part.record.clone()).collect();
    ids.dedup();
    ids
}

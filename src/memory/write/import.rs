//! Imported records, with ids and times of their own: written and compared by migrations.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use crate::memory::write::locks::ImportTurn;
use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    error::if_found,
    model::{
        AgentId, AppId, MemoryKind, Owner, Place, RecordId, SessionId, TimeOrigin, UserId, Uuid,
    },
    record::assemble::StoredPart,
    record::draft::{self, Draft, Stored},
    record::fit::{self, Carrier, Ours, Speaker},
    service::MemoryService,
    sessions::{Threads, threads_of},
    write::batch::is_ours,
    write::job::{Known, WriteJob},
};
use crate::zep::{
    self, BatchStatus, DataType, Episode, Pages, PartNo, ThreadId, ThreadPages, TimeOrder, Zep,
    limits::PAGE_ITEMS,
};

/// A record to import.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Its permanent id, the same in every repeated import.
    pub id: RecordId,
    /// The speaker; none for a text.
    pub speaker: Option<Speaker>,
    /// The content.
    pub content: String,
    /// When it happened.
    pub created_at: Timestamp,
    /// Whether the source stated the time.
    pub time: TimeOrigin,
    /// When it was last changed, if it was.
    pub updated: Option<Timestamp>,
    /// The kind of memory.
    pub kind: Option<MemoryKind>,
    /// The migration source, in a word.
    pub source: String,
    /// The id of the migrated record that it took the place of.
    pub instead_of: Option<String>,
    /// The agent named beside the user.
    pub agent: Option<AgentId>,
    /// The app named beside the user.
    pub app: Option<AppId>,
    /// The run that writes it, where that is kept in a ledger.
    pub run: Option<String>,
    /// All other fields of the source.
    pub metadata: Map<String, Value>,
}

impl Imported {
    /// How many messages or episodes it takes at this place.
    ///
    /// # Errors
    /// [`crate::memory::Error::Invalid`] names the field that cannot be stored, and why.
    pub fn parts(&self, place: &Place) -> Result<usize> {
        draft_of(self.clone(), Carrier::at(place)).part_count()
    }
}

/// The stored parts of some records, by record id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredParts(pub HashMap<String, Vec<(PartNo, Option<Uuid>)>>);

impl From<StoredParts> for Stored {
    fn from(parts: StoredParts) -> Self {
        let mut stored = Self::default();
        for (record, parts) in parts.0 {
            for (part, id) in parts {
                stored.note_part(&record, part, id);
            }
        }
        stored
    }
}

/// A user's sessions at one moment.
#[derive(Debug, Clone)]
pub struct UserSessions(Threads);

impl UserSessions {
    /// The ids of all threads of the user.
    pub fn threads(&self) -> impl Iterator<Item = &str> {
        self.0.ids()
    }
}

/// The stored parts of one place, page by page, oldest first. Holds one page.
#[derive(Debug)]
pub struct Scan<'a>(Scanned<'a>);

#[derive(Debug)]
enum Scanned<'a> {
    Thread(ThreadPages<'a, dyn Zep + 'a>, Owner),
    Graph(Pages<'a, Episode>),
}

impl Scan<'_> {
    /// The next parts; `None` after the last.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if the place cannot be read whole.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredPart>>> {
        match &mut self.0 {
            Scanned::Thread(pages, owner) => {
                let Some(page) = pages.next().await? else {
                    return Ok(None);
                };
                if !page.is_of(owner) {
                    return Err(Error::NotYours {
                        what: "this session".into(),
                    });
                }
                let parts = page.messages.into_iter().map(StoredPart::from);
                Ok(Some(parts.collect()))
            }
            Scanned::Graph(pages) => {
                let Some(page) = pages.next().await? else {
                    return Ok(None);
                };
                // The messages of the user's sessions are episodes of theirs, too.
                let alone = page.items.into_iter().filter(|episode| {
                    episode.thread_id.is_none() && episode.source != Some(DataType::Message)
                });
                Ok(Some(alone.map(StoredPart::from).collect()))
            }
        }
    }
}

impl MemoryService {
    /// Waits for the owner's turn: no other import of this process, including writes in flight of a
    /// dropped run.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach the owner.
    pub async fn import_turn(&self, caller: &Caller, owner: &Owner) -> Result<ImportTurn> {
        caller.may(Right::Migrate, owner)?;
        Ok(ImportTurn::wait(&self.inner.imports, owner).await)
    }

    /// The sessions of a user; `None` if the user does not exist. One request.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach the user, [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn sessions_of(
        &self,
        caller: &Caller,
        user: &UserId,
    ) -> Result<Option<UserSessions>> {
        caller.may(Right::Migrate, &Owner::User(user.clone()))?;
        match self.zep().user_threads(user).await {
            Ok(threads) => Ok(Some(UserSessions(Threads::of(threads)))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The thread of a session among the user's known sessions. Sends nothing.
    pub fn thread_among(
        &self,
        user: &UserId,
        session: &SessionId,
        known: &UserSessions,
    ) -> Option<ThreadId> {
        known.0.find(user, session)
    }

    /// Creates a session that the user is known not to have. Returns its thread, and whether it
    /// existed after all.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn make_session(
        &self,
        caller: &Caller,
        user: &UserId,
        session: &SessionId,
    ) -> Result<(ThreadId, bool)> {
        caller.may(Right::Migrate, &Owner::User(user.clone()))?;
        self.inner.sessions.make(self.zep(), user, session).await
    }

    /// Reads what is stored in a session's thread.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach it. Reading ends with
    /// [`crate::memory::Error::NotYours`] if the thread is not this user's.
    pub fn scan_thread<'a>(
        &'a self,
        caller: &Caller,
        user: &UserId,
        thread: &'a ThreadId,
    ) -> Result<Scan<'a>> {
        let owner = Owner::User(user.clone());
        caller.may(Right::Migrate, &owner)?;
        let pages = ThreadPages::new(self.zep(), thread);
        Ok(Scan(Scanned::Thread(pages, owner)))
    }

    /// Reads what is stored in an owner's graph outside of sessions.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach it.
    pub fn scan_graph<'a>(&'a self, caller: &Caller, owner: &'a Owner) -> Result<Scan<'a>> {
        caller.may(Right::Migrate, owner)?;
        let pages = self
            .zep()
            .episodes(owner, TimeOrder::OldestFirst, PAGE_ITEMS);
        Ok(Scan(Scanned::Graph(pages)))
    }

    /// Looks up what is stored of one record at a place, by the record's id. One request.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach the owner, [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn stored_parts(
        &self,
        caller: &Caller,
        place: &Place,
        record: &RecordId,
    ) -> Result<Vec<StoredPart>> {
        let owner = place.owner();
        caller.may(Right::Migrate, &owner)?;
        let found = if_found(self.zep().find_episodes(&owner, record.as_str()).await)?;
        let threads: Vec<ThreadId> = match place {
            Place::Session(user, session) => threads_of(user, session).collect(),
            Place::Graph(_) => Vec::new(),
        };
        let is_here = |episode: &Episode| match &episode.thread_id {
            Some(thread) => threads.iter().any(|here| here.as_str() == thread),
            None => threads.is_empty(),
        };
        let parts = found.unwrap_or_default().into_iter().filter(is_here);
        Ok(parts.map(StoredPart::from).collect())
    }

    /// Stores records in the order given, except for parts known to be stored; if nothing is known,
    /// stored parts are looked up first.
    ///
    /// # Errors
    /// As [`MemoryService::add`]; [`crate::memory::Error::PartlyStored`] says how many records,
    /// counted from the first, are stored whole.
    ///
    /// # Panics
    /// If the turn is another owner's, which is a defect of the program.
    pub async fn import(
        &self,
        caller: &Caller,
        turn: &ImportTurn,
        place: &Place,
        records: Vec<Imported>,
        stored: Option<StoredParts>,
    ) -> Result<()> {
        caller.may(Right::Migrate, &place.owner())?;
        assert_eq!(*turn.owner(), place.owner(), "it is another owner's turn");
        let Some(first) = records.first() else {
            return Ok(());
        };
        let key = first.id.clone();
        let known = match stored {
            None => Known::LookFirst,
            Some(parts) => Known::Stored(parts.into()),
        };
        let carrier = Carrier::at(place);
        let records = records
            .into_iter()
            .map(|record| draft_of(record, carrier))
            .collect();
        let write = WriteJob {
            service: self.clone(),
            place: place.clone(),
            records,
            key,
            known,
            sent_before: false,
            turn: Some(turn.clone()),
            share: None,
        };
        write.finish_even_if_dropped().await.map(drop)
    }

    /// Deletes a record of a migration from an owner's graph. Answers how many parts it had.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails; what was deleted before stays deleted.
    pub async fn delete_imported(
        &self,
        caller: &Caller,
        owner: &Owner,
        record: &RecordId,
    ) -> Result<usize> {
        caller.may(Right::Migrate, owner)?;
        let found = self.zep().find_episodes(owner, record.as_str()).await?;
        let texts = found.iter().filter(|part| part.thread_id.is_none());
        let mut deleted = 0;
        for part in texts {
            match self.zep().delete_episode(&part.uuid).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => deleted += 1,
            }
        }
        self.inner.lists.clear();
        Ok(deleted)
    }

    /// Deletes stored doubles: parts with an equal one that is kept. Skips what is not this
    /// owner's.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails; what was deleted before stays deleted.
    pub async fn delete_doubles(
        &self,
        caller: &Caller,
        owner: &Owner,
        doubles: &[Uuid],
    ) -> Result<()> {
        caller.may(Right::Migrate, owner)?;
        // Zep deletes an episode regardless of owner.
        for double in self.zep().episodes_by_id(owner, doubles).await? {
            match self.zep().delete_episode(&double.uuid).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Identifies the project or the store that the backend keeps memories in, also under another key
    /// or address; `None` if it does not say.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn project(&self) -> Result<Option<String>> {
        let project = self.zep().project().await?;
        let named = |uuid: Uuid| format!("{} {uuid}", self.backend());
        Ok(project.uuid.map(named))
    }

    /// How many batches that this program sent are waiting to be processed or being processed; 0 where
    /// there is no Batch API.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not migrate, [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn batches_in_process(&self, caller: &Caller) -> Result<u64> {
        caller.may_at_all(Right::Migrate)?;
        let mut count = 0;
        for status in [BatchStatus::Queued, BatchStatus::Processing] {
            let mut pages = self.zep().batches(Some(status));
            loop {
                let page = match pages.next().await {
                    Err(error) if error.is_not_found() => return Ok(0),
                    page => page?,
                };
                let Some(page) = page else { break };
                count += page.items.iter().filter(|batch| is_ours(batch)).count() as u64;
            }
        }
        Ok(count)
    }

    /// How long after it was sent a write may still be carried out; `None` if none can be late.
    pub fn late_limit(&self) -> Option<Duration> {
        self.zep().late_limit()
    }

    /// Traffic to the backend so far; `None` if nothing is sent anywhere.
    pub fn stats(&self) -> Option<crate::zep::TransportStats> {
        self.zep().stats()
    }
}

/// The marks of a stored part that we wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartOf {
    /// The record's id.
    pub record: String,
    /// The migrated record that it replaced.
    pub instead_of: Option<String>,
    /// The run that wrote it.
    pub run: Option<String>,
    /// Its number.
    pub number: PartNo,
    /// Whether its time is the source's.
    pub time: TimeOrigin,
}

/// The marks of a stored part; `None` if we did not write it.
pub fn part_of(part: &StoredPart) -> Option<PartOf> {
    let unpacked = fit::unpack(&part.metadata);
    let ours = unpacked.ours?;
    Some(PartOf {
        record: ours.record.as_str().to_owned(),
        instead_of: ours.marks.instead_of,
        run: ours.marks.run,
        number: unpacked.part,
        time: ours.marks.time,
    })
}

/// A draft of an imported record.
pub(super) fn draft_of(record: Imported, carrier: Carrier) -> Draft {
    let mut ours = Ours::new(record.id);
    ours.memory_type = record.kind;
    ours.migration_source = Some(record.source);
    ours.agent = record.agent;
    ours.app = record.app;
    ours.marks.time = record.time;
    ours.marks.updated = record.updated;
    ours.marks.instead_of = record.instead_of;
    ours.marks.run = record.run;
    let (role, name) = match record.speaker {
        Some(speaker) => draft::spoken(speaker, &mut ours, carrier),
        None => (zep::Role::User, None),
    };
    Draft {
        ours,
        role,
        name,
        content: record.content,
        created_at: record.created_at,
        metadata: record.metadata,
        carrier,
    }
}

//! Records that come from elsewhere, with ids and times of their own: what a migration writes and
//! compares.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::OwnedMutexGuard;

use crate::memory::{
    Error, Result,
    access::Right,
    model::{
        AgentId, AppId, Caller, MemoryKind, Owner, Place, RecordId, SessionId, TimeOrigin, UserId,
        Uuid,
    },
    record::assemble::StoredPart,
    record::draft::{Outgoing, Stored},
    record::fit::{self, PartNo, Speaker},
    search::candidates,
    service::MemoryService,
    sessions::Threads,
    write::job::{Known, Write},
};
use crate::zep::{DataType, Direction, Listing, OrderBy, ThreadId, ThreadPages, Zep, limits};

/// A record from elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Identifies it for ever, whatever is imported again.
    pub id: RecordId,
    /// Who speaks; none for a text that nobody spoke.
    pub speaker: Option<Speaker>,
    /// What is to be kept.
    pub content: String,
    /// When it happened.
    pub created_at: Timestamp,
    /// Whether the source said so.
    pub time: TimeOrigin,
    /// What kind of memory.
    pub kind: Option<MemoryKind>,
    /// Where it comes from, in a word.
    pub source: String,
    /// The agent named beside the user.
    pub agent: Option<AgentId>,
    /// The app named beside the user.
    pub app: Option<AppId>,
    /// Everything else that the source says of it.
    pub metadata: Map<String, Value>,
}

impl Imported {
    /// How many messages or episodes it takes there.
    ///
    /// # Errors
    /// [`crate::memory::Error::Invalid`] names the field that cannot be stored, and why.
    pub fn parts(&self, place: &Place) -> Result<usize> {
        Outgoing::imported(self.clone(), place.carrier()).part_count()
    }
}

/// Which parts of some records are stored, by the records' ids.
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

/// The turn of whoever imports for an owner: one at a time in this process, or two would each find
/// that nothing is there and write it twice. Held by what was begun with it until that is finished.
#[derive(Debug, Clone)]
pub struct ImportTurn {
    owner: Owner,
    _held: Arc<OwnedMutexGuard<()>>,
}

/// A user's sessions as they stood at one moment.
#[derive(Debug, Clone)]
pub struct Sessions(Threads);

/// Stored parts of one place, page by page, oldest first. Holds one page.
#[derive(Debug)]
pub struct Scan<'a>(Pages<'a>);

#[derive(Debug)]
enum Pages<'a> {
    Thread(ThreadPages<'a, dyn Zep + 'a>, Owner),
    Episodes {
        zep: &'a dyn Zep,
        owner: &'a Owner,
        listing: Option<Box<Listing>>,
    },
}

impl Scan<'_> {
    /// The next parts; `None` after the last.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if the place cannot be read whole.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredPart>>> {
        match &mut self.0 {
            Pages::Thread(pages, owner) => {
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
            Pages::Episodes {
                zep,
                owner,
                listing,
            } => {
                let Some(asked) = listing else {
                    return Ok(None);
                };
                let page = zep.list_episodes(owner, asked).await?;
                match page.next_cursor {
                    Some(cursor) => asked.cursor = Some(cursor),
                    None => *listing = None,
                }
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
    /// Waits until nobody else in this process imports for this owner, writes in flight of a run that
    /// was dropped included.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach the owner.
    pub async fn import_turn(&self, caller: &Caller, owner: &Owner) -> Result<ImportTurn> {
        caller.may(Right::Migrate, owner)?;
        let held = self.inner.imports.of(owner).lock_owned().await;
        Ok(ImportTurn {
            owner: owner.clone(),
            _held: Arc::new(held),
        })
    }

    /// The sessions that a user has; `None` if there is no such user. One request.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach the user, [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn sessions_of(&self, caller: &Caller, user: &UserId) -> Result<Option<Sessions>> {
        caller.may(Right::Migrate, &Owner::User(user.clone()))?;
        match self.zep().user_threads(user).await {
            Ok(threads) => Ok(Some(Sessions(Threads::of(threads)))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The thread that a session is, by what is known of the user's sessions. Asks nobody.
    pub fn thread_among(
        &self,
        user: &UserId,
        session: &SessionId,
        known: &Sessions,
    ) -> Option<ThreadId> {
        known.0.find(user, session)
    }

    /// Makes a session of a user whose sessions are known and do not include it. Answers its
    /// thread, and whether it was there after all.
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
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach it. Reading it ends with
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
        Ok(Scan(Pages::Thread(pages, owner)))
    }

    /// Reads what is stored in an owner's graph outside of sessions.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach it.
    pub fn scan_graph<'a>(&'a self, caller: &Caller, owner: &'a Owner) -> Result<Scan<'a>> {
        caller.may(Right::Migrate, owner)?;
        Ok(Scan(Pages::Episodes {
            zep: self.zep(),
            owner,
            listing: Some(Box::new(Listing {
                limit: Some(limits::PAGE_ITEMS),
                order_by: Some(OrderBy::CreatedAt),
                direction: Some(Direction::Asc),
                ..Listing::default()
            })),
        }))
    }

    /// Stores records in the order given, except for the parts that are known to be stored; where
    /// nothing is known of that, it is looked up first.
    ///
    /// # Errors
    /// As [`MemoryService::add`]; [`crate::memory::Error::PartlyStored`] says how many records of these are
    /// stored whole, counted from the first.
    ///
    /// # Panics
    /// If it is another owner's turn, which is a mistake of the program.
    pub async fn import(
        &self,
        caller: &Caller,
        turn: &ImportTurn,
        place: &Place,
        records: Vec<Imported>,
        stored: Option<StoredParts>,
    ) -> Result<()> {
        caller.may(Right::Migrate, &place.owner())?;
        assert_eq!(turn.owner, place.owner(), "it is another owner's turn");
        let Some(first) = records.first() else {
            return Ok(());
        };
        let key = first.id.clone();
        let known = match stored {
            None => Known::LookFirst,
            Some(parts) => Known::Stored(parts.into()),
        };
        let carrier = place.carrier();
        let records = records
            .into_iter()
            .map(|record| Outgoing::imported(record, carrier))
            .collect();
        let write = Write {
            service: self.clone(),
            place: place.clone(),
            records,
            key,
            known,
            turn: Some(turn.clone()),
        };
        write.finish_even_if_dropped().await.map(drop)
    }

    /// Deletes stored doubles: parts of which an equal one is kept. What is not this owner's is left.
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
        for asked in doubles.chunks(limits::FILTER_UUIDS) {
            // Zep deletes an episode whosesoever it is.
            let theirs = candidates::sources(self.zep(), owner, asked.to_vec()).await?;
            for double in asked.iter().filter(|double| theirs.contains_key(*double)) {
                match self.zep().delete_episode(double).await {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What it took so far to reach the backend; `None` where nothing is sent anywhere.
    pub fn stats(&self) -> Option<crate::zep::TransportStats> {
        self.zep().stats()
    }
}

/// What a stored part says of itself, where we wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartOf {
    /// The record's id.
    pub record: String,
    /// The migrated record that it took the place of.
    pub instead_of: Option<String>,
    /// Which part of it.
    pub number: PartNo,
    /// Whether its time is the source's.
    pub time: TimeOrigin,
}

/// What a stored part says of itself; `None` if we did not write it.
pub fn part_of(part: &StoredPart) -> Option<PartOf> {
    let unpacked = fit::unpack(&part.metadata);
    let ours = unpacked.ours?;
    Some(PartOf {
        record: ours.record.as_str().to_owned(),
        instead_of: ours.marks.instead_of,
        number: unpacked.part.unwrap_or(PartNo::WHOLE),
        time: ours.marks.time,
    })
}

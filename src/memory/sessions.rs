//! Which thread a session is: Zep's thread ids are global, a session belongs to its user.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::cache::Cache;
use crate::memory::{
    Error, Result,
    model::{SessionId, UserId},
    write::locks::Locks,
};
use crate::zep::{self, NewUser, ThreadId, UserFields, Window, Zep};

/// How long a resolved session is believed. Short, because another program may delete the thread
/// and somebody else take its id.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// How often a session is resolved while others make its threads: once for each of its two threads
/// that was made meanwhile, once to find what was made, and once for a thread deleted in between.
const RACES: usize = 4;
/// How many resolved sessions are kept: some 200 bytes each.
const KEPT_SESSIONS: u64 = 10_000;

/// Finds the thread of a session, remembers it for a short time, and keeps writers of one thread
/// apart.
#[derive(Debug)]
pub(crate) struct Sessions {
    resolved: Cache<(UserId, SessionId), ThreadId>,
    /// Who was last seen to own a thread: one that was deleted may be made again by another user,
    /// and what was resolved to it before is void.
    owners: Cache<ThreadId, UserId>,
    writers: Locks<ThreadId>,
}

/// The ids of all threads of a user, as they stood at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Threads(HashSet<String>);

impl Threads {
    pub(crate) fn of(threads: Vec<zep::Thread>) -> Self {
        Self(
            threads
                .into_iter()
                .filter_map(|thread| thread.thread_id)
                .collect(),
        )
    }

    /// The thread of this session, if the user has it.
    pub(crate) fn find(&self, user: &UserId, session: &SessionId) -> Option<ThreadId> {
        let plain = (!session.is_default()).then(|| session.plain_thread());
        plain
            .into_iter()
            .chain([session.qualified_thread(user)])
            .find(|thread| self.0.contains(thread.as_str()))
    }
}

/// What a thread id turned out to be for a user.
enum Thread {
    Theirs,
    SomebodyElses,
    Absent,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            resolved: Cache::new(KEPT_SESSIONS).expiring(BELIEVED_FOR),
            owners: Cache::new(KEPT_SESSIONS).expiring(BELIEVED_FOR),
            writers: Locks::default(),
        }
    }

    /// The user's thread of this session, if there is one. Makes nothing.
    pub(crate) async fn find(
        &self,
        zep: &dyn Zep,
        user: &UserId,
        session: &SessionId,
    ) -> Result<Option<ThreadId>> {
        let key = (user.clone(), session.clone());
        if let Some(thread) = self.known(&key) {
            return Ok(Some(thread));
        }
        let found = match self.look_up(zep, user, session).await {
            Ok(Resolution::Exists(thread)) => thread,
            // Whose a thread is that is not the user's, or whether there is one, is not told.
            Ok(Resolution::ToMake(_)) | Err(Error::NotYours { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.remember(key, &found);
        Ok(Some(found))
    }

    /// The user's thread of this session; made, with the user, if there is none.
    pub(crate) async fn find_or_make(
        &self,
        zep: &dyn Zep,
        user: &UserId,
        session: &SessionId,
    ) -> Result<ThreadId> {
        let key = (user.clone(), session.clone());
        if let Some(thread) = self.known(&key) {
            return Ok(thread);
        }
        // Whoever else makes a thread of this session (another call, another server, for this user
        // or for another) may be quicker each time: first the plain one, then the qualified one.
        for _ in 0..RACES {
            let thread = match self.look_up(zep, user, session).await? {
                Resolution::Exists(thread) => thread,
                Resolution::ToMake(thread) => match make_thread(zep, &thread, user).await {
                    Ok(made) if made.user_id.as_deref() == Some(user.as_str()) => thread,
                    // Somebody else may have made it meanwhile: whoever does not say whose it is,
                    // is not believed.
                    Ok(_) => continue,
                    Err(error) if error.is_conflict() => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            self.remember(key, &thread);
            return Ok(thread);
        }
        Err(zep::Error::BadAnswer {
            message: format!("the thread of session `{session}` exists and cannot be read"),
        }
        .into())
    }

    /// Makes the thread of a session that the user is known not to have: one request, where nobody
    /// has a thread of that id. Answers also whether it was there all the same.
    pub(crate) async fn make(
        &self,
        zep: &dyn Zep,
        user: &UserId,
        session: &SessionId,
    ) -> Result<(ThreadId, bool)> {
        let thread = match session.is_default() {
            true => session.qualified_thread(user),
            false => session.plain_thread(),
        };
        match make_thread(zep, &thread, user).await {
            Ok(made) if made.user_id.as_deref() == Some(user.as_str()) => {
                self.remember((user.clone(), session.clone()), &thread);
                Ok((thread, false))
            }
            Err(error) if !error.is_conflict() => Err(error.into()),
            // Somebody has it, or Zep does not say who.
            _ => {
                let there = self.find(zep, user, session).await?;
                match there {
                    Some(thread) => Ok((thread, true)),
                    None => Ok((self.find_or_make(zep, user, session).await?, false)),
                }
            }
        }
    }

    fn known(&self, key: &(UserId, SessionId)) -> Option<ThreadId> {
        let thread = self.resolved.get(key)?;
        (self.owners.get(&thread)? == key.0).then_some(thread)
    }

    fn remember(&self, key: (UserId, SessionId), thread: &ThreadId) {
        self.owners.insert(thread.clone(), key.0.clone());
        self.resolved.insert(key, thread.clone());
    }

    /// Forgets what a session was resolved to.
    pub(crate) fn forget(&self, user: &UserId, session: &SessionId) {
        self.resolved.remove(&(user.clone(), session.clone()));
    }

    /// Forgets what all sessions were resolved to.
    pub(crate) fn forget_all(&self) {
        self.resolved.clear();
    }

    /// The lock that whoever writes to this thread holds, so that records do not interleave.
    pub(crate) fn writer(&self, thread: &ThreadId) -> Arc<tokio::sync::Mutex<()>> {
        self.writers.of(thread)
    }

    async fn look_up(
        &self,
        zep: &dyn Zep,
        user: &UserId,
        session: &SessionId,
    ) -> Result<Resolution> {
        let qualified = session.qualified_thread(user);
        let plain = if session.is_default() {
            Thread::SomebodyElses
        } else {
            whose(zep, &session.plain_thread(), user).await?
        };
        if let Thread::Theirs = plain {
            return Ok(Resolution::Exists(session.plain_thread()));
        }
        match (whose(zep, &qualified, user).await?, plain) {
            (Thread::Theirs, _) => Ok(Resolution::Exists(qualified)),
            (Thread::SomebodyElses, _) => Err(Error::NotYours {
                what: format!("session `{session}`"),
            }),
            (Thread::Absent, Thread::Absent) => Ok(Resolution::ToMake(session.plain_thread())),
            (Thread::Absent, _) => Ok(Resolution::ToMake(qualified)),
        }
    }
}

/// The thread that a session is, or the one that it would become.
enum Resolution {
    Exists(ThreadId),
    ToMake(ThreadId),
}

/// Whose a thread is, seen from a user. An owner that Zep does not tell is not this user.
async fn whose(zep: &dyn Zep, thread: &ThreadId, user: &UserId) -> Result<Thread> {
    match zep.messages(thread, &Window::Last { limit: 1 }).await {
        Ok(page) if page.user_id.as_deref() == Some(user.as_str()) => Ok(Thread::Theirs),
        Ok(_) => Ok(Thread::SomebodyElses),
        Err(error) if error.is_not_found() => Ok(Thread::Absent),
        Err(error) => Err(error.into()),
    }
}

/// Makes a thread, and its user first where Zep does not know them.
async fn make_thread(zep: &dyn Zep, thread: &ThreadId, user: &UserId) -> zep::Result<zep::Thread> {
    match zep.create_thread(thread, user).await {
        Err(error) if error.is_not_found() => {
            make_user(zep, user).await?;
            zep.create_thread(thread, user).await
        }
        outcome => outcome,
    }
}

/// Makes a user of whom nothing but the id is known. One who exists is left as they are.
pub(crate) async fn make_user(zep: &dyn Zep, user: &UserId) -> zep::Result<()> {
    let new = NewUser {
        user_id: user.clone(),
        fields: UserFields::default(),
    };
    match zep.add_user(&new).await {
        Err(error) if error.is_conflict() => Ok(()),
        outcome => outcome.map(drop),
    }
}

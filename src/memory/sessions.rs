//! The thread of a session: Zep's thread ids are global, a session belongs to its user.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::cache::Cache;
use crate::memory::{
    Error, Result,
    error::if_found,
    model::{SessionId, UserId},
    people::creation::create_user,
    write::locks::Locks,
};
use crate::zep::{self, ThreadId, Threads as ZepThreads, Window, Zep};

/// How long a resolved session is trusted. Short, because another program may delete the thread and
/// another user take its id.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// How often a session is resolved while others create its threads: once for each of its two
/// threads created meanwhile, once to find the created one, and once for a thread deleted in
/// between.
const RACES: usize = 4;
/// How many resolved sessions are kept: some 200 bytes each.
const KEPT_SESSIONS: u64 = 10_000;

/// Resolves sessions to threads, caches them for a short time, and serialises writers of one
/// thread.
#[derive(Debug)]
pub(crate) struct Sessions {
    resolved: Cache<(UserId, SessionId), ThreadId>,
    /// The last known owner of a thread. If another user creates a deleted thread again, earlier
    /// resolutions are void.
    owners: Cache<ThreadId, UserId>,
    writers: Locks<ThreadId>,
}

/// The ids of all threads of a user at one moment.
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

    /// All of them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The thread of this session, if the user has it.
    pub(crate) fn find(&self, user: &UserId, session: &SessionId) -> Option<ThreadId> {
        threads_of(user, session).find(|thread| self.0.contains(thread.as_str()))
    }
}

/// The threads that a session of a user may be, the first one first.
pub(crate) fn threads_of(user: &UserId, session: &SessionId) -> impl Iterator<Item = ThreadId> {
    let plain = (!session.is_default()).then(|| session.plain_thread());
    plain.into_iter().chain([session.qualified_thread(user)])
}

/// Why a session has no thread to write to.
#[derive(Debug)]
pub(crate) enum NoThread {
    /// It is not known whether there is one.
    Unknown(Error),
    /// There was none, and it could not be created.
    Absent(Error),
}

impl From<NoThread> for Error {
    fn from(why: NoThread) -> Self {
        match why {
            NoThread::Unknown(error) | NoThread::Absent(error) => error,
        }
    }
}

/// The state of a thread id, as one user sees it.
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

    /// The user's thread of this session, if it exists. Creates nothing.
    pub(crate) async fn find(
        &self,
        threads: &dyn ZepThreads,
        user: &UserId,
        session: &SessionId,
    ) -> Result<Option<ThreadId>> {
        let key = (user.clone(), session.clone());
        if let Some(thread) = self.known(&key) {
            return Ok(Some(thread));
        }
        // Neither the owner nor the existence of other users' threads is revealed, not even by the
        // time that it takes: both are looked for whatever the first one is.
        for thread in threads_of(user, session) {
            if threads.is_thread_of(&thread, user).await? {
                self.remember(key, &thread);
                return Ok(Some(thread));
            }
        }
        Ok(None)
    }

    /// The user who has the thread with a session's plain id, if anybody has.
    pub(crate) async fn plain_owner(
        &self,
        threads: &dyn ZepThreads,
        session: &SessionId,
    ) -> Result<Option<UserId>> {
        let thread = session.plain_thread();
        if let Some(owner) = self.owners.get(&thread) {
            return Ok(Some(owner));
        }
        let page = if_found(threads.messages(&thread, &Window::Last { limit: 1 }).await)?;
        let owner = page.and_then(|page| UserId::new(&page.user_id?).ok());
        if let Some(owner) = &owner {
            self.owners.insert(thread, owner.clone());
        }
        Ok(owner)
    }

    /// The user's thread of this session; created, with the user, if it does not exist.
    pub(crate) async fn find_or_make(
        &self,
        zep: &dyn Zep,
        user: &UserId,
        session: &SessionId,
    ) -> std::result::Result<ThreadId, NoThread> {
        let key = (user.clone(), session.clone());
        if let Some(thread) = self.known(&key) {
            return Ok(thread);
        }
        // Another call or server may create a thread of this session first, for this user or
        // another: first the plain one, then the qualified one.
        for _ in 0..RACES {
            let found = self.look_up(zep, user, session).await;
            let thread = match found.map_err(NoThread::Unknown)? {
                Resolution::Exists(thread) => thread,
                Resolution::ToMake(thread) => match create_thread(zep, &thread, user).await {
                    Ok(made) if made.user_id.as_deref() == Some(user.as_str()) => thread,
                    // Another caller may have created it meanwhile. A thread without a stated owner
                    // is not ours.
                    Ok(_) => continue,
                    Err(error) if error.is_conflict() => continue,
                    Err(error) => return Err(NoThread::Absent(error.into())),
                },
            };
            self.remember(key, &thread);
            return Ok(thread);
        }
        let error = zep::Error::BadAnswer {
            message: format!("the thread of session `{session}` exists and cannot be read"),
        };
        Err(NoThread::Unknown(error.into()))
    }

    /// Creates the thread of a session that the user is known not to have: one request if the id is
    /// free. Also returns whether it existed after all.
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
        match create_thread(zep, &thread, user).await {
            Ok(made) if made.user_id.as_deref() == Some(user.as_str()) => {
                self.remember((user.clone(), session.clone()), &thread);
                Ok((thread, false))
            }
            Err(error) if !error.is_conflict() => Err(error.into()),
            // The id is taken, or Zep does not state the owner.
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

    /// Forgets the thread of a session.
    pub(crate) fn forget(&self, user: &UserId, session: &SessionId) {
        self.resolved.remove(&(user.clone(), session.clone()));
    }

    /// Forgets the threads of all sessions.
    pub(crate) fn forget_all(&self) {
        self.resolved.clear();
    }

    /// The lock that writers to this thread hold, so that records do not interleave.
    pub(crate) fn writer(&self, thread: &ThreadId) -> Arc<tokio::sync::Mutex<()>> {
        self.writers.of(thread)
    }

    async fn look_up(
        &self,
        threads: &dyn ZepThreads,
        user: &UserId,
        session: &SessionId,
    ) -> Result<Resolution> {
        let qualified = session.qualified_thread(user);
        let plain = if session.is_default() {
            Thread::SomebodyElses
        } else {
            whose(threads, &session.plain_thread(), user).await?
        };
        if let Thread::Theirs = plain {
            return Ok(Resolution::Exists(session.plain_thread()));
        }
        match (whose(threads, &qualified, user).await?, plain) {
            (Thread::Theirs, _) => Ok(Resolution::Exists(qualified)),
            (Thread::SomebodyElses, _) => Err(Error::NotYours {
                what: format!("session `{session}`"),
            }),
            (Thread::Absent, Thread::Absent) => Ok(Resolution::ToMake(session.plain_thread())),
            (Thread::Absent, _) => Ok(Resolution::ToMake(qualified)),
        }
    }
}

/// The existing thread of a session, or the one to create.
enum Resolution {
    Exists(ThreadId),
    ToMake(ThreadId),
}

/// Whose a thread is, seen from a user. An owner that Zep does not tell is not this user.
async fn whose(threads: &dyn ZepThreads, thread: &ThreadId, user: &UserId) -> Result<Thread> {
    match threads.messages(thread, &Window::Last { limit: 1 }).await {
        Ok(page) if page.user_id.as_deref() == Some(user.as_str()) => Ok(Thread::Theirs),
        Ok(_) => Ok(Thread::SomebodyElses),
        Err(error) if error.is_not_found() => Ok(Thread::Absent),
        Err(error) => Err(error.into()),
    }
}

/// Creates a thread, and first its user if Zep does not know them.
async fn create_thread(
    zep: &dyn Zep,
    thread: &ThreadId,
    user: &UserId,
) -> zep::Result<zep::Thread> {
    match zep.create_thread(thread, user).await {
        Err(error) if error.is_not_found() => {
            create_user(zep, user).await?;
            zep.create_thread(thread, user).await
        }
        outcome => outcome,
    }
}

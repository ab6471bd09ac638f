//! The service that all doors (MCP tools, the command line) call.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use crate::audit::touched;
use crate::cache::Cache;
use crate::memory::{
    Result,
    access::{Caller, Right},
    beside::Beside,
    delivery::state::Delivery,
    model::{GraphId, Owner, Scope, SessionId, UserId, Uuid},
    opened::Seen,
    people::standing::Standing,
    queue::Queue,
    read::known::Known,
    read::list_cache::{ListKey, Listed},
    record::doubles::Repeats,
    sessions::Sessions,
    write::locks::{Alone, Locks, OwnerLocks, Share},
};
use crate::traces;
use crate::zep::{self, ThreadId, Zep};

/// How many memory ids are remembered with their owner: some 200 bytes each.
const KEPT_OWNERS: u64 = 10_000;

/// How many records with a key of their caller are remembered: some 200 bytes each. A migration looks
/// for them again before it writes them.
const KEPT_KEYS: u64 = 10_000;

/// How long a replaced episode is remembered while it is being deleted. Ours: longer than a search
/// that found it may take.
const REPLACED_FOR: Duration = Duration::from_secs(60);

/// How many messages are kept that may repeat earlier ones: some 100 bytes each.
const KEPT_REPEATS: u64 = 10_000;
/// How long it is kept which messages repeat earlier ones. Ours: for the pages of one reader.
const REPEATS_KEPT_FOR: Duration = Duration::from_secs(60);

/// How many lists are kept for their next pages: 2 MB each at most.
const KEPT_LISTS: u64 = 8;
/// How long a list is kept for its next pages.
const LIST_KEPT_FOR: Duration = Duration::from_secs(60);

/// The name of mem0 in answers.
pub(crate) const MEM0: &str = "mem0";

/// How like a question each of these texts is, in 0–1. It may block for some milliseconds.
pub type Likeness = fn(&str, &[String]) -> Vec<f64>;

/// Memories of people, on one backend. Cheap to clone: clones share everything.
///
/// Reads create nothing. A write completes its current record even if its future is dropped, so
/// that no partial record remains; a change or deletion completes wholly.
/// [`MemoryService::settle`] waits for these.
#[derive(Debug, Clone)]
pub struct MemoryService {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) zep: Arc<dyn Zep>,
    pub(crate) sessions: Sessions,
    /// One importer at a time per owner.
    pub(crate) imports: Locks<Owner>,
    /// One write at a time per record in an owner's graph; in sessions the thread's lock does it.
    pub(crate) records: Locks<(Owner, String)>,
    /// Records that calls of this process wrote under a key of their caller.
    pub(crate) keyed: Cache<(Owner, String), ()>,
    /// One change or deletion at a time per memory, by the id of its first part.
    pub(crate) changes: Locks<Uuid>,
    /// What keeps deletions of several memories and writes apart.
    pub(crate) owners: OwnerLocks,
    /// Owners of recently shown memories, by memory id.
    pub(crate) shown: Cache<Uuid, Owner>,
    /// Replaced episodes that are being deleted, with what replaced them.
    pub(crate) replaced: Cache<Uuid, Uuid>,
    /// What is known of doubles in threads that had to be read whole.
    pub(crate) repeats: Cache<ThreadId, Arc<Repeats>>,
    /// Lists kept for their next pages.
    pub(crate) lists: Cache<ListKey, Arc<Listed>>,
    /// Agents and apps whose marker graph exists.
    pub(crate) told: Cache<GraphId, ()>,
    pub(crate) writes: TaskTracker,
    /// Where writes are safe before Zep has them, if there is such a place.
    pub(crate) queue: Option<Arc<dyn Queue>>,
    pub(crate) delivery: Delivery,
    /// How like a question texts are that only this program knows.
    pub(crate) likeness: Likeness,
    /// What was written and read lately.
    pub(crate) known: Known,
    /// When an owner's newest memories were found processed.
    pub(crate) processed: Cache<Owner, Timestamp>,
    /// A mem0 beside the backend, or in its place.
    pub(crate) beside: Option<Beside>,
    /// Whether users who are suspended are looked up.
    pub(crate) minds_status: bool,
    /// The status of users, as it was found.
    pub(crate) standing: Cache<UserId, Arc<Standing>>,
    /// One change of a user's fields at a time.
    pub(crate) people: Locks<UserId>,
    /// How sessions were opened, as it was found.
    pub(crate) opened: Cache<(UserId, SessionId), Seen>,
    /// Whose sessions are that were written to, for callers who do not say so.
    pub(crate) session_users: Cache<SessionId, UserId>,
    default_user: UserId,
}

impl MemoryService {
    /// A service on this backend. Sends nothing.
    pub fn new(zep: Arc<dyn Zep>, default_user: UserId) -> Self {
        Self {
            inner: Arc::new(Inner {
                zep,
                sessions: Sessions::new(),
                imports: Locks::default(),
                records: Locks::default(),
                keyed: Cache::new(KEPT_KEYS),
                changes: Locks::default(),
                owners: OwnerLocks::default(),
                shown: Cache::new(KEPT_OWNERS),
                replaced: Cache::new(KEPT_OWNERS).expiring(REPLACED_FOR),
                repeats: Cache::weighing(KEPT_REPEATS, |repeats: &Arc<Repeats>| repeats.weight())
                    .expiring(REPEATS_KEPT_FOR),
                lists: Cache::new(KEPT_LISTS).expiring(LIST_KEPT_FOR),
                told: Cache::new(KEPT_OWNERS),
                writes: TaskTracker::new(),
                queue: None,
                delivery: Delivery::default(),
                likeness: |_, texts| vec![0.0; texts.len()],
                known: Known::new(),
                processed: Cache::new(KEPT_OWNERS),
                beside: None,
                minds_status: false,
                standing: Cache::new(KEPT_OWNERS),
                people: Locks::default(),
                opened: Cache::new(KEPT_OWNERS),
                session_users: Cache::new(KEPT_OWNERS),
                default_user,
            }),
        }
    }

    /// The same, whose additions are kept in this queue until the backend has them.
    ///
    /// [`MemoryService::deliver_queued`] carries out what is left in it. What waits is found by its
    /// likeness to the question.
    #[must_use]
    pub fn queueing(mut self, queue: Arc<dyn Queue>, likeness: Likeness) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.queue = Some(queue);
            inner.likeness = likeness;
        }
        self
    }

    /// The backend's name in answers: `zep`, `local` or `mem0`.
    pub fn backend(&self) -> &'static str {
        match self.only_mem0() {
            Some(_) => MEM0,
            None => self.inner.zep.backend(),
        }
    }

    /// Whether the backend answers, and accepts the key.
    ///
    /// # Errors
    /// The backend's.
    pub async fn check(&self) -> Result<()> {
        match self.only_mem0() {
            Some(mem0) => Ok(mem0.ping().await?),
            None => Ok(self.zep().project().await.map(drop)?),
        }
    }

    /// Whether mem0 answers and accepts the key, where there is one.
    ///
    /// # Errors
    /// mem0's.
    pub async fn check_mem0(&self) -> Result<()> {
        match &self.inner.beside {
            Some(beside) => Ok(beside.mem0.ping().await?),
            None => Ok(()),
        }
    }

    /// The user meant if the caller names none.
    pub fn default_user<'a>(&'a self, caller: &'a Caller) -> &'a UserId {
        caller.default_user(&self.inner.default_user)
    }

    /// Waits until all begun writes and deletions are finished, and begins no more of the queue. Each of
    /// their requests has a time-out.
    pub async fn settle(&self) {
        self.inner.delivery.end.cancel();
        self.inner.writes.close();
        self.inner.writes.wait().await;
        self.inner.writes.reopen();
    }

    /// The owner that the scope names, if the caller has this right on it.
    pub(crate) fn owner(&self, caller: &Caller, right: Right, scope: &Scope) -> Result<Owner> {
        let owner = scope.owner(caller.default_user(&self.inner.default_user));
        if let Some(session) = &scope.session {
            touched::session(session.as_str());
        }
        caller.may(right, &owner)?;
        Ok(owner)
    }

    pub(crate) fn zep(&self) -> &dyn Zep {
        self.inner.zep.as_ref()
    }

    /// Deletes or changes something on a task of its own, as [`MemoryService::complete`] does. Tells all
    /// processes before and after it that what they know is outdated.
    pub(crate) async fn complete_change<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let Some(queue) = self.inner.queue.clone() else {
            return self.complete(change).await;
        };
        self.complete(async move {
            queue.outdate().await?;
            let changed = change.await;
            if let Err(error) = queue.outdate().await {
                tracing::warn!("{error}");
            }
            changed
        })
        .await
    }

    /// When memories were deleted or changed last, by any process.
    pub(crate) async fn outdated(&self) -> Result<Option<Timestamp>> {
        match &self.inner.queue {
            Some(queue) => Ok(queue.outdated().await?),
            None => Ok(None),
        }
    }

    /// Runs a change on a task of its own: once begun it completes, even if its caller is gone.
    pub(crate) async fn complete<T: Send + 'static>(
        &self,
        change: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self
            .inner
            .writes
            .spawn(traces::carried(touched::carried(change)))
            .await
        {
            Ok(outcome) => outcome,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }

    /// Waits until it has the owner alone.
    pub(crate) async fn alone_with(&self, owner: &Owner) -> zep::Result<Alone> {
        let alone = self.inner.owners.of(owner).write_owned();
        self.inner.in_time(alone).await
    }
}

impl Inner {
    /// Waits for a share of the owner.
    pub(crate) async fn share_of(&self, owner: &Owner) -> zep::Result<Share> {
        let share = self.owners.of(owner).read_owned();
        self.in_time(share).await.map(Arc::new)
    }

    /// A share of the owner, if nobody has the owner alone or waits for that.
    pub(crate) fn share_at_once(&self, owner: &Owner) -> Option<Share> {
        let share = self.owners.of(owner).try_read_owned();
        share.ok().map(Arc::new)
    }

    /// Waits for a turn, at most as long as a call to Zep may take.
    pub(crate) async fn in_time<T>(&self, turn: impl Future<Output = T>) -> zep::Result<T> {
        match self.zep.call_limit() {
            Some(limit) => tokio::time::timeout(limit, turn)
                .await
                .map_err(|_| zep::Error::Busy),
            None => Ok(turn.await),
        }
    }
}

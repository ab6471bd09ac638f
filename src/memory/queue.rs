//! What the service needs of a durable queue of writes: jobs that are safe before Zep has them.
//!
//! A lane is a session, or an owner's graph: its jobs are carried out one after the other, in the order
//! in which they were put in. A job is claimed while it is carried out, so that of several processes
//! only one sends it; a claim expires unless it is renewed. A parked job was refused for good: it
//! stays until somebody decides, and does not hold up those behind it.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::memory::model::{Owner, SessionId, Uuid};

/// How long a claim holds that is not renewed. Ours: a process that died holds up others no longer.
pub const CLAIM: Duration = Duration::from_secs(60);
/// How often a claim is renewed while a job is carried out.
pub const RENEW: Duration = Duration::from_secs(15);

/// The longest time that a job may be left for later. Ours: longer ones that Zep asks for are tried once
/// more.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Whose jobs follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The owner.
    pub owner: Owner,
    /// The session; none for the owner's graph.
    pub session: Option<SessionId>,
}

/// The id of a record while Zep does not have it: of its place and record id, so that the same memory has
/// the same id.
pub(crate) fn queue_id(owner: &Owner, session: Option<&SessionId>, record: &str) -> Uuid {
    let session = session.map_or("", SessionId::as_str);
    let name = [&owner.to_string(), session, record].join("\0");
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes());
    Uuid(id.to_string())
}

/// A job to be put in.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Where it belongs.
    pub lane: Lane,
    /// What to do, in words of the service.
    pub body: String,
    /// The ids of the memories that it makes, in order, or of the one that it changes.
    pub ids: Vec<Uuid>,
    /// Whether it was tried before, and may have reached Zep.
    pub in_doubt: bool,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Names it in this queue.
    pub number: i64,
    /// Where it belongs.
    pub lane: Lane,
    /// What to do, in words of the service.
    pub body: String,
    /// Which version of its body that is: each change makes a new one.
    pub version: i64,
    /// How often it was begun, this time included.
    pub attempts: u32,
    /// Whether it was put in just now, and claimed in the same step: nothing was promised yet.
    pub is_new: bool,
    /// Whether an earlier attempt may have reached Zep.
    pub in_doubt: bool,
    /// When it was put in.
    pub queued_at: Timestamp,
    /// Why it was refused for good, if it was.
    pub parked: Option<String>,
}

/// What became of a job that was put in.
#[derive(Debug, Clone)]
pub enum Put {
    /// It is the first of its lane, and claimed.
    Claimed(Job),
    /// It has this number, and others of its lane come first, or it was not to be claimed.
    Waits(i64),
}

/// What an id that the queue gave names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queued {
    /// The memory at this place of a job that waits.
    Waiting(Box<Job>, usize),
    /// A memory that Zep has, under an id of its own.
    Delivered(Owner, Uuid),
}

/// What became of a job that was carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivered {
    /// It is still there: it was changed meanwhile, or another process has it.
    #[default]
    Stays,
    /// It is gone, and others may be carried out now.
    Followed,
    /// It is gone, and none of its lane waits.
    Last,
}

/// What became of a job that is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It is.
    Done,
    /// Somebody carries it out.
    Claimed,
    /// It was delivered before, or forgotten.
    NotThere,
}

/// How much waits, in jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// For Zep.
    pub waiting: u64,
    /// For a decision, refused for good.
    pub refused: u64,
    /// Since when the oldest does.
    pub oldest: Option<Timestamp>,
}

/// Why a job was not put in. Nothing was promised, and nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// A bound is reached.
    #[error("{what} wait for Zep already; try again when Zep has taken some of them")]
    Full {
        /// What waits, and whose.
        what: String,
    },
    /// The file cannot be read or written.
    #[error("the queue of writes {path} cannot be used: {problem}")]
    Unusable {
        /// The file.
        path: String,
        /// What happened, and what to do.
        problem: String,
    },
}

/// The result of a step in the queue.
pub type Result<T> = std::result::Result<T, QueueError>;

/// A durable queue of writes, shared by the processes of a machine.
#[async_trait]
pub trait Queue: Send + Sync + Debug {
    /// How long a call waits for Zep before it answers that its write is queued.
    fn patience(&self) -> Duration;

    /// How much waits.
    async fn counts(&self) -> Result<Counts>;
    /// Whether anything was ever put in.
    fn is_used(&self) -> bool;
    /// Keeps a job, claimed if that is wanted and nothing of its lane waits. When this answers it survives
    /// the end of the process, and, unless it was to be claimed, a power cut.
    async fn put(&self, job: NewJob, claim: bool) -> Result<Put>;
    /// Lets everything that was put in survive a power cut: before it is promised. What Zep has in the time
    /// of a call need not.
    async fn harden(&self) -> Result<()>;
    /// Claims the job that is due longest, of the lanes whose first job is not claimed.
    async fn claim(&self) -> Result<Option<Job>>;
    /// How long until a job is due that nobody has claimed; `None` if none waits.
    async fn until_next(&self) -> Result<Option<Duration>>;
    /// Claims a job again that this process has claimed. Whether it still had it.
    async fn renew(&self, number: i64) -> Result<bool>;
    /// Forgets a claimed job that has not changed since. Zep's ids of its memories, as far as they are
    /// given, are kept beside those that the queue gave, and what follows is put in.
    async fn delivered(
        &self,
        job: &Job,
        ids: Vec<(usize, Uuid)>,
        follow: Vec<NewJob>,
    ) -> Result<Delivered>;
    /// Notes that a memory has another id in Zep: ids that the queue gave, and those of jobs that wait for
    /// it, lead there.
    async fn moved(&self, old: &Uuid, new: &Uuid) -> Result<()>;
    /// Notes that a memory is found under another id of Zep's: this one was a double's.
    async fn renamed(&self, owner: &Owner, old: &Uuid, new: &Uuid) -> Result<()>;
    /// Leaves a claimed job for later.
    async fn later(&self, number: i64, after: Duration, in_doubt: bool) -> Result<()>;
    /// Parks a claimed job.
    async fn park(&self, number: i64, why: &str) -> Result<()>;
    /// Replaces the body of a job that has not changed, been sent or been delivered since, and forgets
    /// this one of the ids that it gave. Whether it was so. What is claimed is carried out again.
    async fn replace(&self, job: &Job, body: &str, gone: Option<usize>) -> Result<bool>;
    /// Whether this process still has its claim of a job.
    async fn holds(&self, number: i64) -> Result<bool>;
    /// Forgets a job, unless somebody has claimed it.
    async fn cancel(&self, number: i64) -> Result<Cancelled>;
    /// Forgets a job even if a process has claimed it. That process sends nothing more of it.
    async fn remove(&self, number: i64) -> Result<()>;

    /// Notes that memories were deleted or changed in Zep: what any process knows of them is outdated.
    async fn outdate(&self) -> Result<()>;
    /// When that was noted last, by any process.
    async fn outdated(&self) -> Result<Option<Timestamp>>;
    /// Forgets the ids of an owner's memories that Zep had: they are deleted.
    async fn forget_ids(&self, owner: &Owner) -> Result<()>;
    /// When something of this owner was put in last, by any process.
    async fn written(&self, owner: &Owner) -> Result<Option<Timestamp>>;
    /// What an id names; `None` if the queue did not give it.
    async fn find(&self, id: &Uuid) -> Result<Option<Queued>>;
    /// The first job after this number, of this owner or of any; a parked one, too.
    async fn after(&self, owner: Option<&Owner>, number: i64) -> Result<Option<Job>>;
}

//! Errors of memory operations, worded for the agent that reads them.

use crate::zep;

use crate::memory::mem0::Mem0Error;
use crate::memory::model::{InvalidId, Uuid};
use crate::memory::queue::QueueError;

/// Why an operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// An argument cannot be accepted. Nothing was written.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The argument.
        field: String,
        /// What is wrong with it and what it may be.
        problem: String,
    },
    /// The caller may not reach this. The text reveals no more.
    #[error("{what} belongs to another user, or Zep does not state its owner")]
    NotYours {
        /// What was asked for.
        what: String,
    },
    /// The caller may not do this, or not with this owner's memories.
    #[error("not allowed: {reason}; the operator of this server gives out tokens")]
    Forbidden {
        /// What the caller lacks.
        reason: String,
    },
    /// The caller reaches others, and not this owner.
    #[error(
        "not allowed: this token does not reach {whose}; the operator of this server gives out tokens"
    )]
    OutOfReach {
        /// The owner.
        whose: String,
    },
    /// The user's memories may not be used.
    #[error("user `{user}` is suspended or deleted: their memories are neither read nor written")]
    Suspended {
        /// The user.
        user: String,
    },
    /// The session was closed, or its time is over.
    #[error("session `{session}` is closed or expired; open another one")]
    SessionOver {
        /// The session.
        session: String,
    },
    /// The user has no such session.
    #[error(
        "user `{user}` has no session `{session}`; list_sessions names the sessions that exist"
    )]
    NoSession {
        /// The user.
        user: String,
        /// The session.
        session: String,
    },
    /// No memory within the caller's reach has this id.
    #[error(
        "no memory has the id {id}; it may be deleted or replaced. search_memories and \
         get_memories tell the ids that exist"
    )]
    NoMemory {
        /// Zep's id.
        id: String,
    },
    /// No such user, agent or session exists.
    #[error("there is no {what}; list_entities names those that exist")]
    NoEntity {
        /// The entity, with its id.
        what: String,
    },
    /// A scope that cannot be deleted without deleting memories outside of it.
    #[error("{reason}; nothing was deleted")]
    SharedScope {
        /// What is shared, and what to do.
        reason: String,
    },
    /// A change of several requests stopped midway. Repeating the call finishes it.
    #[error("{done}; make the same call again to finish it. Cause: {cause}")]
    Unfinished {
        /// What was done.
        done: String,
        /// What stopped it.
        cause: zep::Error,
    },
    /// A write of several requests stopped midway.
    #[error("{}", partly_stored(.0))]
    PartlyStored(Box<PartlyStored>),
    /// The queue of writes cannot take it. Nothing was promised.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The owner is being moved from mem0 to Zep.
    #[error(
        "these memories are being moved from mem0 to Zep at this moment; try again when that is done, in a \
         minute or so"
    )]
    Moving,
    /// Zep does not answer, and nothing tells whether the owner is its or mem0's.
    #[error(
        "whether these memories are in Zep or in mem0 is not known while Zep does not answer; try again \
         later"
    )]
    Undecided,
    /// mem0 failed.
    #[error(transparent)]
    Mem0(#[from] Mem0Error),
    /// The backend failed. After a failed write nothing of it is stored.
    #[error(transparent)]
    Zep(#[from] zep::Error),
}

/// How far an interrupted write came.
#[derive(Debug, Clone)]
pub struct PartlyStored {
    /// Zep's ids of the records stored whole, in the order given.
    pub stored: Vec<String>,
    /// How many records the call had.
    pub total: usize,
    /// Repeating the call with this key stores what is missing and nothing twice.
    pub idempotency_key: String,
    /// Whether a record beyond `stored` may be stored too: an answer was lost.
    pub in_doubt: bool,
    /// What stopped it.
    pub cause: zep::Error,
}

fn partly_stored(stopped: &PartlyStored) -> String {
    let PartlyStored {
        stored,
        total,
        idempotency_key,
        in_doubt,
        cause,
    } = stopped;
    let how_far = match (stored.len(), in_doubt) {
        (0, true) => format!("Whether any of the {total} memories is stored is not known"),
        (some, true) => format!(
            "{some} of {total} memories were stored; whether the next one is stored is not known"
        ),
        (some, false) => format!("{some} of {total} memories were stored"),
    };
    format!(
        "{how_far}. To store the rest, and nothing twice, make the \
         same call again with idempotency_key `{idempotency_key}`. Cause: {cause}"
    )
}

impl Error {
    /// An argument that cannot be accepted.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// No memory has this id.
    pub(crate) fn no_memory(id: &Uuid) -> Self {
        Self::NoMemory { id: id.to_string() }
    }

    /// A short, stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_argument",
            Self::NotYours { .. } => "not_yours",
            Self::Forbidden { .. } | Self::OutOfReach { .. } => "forbidden",
            Self::Suspended { .. } => "suspended",
            Self::SessionOver { .. } => "session_over",
            Self::NoSession { .. } => "no_such_session",
            Self::NoMemory { .. } => "not_found",
            Self::NoEntity { .. } => "not_found",
            Self::SharedScope { .. } => "shared_scope",
            Self::Unfinished { .. } => "unfinished",
            Self::PartlyStored(_) => "partly_stored",
            Self::Queue(QueueError::Full { .. }) => "queue_full",
            Self::Queue(QueueError::Unusable { .. }) => "storage_failed",
            Self::Moving => "moving",
            Self::Undecided => "undecided",
            Self::Mem0(_) => "mem0_failed",
            Self::Zep(error) => error.code(),
        }
    }

    /// The backend's error, if the backend failed.
    pub fn cause(&self) -> Option<&zep::Error> {
        match self {
            Self::Zep(cause) => Some(cause),
            Self::PartlyStored(stopped) => Some(&stopped.cause),
            Self::Unfinished { cause, .. } => Some(cause),
            Self::Invalid { .. }
            | Self::NotYours { .. }
            | Self::Forbidden { .. }
            | Self::OutOfReach { .. }
            | Self::Suspended { .. }
            | Self::SessionOver { .. }
            | Self::NoSession { .. }
            | Self::NoMemory { .. }
            | Self::NoEntity { .. }
            | Self::SharedScope { .. }
            | Self::Queue(_)
            | Self::Moving
            | Self::Undecided
            | Self::Mem0(_) => None,
        }
    }

    /// The HTTP status of Zep's or mem0's answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Mem0(error) => error.status,
            error => error.cause().and_then(zep::Error::status),
        }
    }
}

impl From<InvalidId> for Error {
    fn from(error: InvalidId) -> Self {
        Self::invalid(error.field, error.problem)
    }
}

/// The result of a memory operation.
pub type Result<T> = std::result::Result<T, Error>;

/// `None` for a 404.
pub(crate) fn if_found<T>(answer: zep::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// An absent item counts as deleted.
pub(crate) fn if_deleted(outcome: zep::Result<()>) -> zep::Result<()> {
    match outcome {
        Err(error) if error.is_not_found() => Ok(()),
        outcome => outcome,
    }
}

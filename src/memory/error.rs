//! What can go wrong with a memory, in words for the agent that asked.

use crate::zep;

use crate::memory::model::InvalidId;

/// Why a call on memories did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// An argument is not what it may be. Nothing was written.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The argument.
        field: String,
        /// What is wrong with it and what it may be.
        problem: String,
    },
    /// The caller may not reach this. Says no more than that.
    #[error("{what} belongs to somebody else, or Zep does not say whose it is")]
    NotYours {
        /// What was asked for.
        what: String,
    },
    /// The caller may not do this, or not with this user's or agent's memories.
    #[error("not allowed: {reason}; whoever runs this server gives out tokens")]
    Forbidden {
        /// What the caller lacks.
        reason: String,
    },
    /// The user has no such session.
    #[error(
        "user `{user}` has no session `{session}`; list_sessions names the sessions that exist"
    )]
    NoSession {
        /// Whose.
        user: String,
        /// Which.
        session: String,
    },
    /// Nothing that the caller may reach has this id.
    #[error(
        "no memory has the id {id}; it may be deleted or replaced. search_memories and \
         get_memories tell the ids that exist"
    )]
    NoMemory {
        /// Zep's id.
        id: String,
    },
    /// There is no such user, agent or session.
    #[error("there is no {what}; list_entities names those that exist")]
    NoEntity {
        /// What was asked for, with its id.
        what: String,
    },
    /// A scope of which a part cannot be deleted without deleting what is not in it.
    #[error("{reason}; nothing was deleted")]
    SharedScope {
        /// What is shared, and what to do.
        reason: String,
    },
    /// A change of several requests stopped on the way. Making the same call again finishes it.
    #[error("{done}; make the same call again to finish it. Cause: {cause}")]
    Unfinished {
        /// How far it came.
        done: String,
        /// What stopped it.
        cause: zep::Error,
    },
    /// A write of several requests stopped on the way.
    #[error("{}", partly_stored(.0))]
    PartlyStored(Box<PartlyStored>),
    /// The backend failed. Of a write: nothing of it is stored.
    #[error(transparent)]
    Zep(#[from] zep::Error),
}

/// How far a write came that stopped on the way.
#[derive(Debug, Clone)]
pub struct PartlyStored {
    /// Zep's ids of the records that are stored whole, in the order given.
    pub stored: Vec<String>,
    /// How many records were to be stored.
    pub total: usize,
    /// Sending the same call again with this key stores what is missing, and nothing twice.
    pub idempotency_key: String,
    /// Whether something beyond `stored` may be stored, too: an answer was lost.
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
    /// An argument that is not what it may be.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// A short, stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_argument",
            Self::NotYours { .. } => "not_yours",
            Self::Forbidden { .. } => "forbidden",
            Self::NoSession { .. } => "no_such_session",
            Self::NoMemory { .. } => "not_found",
            Self::NoEntity { .. } => "not_found",
            Self::SharedScope { .. } => "shared_scope",
            Self::Unfinished { .. } => "unfinished",
            Self::PartlyStored(_) => "partly_stored",
            Self::Zep(error) => error.code(),
        }
    }

    /// What the backend said, where it is the backend that failed.
    pub fn cause(&self) -> Option<&zep::Error> {
        match self {
            Self::Zep(cause) => Some(cause),
            Self::PartlyStored(stopped) => Some(&stopped.cause),
            Self::Unfinished { cause, .. } => Some(cause),
            Self::Invalid { .. }
            | Self::NotYours { .. }
            | Self::Forbidden { .. }
            | Self::NoSession { .. }
            | Self::NoMemory { .. }
            | Self::NoEntity { .. }
            | Self::SharedScope { .. } => None,
        }
    }

    /// The HTTP status that Zep answered, where it did.
    pub fn status(&self) -> Option<u16> {
        self.cause().and_then(zep::Error::status)
    }
}

impl From<InvalidId> for Error {
    fn from(error: InvalidId) -> Self {
        Self::invalid(error.field, error.problem)
    }
}

/// What a call on memories gives.
pub type Result<T> = std::result::Result<T, Error>;

//! How a session was opened, as its first message keeps it, and what an application sees of it.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::memory::{
    Error, Result,
    model::{SessionId, UserId, Uuid},
    record::fit::{self, Ours},
};
use crate::zep::Message;

/// The longest time-out, in minutes: a day. Ours.
pub const MAX_TIMEOUT_MINUTES: u32 = 24 * 60;
/// The longest note on a caller's address or program, in characters. Ours.
const MAX_NOTE_CHARS: usize = 500;

const TIMEOUT: &str = "timeout_minutes";
pub(super) const CLOSED: &str = "closed_at";
const ADDRESS: &str = "ip_address";
const PROGRAM: &str = "user_agent";

/// How to open a session.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// After so many minutes without a message it is over: 0 to [`MAX_TIMEOUT_MINUTES`].
    pub timeout_minutes: u32,
    /// The address of its user.
    pub ip_address: Option<String>,
    /// The program that they use.
    pub user_agent: Option<String>,
}

/// A session, as an application sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenSession {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// When it was opened.
    pub created_at: Option<Timestamp>,
    /// When it is over unless something is said: its time-out after the newest message. None for a
    /// session that was written to without being opened.
    pub expires_at: Option<Timestamp>,
    /// When it was written to last, or read by this process.
    pub last_activity: Option<Timestamp>,
    /// When it was closed.
    closed_at: Option<Timestamp>,
}

impl OpenSession {
    /// Whether it was closed, or its time is over.
    pub fn is_over(&self) -> bool {
        let is_past = |time: Timestamp| time <= Timestamp::now();
        self.closed_at.is_some() || self.expires_at.is_some_and(is_past)
    }
}

/// What was seen of a session.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(super) state: Option<State>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) newest: Option<Timestamp>,
    pub(super) read_at: Option<Timestamp>,
    pub(super) at: Instant,
}

/// How a session was opened.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) message: Uuid,
    pub(super) ours: Ours,
    pub(super) opened_at: Option<Timestamp>,
    pub(super) timeout: Option<SignedDuration>,
    pub(super) closed_at: Option<Timestamp>,
}

impl State {
    /// The state that a thread's first message keeps, if it does.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let ours = fit::unpack(message.metadata.as_ref()?).ours?;
        let fields = ours.marks.session.as_ref()?;
        let minutes = fields.get(TIMEOUT).and_then(Value::as_i64);
        let closed = fields.get(CLOSED).and_then(Value::as_str);
        Some(Self {
            message: message.uuid.clone()?,
            opened_at: message.created_at,
            timeout: minutes.map(SignedDuration::from_mins),
            closed_at: closed.and_then(|time| time.parse().ok()),
            ours,
        })
    }
}

impl Seen {
    pub(super) fn as_session(&self, user: &UserId, session: &SessionId) -> OpenSession {
        let state = self.state.as_ref();
        let created_at = state.and_then(|it| it.opened_at).or(self.created_at);
        let used_at = self.newest.max(created_at);
        let expires_at = state
            .and_then(|it| it.timeout)
            .and_then(|timeout| used_at?.checked_add(timeout).ok());
        OpenSession {
            user: user.clone(),
            session: session.clone(),
            created_at,
            expires_at,
            last_activity: used_at.max(self.read_at),
            closed_at: state.and_then(|it| it.closed_at),
        }
    }
}

/// What is kept of how a session was opened.
pub(super) fn fields(opening: &Opening) -> Result<Map<String, Value>> {
    if opening.timeout_minutes > MAX_TIMEOUT_MINUTES {
        let problem = format!(
            "is {}; it may be 0 to {MAX_TIMEOUT_MINUTES}",
            opening.timeout_minutes
        );
        return Err(Error::invalid(TIMEOUT, problem));
    }
    let mut fields = Map::new();
    fields.insert(TIMEOUT.into(), opening.timeout_minutes.into());
    for (field, note) in [
        (ADDRESS, &opening.ip_address),
        (PROGRAM, &opening.user_agent),
    ] {
        let Some(note) = note else { continue };
        if note.chars().count() > MAX_NOTE_CHARS {
            let problem = format!("has more than {MAX_NOTE_CHARS} characters");
            return Err(Error::invalid(field, problem));
        }
        fields.insert(field.into(), note.as_str().into());
    }
    Ok(fields)
}

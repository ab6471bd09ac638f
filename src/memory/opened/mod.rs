//! Sessions that an application opens: with a time-out, an end, and an owner who need not be named.
//!
//! How a session was opened is kept in its thread, as the first message, which is hidden: so every
//! process and every machine knows it, and it goes with the thread. A session that was not opened, but
//! written to, has no time-out.

mod kept;

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

pub(crate) use kept::Seen;
use kept::{CLOSED, State, fields};
pub use kept::{MAX_TIMEOUT_MINUTES, OpenSession, Opening};

use crate::memory::{
    Error, Purged, Result,
    access::{Caller, Right},
    beside::sides::Side,
    model::{Owner, RecordId, Scope, SessionId, UserId},
    people::owners::SIDE_BY_SIDE,
    record::{
        draft::{Draft, now},
        fit::{self, Carrier, Level, Ours},
    },
    service::MemoryService,
};
use crate::zep::{self, Message, NewMessage, ThreadId, Window};

/// How long it counts what was seen of a session: another process may close it. Ours.
const SEEN_FOR: Duration = Duration::from_secs(10);
/// What the message says that keeps how a session was opened. Zep refuses an empty one.
const CONTENT: &str = "Session opened";

fn no_session(session: &SessionId) -> Error {
    Error::NoEntity {
        what: format!("session `{session}`"),
    }
}

impl MemoryService {
    /// Opens a session of a user who exists, under a new id.
    ///
    /// # Errors
    /// [`Error::NoEntity`] if there is no such user; [`Error::Suspended`]; [`Error::Invalid`].
    pub async fn open_session(
        &self,
        caller: &Caller,
        user: &UserId,
        opening: Opening,
    ) -> Result<OpenSession> {
        let owner = Owner::User(user.clone());
        caller.may(Right::Write, &owner)?;
        let person = self.person(caller, user).await?;
        if !person.status.admits() {
            return Err(Error::Suspended {
                user: user.to_string(),
            });
        }
        match self.side_of(&owner).await? {
            Side::Zep => {}
            Side::Moving => return Err(Error::Moving),
            Side::Mem0 => {
                return Err(Error::invalid(
                    "user_id",
                    "is mem0's until `migrate` has moved them, and mem0 has no sessions that are opened; \
                     messages can be added to one all the same",
                ));
            }
        }
        let marks = fields(&opening)?;
        let session = SessionId::new(&uuid::Uuid::new_v4().to_string())?;
        let (service, user) = (self.clone(), user.clone());
        // A thread without its first message would be a session without a time-out.
        self.complete(async move { service.begin_session(&user, session, opening, marks).await })
            .await
    }

    /// Makes the thread of a session with the message that keeps how it was opened, or neither.
    async fn begin_session(
        &self,
        user: &UserId,
        session: SessionId,
        opening: Opening,
        marks: Map<String, Value>,
    ) -> Result<OpenSession> {
        let sessions = &self.inner.sessions;
        let (thread, _) = sessions.make(self.zep(), user, &session).await?;
        let mut ours = Ours::new(RecordId::new(&format!("session:{session}"))?);
        ours.marks.session = Some(marks);
        let record = Draft {
            ours: ours.clone(),
            role: zep::Role::System,
            name: None,
            content: CONTENT.to_owned(),
            created_at: now(),
            metadata: Map::new(),
            carrier: Carrier::Message,
        };
        let parts = record.fit(Level::Normal);
        let parts = parts.map_err(|error| Error::invalid("user_agent", error.problem()))?;
        let messages: Vec<_> = parts
            .into_iter()
            .map(|part| NewMessage {
                role: record.role,
                content: part.content,
                name: None,
                created_at: Some(record.created_at),
                mark: Some(part.mark),
                metadata: part.metadata,
            })
            .collect();
        let added = match self.zep().add_messages(&thread, &messages).await {
            Ok(added) => added,
            Err(error) => {
                sessions.forget(user, &session);
                if let Err(left) = self.zep().delete_thread(&thread).await {
                    tracing::warn!(code = left.code(), "an empty session is left in Zep");
                }
                return Err(error.into());
            }
        };
        let message = added.message_uuids.into_iter().next();
        let seen = Seen {
            state: message.map(|message| State {
                message,
                ours,
                opened_at: Some(record.created_at),
                timeout: Some(SignedDuration::from_mins(opening.timeout_minutes.into())),
                closed_at: None,
            }),
            created_at: Some(record.created_at),
            newest: Some(record.created_at),
            read_at: None,
            at: Instant::now(),
        };
        let opened = seen.as_session(user, &session);
        self.remember_session(user, &session);
        if seen.state.is_some() {
            self.inner.opened.insert((user.clone(), session), seen);
        }
        Ok(opened)
    }

    /// A session that is neither closed nor over. Reading it counts as activity, and does not prolong it.
    ///
    /// # Errors
    /// [`Error::NoEntity`] if there is none within reach, or it is over.
    pub async fn open_session_of(
        &self,
        caller: &Caller,
        user: Option<&UserId>,
        session: &SessionId,
    ) -> Result<OpenSession> {
        let user = self.whose(caller, Right::Read, user, session).await?;
        let seen = self.seen(&user, session).await?;
        let open = seen.as_session(&user, session);
        if open.is_over() {
            return Err(no_session(session));
        }
        let read_at = Some(Timestamp::now());
        self.inner
            .opened
            .insert((user, session.clone()), Seen { read_at, ..seen });
        Ok(open)
    }

    /// Closes a session: nothing more is said in it. What was said stays.
    ///
    /// # Errors
    /// [`Error::NoEntity`] if it is not open, or was never opened.
    pub async fn close_session(
        &self,
        caller: &Caller,
        user: Option<&UserId>,
        session: &SessionId,
    ) -> Result<UserId> {
        let user = self.whose(caller, Right::Write, user, session).await?;
        let key = (user.clone(), session.clone());
        self.inner.opened.remove(&key);
        let seen = self.seen(&user, session).await?;
        if seen.as_session(&user, session).is_over() {
            return Err(no_session(session));
        }
        let Some(mut state) = seen.state else {
            return Err(no_session(session));
        };
        if let Some(fields) = &mut state.ours.marks.session {
            fields.insert(CLOSED.into(), now().to_string().into());
        }
        let unpacked = fit::Unpacked {
            ours: None,
            part: zep::PartNo::WHOLE,
            gaps: Vec::new(),
            caller: Map::new(),
        };
        let packed = fit::repack(&unpacked, &state.ours, &Map::new());
        let (mark, metadata) =
            packed.map_err(|error| Error::invalid("session_id", error.problem()))?;
        self.zep()
            .set_message_metadata(&state.message, Some(&mark), &metadata)
            .await?;
        self.inner.opened.remove(&key);
        Ok(user)
    }

    /// A user's sessions that are neither closed nor over, newest first: those of so many of their
    /// sessions, from this one on. How many sessions there are in all is told beside them.
    ///
    /// # Errors
    /// [`Error::NoEntity`] if there is no such user within reach.
    pub async fn open_sessions(
        &self,
        caller: &Caller,
        user: &UserId,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<OpenSession>, usize)> {
        self.person(caller, user).await?;
        self.admits(&Owner::User(user.clone())).await?;
        let mut threads = self.zep().user_threads(user).await?;
        threads.sort_by(|a, b| (b.created_at, &b.thread_id).cmp(&(a.created_at, &a.thread_id)));
        let total = threads.len();
        let named = threads.into_iter().skip(offset).take(limit);
        let sessions = named.filter_map(|thread| {
            let session = SessionId::of_thread(&thread.thread_id?, user);
            SessionId::new(&session).ok()
        });
        let seen = stream::iter(sessions.collect::<Vec<_>>())
            .map(async |session| match self.seen(user, &session).await {
                Ok(seen) => Ok(Some(seen.as_session(user, &session))),
                // It was deleted meanwhile.
                Err(Error::NoEntity { .. }) => Ok(None),
                Err(error) => Err(error),
            })
            .buffered(SIDE_BY_SIDE)
            .try_collect::<Vec<_>>();
        let open = seen.await?.into_iter().flatten();
        Ok((open.filter(|session| !session.is_over()).collect(), total))
    }

    /// Deletes a user's session with everything in it, as [`MemoryService::delete_all`] does.
    ///
    /// # Errors
    /// As [`MemoryService::delete_all`].
    pub async fn clear_session(
        &self,
        caller: &Caller,
        user: &UserId,
        session: &SessionId,
    ) -> Result<Purged> {
        let scope = Scope {
            user: Some(user.clone()),
            session: Some(session.clone()),
            ..Scope::default()
        };
        let purged = self.delete_all(caller, &scope).await;
        self.inner.opened.remove(&(user.clone(), session.clone()));
        self.inner.session_users.remove(session);
        purged
    }

    /// Refuses what is said in a session that is closed or over, or by a user who is suspended or deleted. A session
    /// that does not exist may be written to. Part of a call that began then.
    ///
    /// # Errors
    /// [`Error::SessionOver`], [`Error::Suspended`].
    pub async fn admits_turn(
        &self,
        user: &UserId,
        session: &SessionId,
        begun: Instant,
    ) -> Result<()> {
        let owner = Owner::User(user.clone());
        // At once: what Zep takes for the one must not be missing for the other.
        let (admitted, seen) = tokio::join!(
            self.admits_writing(&owner, begun),
            self.asked_shortly(begun, self.seen(user, session)),
        );
        admitted?;
        let seen = match seen {
            Ok(Some(seen)) => seen,
            // What is said is kept although Zep does not answer.
            Ok(None) | Err(Error::NoEntity { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if seen.as_session(user, session).is_over() {
            return Err(Error::SessionOver {
                session: session.to_string(),
            });
        }
        self.remember_session(user, session);
        if seen.state.is_some() {
            let newest = Some(now()).max(seen.newest);
            let key = (user.clone(), session.clone());
            self.inner.opened.insert(key, Seen { newest, ..seen });
        }
        Ok(())
    }

    /// The user whose session this is, if the caller has this right on them: the one who is named, else
    /// the one who has the thread of this id, else the caller's only user.
    ///
    /// # Errors
    /// [`Error::NoEntity`] if nobody within reach is known to have it.
    pub async fn whose(
        &self,
        caller: &Caller,
        right: Right,
        named: Option<&UserId>,
        session: &SessionId,
    ) -> Result<UserId> {
        if let Some(user) = named {
            caller.may(right, &Owner::User(user.clone()))?;
            return Ok(user.clone());
        }
        let remembered = self.inner.session_users.get(session);
        let asked = async {
            let sessions = &self.inner.sessions;
            sessions.plain_owner(self.zep(), session).await
        };
        let found = match session.is_default() {
            true => None,
            false => self.asked(asked).await?.flatten(),
        };
        let reached = |user: &UserId| caller.reaches(&Owner::User(user.clone()));
        let only = caller.listed_users().filter(|users| users.len() == 1);
        let user = [found, remembered]
            .into_iter()
            .flatten()
            .find(reached)
            .or_else(|| only.and_then(|users| users.first()).cloned())
            .ok_or_else(|| no_session(session))?;
        caller.may(right, &Owner::User(user.clone()))?;
        Ok(user)
    }

    /// Remembers whose a session is, for callers who do not say so.
    fn remember_session(&self, user: &UserId, session: &SessionId) {
        self.inner
            .session_users
            .insert(session.clone(), user.clone());
    }

    /// What is known of a session that exists.
    async fn seen(&self, user: &UserId, session: &SessionId) -> Result<Seen> {
        let key = (user.clone(), session.clone());
        let known = self.inner.opened.get(&key);
        // One that seems to be over may have been used by another process since.
        let is_good =
            |it: &&Seen| it.at.elapsed() < SEEN_FOR && !it.as_session(user, session).is_over();
        if let Some(known) = known.as_ref().filter(is_good) {
            return Ok(known.clone());
        }
        let thread = self.inner.sessions.find(self.zep(), user, session).await?;
        let thread = thread.ok_or_else(|| no_session(session))?;
        let (first, last) = futures::try_join!(
            self.message_at(&thread, user, session, Window::First { limit: 1 }),
            self.message_at(&thread, user, session, Window::Last { limit: 1 }),
        )?;
        let mut seen = Seen {
            state: first.0.as_ref().and_then(State::of),
            created_at: first.1,
            newest: last.0.and_then(|message| message.created_at),
            read_at: known.and_then(|known| known.read_at),
            at: Instant::now(),
        };
        // What was said while Zep was away waits here, and counts as well.
        if seen.as_session(user, session).is_over() {
            let waits = self.waits(&Owner::User(user.clone())).await?;
            let waiting = waits
                .sessions()
                .get(session)
                .and_then(|(_, newest)| *newest);
            seen.newest = seen.newest.max(waiting);
        }
        self.inner.opened.insert(key, seen.clone());
        Ok(seen)
    }

    /// The message of a window, and when the thread was created.
    async fn message_at(
        &self,
        thread: &ThreadId,
        user: &UserId,
        session: &SessionId,
        window: Window,
    ) -> Result<(Option<Message>, Option<Timestamp>)> {
        let page = match self.zep().messages(thread, &window).await {
            Err(error) if error.is_not_found() => {
                self.inner.sessions.forget(user, session);
                return Err(no_session(session));
            }
            page => page?,
        };
        if !page.is_of(&Owner::User(user.clone())) {
            self.inner.sessions.forget(user, session);
            return Err(no_session(session));
        }
        let created_at = page.thread_created_at;
        Ok((page.messages.into_iter().next(), created_at))
    }
}

//! The job that writes a call's records: request by request, each record once, with an exact
//! account of what is stored.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use crate::memory::{
    Error, PartlyStored, Result,
    model::{AddedMemory, GraphId, Owner, Place, RecordId, SessionId, UserId},
    people::creation::create_owner,
    record::draft::{Draft, Stored},
    record::fit::{Carrier, FittedPart, Level},
    service::MemoryService,
    sessions::NoThread,
    write::locks::{ImportTurn, Share},
    write::once::only_while_awaited,
};
use crate::zep::{
    self, DataType, Graphs, NewEpisode, NewMessage, Outcome, SentTo, ThreadId, Threads,
    limits::MESSAGES_PER_CALL,
};

/// What is known about the records before the write.
#[derive(Debug)]
pub(crate) enum Known {
    /// They were never written before.
    New,
    /// An earlier call may have stored some of them.
    LookFirst,
    /// The stored parts, already looked up.
    Stored(Stored),
}

/// One call's write, run on a task of its own.
#[derive(Debug)]
pub(crate) struct WriteJob {
    pub(crate) service: MemoryService,
    pub(crate) place: Place,
    pub(crate) records: Vec<Draft>,
    pub(crate) key: RecordId,
    pub(crate) known: Known,
    /// Whether an earlier attempt sent them, which may still arrive.
    pub(crate) sent_before: bool,
    /// The importer's turn, held until the write is finished even if its caller is gone.
    #[allow(dead_code, reason = "it is held, not read")]
    pub(crate) turn: Option<ImportTurn>,
    /// The share of the owner that the call holds already, if it does.
    pub(crate) share: Option<Share>,
}

impl WriteJob {
    /// Stores the records. If the future is dropped (a cancelled call), the write continues in the
    /// background until the current request is answered and its record complete.
    pub(crate) async fn finish_even_if_dropped(self) -> Result<Vec<AddedMemory>> {
        let abandoned = CancellationToken::new();
        let abandon_on_drop = abandoned.clone().drop_guard();
        let (service, named) = (self.service.clone(), self.named());
        let outcome = service.complete(self.run(abandoned)).await;
        drop(abandon_on_drop);
        // A continued write may find everything stored already.
        if matches!(outcome, Ok(_) | Err(Error::PartlyStored(_))) {
            service.tell_of(named);
        }
        outcome
    }

    /// The marker graphs of the agents and apps in the records' marks.
    fn named(&self) -> BTreeSet<GraphId> {
        let agents = self.records.iter().filter_map(|record| {
            let agent = record.ours.agent.as_ref()?;
            Some(agent.graph())
        });
        let apps = self.records.iter().filter_map(|record| {
            let app = record.ours.app.as_ref()?;
            Some(app.graph())
        });
        agents.chain(apps).collect()
    }

    /// Stores the records. Once abandoned, begins no further record.
    async fn run(mut self, abandoned: CancellationToken) -> Result<Vec<AddedMemory>> {
        let known = std::mem::replace(&mut self.known, Known::LookFirst);
        let _share = match self.share.take() {
            Some(share) => share,
            None => {
                let owner = self.place.owner();
                let share = self.service.inner.share_of(&owner);
                let share = only_while_awaited(share, &abandoned).await;
                let unknown = matches!(known, Known::LookFirst);
                share.map_err(|error| self.before_a_look(unknown, error.into()))?
            }
        };
        if matches!(known, Known::LookFirst) {
            for record in &self.records {
                self.service.inner.keyed.insert(self.keyed(record), ());
            }
        }
        match self.place.clone() {
            Place::Session(user, session) => {
                self.to_session(&user, &session, known, &abandoned).await
            }
            Place::Graph(owner) => self.to_graph(&owner, known, &abandoned).await,
        }
    }

    async fn to_session(
        &self,
        user: &UserId,
        session: &SessionId,
        known: Known,
        abandoned: &CancellationToken,
    ) -> Result<Vec<AddedMemory>> {
        let inner = &self.service.inner;
        let zep = inner.zep.as_ref();
        let is_new = matches!(known, Known::New);
        let unknown = matches!(known, Known::LookFirst);
        let waits = |thread: &ThreadId| vec![inner.sessions.writer(thread)];
        let found = inner.sessions.find_or_make(zep, user, session).await;
        let mut thread = found.map_err(|why| match why {
            NoThread::Unknown(error) => self.before_a_look(unknown, error),
            // Nothing can be stored where there is no thread.
            NoThread::Absent(error) => error,
        })?;
        let mut turn = self.take_turns(waits(&thread), abandoned).await;
        if let Err(error) = turn {
            return Err(self.before_a_look(unknown, error.into()));
        }
        let mut stored = match self.known_now(known) {
            Known::New => Stored::default(),
            Known::LookFirst => self
                .look_in_thread(zep, &thread)
                .await
                .map_err(|error| self.before_a_look(unknown, error))?,
            Known::Stored(stored) => stored,
        };
        if unknown {
            self.tell_stored(SentTo::Thread(thread.clone())).await;
        }
        self.note_sent_again(SentTo::Thread(thread.clone()), &stored)
            .await;
        let mut remade = false;
        let mut level = Level::Normal;
        let mut next = 0;
        while next < self.records.len() {
            if abandoned.is_cancelled() {
                return Err(self.stopped(&stored, zep::Error::Cancelled));
            }
            let (messages, end) = self.next_records(next, level, &stored)?;
            match self.send(zep, &thread, &messages, &mut stored).await {
                Ok(()) => next = end,
                // The thread is gone, with everything this call stored in it: both are made again,
                // once.
                Err(error) if error.is_not_found() && !remade => {
                    remade = true;
                    stored = Stored::default();
                    next = 0;
                    inner.sessions.forget(user, session);
                    thread = inner.sessions.find_or_make(zep, user, session).await?;
                    // It may be another thread than before, with other writers.
                    drop(turn);
                    turn = self.take_turns(waits(&thread), abandoned).await;
                    if let Err(error) = turn {
                        return Err(self.stopped(&stored, error));
                    }
                    if !is_new {
                        stored = self.look_in_thread(zep, &thread).await?;
                    }
                }
                Err(error) if error.is_conflict() => {
                    let found = self.look_in_thread(zep, &thread).await?;
                    stored = self.overtaken(stored, found, error)?;
                }
                Err(error)
                    if level == Level::Normal
                        && may_be_too_long(
                            &error,
                            Carrier::Message,
                            messages.iter().map(|message| message.content.as_str()),
                        ) =>
                {
                    level = Level::Small;
                }
                Err(error) => return Err(self.stopped(&stored, error)),
            }
        }
        if self
            .records
            .iter()
            .any(|record| stored.id(record.id()).is_none())
        {
            // Ids are optional in Zep's answer: missing ones are looked up.
            stored = match self.look_in_thread(zep, &thread).await {
                Ok(found) => found,
                Err(Error::Zep(error)) => return Err(self.unknown_ids(&stored, error)),
                Err(error) => return Err(error),
            };
        }
        drop(turn);
        self.answer(&stored)
    }

    /// The messages of the next records: as many whole records as fit one request, or a single one
    /// that needs several. Also returns the index of the record after them.
    fn next_records(
        &self,
        from: usize,
        level: Level,
        stored: &Stored,
    ) -> Result<(Vec<NewMessage>, usize)> {
        let mut messages = Vec::new();
        let mut end = from;
        for record in &self.records[from..] {
            let parts = record.missing(level, stored)?;
            if !messages.is_empty() && messages.len() + parts.len() > MESSAGES_PER_CALL {
                break;
            }
            end += 1;
            messages.extend(parts.into_iter().map(|part| message(record, part)));
        }
        Ok((messages, end))
    }

    async fn send(
        &self,
        zep: &dyn Threads,
        thread: &ThreadId,
        messages: &[NewMessage],
        stored: &mut Stored,
    ) -> zep::Result<()> {
        for request in messages.chunks(MESSAGES_PER_CALL) {
            let mut ids = zep
                .add_messages(thread, request)
                .await?
                .message_uuids
                .into_iter();
            for mark in request.iter().filter_map(|message| message.mark.as_ref()) {
                stored.note(ids.next(), mark);
            }
        }
        Ok(())
    }

    async fn to_graph(
        &self,
        owner: &Owner,
        known: Known,
        abandoned: &CancellationToken,
    ) -> Result<Vec<AddedMemory>> {
        let zep = self.service.zep();
        let unknown = matches!(known, Known::LookFirst);
        let turns = match known {
            // Nobody else knows its ids.
            Known::New => Ok(Vec::new()),
            _ => self.take_turns(self.record_locks(), abandoned).await,
        };
        if let Err(error) = turns {
            return Err(self.before_a_look(unknown, error.into()));
        }
        let mut stored = match self.known_now(known) {
            Known::New => Stored::default(),
            Known::LookFirst => self
                .look_in_graph(zep, owner)
                .await
                .map_err(|error| self.before_a_look(true, error))?,
            Known::Stored(stored) => stored,
        };
        if unknown {
            self.tell_stored(SentTo::Graph(owner.clone())).await;
        }
        self.note_sent_again(SentTo::Graph(owner.clone()), &stored)
            .await;
        let mut made = false;
        for record in &self.records {
            if abandoned.is_cancelled() {
                return Err(self.stopped(&stored, zep::Error::Cancelled));
            }
            let mut level = Level::Normal;
            loop {
                let parts = record.missing(level, &stored)?;
                match self
                    .send_parts(zep, owner, record, &parts, &mut stored)
                    .await
                {
                    Ok(()) => break,
                    Err(error) if error.is_not_found() && !made => {
                        made = true;
                        if let Err(error) = create_owner(zep, owner).await {
                            return Err(self.stopped(&stored, error));
                        }
                    }
                    Err(error) if error.is_conflict() => {
                        let found = self.look_in_graph(zep, owner).await?;
                        stored = self.overtaken(stored, found, error)?;
                    }
                    Err(error)
                        if level == Level::Normal
                            && may_be_too_long(
                                &error,
                                Carrier::Episode,
                                parts.iter().map(|part| part.content.as_str()),
                            ) =>
                    {
                        level = Level::Small;
                    }
                    Err(error) => return Err(self.stopped(&stored, error)),
                }
            }
        }
        drop(turns);
        self.answer(&stored)
    }

    async fn send_parts(
        &self,
        zep: &dyn Graphs,
        owner: &Owner,
        record: &Draft,
        parts: &[FittedPart],
        stored: &mut Stored,
    ) -> zep::Result<()> {
        for part in parts {
            let added = zep.add_episode(owner, &episode(record, part)).await?;
            stored.note(Some(added.uuid), &part.mark);
        }
        Ok(())
    }

    fn answer(&self, stored: &Stored) -> Result<Vec<AddedMemory>> {
        self.records
            .iter()
            .map(|record| {
                let id = stored.id(record.id()).ok_or_else(|| {
                    let message = "what was stored could not be found again".into();
                    self.unknown_ids(stored, zep::Error::BadAnswer { message })
                })?;
                Ok(AddedMemory {
                    id: id.clone(),
                    content: record.content.clone(),
                })
            })
            .collect()
    }

    /// The error if everything is stored but its ids could not be looked up.
    fn unknown_ids(&self, stored: &Stored, cause: zep::Error) -> Error {
        self.how_far(stored, cause, true)
    }

    /// The error of a write that stopped before it was known what an earlier call had stored. It
    /// must not claim that nothing is stored.
    fn before_a_look(&self, unknown: bool, error: Error) -> Error {
        match error {
            Error::Zep(cause) if unknown => self.how_far(&Stored::default(), cause, true),
            error => error,
        }
    }

    /// The error of a write that stopped: the bare cause if nothing is stored, else how far it
    /// came.
    pub(super) fn stopped(&self, stored: &Stored, cause: zep::Error) -> Error {
        let in_doubt = cause.outcome() == Outcome::Unknown;
        if stored.is_empty() && !in_doubt {
            return cause.into();
        }
        self.how_far(stored, cause, in_doubt)
    }

    fn how_far(&self, stored: &Stored, cause: zep::Error, in_doubt: bool) -> Error {
        Error::PartlyStored(Box::new(PartlyStored {
            stored: self
                .records
                .iter()
                .filter(|record| stored.is_whole(record.id()))
                .filter_map(|record| stored.id(record.id()).map(ToString::to_string))
                .collect(),
            total: self.records.len(),
            idempotency_key: self.key.to_string(),
            in_doubt,
            cause,
        }))
    }
}

/// A part of a record as a message.
pub(super) fn message(record: &Draft, part: FittedPart) -> NewMessage {
    NewMessage {
        role: record.role,
        content: part.content,
        name: record.name.clone(),
        created_at: Some(record.created_at),
        mark: Some(part.mark),
        metadata: part.metadata,
    }
}

/// A part of a record as an episode.
pub(super) fn episode(record: &Draft, part: &FittedPart) -> NewEpisode {
    NewEpisode {
        data_type: DataType::Text,
        data: part.content.clone(),
        created_at: Some(record.created_at),
        mark: Some(part.mark.clone()),
        metadata: part.metadata.clone(),
        source_description: None,
    }
}

/// Whether a refusal may be for length although the content is under the limit, since Zep does not
/// define a character: then smaller parts are tried, once.
fn may_be_too_long<'a>(
    error: &zep::Error,
    carrier: Carrier,
    contents: impl IntoIterator<Item = &'a str>,
) -> bool {
    let small = Level::Small.max_chars(carrier);
    matches!(error, zep::Error::Invalid { .. })
        && contents
            .into_iter()
            .any(|content| content.chars().count() > small)
}

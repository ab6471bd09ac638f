//! Writing a call's records: request by request, each record once, and an honest account of how
//! far it came.

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use super::{
    Error, PartlyStored, Result,
    add::AddedMemory,
    fit::{Carrier, FittedPart, Level},
    model::{Owner, RecordId, SessionId, UserId},
    outgoing::{Outgoing, Stored},
    service::MemoryService,
    sessions::make_user,
};
use crate::zep::{
    self, DataType, NewEpisode, NewMessage, Outcome, ThreadId, Zep, limits::MESSAGES_PER_CALL,
};

/// Where records go.
#[derive(Debug)]
pub(super) enum Destination {
    /// To a session, as messages.
    Session(UserId, SessionId),
    /// To an owner's graph, as episodes.
    Graph(Owner),
}

/// One call's write, which runs on a task of its own.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) service: MemoryService,
    pub(super) destination: Destination,
    pub(super) records: Vec<Outgoing>,
    pub(super) key: RecordId,
    /// Whether an earlier call may have stored some of it.
    pub(super) look_first: bool,
}

impl Write {
    /// Stores the records. Once abandoned, begins no further one.
    pub(super) async fn run(self, abandoned: CancellationToken) -> Result<Vec<AddedMemory>> {
        match &self.destination {
            Destination::Session(user, session) => self.to_session(user, session, &abandoned).await,
            Destination::Graph(owner) => self.to_graph(owner, &abandoned).await,
        }
    }

    async fn to_session(
        &self,
        user: &UserId,
        session: &SessionId,
        abandoned: &CancellationToken,
    ) -> Result<Vec<AddedMemory>> {
        let inner = &self.service.inner;
        let zep = inner.zep.as_ref();
        let mut thread = inner.sessions.find_or_make(zep, user, session).await?;
        let lock = inner.sessions.writer(&thread);
        let _alone = lock.lock().await;
        let mut stored = Stored::default();
        if self.look_first {
            stored = self.look_in_thread(zep, &thread).await?;
        }
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
                // The thread is gone, and with it what this call had stored in it: it is made again
                // and everything written again, once.
                Err(error) if error.is_not_found() && !remade => {
                    remade = true;
                    stored = Stored::default();
                    next = 0;
                    inner.sessions.forget(user, session);
                    thread = inner.sessions.find_or_make(zep, user, session).await?;
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
            // Ids are optional in Zep's answer: without them, they are looked up.
            stored = self.look_in_thread(zep, &thread).await?;
        }
        self.answer(&stored)
    }

    /// The messages of the next records: as many whole records as go into one request, or a single
    /// one that needs several. Answers also which record comes after them.
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
            messages.extend(parts.into_iter().map(|part| NewMessage {
                role: record.role,
                content: part.content,
                name: record.name.clone(),
                created_at: Some(record.created_at),
                metadata: part.metadata,
            }));
        }
        Ok((messages, end))
    }

    async fn send(
        &self,
        zep: &dyn Zep,
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
            for message in request {
                stored.note(ids.next(), Some(&message.metadata));
            }
        }
        Ok(())
    }

    async fn look_in_thread(&self, zep: &dyn Zep, thread: &ThreadId) -> Result<Stored> {
        let wanted: HashSet<String> = self
            .records
            .iter()
            .map(|record| record.id().to_owned())
            .collect();
        let mut stored = Stored::default();
        for message in zep.find_messages(thread, &wanted).await? {
            stored.note(message.uuid, message.metadata.as_ref());
        }
        Ok(stored)
    }

    async fn to_graph(
        &self,
        owner: &Owner,
        abandoned: &CancellationToken,
    ) -> Result<Vec<AddedMemory>> {
        let zep = self.service.zep();
        let mut stored = Stored::default();
        if self.look_first {
            stored = self.look_in_graph(zep, owner).await?;
        }
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
                        if let Err(error) = make_owner(zep, owner).await {
                            return Err(self.stopped(&stored, error));
                        }
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
        self.answer(&stored)
    }

    async fn send_parts(
        &self,
        zep: &dyn Zep,
        owner: &Owner,
        record: &Outgoing,
        parts: &[FittedPart],
        stored: &mut Stored,
    ) -> zep::Result<()> {
        for part in parts {
            let episode = NewEpisode {
                data_type: DataType::Text,
                data: part.content.clone(),
                created_at: Some(record.created_at),
                metadata: part.metadata.clone(),
                source_description: None,
            };
            let added = zep.add_episode(owner, &episode).await?;
            stored.note(Some(added.uuid), Some(&part.metadata));
        }
        Ok(())
    }

    async fn look_in_graph(&self, zep: &dyn Zep, owner: &Owner) -> Result<Stored> {
        let mut stored = Stored::default();
        for record in &self.records {
            match zep.find_episodes(owner, record.id()).await {
                Ok(found) => found.into_iter().for_each(|episode| {
                    stored.note(Some(episode.uuid), episode.metadata.as_ref());
                }),
                // An owner who does not exist has nothing.
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(stored)
    }

    fn answer(&self, stored: &Stored) -> Result<Vec<AddedMemory>> {
        self.records
            .iter()
            .map(|record| {
                let id = stored
                    .id(record.id())
                    .ok_or_else(|| zep::Error::BadAnswer {
                        message: "what was stored could not be found again".into(),
                    })?;
                Ok(AddedMemory {
                    id: id.clone(),
                    content: record.content.clone(),
                })
            })
            .collect()
    }

    /// What to report when a write stopped: the bare cause if nothing is stored, else how far it
    /// came.
    fn stopped(&self, stored: &Stored, cause: zep::Error) -> Error {
        let in_doubt = cause.outcome() == Outcome::Unknown;
        if stored.is_empty() && !in_doubt {
            return cause.into();
        }
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

async fn make_owner(zep: &dyn Zep, owner: &Owner) -> zep::Result<()> {
    match owner {
        Owner::User(user) => make_user(zep, user).await,
        Owner::Graph(graph) => {
            let description = "What an agent remembers for itself";
            match zep.create_graph(graph, graph.as_str(), description).await {
                Err(error) if error.is_conflict() => Ok(()),
                outcome => outcome.map(drop),
            }
        }
    }
}

/// Whether a refusal may be for length although we stayed under the limit, since Zep does not say
/// what it counts as a character: then smaller parts are tried, once.
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

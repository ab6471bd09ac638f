//! This program's own memories as a source: those of an embedded store, or in Zep Cloud.

mod parts;

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::parts::Parts;
use super::{
    Defect, Entry, Names, Origin, Position, Problem, ReadError, RecordKind, Severity, Sink, Source,
    SourceItem, SourceRecord, SourceUser, StoredRecord,
};
use crate::memory::access::Caller;
use crate::memory::fit::unpack_flat;
use crate::memory::import::Scan;
use crate::memory::model::{AgentId, AppId, GraphId, Owner, SessionId, UserId};
use crate::memory::records::{Assembled, speaker};
use crate::memory::{self, MemoryService};
use crate::time;
use crate::zep::{self, ThreadId, TimeOrder, Zep, limits::PAGE_ITEMS};

/// Progress is reported once per this number of records.
const PROGRESS_EVERY: u64 = 256;

/// What this program keeps in a user's metadata for itself.
const ROLE: &str = "role";
const MIGRATION_SOURCE: &str = "migration_source";
const SOURCE_USER_ID: &str = "source_user_id";
const MIGRATION_TIMESTAMP: &str = "migration_timestamp";
const MIGRATION_RUN: &str = "migration_run";

/// Everything that a store holds: users with what is known of them, the records of their sessions in
/// order, texts outside of sessions, agents' own memories, each with its record id, times and metadata.
///
/// What is deleted or hidden is not read. Facts are none of it: every store draws its own from the
/// records.
#[derive(Debug)]
pub struct Stored {
    service: MemoryService,
    users: Vec<UserId>,
    name: String,
}

impl Stored {
    /// The memories of these users; of everybody, agents included, if there are none. `name` is that
    /// of the source.
    pub fn new(zep: Arc<dyn Zep>, users: Vec<UserId>, name: String) -> Self {
        // Only writes that name nobody are somebody's by default, and there are none.
        let nobody = UserId::new("nobody").unwrap_or_else(|_| unreachable!("a valid id"));
        Self {
            service: MemoryService::new(zep, nobody),
            users,
            name,
        }
    }
}

impl Source for Stored {
    fn system(&self) -> &'static str {
        self.service.backend()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn read(
        self: Box<Self>,
        sink: &mut dyn Sink,
        cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        let mut reading = Reading {
            service: &self.service,
            sink,
            records: 0,
        };
        let read = cancelled.run_until_cancelled(reading.everything(&self.users));
        let read = Handle::current().block_on(read);
        read.unwrap_or(Err(ReadError::Stopped))?;
        reading.sink.progress(reading.records, None);
        Ok(())
    }
}

impl From<memory::Error> for ReadError {
    fn from(error: memory::Error) -> Self {
        Self::Io(io::Error::other(error.to_string()))
    }
}

impl From<zep::Error> for ReadError {
    fn from(error: zep::Error) -> Self {
        memory::Error::from(error).into()
    }
}

struct Reading<'a> {
    service: &'a MemoryService,
    sink: &'a mut dyn Sink,
    records: u64,
}

impl Reading<'_> {
    async fn everything(&mut self, users: &[UserId]) -> Result<(), ReadError> {
        if !users.is_empty() {
            for user in users {
                match self.service.user(&Caller::Operator, user).await? {
                    Some(found) => self.user(found).await?,
                    None => self.problem(format!("user {user}"), "does not exist")?,
                }
            }
            return Ok(());
        }
        let zep = self.service.zep();
        let mut pages = zep.users();
        while let Some(page) = pages.next().await? {
            for user in page.items {
                self.user(user).await?;
            }
        }
        let mut pages = zep.graphs();
        while let Some(page) = pages.next().await? {
            let ids = page.items.into_iter().filter_map(|graph| graph.graph_id);
            for id in ids {
                self.graph(&id).await?;
            }
        }
        Ok(())
    }

    /// A user with their sessions and texts.
    async fn user(&mut self, user: zep::User) -> Result<(), ReadError> {
        let Some(id) = user.user_id.clone() else {
            return Ok(());
        };
        let Ok(id) = UserId::new(&id) else {
            return self.problem(format!("user {id:?}"), "has an id that cannot be kept");
        };
        self.send(SourceItem::Entry(Entry::User {
            position: Position(format!("user {id}")),
            user: Box::new(described(user, &id, self.service.backend())),
        }))?;
        let owner = Owner::User(id.clone());
        for thread in self.service.zep().user_threads(&id).await? {
            let Some(thread) = thread.thread_id else {
                continue;
            };
            let session = SessionId::of_thread(&thread, &id);
            let (Ok(thread), Ok(session)) = (ThreadId::new(&thread), SessionId::new(&session))
            else {
                self.problem(
                    format!("user {id}, thread {thread:?}"),
                    "has an id that this program cannot keep",
                )?;
                continue;
            };
            let place = Place {
                owner: &owner,
                session: Some(&session),
            };
            let service = self.service;
            let scan = service.scan_thread(&Caller::Operator, &id, &thread)?;
            self.place(place, scan).await?;
        }
        let place = Place {
            owner: &owner,
            session: None,
        };
        let service = self.service;
        let scan = service.scan_graph(&Caller::Operator, &owner)?;
        self.place(place, scan).await?;
        self.changed_facts(&owner).await
    }

    /// An agent's own memories. An app's graph is empty, and others are another program's.
    async fn graph(&mut self, id: &str) -> Result<(), ReadError> {
        let Ok(graph) = GraphId::new(id) else {
            return Ok(());
        };
        if AgentId::of_graph(&graph).is_none() {
            if AppId::of_graph(&graph).is_none() {
                let reason = "is another program's, and was not read";
                return self.warning(format!("graph {graph}"), reason);
            }
            return Ok(());
        }
        let owner = Owner::Graph(graph);
        let place = Place {
            owner: &owner,
            session: None,
        };
        let service = self.service;
        let scan = service.scan_graph(&Caller::Operator, &owner)?;
        self.place(place, scan).await?;
        self.changed_facts(&owner).await
    }

    async fn place(&mut self, place: Place<'_>, mut scan: Scan<'_>) -> Result<(), ReadError> {
        let mut parts = Parts::default();
        // The embedded store keeps a record once by itself.
        let mut seen = (self.service.backend() != "local").then(HashSet::new);
        while let Some(page) = scan.next().await? {
            for part in page {
                let Some(found) = parts.add(part) else {
                    continue;
                };
                self.record(place, found, seen.as_mut())?;
            }
        }
        for record in parts.incomplete() {
            let problem = Problem {
                position: place.position(),
                record: Some(record),
                severity: Severity::Record,
                defect: Defect::whole(
                    "lacks a part, since storing it was interrupted: send it again, or delete it",
                ),
            };
            self.send(SourceItem::Problem(problem))?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        place: Place<'_>,
        found: Assembled,
        seen: Option<&mut HashSet<uuid::Uuid>>,
    ) -> Result<(), ReadError> {
        if let (Some(seen), Some(id)) = (seen, &found.record.record_id) {
            let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.as_bytes());
            if !seen.insert(id) {
                return Ok(());
            }
        }
        self.records += 1;
        if self.records.is_multiple_of(PROGRESS_EVERY) {
            self.sink.progress(self.records, None);
        }
        let record = place.source_record(found, self.service.backend());
        self.send(SourceItem::Entry(Entry::Record(Box::new(record))))
    }

    /// Names the facts of the embedded store that were changed by hand: no other store draws them from
    /// the records.
    async fn changed_facts(&mut self, owner: &Owner) -> Result<(), ReadError> {
        if self.service.backend() != "local" {
            return Ok(());
        }
        let mut pages = self
            .service
            .zep()
            .facts(owner, TimeOrder::OldestFirst, PAGE_ITEMS);
        while let Some(page) = pages.next().await? {
            for fact in page.items {
                if memory::is_changed_fact(&fact) {
                    let problem = Problem {
                        position: Position(owner.to_string()),
                        record: Some(fact.uuid.to_string()),
                        severity: Severity::Warning,
                        defect: Defect::whole(
                            "is a fact that was changed here, while the record that it was drawn \
                             from says what it said: only the record moves. Add what is right now \
                             with add_memory",
                        ),
                    };
                    self.send(SourceItem::Problem(problem))?;
                }
            }
        }
        Ok(())
    }

    fn problem(&mut self, position: String, reason: &str) -> Result<(), ReadError> {
        self.report(position, Severity::Other, reason)
    }

    fn warning(&mut self, position: String, reason: &str) -> Result<(), ReadError> {
        self.report(position, Severity::Warning, reason)
    }

    fn report(
        &mut self,
        position: String,
        severity: Severity,
        reason: &str,
    ) -> Result<(), ReadError> {
        self.send(SourceItem::Problem(Problem {
            position: Position(position),
            record: None,
            severity,
            defect: Defect::whole(reason),
        }))
    }

    fn send(&mut self, item: SourceItem) -> Result<(), ReadError> {
        match self.sink.item(item) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReadError::Stopped),
        }
    }
}

/// Where records are stored.
#[derive(Clone, Copy)]
struct Place<'a> {
    owner: &'a Owner,
    session: Option<&'a SessionId>,
}

impl Place<'_> {
    fn position(self) -> Position {
        Position(match self.session {
            Some(session) => format!("{}, session {session}", self.owner),
            None => self.owner.to_string(),
        })
    }

    fn source_record(self, found: Assembled, backend: &str) -> SourceRecord {
        let Assembled { record, ours, .. } = found;
        let marked = |of: fn(&memory::fit::Ours) -> Option<String>| ours.as_ref().and_then(of);
        let (user, graph) = match self.owner {
            Owner::User(user) => (Some(user.to_string()), None),
            Owner::Graph(graph) => (None, AgentId::of_graph(graph)),
        };
        // A text without a speaker has none of Zep's roles.
        let spoken = match self.session {
            Some(_) => (Some(record.role), record.name),
            None => {
                let (role, name) = speaker(ours.as_ref());
                (role.map(str::to_owned), name.map(str::to_owned))
            }
        };
        let expires = record
            .metadata
            .get("expiration_date")
            .and_then(Value::as_str)
            .and_then(time::parse)
            .map(day);
        let stored = record.record_id.clone().map(|id| StoredRecord {
            id,
            migration_source: marked(|ours| ours.migration_source.clone())
                .unwrap_or_else(|| backend.to_owned()),
            instead_of: marked(|ours| ours.marks.instead_of.clone()),
        });
        SourceRecord {
            origin: Origin {
                position: self.position(),
                ..Origin::default()
            },
            kind: RecordKind::Memory,
            id: record.record_id.or(Some(record.id.to_string())),
            names: Names {
                user,
                agent: marked(|ours| ours.agent.as_ref().map(ToString::to_string)).or(graph),
                app: marked(|ours| ours.app.as_ref().map(ToString::to_string)),
                session: self.session.map(ToString::to_string),
            },
            states_role: spoken.0.is_some(),
            role: spoken.0.unwrap_or_else(|| "user".to_owned()),
            name: spoken.1,
            content: record.content,
            created_at: record.created_at,
            updated_at: record.updated_at,
            memory_type: record.memory_type,
            metadata: record.metadata,
            expires,
            gone: None,
            stored,
        }
    }
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// What the store says of a user.
fn described(user: zep::User, id: &UserId, backend: &str) -> SourceUser {
    let mut metadata = unpack_flat(&user.metadata.unwrap_or_default());
    let role = take_text(&mut metadata, ROLE);
    let migration_source = take_text(&mut metadata, MIGRATION_SOURCE);
    let migration_source = migration_source.unwrap_or_else(|| backend.to_owned());
    metadata.shift_remove(MIGRATION_TIMESTAMP);
    metadata.shift_remove(MIGRATION_RUN);
    if metadata.get(SOURCE_USER_ID).and_then(Value::as_str) == Some(id.as_str()) {
        metadata.shift_remove(SOURCE_USER_ID);
    }
    let names: Vec<_> = [user.first_name, user.last_name]
        .into_iter()
        .flatten()
        .filter(|name| !name.is_empty())
        .collect();
    SourceUser {
        id: id.to_string(),
        name: (!names.is_empty()).then(|| names.join(" ")),
        email: user.email,
        role,
        metadata,
        migration_source: Some(migration_source),
    }
}

fn take_text(metadata: &mut Map<String, Value>, key: &str) -> Option<String> {
    let text = metadata.get(key)?.as_str()?.to_owned();
    metadata.shift_remove(key);
    Some(text)
}

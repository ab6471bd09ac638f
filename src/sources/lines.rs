//! This program's own export: one JSON object on each line, with nothing lost.
//!
//! The fields of a memory are mem0's, so that other programs can read the lines, too. The first line
//! names the format, and the last one counts the others: without it the file was cut off.

use std::io::{self, Write};
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Entry, Names, Origin, Position, Problem, RecordKind, Severity, Sink, SourceItem, SourceRecord,
    SourceUser, StoredRecord,
};

/// The version of the format.
const VERSION: u32 = 1;

/// How an export of ours begins.
pub(super) const BEGINNING: &[u8] = b"{\"zep_mcp_server";

/// How many problems are kept one by one.
const MAX_PROBLEMS: usize = 1_000;

/// A line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// The last one.
    End {
        zep_mcp_server_end: u32,
        memories: u64,
        users: u64,
    },
    /// The first one.
    Begin {
        zep_mcp_server_export: u32,
        exported_at: Timestamp,
    },
    Memory(Box<MemoryLine>),
    User(UserLine),
}

/// A memory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MemoryLine {
    /// The record id, which it keeps.
    id: String,
    memory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory_type: Option<String>,
    metadata: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiration_date: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    migration_source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instead_of: Option<String>,
}

/// A user.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserLine {
    user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    metadata: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    migration_source: Option<String>,
}

impl From<SourceRecord> for MemoryLine {
    fn from(record: SourceRecord) -> Self {
        let Names {
            user,
            agent,
            app,
            session,
        } = record.names;
        let (own, migration_source, instead_of) = match record.stored {
            Some(stored) => (
                Some(stored.id),
                Some(stored.migration_source),
                stored.instead_of,
            ),
            None => (None, None, None),
        };
        Self {
            id: own.or(record.id).unwrap_or_default(),
            memory: record.content,
            user_id: user,
            agent_id: agent,
            app_id: app,
            run_id: session,
            role: record.states_role.then_some(record.role),
            actor_id: record.name,
            created_at: record.created_at,
            updated_at: record.updated_at,
            memory_type: record.memory_type,
            metadata: record.metadata,
            expiration_date: record.expires,
            migration_source,
            instead_of,
        }
    }
}

impl MemoryLine {
    /// The record that was written.
    pub(super) fn record(self, position: Position) -> SourceRecord {
        let stored = self.migration_source.map(|migration_source| StoredRecord {
            id: self.id.clone(),
            migration_source,
            instead_of: self.instead_of,
        });
        SourceRecord {
            origin: Origin {
                position,
                ..Origin::default()
            },
            kind: RecordKind::Memory,
            id: Some(self.id),
            names: Names {
                user: self.user_id,
                agent: self.agent_id,
                app: self.app_id,
                session: self.run_id,
            },
            states_role: self.role.is_some(),
            role: self.role.unwrap_or_else(|| "user".to_owned()),
            name: self.actor_id,
            content: self.memory,
            created_at: self.created_at,
            updated_at: self.updated_at,
            memory_type: self.memory_type,
            metadata: self.metadata,
            expires: self.expiration_date,
            gone: None,
            stored,
        }
    }
}

impl From<SourceUser> for UserLine {
    fn from(user: SourceUser) -> Self {
        Self {
            user_id: user.id,
            name: user.name,
            email: user.email,
            role: user.role,
            metadata: user.metadata,
            migration_source: user.migration_source,
        }
    }
}

impl UserLine {
    /// The user that was written.
    pub(super) fn user(self) -> SourceUser {
        SourceUser {
            id: self.user_id,
            name: self.name,
            email: self.email,
            role: self.role,
            metadata: self.metadata,
            migration_source: self.migration_source,
        }
    }
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON Lines, with nothing lost: users, times, metadata, record ids.
    JsonLines,
    /// A JSON array of memories, as mem0's `import` reads it.
    Mem0,
}

/// Writes what a source of this program's own memories yields.
#[derive(Debug)]
pub struct ToFile<W> {
    out: W,
    format: Format,
    include_expired: bool,
    today: Date,
    written: Written,
    failed: Option<io::Error>,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// How many memories.
    pub memories: u64,
    /// How many users.
    pub users: u64,
    /// Expired memories that were left out.
    pub expired: u64,
    /// What could not be written, or is not as it should be.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub problems_not_listed: u64,
    /// Whether anything is missing.
    pub is_incomplete: bool,
}

impl<W: Write> ToFile<W> {
    /// Begins an export. Expired memories are left out unless they are asked for.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(out: W, format: Format, include_expired: bool) -> io::Result<Self> {
        let now = Timestamp::now();
        let mut this = Self {
            out,
            format,
            include_expired,
            today: now.to_zoned(TimeZone::UTC).date(),
            written: Written::default(),
            failed: None,
        };
        match format {
            Format::JsonLines => this.line(&Line::Begin {
                zep_mcp_server_export: VERSION,
                exported_at: now,
            })?,
            Format::Mem0 => this.out.write_all(b"[")?,
        }
        Ok(this)
    }

    /// Ends it, and answers what was written, and the writer.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn end(mut self) -> io::Result<(Written, W)> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.format {
            Format::JsonLines => self.line(&Line::End {
                zep_mcp_server_end: VERSION,
                memories: self.written.memories,
                users: self.written.users,
            })?,
            Format::Mem0 => self.out.write_all(b"\n]\n")?,
        }
        self.out.flush()?;
        Ok((self.written, self.out))
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    fn write(&mut self, item: SourceItem) -> io::Result<()> {
        match item {
            SourceItem::Entry(Entry::Record(record)) => {
                let is_expired = record.expires.is_some_and(|day| day < self.today);
                if is_expired && !self.include_expired {
                    self.written.expired += 1;
                    return Ok(());
                }
                let line = MemoryLine::from(*record);
                if self.format == Format::Mem0 {
                    let between: &[u8] = match self.written.memories {
                        0 => b"\n",
                        _ => b",\n",
                    };
                    self.out.write_all(between)?;
                    serde_json::to_writer(&mut self.out, &line)?;
                } else {
                    self.line(&line)?;
                }
                self.written.memories += 1;
            }
            SourceItem::Entry(Entry::User { user, .. }) => {
                self.written.users += 1;
                if self.format == Format::JsonLines {
                    self.line(&UserLine::from(*user))?;
                }
            }
            SourceItem::Problem(problem) => {
                self.written.is_incomplete |= problem.severity != Severity::Warning;
                match self.written.problems.len() < MAX_PROBLEMS {
                    true => self.written.problems.push(problem),
                    false => self.written.problems_not_listed += 1,
                }
            }
            SourceItem::Entry(Entry::Conversation(_) | Entry::Change(_))
            | SourceItem::Container(_)
            | SourceItem::UnplacedField(_)
            | SourceItem::LeftOut(_)
            | SourceItem::Explained(_) => {}
        }
        Ok(())
    }
}

impl<W: Write> Sink for ToFile<W> {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        match self.write(item) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

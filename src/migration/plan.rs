//! From a source to a plan: what is to be written, where, in which order, under which id.

use std::io::{self, Read};
use std::ops::ControlFlow;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::identity::{Identity, hash, identity, key_of, numbered, owner_key, place, user_id};
use super::loading::parts;
use super::progress::{Phase, Progress, Watch};
use super::spool::{self, Spool, SpoolError};
use super::{Request, Source};
use crate::mem0::{
    Event, Frame, Item, Named, Piece, Problem, RecordKind, SourceRecord, SourceUser, Stopped,
    interpret, read_export,
};
use crate::memory::mapping::message_role;
use crate::memory::model::{AgentId, AppId, Owner, UserId};
use crate::zep::Role;

/// Turns that several memories were made from stand with each of them. Those that are equal and
/// lie no further apart than this were said once. Ours: far more than mem0 takes for one call, far
/// less than the time in which people repeat a whole conversation.
const SAME_CALL_MICROS: i64 = 120_000_000;
/// How often a watch is told: every so many items.
const TELL_EVERY: u64 = 256;

/// Why a source was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The temporary file cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Whoever asked for it gave up.
    #[error("stopped before anything was written")]
    Cancelled,
}

impl From<rusqlite::Error> for PlanError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Spool(error.into())
    }
}

/// What was counted of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Records to be written.
    pub(super) records: u64,
    /// The same record again.
    pub(super) duplicates: u64,
    /// Expired or replaced, and left out.
    pub(super) expired: u64,
    /// Not among what was asked for.
    pub(super) not_selected: u64,
    /// Without a time of their own.
    pub(super) undated: u64,
    /// Cannot be migrated.
    pub(super) problems: u64,
    /// Records among them: things that would have become one.
    pub(super) broken: u64,
    /// Not as they should be, and migrated all the same.
    pub(super) minor: u64,
}

/// A record's state in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum State {
    /// To be written, or to be compared.
    Planned = 0,
    /// Was there before.
    There = 1,
    /// Written by this run.
    Written = 2,
    /// Could not be written.
    Failed = 3,
    /// The same as another one.
    Duplicate = 4,
    /// Its id is that of another one, with different content.
    Conflict = 5,
}

/// What is to be migrated, on disk.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spool: Spool,
    pub(super) counts: Counts,
    /// The moment that undated records are dated with where nothing else dates them.
    pub(super) now: Timestamp,
    /// Fields of the source that have no place in Zep, by name.
    pub(super) unplaced: Vec<String>,
}

impl Plan {
    /// Reads a source to its end and puts what it holds in order. Blocks.
    ///
    /// # Errors
    /// [`PlanError`]. What is wrong with the data is none: it is among [`Plan::problems`].
    pub(super) fn read(
        source: Source,
        request: &Request,
        default_user: &UserId,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<Self, PlanError> {
        let mut plan = Self {
            spool: Spool::new()?,
            counts: Counts::default(),
            now: Timestamp::now(),
            unplaced: Vec::new(),
        };
        plan.spool_items(source, watch, cancelled)?;
        watch.at(Progress {
            phase: Phase::Planning,
            done: 0,
            total: None,
        });
        plan.place_items(request, default_user, cancelled)?;
        plan.add_turns(request, default_user)?;
        plan.number_equal_ones()?;
        plan.find_conflicts()?;
        plan.order()?;
        plan.count()?;
        Ok(plan)
    }

    /// First pass: everything goes to disk as it stands in the source, since what an object names
    /// may come after what it holds.
    fn spool_items(
        &mut self,
        source: Source,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<(), PlanError> {
        let total = source.bytes();
        let read = std::cell::Cell::new(0);
        let reader = Counting {
            inner: source.into_reader(),
            read: &read,
        };
        let db = self.spool.db();
        db.execute_batch("BEGIN")?;
        let mut items = 0;
        let mut failed = None;
        let unplaced = &mut self.unplaced;
        let mut take = |event| {
            items += 1;
            if items % TELL_EVERY == 0 {
                watch.at(Progress {
                    phase: Phase::Reading,
                    done: read.get(),
                    total,
                });
            }
            if cancelled.is_cancelled() {
                return ControlFlow::Break(());
            }
            match keep(&db, event, unplaced) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let outcome = read_export(reader, &mut take);
        if let Some(error) = failed {
            return Err(error.into());
        }
        match outcome {
            Ok(()) => {}
            Err(Stopped::Io(error)) => return Err(error.into()),
            Err(Stopped::Asked) => return Err(PlanError::Cancelled),
        }
        db.execute_batch("COMMIT")?;
        watch.at(Progress {
            phase: Phase::Reading,
            done: read.get(),
            total,
        });
        Ok(())
    }

    /// Second pass: each item finds its place.
    fn place_items(
        &mut self,
        request: &Request,
        default_user: &UserId,
        cancelled: &CancellationToken,
    ) -> Result<(), PlanError> {
        let db = self.spool.db();
        db.execute_batch("BEGIN")?;
        let today = self.now.to_zoned(TimeZone::UTC).date();
        let mut placing = Placing {
            db: &db,
            request,
            default_user,
            today,
            counts: &mut self.counts,
            frames: None,
        };
        let mut items = db.prepare("SELECT n, json FROM item ORDER BY n")?;
        let mut rows = items.query([])?;
        while let Some(row) = rows.next()? {
            if cancelled.is_cancelled() {
                return Err(PlanError::Cancelled);
            }
            let text: String = row.get(1)?;
            placing.item(row.get(0)?, &text)?;
        }
        drop(rows);
        drop(items);
        if let Some(profile) = &request.profile {
            placing.user(profile, "the user that was given")?;
        }
        db.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Adds the turns that memories were made from, each conversation once.
    fn add_turns(&mut self, request: &Request, default_user: &UserId) -> Result<(), PlanError> {
        let db = self.spool.db();
        let today = self.now.to_zoned(TimeZone::UTC).date();
        let mut placing = Placing {
            db: &db,
            request,
            default_user,
            today,
            counts: &mut self.counts,
            frames: None,
        };
        let mut first = db.prepare(
            "SELECT turns.item, item.json FROM (
                SELECT item, time, lag(time) OVER (PARTITION BY input ORDER BY time, item) AS before,
                       row_number() OVER (PARTITION BY input ORDER BY time, item) AS number
                FROM turns) AS turns
             JOIN item ON item.n = turns.item
             WHERE number = 1 OR time - before > ?1
             ORDER BY turns.item",
        )?;
        let mut rows = first.query([SAME_CALL_MICROS])?;
        while let Some(row) = rows.next()? {
            let n = row.get(0)?;
            let text: String = row.get(1)?;
            let Ok(item) = serde_json::from_str::<Item>(&text) else {
                continue;
            };
            if let Ok(Piece::Turns(turns)) = interpret(&item) {
                let around = placing.around(item.frame)?;
                for (turn, record) in (0..).zip(turns) {
                    placing.record(n, turn, &item, &around, &record)?;
                }
            }
        }
        Ok(())
    }

    /// Records that only their number tells from equal ones get it.
    fn number_equal_ones(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute_batch("CREATE INDEX record_id ON record (owner, id)")?;
        let mut equal = db.prepare(
            "SELECT n, id, row_number() OVER (PARTITION BY owner, id ORDER BY n) AS number
             FROM record WHERE by_content = 1 AND (owner, id) IN (
                SELECT owner, id FROM record WHERE by_content = 1
                GROUP BY owner, id HAVING count(*) > 1)",
        )?;
        let mut name = db.prepare("UPDATE record SET id = ?2 WHERE n = ?1")?;
        let mut named: Vec<(i64, String)> = Vec::new();
        let mut rows = equal.query([])?;
        while let Some(row) = rows.next()? {
            let (n, id, number): (i64, String, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if number > 1 {
                named.push((n, numbered(&id, number)));
            }
        }
        drop(rows);
        for (n, id) in named {
            name.execute(params![n, id])?;
        }
        Ok(())
    }

    /// Of records with one id: equal ones are one, and of different ones none is written.
    fn find_conflicts(&mut self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute(
            "UPDATE record SET state = ?1 WHERE (owner, id) IN (
                SELECT owner, id FROM record GROUP BY owner, id HAVING count(DISTINCT digest) > 1)",
            [State::Conflict as i64],
        )?;
        db.execute(
            "UPDATE record SET state = ?1 WHERE state = ?2 AND n NOT IN (
                SELECT min(n) FROM record WHERE state = ?2 GROUP BY owner, id)",
            [State::Duplicate as i64, State::Planned as i64],
        )?;
        let mut conflicts = db.prepare(
            "SELECT record.item, item.json FROM record JOIN item ON item.n = record.item
             WHERE state = ?1 ORDER BY record.n",
        )?;
        let mut rows = conflicts.query([State::Conflict as i64])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            let Ok(item) = serde_json::from_str::<Item>(&text) else {
                continue;
            };
            let problem = Problem {
                record: source_id(&item),
                position: item.position,
                reason: "has the same id as another record with different content; none of them \
                         is migrated: leave one, or give them ids of their own"
                    .into(),
            };
            keep_problem(&db, &problem)?;
        }
        Ok(())
    }

    /// Puts each session in the order of time. Undated records stay behind the dated one that they
    /// follow. A source that lists the newest first is read backwards.
    fn order(&self) -> spool::Result<()> {
        let db = self.spool.db();
        db.execute_batch(
            "CREATE TEMP TABLE backwards AS
             SELECT place FROM (
                SELECT place, time, lag(time) OVER (PARTITION BY place ORDER BY n) AS before
                FROM record WHERE state = 0 AND time IS NOT NULL)
             GROUP BY place HAVING total(time < before) > total(time > before);
             UPDATE record SET rank = -n WHERE place IN (SELECT place FROM backwards);
             UPDATE record SET rank = n WHERE rank IS NULL;
             CREATE INDEX record_rank ON record (place, rank, time);
             CREATE TEMP TABLE carry (n INTEGER PRIMARY KEY, carried INTEGER);
             INSERT INTO carry SELECT n, max(time) OVER (PARTITION BY place, dated) AS carried FROM (
                SELECT n, place, time, count(time) OVER (PARTITION BY place ORDER BY rank) AS dated
                FROM record WHERE state = 0);",
        )?;
        // What stands before the first dated record stays there.
        db.execute(
            "UPDATE record SET carried = coalesce(
                (SELECT carry.carried FROM carry WHERE carry.n = record.n), ?1)",
            [i64::MIN],
        )?;
        db.execute_batch(
            "DROP TABLE carry; DROP TABLE backwards; DROP INDEX record_rank;
             CREATE INDEX record_order ON record (place, state, carried, rank);
             CREATE INDEX place_owner ON place (owner);",
        )?;
        Ok(())
    }

    fn count(&mut self) -> spool::Result<()> {
        let db = self.spool.db();
        let states = |state: State| -> rusqlite::Result<u64> {
            db.query_row(
                "SELECT count(*) FROM record WHERE state = ?1",
                [state as i64],
                |row| row.get(0),
            )
        };
        self.counts.records = states(State::Planned)?;
        self.counts.duplicates = states(State::Duplicate)?;
        self.counts.undated = db.query_row(
            "SELECT count(*) FROM record WHERE state = 0 AND time IS NULL",
            [],
            |row| row.get(0),
        )?;
        self.counts.broken += states(State::Conflict)?;
        let noted = |weight: Weight| -> rusqlite::Result<u64> {
            db.query_row(
                "SELECT count(*) FROM problem WHERE minor = ?1",
                [weight as i64],
                |row| row.get(0),
            )
        };
        self.counts.problems = noted(Weight::Problem)?;
        self.counts.minor = noted(Weight::Minor)?;
        Ok(())
    }
}

/// Puts an event on disk.
fn keep(db: &Connection, event: Event, unplaced: &mut Vec<String>) -> rusqlite::Result<()> {
    match event {
        Event::Item(item) => {
            let json = serde_json::to_string(&item).unwrap_or_default();
            db.prepare_cached("INSERT INTO item (json) VALUES (?1)")?
                .execute([json])?;
        }
        Event::Frame(Frame {
            id,
            parent,
            named,
            exported_at,
            unplaced: fields,
        }) => {
            db.prepare_cached("INSERT INTO frame VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    id,
                    parent,
                    serde_json::to_string(&named).unwrap_or_default(),
                    exported_at.map(|time| time.to_string()),
                ])?;
            for field in fields {
                if !unplaced.contains(&field) {
                    unplaced.push(field);
                }
            }
        }
        Event::Problem(problem) => keep_problem(db, &problem)?,
    }
    Ok(())
}

fn keep_problem(db: &Connection, problem: &Problem) -> rusqlite::Result<()> {
    note(db, problem, Weight::Problem)
}

/// How much something matters that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It is not migrated.
    Problem = 0,
    /// It is migrated all the same.
    Minor = 1,
}

fn note(db: &Connection, problem: &Problem, weight: Weight) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO problem (position, record, reason, minor) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        problem.position.0,
        problem.record,
        problem.reason,
        weight as i64
    ])?;
    Ok(())
}

/// The source's own id of an item.
fn source_id(item: &Item) -> Option<String> {
    match item.value.get("id")? {
        serde_json::Value::String(id) => Some(id.clone()),
        serde_json::Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// What the objects around an item say of it.
#[derive(Debug, Clone, Default)]
struct Around {
    named: Named,
    exported_at: Option<Timestamp>,
}

/// The second pass at work.
struct Placing<'a> {
    db: &'a Connection,
    request: &'a Request,
    default_user: &'a UserId,
    today: Date,
    counts: &'a mut Counts,
    /// What was found last: neighbours mostly stand in the same object.
    frames: Option<(u64, Around)>,
}

impl Placing<'_> {
    fn item(&mut self, n: i64, text: &str) -> rusqlite::Result<()> {
        let Ok(item) = serde_json::from_str::<Item>(text) else {
            return Ok(());
        };
        let piece = match interpret(&item) {
            Ok(piece) => piece,
            Err(reason) => {
                self.counts.broken += 1;
                return self.problem(&item, reason);
            }
        };
        match piece {
            Piece::Nothing => Ok(()),
            Piece::User(user) => self.user(&user, &item.position.0),
            Piece::Record(record) => {
                let around = self.around(item.frame)?;
                self.record(n, 0, &item, &around, &record)
            }
            Piece::Turns(turns) => {
                let Some(first) = turns.first() else {
                    return Ok(());
                };
                let around = self.around(item.frame)?;
                let named = first.named.clone().or(&around.named);
                let said: Vec<_> = turns
                    .iter()
                    .map(|turn| (&turn.role, &turn.content))
                    .collect();
                let input = hash(&json!([named, said]));
                self.db
                    .prepare_cached("INSERT INTO turns VALUES (?1, ?2, ?3)")?
                    .execute(params![
                        n,
                        input.as_bytes(),
                        first.created_at.map(Timestamp::as_microsecond)
                    ])?;
                Ok(())
            }
        }
    }

    /// What an item's frame and those around it name.
    fn around(&mut self, frame: Option<u64>) -> rusqlite::Result<Around> {
        let Some(innermost) = frame else {
            return Ok(Around::default());
        };
        if let Some((known, around)) = &self.frames
            && *known == innermost
        {
            return Ok(around.clone());
        }
        let mut around = Around::default();
        let mut next = frame;
        while let Some(frame) = next {
            let found: Option<(Option<u64>, String, Option<String>)> = self
                .db
                .prepare_cached("SELECT parent, named, exported_at FROM frame WHERE id = ?1")?
                .query_row([frame], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            // One that never ended says nothing.
            let Some((parent, named, exported_at)) = found else {
                break;
            };
            let named: Named = serde_json::from_str(&named).unwrap_or_default();
            around.named = around.named.or(&named);
            around.exported_at = around
                .exported_at
                .or_else(|| exported_at.and_then(|time| time.parse().ok()));
            next = parent;
        }
        self.frames = Some((innermost, around.clone()));
        Ok(around)
    }

    fn record(
        &mut self,
        n: i64,
        turn: u32,
        item: &Item,
        around: &Around,
        record: &SourceRecord,
    ) -> rusqlite::Result<()> {
        let named = record.named.clone().or(&around.named);
        let selection = &self.request.selection;
        let placement = match place(record.kind, &named, selection, self.default_user) {
            Ok(Some(placement)) => placement,
            Ok(None) => {
                self.counts.not_selected += 1;
                return Ok(());
            }
            Err(reason) => {
                self.counts.broken += 1;
                return self.problem(item, reason);
            }
        };
        let expired = record.replaced || record.expires.is_some_and(|day| day < self.today);
        if expired && !self.request.include_expired {
            self.counts.expired += 1;
            return Ok(());
        }
        let Identity {
            base,
            by_content,
            digest,
        } = match identity(record, &placement.place) {
            Ok(identity) => identity,
            Err(reason) => {
                self.counts.broken += 1;
                return self.problem(item, reason);
            }
        };
        let parts = match parts(record, &base, &placement) {
            Ok(parts) => parts,
            Err(reason) => {
                self.counts.broken += 1;
                return self.problem(item, reason);
            }
        };
        if record.kind == RecordKind::Turn && is_unknown(&record.role) {
            let problem = Problem {
                record: source_id(item),
                position: item.position.clone(),
                reason: format!(
                    "its role `{}` is none that Zep knows: it is kept as `norole`, with its own \
                     word beside it",
                    record.role.trim()
                ),
            };
            note(self.db, &problem, Weight::Minor)?;
        }
        let (owner, session) = key_of(&placement.place);
        let owner = self.owner(&owner, placement.stands_in)?;
        self.db
            .prepare_cached("INSERT OR IGNORE INTO place (owner, session) VALUES (?1, ?2)")?
            .execute(params![owner, session])?;
        let place: i64 = self
            .db
            .prepare_cached("SELECT n FROM place WHERE owner = ?1 AND session = ?2")?
            .query_row(params![owner, session], |row| row.get(0))?;
        self.db
            .prepare_cached(
                "INSERT INTO record (item, turn, place, owner, id, agent, app, parts, by_content,
                                     digest, time, exported_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                n,
                turn,
                place,
                owner,
                base,
                placement.agent.as_ref().map(AgentId::as_str),
                placement.app.as_ref().map(AppId::as_str),
                parts,
                by_content,
                digest.as_bytes(),
                record.created_at.map(Timestamp::as_microsecond),
                around.exported_at.map(Timestamp::as_microsecond),
            ])?;
        Ok(())
    }

    fn owner(&self, key: &str, stands_in: bool) -> rusqlite::Result<i64> {
        self.db
            .prepare_cached("INSERT OR IGNORE INTO owner (key, stands_in) VALUES (?1, ?2)")?
            .execute(params![key, stands_in])?;
        self.db
            .prepare_cached("SELECT n FROM owner WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
    }

    /// Notes what the source says of a user. What it says twice, and differently, is not kept.
    fn user(&mut self, user: &SourceUser, position: &str) -> rusqlite::Result<()> {
        let refuse = |reason: String| Problem {
            position: crate::mem0::Position(position.to_owned()),
            record: None,
            reason,
        };
        let id = match user_id(&user.id) {
            Ok(id) => id,
            Err(reason) => return keep_problem(self.db, &refuse(reason)),
        };
        if self
            .request
            .selection
            .user
            .as_ref()
            .is_some_and(|only| *only != id)
        {
            return Ok(());
        }
        let owner = self.owner(&owner_key(&Owner::User(id)), false)?;
        let known: Option<String> =
            self.db
                .query_row("SELECT profile FROM owner WHERE n = ?1", [owner], |row| {
                    row.get(0)
                })?;
        let known = known.and_then(|text| serde_json::from_str::<SourceUser>(&text).ok());
        let (profile, differing) = match known {
            Some(known) => merged(known, user),
            None => (user.clone(), Vec::new()),
        };
        for field in differing {
            let reason = format!(
                "describes a user who is described elsewhere with another `{field}`; the first is kept"
            );
            keep_problem(self.db, &refuse(reason))?;
        }
        self.db
            .prepare_cached("UPDATE owner SET profile = ?2 WHERE n = ?1")?
            .execute(params![
                owner,
                serde_json::to_string(&profile).unwrap_or_default()
            ])?;
        Ok(())
    }

    fn problem(&self, item: &Item, reason: String) -> rusqlite::Result<()> {
        let problem = Problem {
            record: source_id(item),
            position: item.position.clone(),
            reason,
        };
        keep_problem(self.db, &problem)
    }
}

/// Whether a role has no counterpart in Zep.
fn is_unknown(role: &str) -> bool {
    message_role(role).role == Role::NoRole && role.trim() != Role::NoRole.as_str()
}

/// Two descriptions of one user as one, and the fields in which they differ.
fn merged(mut known: SourceUser, more: &SourceUser) -> (SourceUser, Vec<String>) {
    let mut differing = Vec::new();
    for (name, known, more) in [
        ("name", &mut known.name, &more.name),
        ("email", &mut known.email, &more.email),
        ("role", &mut known.role, &more.role),
    ] {
        match (&*known, more) {
            (None, Some(_)) => known.clone_from(more),
            (Some(known), Some(more)) if known != more => differing.push(name.to_owned()),
            _ => {}
        }
    }
    for (key, value) in &more.metadata {
        match known.metadata.get(key) {
            None => {
                known.metadata.insert(key.clone(), value.clone());
            }
            Some(known) if known != value => differing.push(key.clone()),
            Some(_) => {}
        }
    }
    (known, differing)
}

/// Counts what is read.
struct Counting<'a, R> {
    inner: R,
    read: &'a std::cell::Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

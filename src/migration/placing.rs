//! The second pass over a source: each thing finds its owner, its place and its id.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Request;
use super::described::describe;
use super::identity::{Identity, SaidIn, hash, identity, key_of, owner_key, place, user_id};
use super::loading::parts;
use super::plan::{Counts, Others, Plan, PlanError, TELL_EVERY, Weight, keep_problem, note};
use super::progress::{Phase, Progress, Watch};
use super::spool::kept;
use crate::mem0::{
    Item, Named, Piece, Position, Problem, RecordKind, SourceRecord, SourceUser, interpret,
};
use crate::memory::mapping::message_role;
use crate::memory::model::{AgentId, AppId, Owner, UserId};
use crate::zep::Role;

/// Turns that several memories were made from stand with each of them. Those that are equal and
/// lie no further apart than this were said once. Ours: far more than mem0 takes for one call, far
/// less than the time in which people repeat a whole conversation.
const SAME_CALL_MICROS: i64 = 120_000_000;

impl Plan {
    /// Second pass: each item finds its place.
    pub(super) fn place_items(
        &mut self,
        request: &Request,
        default_user: &UserId,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<(), PlanError> {
        let db = self.spool.db();
        db.execute_batch("BEGIN")?;
        let (now, others) = (self.now, self.others);
        let mut placing = Placing::new(&db, request, default_user, now, &mut self.counts, others);
        let total = db.query_row("SELECT count(*) FROM item", [], |row| row.get(0))?;
        let tell = |done| {
            watch.at(Progress {
                phase: Phase::Planning,
                done,
                total: Some(total),
            });
        };
        tell(0);
        let mut done = 0;
        let mut items = db.prepare("SELECT n, json FROM item ORDER BY n")?;
        let mut rows = items.query([])?;
        while let Some(row) = rows.next()? {
            if cancelled.is_cancelled() {
                return Err(PlanError::Cancelled);
            }
            done += 1;
            if done % TELL_EVERY == 0 {
                tell(done);
            }
            let text: String = row.get(1)?;
            placing.item(row.get(0)?, &text)?;
        }
        drop(rows);
        drop(items);
        placing.others = match placing.names_others {
            true => Others::Named,
            false => Others::None,
        };
        placing.nameless()?;
        let others = placing.others;
        if let Some(profile) = &request.profile {
            placing.user(profile, "the user that was given")?;
        }
        db.execute_batch("COMMIT")?;
        self.others = others;
        Ok(())
    }

    /// Adds the turns that memories were made from, each conversation once.
    pub(super) fn add_turns(
        &mut self,
        request: &Request,
        default_user: &UserId,
    ) -> Result<(), PlanError> {
        let db = self.spool.db();
        let (now, others) = (self.now, self.others);
        let mut placing = Placing::new(&db, request, default_user, now, &mut self.counts, others);
        let mut first = db.prepare(
            "SELECT turns.item, item.json, turns.input FROM (
                SELECT item, input, time, lag(time) OVER (PARTITION BY input ORDER BY time, item) AS before,
                       row_number() OVER (PARTITION BY input ORDER BY time, item) AS number
                FROM turns) AS turns
             JOIN item ON item.n = turns.item
             WHERE number = 1 OR time - before > ?1
             ORDER BY turns.item",
        )?;
        let mut rows = first.query([SAME_CALL_MICROS])?;
        while let Some(row) = rows.next()? {
            let n = row.get(0)?;
            let (text, input): (String, [u8; 16]) = (row.get(1)?, row.get(2)?);
            let item: Item = kept(&text)?;
            let input = Uuid::from_bytes(input);
            if let Ok(Piece::Turns(turns)) = interpret(&item) {
                let around = placing.around(item.frame)?;
                for (turn, record) in (0..).zip(turns) {
                    let said_in = Some(SaidIn { input, turn });
                    placing.record(n, said_in, &item, &around, &record)?;
                }
            }
        }
        Ok(())
    }
}

/// The source's own id of an item.
pub(super) fn source_id(item: &Item) -> Option<String> {
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
    others: Others,
    /// Whether another user was named so far than the one who was asked for.
    names_others: bool,
    /// What was found last: neighbours mostly stand in the same object.
    frames: Option<(u64, Around)>,
}

impl<'a> Placing<'a> {
    fn new(
        db: &'a Connection,
        request: &'a Request,
        default_user: &'a UserId,
        now: Timestamp,
        counts: &'a mut Counts,
        others: Others,
    ) -> Self {
        Self {
            db,
            request,
            default_user,
            today: now.to_zoned(TimeZone::UTC).date(),
            counts,
            others,
            names_others: false,
            frames: None,
        }
    }

    fn item(&mut self, n: i64, text: &str) -> rusqlite::Result<()> {
        let item: Item = kept(text)?;
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
                self.record(n, None, &item, &around, &record)
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

    /// What names no user, now that it is known whom the source names.
    fn nameless(&mut self) -> rusqlite::Result<()> {
        let db = self.db;
        let mut items = db.prepare(
            "SELECT item.n, item.json FROM nameless JOIN item ON item.n = nameless.item
             ORDER BY nameless.rowid",
        )?;
        let mut rows = items.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            self.item(row.get(0)?, &text)?;
        }
        Ok(())
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
            let named: Named = kept(&named)?;
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
        said_in: Option<SaidIn>,
        item: &Item,
        around: &Around,
        record: &SourceRecord,
    ) -> rusqlite::Result<()> {
        let named = record.named.clone().or(&around.named);
        let selection = &self.request.selection;
        if let Some(only) = &selection.user {
            match (&named.user, &named.agent, self.others) {
                (Some(user), ..) => self.names_others |= user.trim() != only.as_str(),
                (None, None, Others::NotKnown) => {
                    self.db
                        .prepare_cached("INSERT INTO nameless VALUES (?1)")?
                        .execute([n])?;
                    return Ok(());
                }
                (None, None, Others::Named) => {
                    self.counts.not_selected += 1;
                    self.counts.nameless += 1;
                    return Ok(());
                }
                (None, ..) => {}
            }
        }
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
        } = match identity(record, &placement.place, said_in) {
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
                    "its role{} is none that Zep knows: it is kept as `norole`, with its own word \
                     beside it",
                    in_a_word(&record.role)
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
                "INSERT INTO record (item, turn, stands, place, owner, id, agent, app, parts,
                                     by_content, digest, time, exported_at)
                 VALUES (?1, ?2, (?1 << 20) + ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                n,
                said_in.map_or(0, |said| said.turn),
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
            position: Position(position.to_owned()),
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
            self.names_others = true;
            return Ok(());
        }
        let owner = self.owner(&owner_key(&Owner::User(id)), false)?;
        for field in describe(self.db, owner, user)? {
            let reason = format!(
                "describes a user who is described elsewhere with another `{field}`; the first is kept"
            );
            keep_problem(self.db, &refuse(reason))?;
        }
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

/// A role as a report may show it: what is more than a word may be something that somebody said.
fn in_a_word(role: &str) -> String {
    let role = role.trim();
    match role
        .chars()
        .all(|c| c.is_alphanumeric() || "_-".contains(c))
        && role.len() <= 40
    {
        true => format!(" `{role}`"),
        false => String::new(),
    }
}

/// Whether a role has no counterpart in Zep.
fn is_unknown(role: &str) -> bool {
    message_role(role).role == Role::NoRole && role.trim() != Role::NoRole.as_str()
}

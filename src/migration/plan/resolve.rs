//! The second pass: each record gets its owner, its place and its id; then the turns of conversations.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, params};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::changes::{fold, keep_change};
use super::explained;
use super::identity::{
    Identity, Placement, SaidIn, conversation_digest, identity, key_of, owner_key, place, user_id,
};
use super::problems::keep_problem;
use super::records::part_count;
use super::seen::Seen;
use super::spool::{kept, to_keep};
use super::users::describe;
use super::{Counts, Others, Plan, PlanError};
use crate::memory::mapping::message_role;
use crate::memory::model::{AgentId, AppId, Owner, UserId};
use crate::migration::Request;
use crate::migration::progress::{Phase, Progress, Watch};
use crate::sources::{
    ContainerId, Conversation, Defect, Entry, Gone, Names, Position, Problem, RecordKind, Severity,
    SourceRecord, SourceUser,
};
use crate::zep::Role;

/// Progress is reported once per this number of items.
const PROGRESS_EVERY: u64 = 256;

/// Every memory made from a conversation lists its turns. Equal conversations that are no further
/// apart than this are one. Ours: far more than mem0 takes for one call, far less than the time in
/// which people repeat a whole conversation.
const SAME_CALL_MICROS: i64 = 120_000_000;

/// What an entry of a log is whose memory is in the source itself.
const COVERED: &str = "an entry of the history of a memory that is in the source itself";

/// Room for the turns of an item in the order of the source.
const TURN_BITS: u32 = 20;

impl Plan {
    /// Resolves every item.
    pub(super) fn resolve_items(
        &mut self,
        request: &Request,
        default_user: &UserId,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<(), PlanError> {
        let db = self.spool.db();
        let mut resolver = Resolver {
            explains: explained::any(&db)?,
            db: &db,
            request,
            default_user,
            system: self.system,
            today: self.now.to_zoned(TimeZone::UTC).date(),
            counts: &mut self.counts,
            others: Others::Unknown,
            names_others: false,
            surroundings: None,
            seen: Seen::default(),
        };
        let total = db.query_row("SELECT count(*) FROM item", [], |row| row.get(0))?;
        let report = |done| {
            watch.at(Progress {
                phase: Phase::Planning,
                done,
                total: Some(total),
            });
        };
        report(0);
        let mut done = 0;
        let mut items = db.prepare("SELECT n, json FROM item ORDER BY n")?;
        let mut rows = items.query([])?;
        while let Some(row) = rows.next()? {
            if cancelled.is_cancelled() {
                return Err(PlanError::Cancelled);
            }
            done += 1;
            if done % PROGRESS_EVERY == 0 {
                report(done);
            }
            resolver.entry(row.get(0)?, kept(row, 1)?)?;
        }
        resolver.others = match resolver.names_others {
            true => Others::Named,
            false => Others::None,
        };
        resolver.nameless()?;
        let covered = resolver.changes()?;
        resolver.conversations()?;
        if let Some(profile) = &request.profile
            && user_id(&profile.id).is_ok_and(|user| resolver.seen.has(&user))
        {
            resolver.user(profile, &Position("the user that was given".into()))?;
        }
        resolver.unexplained()?;
        if covered > 0 {
            self.left_out.insert(COVERED, covered);
        }
        Ok(())
    }
}

/// What the containers around an item say of it.
#[derive(Debug, Clone, Default)]
struct Surroundings {
    /// All of them, the innermost first.
    containers: Vec<ContainerId>,
    /// Why nothing in one of them must be shown any more.
    gone: Option<Gone>,
    names: Names,
    /// Microseconds since 1970.
    exported_at: Option<i64>,
    /// The field of the innermost that leaves open what it names.
    unsure: Option<String>,
    /// The user of the records that name nobody.
    user_of_rest: Option<String>,
}

/// A record with everything that the plan adds to it.
struct Resolved {
    placement: Placement,
    identity: Identity,
    parts: usize,
    /// Whether its owner is known from another file.
    borrowed: bool,
    /// The date of the export.
    exported_at: Option<i64>,
}

struct Resolver<'a> {
    db: &'a Connection,
    /// Whether the source explains ids that only it uses.
    explains: bool,
    request: &'a Request,
    default_user: &'a UserId,
    system: &'a str,
    today: Date,
    counts: &'a mut Counts,
    others: Others,
    /// Whether another user than the selected one was named so far.
    names_others: bool,
    /// Those of the last item: neighbours mostly have the same.
    surroundings: Option<(ContainerId, Surroundings)>,
    seen: Seen,
}

impl Resolver<'_> {
    fn entry(&mut self, item: i64, entry: Entry) -> rusqlite::Result<()> {
        match entry {
            Entry::User { position, user } => self.user(&user, &position),
            Entry::Record(record) => self.record(item, item << TURN_BITS, None, *record),
            Entry::Conversation(conversation) => self.conversation(item, &conversation),
            Entry::Change(change) => keep_change(self.db, item, &change),
        }
    }

    /// Keeps a conversation until all are known and equal ones can be merged.
    fn conversation(&mut self, item: i64, conversation: &Conversation) -> rusqlite::Result<()> {
        let Some(first) = conversation.turns.first() else {
            return Ok(());
        };
        let around = self.surroundings(conversation.origin.container)?;
        let names = first.names.clone().or(&around.names);
        self.db
            .prepare_cached("INSERT INTO conversation VALUES (?1, ?2, ?3)")?
            .execute(params![
                item,
                conversation_digest(&names, conversation).as_bytes(),
                first.created_at.map(Timestamp::as_microsecond)
            ])?;
        Ok(())
    }

    /// The turns of conversations, of equal ones once: each becomes an item and a record.
    fn conversations(&mut self) -> rusqlite::Result<()> {
        let db = self.db;
        let mut first = db.prepare(
            "SELECT first.item, item.json, first.digest FROM (
                SELECT item, digest, time,
                       lag(time) OVER (PARTITION BY digest ORDER BY time, item) AS before,
                       row_number() OVER (PARTITION BY digest ORDER BY time, item) AS number
                FROM conversation) AS first
             JOIN item ON item.n = first.item
             WHERE number = 1 OR time - before > ?1
             ORDER BY first.item",
        )?;
        let mut rows = first.query([SAME_CALL_MICROS])?;
        while let Some(row) = rows.next()? {
            let item: i64 = row.get(0)?;
            let Entry::Conversation(Conversation { turns, .. }) = kept(row, 1)? else {
                continue;
            };
            let conversation = Uuid::from_bytes(row.get(2)?);
            for (turn, record) in (0..).zip(turns) {
                let said_in = SaidIn { conversation, turn };
                let kept_turn = Entry::Record(Box::new(record.clone()));
                db.prepare_cached("INSERT INTO item (json) VALUES (?1)")?
                    .execute([to_keep(&kept_turn)?])?;
                let position = (item << TURN_BITS) + i64::from(turn);
                self.record(db.last_insert_rowid(), position, Some(said_in), record)?;
            }
        }
        Ok(())
    }

    /// The memories of logs, each as its last entry has it. Answers how many entries are of memories
    /// that are in the source themselves.
    fn changes(&mut self) -> rusqlite::Result<u64> {
        let db = self.db;
        let folded = fold(db)?;
        self.counts.deleted += folded.deleted;
        for item in folded.live {
            let entry = db
                .prepare_cached("SELECT json FROM item WHERE n = ?1")?
                .query_row([item], |row| kept(row, 0))?;
            self.entry(item, entry)?;
        }
        Ok(folded.covered)
    }

    /// Records that name no user, now that it is known which users the source names.
    fn nameless(&mut self) -> rusqlite::Result<()> {
        let db = self.db;
        let mut items = db.prepare(
            "SELECT item.n, item.json FROM nameless JOIN item ON item.n = nameless.item
             ORDER BY nameless.rowid",
        )?;
        let mut rows = items.query([])?;
        while let Some(row) = rows.next()? {
            self.entry(row.get(0)?, kept(row, 1)?)?;
        }
        Ok(())
    }

    /// What is left out, and nothing in the source explains why: no run that leaves it out is a success.
    fn unexplained(&self) -> Result<(), PlanError> {
        let mut left_out = self.seen.missed(&self.request.selection);
        if self.counts.nameless > 0 {
            left_out.push(Defect::whole(format!(
                "leaves out {} records that name no user, since the source names other users, too: \
                 give each its `user_id`, or select them from a file of their own",
                self.counts.nameless
            )));
        }
        for defect in left_out {
            let problem = Problem {
                position: Position("the selection".into()),
                record: None,
                severity: Severity::Other,
                defect,
            };
            keep_problem(self.db, &problem)?;
        }
        Ok(())
    }

    /// What a container and those around it say of an item.
    fn surroundings(&mut self, container: Option<ContainerId>) -> rusqlite::Result<Surroundings> {
        let Some(innermost) = container else {
            return Ok(Surroundings::default());
        };
        if let Some((known, surroundings)) = &self.surroundings
            && *known == innermost
        {
            return Ok(surroundings.clone());
        }
        let mut around = Surroundings::default();
        let mut next = container;
        while let Some(container) = next {
            around.containers.push(container);
            let found: Option<(Option<ContainerId>, Surroundings)> = self
                .db
                .prepare_cached(
                    "SELECT parent, names, exported_at, unsure, user_of_rest, gone FROM container
                     WHERE id = ?1",
                )?
                .query_row([container], |row| {
                    let surroundings = Surroundings {
                        names: kept(row, 1)?,
                        exported_at: row.get(2)?,
                        unsure: row.get(3)?,
                        user_of_rest: row.get(4)?,
                        gone: row.get::<_, Option<i64>>(5)?.map(|gone| match gone {
                            gone if gone == Gone::Deleted as i64 => Gone::Deleted,
                            _ => Gone::Retired,
                        }),
                        containers: Vec::new(),
                    };
                    Ok((row.get(0)?, surroundings))
                })
                .optional()?;
            // A container that was cut off is not there.
            let Some((parent, outer)) = found else {
                break;
            };
            around.names = around.names.or(&outer.names);
            around.exported_at = around.exported_at.or(outer.exported_at);
            around.unsure = around.unsure.or(outer.unsure);
            around.user_of_rest = around.user_of_rest.or(outer.user_of_rest);
            around.gone = around.gone.max(outer.gone);
            next = parent;
        }
        self.surroundings = Some((innermost, around.clone()));
        Ok(around)
    }

    fn record(
        &mut self,
        item: i64,
        position: i64,
        said_in: Option<SaidIn>,
        mut record: SourceRecord,
    ) -> rusqlite::Result<()> {
        let around = self.surroundings(record.origin.container)?;
        if let Some(field) = around.unsure {
            let defect = Defect::of(
                field,
                "is twice in the object around this record, with different values: whose it is \
                 cannot be known",
            );
            return keep_problem(self.db, &record.problem(Severity::Record, defect));
        }
        let mut names = record.names.clone().or(&around.names);
        let names_nobody = names.user.is_none() && names.agent.is_none() && names.session.is_none();
        let borrowed = names_nobody && around.user_of_rest.is_some();
        if borrowed {
            names.user = around.user_of_rest;
        } else if self.explains {
            if let Err(defect) = explained::explain_names(self.db, &around.containers, &mut names)?
            {
                return keep_problem(self.db, &record.problem(Severity::Record, defect));
            }
            if explained::explain_categories(self.db, &around.containers, &mut record)? {
                let entry = Entry::Record(Box::new(record.clone()));
                self.db
                    .prepare_cached("UPDATE item SET json = ?2 WHERE n = ?1")?
                    .execute(params![item, to_keep(&entry)?])?;
            }
        }
        record.gone = record.gone.max(around.gone);
        self.seen.names(&names);
        if !self.may_be_selected(item, &names)? || self.is_left_out_again(&record, &names)? {
            return Ok(());
        }
        match self.resolved(&record, &names, said_in) {
            Ok(Some(resolved)) => {
                let resolved = Resolved {
                    borrowed,
                    exported_at: around.exported_at,
                    ..resolved
                };
                self.keep(item, position, &record, &resolved)
            }
            Ok(None) => Ok(()),
            Err(defect) => keep_problem(self.db, &record.problem(Severity::Record, defect)),
        }
    }

    /// Whether a record with these names can be among those of the selected user. One without a user
    /// waits until it is known whether the source names others.
    fn may_be_selected(&mut self, item: i64, names: &Names) -> rusqlite::Result<bool> {
        let Some(only) = self.request.selection.only_user() else {
            return Ok(true);
        };
        match (&names.user, &names.agent, self.others) {
            (Some(user), ..) => self.names_others |= user.trim() != only.as_str(),
            (None, None, Others::Unknown) => {
                self.db
                    .prepare_cached("INSERT INTO nameless VALUES (?1)")?
                    .execute([item])?;
                return Ok(false);
            }
            (None, None, Others::Named) => {
                self.counts.not_selected += 1;
                self.counts.nameless += 1;
                return Ok(false);
            }
            (None, ..) => {}
        }
        Ok(true)
    }

    /// Whether a record is left out in any case: deleted, or no longer in force.
    fn left_out(&self, record: &SourceRecord) -> Option<Gone> {
        let retired = record.gone.is_some() || record.expires.is_some_and(|day| day < self.today);
        match record.gone {
            Some(Gone::Deleted) => Some(Gone::Deleted),
            _ => (retired && !self.request.include_expired).then_some(Gone::Retired),
        }
    }

    /// Notes a record that is left out, by its id, and answers whether it was noted before: another
    /// file repeats it, and what one file marks as deleted is not in force in another.
    fn is_left_out_again(&self, record: &SourceRecord, names: &Names) -> rusqlite::Result<bool> {
        let (Some(why), Some(_)) = (self.left_out(record), &record.id) else {
            return Ok(false);
        };
        let selection = &self.request.selection;
        let placement = place(
            self.system,
            record.kind,
            names,
            selection,
            self.default_user,
        );
        let Ok(Some(placement)) = placement else {
            return Ok(false);
        };
        let Ok(identity) = identity(record, &placement.place, None) else {
            return Ok(false);
        };
        let (owner, _) = key_of(&placement.place);
        let noted = self
            .db
            .prepare_cached("INSERT OR IGNORE INTO left_out VALUES (?1, ?2, ?3)")?
            .execute(params![owner, identity.base, why == Gone::Deleted])?;
        Ok(noted == 0)
    }

    /// Where a record goes and what it becomes there; `None` if it is left out.
    fn resolved(
        &mut self,
        record: &SourceRecord,
        names: &Names,
        said_in: Option<SaidIn>,
    ) -> Result<Option<Resolved>, Defect> {
        let selection = &self.request.selection;
        let left_out = self.left_out(record);
        let (is_deleted, retired) = (
            left_out == Some(Gone::Deleted),
            left_out == Some(Gone::Retired),
        );
        let placement = place(
            self.system,
            record.kind,
            names,
            selection,
            self.default_user,
        );
        // What is left out in any case need not have an owner.
        let placement = match placement {
            Err(_) if is_deleted || retired => {
                match is_deleted {
                    true => self.counts.deleted += 1,
                    false => self.counts.expired += 1,
                }
                return Ok(None);
            }
            placement => placement?,
        };
        if let Some(placement) = &placement {
            self.seen.found(&placement.place, selection);
        }
        let placement = placement.filter(|_| selection.includes_time_of(record));
        let Some(placement) = placement else {
            self.counts.not_selected += 1;
            return Ok(None);
        };
        if is_deleted {
            self.counts.deleted += 1;
            return Ok(None);
        }
        if retired {
            self.counts.expired += 1;
            return Ok(None);
        }
        let identity = identity(record, &placement.place, said_in)?;
        let parts = part_count(self.system, record, &identity.base, &placement.place)?;
        Ok(Some(Resolved {
            placement,
            identity,
            parts,
            borrowed: false,
            exported_at: None,
        }))
    }

    fn keep(
        &self,
        item: i64,
        position: i64,
        record: &SourceRecord,
        resolved: &Resolved,
    ) -> rusqlite::Result<()> {
        if record.kind == RecordKind::Turn && is_unknown(&record.role) {
            let reason = format!(
                "{}is unknown to Zep: the message gets `norole`, and keeps its own role beside it",
                as_a_word(&record.role)
            );
            let defect = Defect::of("role", reason);
            keep_problem(self.db, &record.problem(Severity::Warning, defect))?;
        }
        let Resolved {
            placement,
            identity,
            parts,
            borrowed,
            exported_at,
        } = resolved;
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
                "INSERT INTO record (item, position, place, owner, id, agent, app, parts,
                                     by_content, digest, borrowed, snapshot, time, exported_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                item,
                position,
                place,
                owner,
                identity.base,
                placement.agent.as_ref().map(AgentId::as_str),
                placement.app.as_ref().map(AppId::as_str),
                parts,
                identity.by_content,
                identity.digest.as_bytes(),
                borrowed,
                record.kind == RecordKind::Snapshot,
                record.created_at.map(Timestamp::as_microsecond),
                exported_at,
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

    /// Notes what the source says of a user. Of contradicting values the first is kept.
    fn user(&mut self, user: &SourceUser, position: &Position) -> rusqlite::Result<()> {
        let problem = |severity, defect| Problem {
            position: position.clone(),
            record: None,
            severity,
            defect,
        };
        let id = match user_id(&user.id) {
            Ok(id) => id,
            Err(defect) => return keep_problem(self.db, &problem(Severity::Other, defect)),
        };
        self.seen.user(&id);
        if !self.request.selection.includes_user(&id) {
            self.names_others = true;
            return Ok(());
        }
        self.seen.found_user(&id);
        let owner = self.owner(&owner_key(&Owner::User(id)), false)?;
        for field in describe(self.db, owner, user)? {
            let reason =
                "has another value where this user is described elsewhere; the first is kept";
            let defect = Defect::of(field, reason);
            keep_problem(self.db, &problem(Severity::Other, defect))?;
        }
        Ok(())
    }
}

/// A role as a report may show it: a text that is not a single word may be content.
fn as_a_word(role: &str) -> String {
    let role = role.trim();
    let is_word = role
        .chars()
        .all(|c| c.is_alphanumeric() || "_-".contains(c));
    match is_word && role.len() <= 40 {
        true => format!("(`{role}`) "),
        false => String::new(),
    }
}

/// Whether a role has no counterpart in Zep.
fn is_unknown(role: &str) -> bool {
    message_role(role).role == Role::NoRole && role.trim() != Role::NoRole.as_str()
}

//! The second pass: each record gets its owner, its place and its id; then the turns of conversations.

mod around;
mod record;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::around::Surroundings;
use super::changes::{fold, keep_change};
use super::explained;
use super::identity::{SaidIn, conversation_digest, owner_key, user_id};
use super::problems::keep_problem;
use super::seen::Seen;
use super::spool::{kept, to_keep};
use super::users::describe;
use super::{Counts, Others, Plan, PlanError};
use crate::memory::model::{Owner, UserId};
use crate::migration::Request;
use crate::migration::progress::{Phase, Progress, Watch};
use crate::sources::{
    ContainerId, Conversation, Defect, Entry, Position, Problem, Severity, SourceUser,
};

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

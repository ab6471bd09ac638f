//! A record gets its owner, its place and its id, or is left out.

use jiff::Timestamp;
use rusqlite::params;

use super::Resolver;
use crate::memory::mapping::message_role;
use crate::memory::model::{AgentId, AppId};
use crate::migration::plan::identity::{Identity, Placement, SaidIn, identity, key_of, place};
use crate::migration::plan::problems::keep_problem;
use crate::migration::plan::records::part_count;
use crate::migration::plan::spool::to_keep;
use crate::migration::plan::{Others, explained};
use crate::sources::{Defect, Entry, Gone, Names, RecordKind, Severity, SourceRecord};
use crate::zep::Role;

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

impl Resolver<'_> {
    pub(super) fn record(
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
        if !self.may_be_selected(item, &record, &names)?
            || self.is_left_out_again(&record, &names)?
        {
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
    fn may_be_selected(
        &mut self,
        item: i64,
        record: &SourceRecord,
        names: &Names,
    ) -> rusqlite::Result<bool> {
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
                // One of another session or time would not be selected if it were the user's, either.
                let would_be = self.place(record.kind, names);
                let is_meant = !matches!(would_be, Ok(None))
                    && self.request.selection.includes_time_of(record);
                self.counts.not_selected += 1;
                self.counts.nameless += u64::from(is_meant);
                return Ok(false);
            }
            (None, ..) => {}
        }
        Ok(true)
    }

    /// Where a record with these names goes; `None` if that is not selected.
    fn place(&self, kind: RecordKind, names: &Names) -> Result<Option<Placement>, Defect> {
        let selection = &self.request.selection;
        place(self.system, kind, names, selection, self.default_user)
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
        let Ok(Some(placement)) = self.place(record.kind, names) else {
            return Ok(false);
        };
        let Ok(identity) = identity(record, &placement, None) else {
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
        let placement = self.place(record.kind, names);
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
        let identity = identity(record, &placement, said_in)?;
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
                                     by_content, digest, borrowed, snapshot, time, exported_at,
                                     updated, carried, rank)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?13,
                         ?2)",
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
                record.updated_at.map(Timestamp::as_microsecond),
            ])?;
        Ok(())
    }

    pub(super) fn owner(&self, key: &str, stands_in: bool) -> rusqlite::Result<i64> {
        self.db
            .prepare_cached("INSERT OR IGNORE INTO owner (key, stands_in) VALUES (?1, ?2)")?
            .execute(params![key, stands_in])?;
        self.db
            .prepare_cached("SELECT n FROM owner WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
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

//! Which part of a source is migrated.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::memory::model::{Owner, Place, SessionId, UserId};
use crate::sources::SourceRecord;

/// A part of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these users; empty: everybody. Where it is one user, records that name no user count as
    /// theirs if the source names no other.
    pub users: BTreeSet<UserId>,
    /// Only these sessions; empty: all records.
    pub sessions: Vec<SessionId>,
    /// Only records that were created or changed since then, and those without a time.
    pub since: Option<Timestamp>,
}

impl Selection {
    /// All records of this user.
    pub fn of_user(user: UserId) -> Self {
        Self {
            users: BTreeSet::from([user]),
            ..Self::default()
        }
    }

    /// The user, if it is a single one that is selected.
    pub fn only_user(&self) -> Option<&UserId> {
        match self.users.len() {
            1 => self.users.first(),
            _ => None,
        }
    }

    /// Whether it includes a user.
    pub fn includes_user(&self, user: &UserId) -> bool {
        self.users.is_empty() || self.users.contains(user)
    }

    /// Whether it includes a place.
    pub(super) fn includes(&self, place: &Place) -> bool {
        let owner = match place.owner() {
            _ if self.users.is_empty() => true,
            Owner::User(user) => self.users.contains(&user),
            Owner::Graph(_) => false,
        };
        let session = match place.session() {
            _ if self.sessions.is_empty() => true,
            Some(session) => self.sessions.contains(session),
            None => false,
        };
        owner && session
    }

    /// Whether it includes a record by its times.
    pub(super) fn includes_time_of(&self, record: &SourceRecord) -> bool {
        let (Some(since), Some(created)) = (self.since, record.created_at) else {
            return true;
        };
        created >= since || record.updated_at.is_some_and(|updated| updated >= since)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(created_at: Option<&str>, updated_at: Option<&str>) -> SourceRecord {
        let mut record: SourceRecord = serde_json::from_value(json!({
            "origin": {"position": "line 1"}, "kind": "Memory", "role": "user", "content": "tea"
        }))
        .unwrap();
        record.created_at = created_at.map(|time| time.parse().unwrap());
        record.updated_at = updated_at.map(|time| time.parse().unwrap());
        record
    }

    #[test]
    fn since_takes_what_was_made_or_changed_then_and_what_has_no_time() {
        let day = |day: u8| format!("2024-05-0{day}T00:00:00Z");
        let selection = Selection {
            since: Some(day(3).parse().unwrap()),
            ..Selection::default()
        };
        for (created, updated, included) in [
            (Some(day(3)), None, true),
            (Some(day(2)), None, false),
            (Some(day(2)), Some(day(4)), true),
            (Some(day(1)), Some(day(2)), false),
            (None, None, true),
        ] {
            let record = record(created.as_deref(), updated.as_deref());
            assert_eq!(selection.includes_time_of(&record), included, "{record:?}");
        }
    }

    #[test]
    fn a_selection_of_users_leaves_out_agents_and_everybody_else() {
        let user = |id: &str| UserId::new(id).unwrap();
        let selection = Selection {
            users: [user("jane"), user("joe")].into(),
            ..Selection::default()
        };
        assert_eq!(selection.only_user(), None);
        let place = |owner| selection.includes(&Place::Graph(owner));
        assert!(place(Owner::User(user("jane"))) && place(Owner::User(user("joe"))));
        assert!(!place(Owner::User(user("jim"))));
    }
}

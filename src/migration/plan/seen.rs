//! What a source names, so that a selection that takes nothing is told apart from a success.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use crate::memory::model::{Owner, Place, SessionId, UserId};
use crate::migration::Selection;
use crate::sources::{Defect, Names};

/// How many ids are shown. Ours: enough to recognise what was mistyped.
const SHOWN: usize = 10;

/// The users and sessions that a source names, and those of a selection that it has.
#[derive(Debug, Default)]
pub(super) struct Seen {
    users: Ids,
    sessions: Ids,
    found_users: HashSet<UserId>,
    found_sessions: HashSet<SessionId>,
}

/// Some ids, and whether there are more.
#[derive(Debug, Default)]
struct Ids {
    some: BTreeSet<String>,
    more: bool,
}

impl Ids {
    fn add(&mut self, id: &str) {
        if self.some.contains(id) {
        } else if self.some.len() < SHOWN {
            self.some.insert(id.to_owned());
        } else {
            self.more = true;
        }
    }

    fn of<T: fmt::Display>(all: impl IntoIterator<Item = T>) -> Self {
        let mut ids = Self::default();
        all.into_iter().for_each(|id| ids.add(&id.to_string()));
        ids
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.some.iter().map(|id| format!("`{id}`")).collect();
        let more = if self.more { " and others" } else { "" };
        write!(f, "{}{more}", shown.join(", "))
    }
}

impl Seen {
    /// Notes what a record names.
    pub(super) fn names(&mut self, names: &Names) {
        if let Some(user) = &names.user {
            self.users.add(user.trim());
        }
        if let Some(session) = &names.session {
            self.sessions.add(session.trim());
        }
    }

    /// Notes a user that the source describes.
    pub(super) fn user(&mut self, user: &UserId) {
        self.users.add(user.as_str());
    }

    /// Notes a described user that is selected.
    pub(super) fn found_user(&mut self, user: &UserId) {
        if !self.found_users.contains(user) {
            self.found_users.insert(user.clone());
        }
    }

    /// Notes the place of a record that is selected.
    pub(super) fn found(&mut self, place: &Place, selection: &Selection) {
        // Only what was asked for by its id is looked up.
        if let Place::Session(user, _) | Place::Graph(Owner::User(user)) = place
            && !selection.users.is_empty()
        {
            self.found_user(user);
        }
        if let Some(session) = place.session()
            && !selection.sessions.is_empty()
            && !self.found_sessions.contains(session)
        {
            self.found_sessions.insert(session.clone());
        }
    }

    /// Whether a selected user is anywhere in the source, as far as it names anything.
    pub(super) fn has(&self, user: &UserId) -> bool {
        self.found_users.contains(user) || (self.users.some.is_empty() && !self.users.more)
    }

    /// What of a selection the source has nothing of.
    pub(super) fn missed(&self, selection: &Selection) -> Vec<Defect> {
        let mut missed = Vec::new();
        let users = selection.users.iter().filter(|user| !self.has(user));
        let users = Ids::of(users);
        if !users.some.is_empty() {
            missed.push(Defect::whole(format!(
                "takes nothing of {users}: the source names {}. Select a user by the id that the \
                 source has, or leave the selection of users out",
                self.users
            )));
        }
        let sessions = selection.sessions.iter();
        let sessions = Ids::of(sessions.filter(|session| !self.found_sessions.contains(session)));
        let names_none = self.sessions.some.is_empty();
        // A user of whom there is nothing has no sessions either.
        if !sessions.some.is_empty() && missed.is_empty() {
            missed.push(Defect::whole(format!(
                "takes nothing of the session {sessions}: {}",
                match names_none {
                    true => "the source names no sessions".to_owned(),
                    false => format!("the source names {}", self.sessions),
                }
            )));
        }
        missed
    }
}

//! Whose memories and which ids a call touched, noted where it is decided and read.
//!
//! A door opens the scope around a call ([`Touched::scope`]). Outside of a scope nothing is noted.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry as Place};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::{Action, Entry, Owner, TouchedOwner};

/// The most owners of an entry, and the most ids. Ours: some 40 KB each, as ids commonly are.
pub(super) const MOST: usize = 1_000;
/// The most owners of a command, which are told in several entries. Ours: some 50 MB.
const MOST_OF_COMMAND: usize = 1_000_000;
/// The longest id that is noted, in characters; no id of ours is longer.
const MAX_ID_CHARS: usize = 500;

tokio::task_local! {
    static TOUCHED: Touched;
}

/// What a call touched. Clones share it.
#[derive(Debug, Clone)]
pub struct Touched {
    noted: Arc<Mutex<Noted>>,
    most_owners: usize,
}

#[derive(Debug, Default)]
struct Noted {
    owners: BTreeMap<Owner, Action>,
    owners_more: u64,
    sessions: BTreeSet<String>,
    ids: BTreeSet<String>,
    ids_more: u64,
}

impl Default for Touched {
    fn default() -> Self {
        Self {
            noted: Arc::default(),
            most_owners: MOST,
        }
    }
}

impl Touched {
    /// For a command, which may touch the memories of very many.
    pub(super) fn of_command() -> Self {
        Self {
            most_owners: MOST_OF_COMMAND,
            ..Self::default()
        }
    }

    /// Runs a call whose touches are noted here.
    pub async fn scope<F: Future>(&self, call: F) -> F::Output {
        TOUCHED.scope(self.clone(), call).await
    }

    /// The same for what blocks.
    pub fn sync_scope<T>(&self, call: impl FnOnce() -> T) -> T {
        TOUCHED.sync_scope(self.clone(), call)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The strongest right that was used or asked for.
    pub(super) fn strongest(&self) -> Option<Action> {
        self.noted().owners.values().copied().max()
    }

    /// The entries that tell it: one, or for more owners than one entry holds, several.
    pub(super) fn into_entries(self, entry: Entry) -> Vec<Entry> {
        let Noted {
            owners,
            owners_more,
            sessions,
            ids,
            ids_more,
        } = std::mem::take(&mut *self.noted());
        let mut owners = owners.into_iter().map(|(owner, right)| TouchedOwner {
            owner,
            // An export needs the right of a migration.
            right: match entry.action {
                Action::Read => Action::Read,
                _ => right,
            },
        });
        let mut first = entry.clone();
        first.owners = owners.by_ref().take(MOST).collect();
        first.owners_more = owners_more;
        first.sessions = sessions.into_iter().collect();
        first.ids = ids.into_iter().collect();
        first.ids_more = ids_more;
        let mut entries = vec![first];
        loop {
            let owners: Vec<_> = owners.by_ref().take(MOST).collect();
            if owners.is_empty() {
                return entries;
            }
            entries.push(Entry {
                owners,
                ..entry.clone()
            });
        }
    }
}

fn with(note: impl FnOnce(&Touched)) {
    // Outside of a call nothing is noted.
    let _ = TOUCHED.try_with(note);
}

/// Notes that a right on an owner's memories was used, or asked for.
pub fn owner(right: Action, owner: impl FnOnce() -> Owner) {
    with(|touched| {
        let mut noted = touched.noted();
        let noted = &mut *noted;
        let has_room = noted.owners.len() < touched.most_owners;
        match noted.owners.entry(owner()) {
            Place::Occupied(mut there) => {
                let right = right.max(*there.get());
                there.insert(right);
            }
            Place::Vacant(place) if has_room => {
                place.insert(right);
            }
            Place::Vacant(_) => noted.owners_more += 1,
        }
    });
}

/// Notes the id of a memory.
pub fn id(id: &str) {
    with(|touched| {
        let mut noted = touched.noted();
        if !is_id(id) || noted.ids.contains(id) {
        } else if noted.ids.len() < MOST {
            noted.ids.insert(id.to_owned());
        } else {
            noted.ids_more += 1;
        }
    });
}

/// Notes the id of a session.
pub fn session(id: &str) {
    with(|touched| {
        let mut noted = touched.noted();
        if is_id(id) && noted.sessions.len() < MOST {
            noted.sessions.insert(id.to_owned());
        }
    });
}

/// Whether a text can be an id. Longer ones are none, and may be content in the wrong place.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 4 * MAX_ID_CHARS && id.chars().count() <= MAX_ID_CHARS
}

/// The same future in the present scope, for a task of its own.
pub fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let touched = TOUCHED.try_with(Touched::clone).ok();
    async move {
        match touched {
            Some(touched) => touched.scope(future).await,
            None => future.await,
        }
    }
}

/// What notes in the present scope, for another thread.
pub fn current() -> Touched {
    TOUCHED.try_with(Touched::clone).unwrap_or_default()
}

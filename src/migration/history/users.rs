//! What a run did for each user and session, as the ledger has it.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::memory::model::{Owner, SessionId};
use crate::migration::ledger::{Ledger, PlaceCounts, Result};

/// The most sessions that are listed, those with something left or failed and the others each: what a
/// page or a person can still take. The rest is counted.
const MAX_SESSIONS: usize = 2_000;
/// How many places are read from the ledger at a time.
const PAGE: usize = 1_024;

/// Records, counted by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HistoryCounts {
    /// Stored.
    pub moved: u64,
    /// Those of the stored ones that were split.
    pub split: u64,
    /// The messages or texts that the stored ones take.
    pub parts: u64,
    /// Refused.
    pub failed: u64,
    /// Not sent, or not known to be stored.
    pub left: u64,
    /// Stored and removed again.
    pub undone: u64,
}

impl HistoryCounts {
    fn of(counts: PlaceCounts) -> Self {
        Self {
            moved: counts.confirmed,
            split: counts.split,
            parts: counts.parts,
            failed: counts.failed,
            left: counts.planned + counts.sent,
            undone: counts.undone,
        }
    }

    fn add(&mut self, other: Self) {
        self.moved += other.moved;
        self.split += other.split;
        self.parts += other.parts;
        self.failed += other.failed;
        self.left += other.left;
        self.undone += other.undone;
    }

    fn is_complete(self) -> bool {
        self.failed + self.left == 0
    }
}

/// What a run did in one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionHistory {
    /// The session; `null` for what is outside of sessions.
    pub session: Option<String>,
    /// Whether the run made it.
    pub made: bool,
    /// Its records.
    #[serde(flatten)]
    pub records: HistoryCounts,
}

/// What a run did for one user or agent, as far as their sessions are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserHistory {
    /// Whose memories.
    pub owner: String,
    /// Their records.
    #[serde(flatten)]
    pub records: HistoryCounts,
    /// Their sessions.
    pub sessions: Vec<SessionHistory>,
}

/// What a run did for all users.
pub(super) struct Users {
    pub(super) listed: Vec<UserHistory>,
    pub(super) not_listed: u64,
    pub(super) totals: HistoryCounts,
    /// All of them.
    pub(super) owners: HashSet<Owner>,
}

/// Reads what a run did for all users, or for one.
pub(super) fn of(ledger: &Ledger, run: &str, user: Option<&str>) -> Result<Users> {
    let mut lines: [Vec<(Owner, SessionHistory)>; 2] = [Vec::new(), Vec::new()];
    let mut users = Users {
        listed: Vec::new(),
        not_listed: 0,
        totals: HistoryCounts::default(),
        owners: HashSet::new(),
    };
    let mut after = None;
    loop {
        let page = ledger.places(run, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.n);
        for place in page {
            let owner = place.place.owner();
            let is_meant = match (&owner, user) {
                (_, None) => true,
                (Owner::User(id), Some(only)) => id.as_str() == only,
                (Owner::Graph(_), Some(_)) => false,
            };
            let records = HistoryCounts::of(place.counts);
            if !is_meant || records == HistoryCounts::default() {
                continue;
            }
            users.totals.add(records);
            users.owners.insert(owner.clone());
            let lines = &mut lines[usize::from(records.is_complete())];
            if lines.len() >= MAX_SESSIONS {
                users.not_listed += 1;
                continue;
            }
            let session = place.place.session().map(SessionId::to_string);
            let line = SessionHistory {
                session,
                made: place.made,
                records,
            };
            lines.push((owner, line));
        }
    }
    users.listed = by_owner(lines);
    Ok(users)
}

/// Puts the sessions of each owner together, owners with something left or failed first.
fn by_owner(lines: [Vec<(Owner, SessionHistory)>; 2]) -> Vec<UserHistory> {
    let mut owners: BTreeMap<String, UserHistory> = BTreeMap::new();
    for (owner, line) in lines.into_iter().flatten() {
        let name = owner.to_string();
        let user = owners.entry(name.clone()).or_insert_with(|| UserHistory {
            owner: name,
            records: HistoryCounts::default(),
            sessions: Vec::new(),
        });
        user.records.add(line.records);
        user.sessions.push(line);
    }
    let mut listed: Vec<_> = owners.into_values().collect();
    listed.sort_by_key(|user| user.records.is_complete());
    listed
}

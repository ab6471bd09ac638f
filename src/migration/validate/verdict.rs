//! How each user and each session compares, in counts. Bounded: what differs is listed first, and what
//! is not listed is counted.

use serde::Serialize;

use super::result::{Check, CheckName};

/// The most users and sessions together that a validation lists, those that differ and the others
/// each: what a person or an agent can still read. The rest is counted.
pub const MAX_VERDICTS: usize = 2_000;

/// Records of a session or of a user, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many there should be.
    pub expected: u64,
    /// How many of these are there.
    pub found: u64,
    /// How many of these are not.
    pub missing: u64,
    /// How many are there and differ.
    pub changed: u64,
    /// How many are stored twice.
    pub doubled: u64,
    /// How many are there that are not in the source.
    pub additional: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.expected += other.expected;
        self.found += other.found;
        self.missing += other.missing;
        self.changed += other.changed;
        self.doubled += other.doubled;
        self.additional += other.additional;
    }

    fn in_words(self) -> Vec<String> {
        [
            (self.missing, "missing"),
            (self.changed, "changed"),
            (self.doubled, "stored twice"),
            (self.additional, "not in the source"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }
}

/// How the records of one session compare, or those outside of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionVerdict {
    /// The session; `null` for what is outside of sessions.
    pub session: Option<String>,
    /// Whether nothing differs.
    pub ok: bool,
    /// `ok`, or what differs.
    pub verdict: String,
    /// Its records.
    #[serde(flatten)]
    pub records: Tally,
}

impl SessionVerdict {
    /// The verdict on a place. `is_there`: it can be read.
    pub(super) fn new(session: Option<String>, records: Tally, is_there: bool) -> Self {
        let mut words = records.in_words();
        if !is_there {
            words.insert(0, "does not exist".into());
        }
        Self {
            session,
            ok: words.is_empty(),
            verdict: verdict(&words),
            records,
        }
    }
}

/// How one user or agent compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserVerdict {
    /// Whose memories.
    pub owner: String,
    /// Whether nothing differs.
    pub ok: bool,
    /// `ok`, or what differs.
    pub verdict: String,
    /// All records of theirs.
    #[serde(flatten)]
    pub records: Tally,
    /// Each check as far as it is about them.
    pub checks: Vec<UserCheck>,
    /// Their sessions, those that differ first.
    pub sessions: Vec<SessionVerdict>,
    /// How many more sessions they have.
    pub sessions_not_listed: u64,
}

/// One check of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserCheck {
    /// What was checked.
    pub name: CheckName,
    /// Whether all is as it should be.
    pub passed: bool,
    /// How many there should be.
    pub expected: u64,
    /// How many were found as they should be.
    pub found: u64,
}

/// What is known so far of a user who is being compared.
#[derive(Debug)]
pub(super) struct OpenUser {
    records: Tally,
    checks: Vec<Check>,
    sessions: Listed<SessionVerdict>,
    fields_differ: bool,
}

impl OpenUser {
    pub(super) fn new() -> Self {
        Self {
            records: Tally::default(),
            checks: Check::all(),
            sessions: Listed::default(),
            fields_differ: false,
        }
    }

    pub(super) fn check(&mut self, name: CheckName) -> &mut Check {
        Check::of(&mut self.checks, name)
    }

    /// The user does not exist, or a field of theirs differs.
    pub(super) fn fields_differ(&mut self) {
        self.fields_differ = true;
    }

    pub(super) fn session(&mut self, verdict: SessionVerdict) {
        self.records.add(verdict.records);
        let ok = verdict.ok;
        self.sessions.push(verdict, ok, 1);
    }

    pub(super) fn close(self, owner: String) -> UserVerdict {
        let mut words = self.records.in_words();
        if self.fields_differ {
            words.insert(0, "the user differs".into());
        }
        let differing = self.sessions.differing_count;
        if differing > 0 && words.is_empty() {
            words.push("a session cannot be read".into());
        }
        let checks = self.checks.into_iter();
        let (sessions, sessions_not_listed) = self.sessions.into_list();
        UserVerdict {
            ok: words.is_empty(),
            verdict: verdict(&words),
            records: self.records,
            checks: checks
                .filter(|check| check.name != CheckName::SourceReadable)
                .map(|check| UserCheck {
                    name: check.name,
                    passed: check.passed && check.expected == check.found,
                    expected: check.expected,
                    found: check.found,
                })
                .collect(),
            sessions,
            sessions_not_listed,
            owner,
        }
    }
}

fn verdict(words: &[String]) -> String {
    match words.is_empty() {
        true => "ok".to_owned(),
        false => words.join(", "),
    }
}

/// A bounded list, in which what differs comes first.
#[derive(Debug)]
pub(super) struct Listed<T> {
    differing: Vec<T>,
    alike: Vec<T>,
    /// How much room each of the two took.
    taken: [usize; 2],
    not_listed: u64,
    pub(super) differing_count: u64,
    pub(super) count: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            differing: Vec::new(),
            alike: Vec::new(),
            taken: [0; 2],
            not_listed: 0,
            differing_count: 0,
            count: 0,
        }
    }
}

impl<T> Listed<T> {
    /// Adds an item that takes this many lines.
    pub(super) fn push(&mut self, item: T, ok: bool, lines: usize) {
        self.count += 1;
        self.differing_count += u64::from(!ok);
        let taken = &mut self.taken[usize::from(ok)];
        if *taken >= MAX_VERDICTS {
            self.not_listed += 1;
            return;
        }
        *taken += lines;
        match ok {
            true => self.alike.push(item),
            false => self.differing.push(item),
        }
    }

    /// The items, and how many are not among them.
    pub(super) fn into_list(mut self) -> (Vec<T>, u64) {
        self.differing.append(&mut self.alike);
        (self.differing, self.not_listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_listed_first_and_the_list_is_bounded() {
        let mut listed = Listed::default();
        for n in 0..3 * MAX_VERDICTS {
            listed.push(n, n % 2 == 0, 1);
        }
        let (differing, count) = (listed.differing_count, listed.count);
        let (items, not_listed) = listed.into_list();
        assert_eq!(items.len(), 2 * MAX_VERDICTS);
        assert!(items[..MAX_VERDICTS].iter().all(|n| n % 2 == 1));
        assert_eq!(not_listed, MAX_VERDICTS as u64);
        assert_eq!(differing, count / 2);
    }

    #[test]
    fn a_verdict_says_what_differs_in_counts() {
        let records = Tally {
            expected: 5,
            found: 3,
            missing: 2,
            doubled: 1,
            ..Tally::default()
        };
        let session = SessionVerdict::new(Some("s".into()), records, true);
        assert_eq!(session.verdict, "2 missing, 1 stored twice");
        let mut user = OpenUser::new();
        user.session(session);
        user.session(SessionVerdict::new(None, Tally::default(), true));
        let user = user.close("user ana".into());
        assert!(!user.ok);
        assert_eq!(user.verdict, "2 missing, 1 stored twice");
        assert_eq!(user.sessions[1].verdict, "ok");
    }
}

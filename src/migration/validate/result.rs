//! The result of a validation.

use jiff::Timestamp;
use serde::Serialize;

use super::verdict::UserVerdict;
use crate::memory::model::Record;
use crate::migration::report::{MAX_LISTED, Trouble};

/// What is checked: the guide's five points, and three more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// The source could be read whole.
    SourceReadable,
    /// Every user exists, and their fields are those of the source.
    UserExists,
    /// Every session can be read.
    SessionLoads,
    /// Every record is there, once, and nothing else.
    MessageCount,
    /// Every record has the source's time.
    Timestamps,
    /// Every record has the source's metadata, role, name and kind.
    Metadata,
    /// Every record has the source's words.
    Content,
    /// The records of each session are in the source's order.
    Order,
}

impl CheckName {
    const ALL: [Self; 8] = [
        Self::SourceReadable,
        Self::UserExists,
        Self::SessionLoads,
        Self::MessageCount,
        Self::Timestamps,
        Self::Metadata,
        Self::Content,
        Self::Order,
    ];

    /// The check as it is answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SourceReadable => "source_readable",
            Self::UserExists => "user_exists",
            Self::SessionLoads => "session_loads",
            Self::MessageCount => "message_count",
            Self::Timestamps => "timestamps",
            Self::Metadata => "metadata",
            Self::Content => "content",
            Self::Order => "order",
        }
    }
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// Whether all is as it should be.
    pub passed: bool,
    /// How many there should be: users, sessions, records.
    pub expected: u64,
    /// How many were found as they should be.
    pub found: u64,
    /// The same in words.
    pub detail: String,
}

impl Check {
    /// All checks, before anything is compared.
    pub(super) fn all() -> Vec<Self> {
        let check = |name| Self {
            name,
            passed: true,
            expected: 0,
            found: 0,
            detail: String::new(),
        };
        CheckName::ALL.into_iter().map(check).collect()
    }

    /// One of all checks.
    pub(super) fn of(all: &mut [Self], name: CheckName) -> &mut Self {
        let place = CheckName::ALL.iter().position(|one| *one == name);
        &mut all[place.unwrap_or_default()]
    }
}

/// A part of the records that was chosen at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// How many records were compared.
    pub records: u64,
    /// How many there are in the source.
    pub of: u64,
    /// What chose them: the same seed chooses the same records.
    pub seed: u64,
    /// Whether nothing differs in what was compared. The rest was not looked at.
    pub as_in_source: bool,
}

/// A difference between the source and what is stored. Names ids and fields, never content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The check that it fails.
    pub check: CheckName,
    /// Whose memory it is about.
    pub owner: String,
    /// The session it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The record's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The record's position in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// The field that differs.
    pub field: String,
    /// How it differs.
    pub detail: String,
}

/// A record as a validation names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The record's id.
    pub record: Option<String>,
    /// Its time.
    pub created_at: Timestamp,
}

/// What a validation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// Whether every check passed, on everything that is in the source: never so for a sample.
    pub valid: bool,
    /// Set if only a part of the records was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sampled>,
    /// The checks.
    pub checks: Vec<Check>,
    /// The verdict on each user, those that differ first.
    pub users: Vec<UserVerdict>,
    /// How many users there are of whom nothing differs.
    pub users_ok: u64,
    /// How many users there are of whom something differs.
    pub users_differing: u64,
    /// How many users are not listed.
    pub users_not_listed: u64,
    /// Everything that differs, one entry for each.
    pub issues: Vec<Difference>,
    /// How many more differ than are listed.
    pub issues_not_listed: u64,
    /// What in the source cannot be read, and so was not compared.
    pub source_problems: Vec<Trouble>,
    /// How many more are not listed.
    pub source_problems_not_listed: u64,
    /// What is good to know.
    pub notes: Vec<String>,
    /// How many memories are stored in the places that were compared.
    pub memory_count: u64,
    /// The earliest of them.
    pub first_message: Option<Named>,
    /// The latest of them.
    pub last_message: Option<Named>,
    /// `zep` or `local`.
    pub target_system: String,
    /// When the validation began.
    pub timestamp: Timestamp,
    /// HTTP requests to Zep; 0 on the embedded store.
    pub requests: u64,
    /// Seconds that it took.
    pub duration_secs: f64,
}

impl Validation {
    /// The result before anything is compared.
    pub(in crate::migration) fn new(target: &str, timestamp: Timestamp) -> Self {
        Self {
            valid: false,
            sample: None,
            checks: Check::all(),
            users: Vec::new(),
            users_ok: 0,
            users_differing: 0,
            users_not_listed: 0,
            issues: Vec::new(),
            issues_not_listed: 0,
            source_problems: Vec::new(),
            source_problems_not_listed: 0,
            notes: Vec::new(),
            memory_count: 0,
            first_message: None,
            last_message: None,
            target_system: target.into(),
            timestamp,
            requests: 0,
            duration_secs: 0.0,
        }
    }

    /// Adds to what a check expects and finds.
    pub(in crate::migration) fn count(&mut self, name: CheckName, expected: u64, found: u64) {
        let check = self.check(name);
        check.expected += expected;
        check.found += found;
    }

    /// Adds a difference, which makes its check fail.
    pub(super) fn differs(&mut self, difference: Difference) {
        self.check(difference.check).passed = false;
        if self.issues.len() < MAX_LISTED {
            self.issues.push(difference);
        } else {
            self.issues_not_listed += 1;
        }
    }

    /// Marks a check as failed for a reason that is listed elsewhere.
    pub(in crate::migration) fn fails(&mut self, name: CheckName) {
        self.check(name).passed = false;
    }

    /// Counts a stored record.
    pub(super) fn found(&mut self, record: &Record) {
        self.memory_count += 1;
        self.count(CheckName::MessageCount, 0, 1);
        let Some(created_at) = record.created_at else {
            return;
        };
        let this = || Named {
            record: record.record_id.clone(),
            created_at,
        };
        if self
            .first_message
            .as_ref()
            .is_none_or(|first| created_at < first.created_at)
        {
            self.first_message = Some(this());
        }
        if self
            .last_message
            .as_ref()
            .is_none_or(|last| created_at >= last.created_at)
        {
            self.last_message = Some(this());
        }
    }

    /// Everything has been compared: decides which checks passed.
    pub(in crate::migration) fn finish(&mut self) {
        let sampled = self.sample.is_some();
        for check in &mut self.checks {
            check.passed &= check.expected == check.found;
            check.detail = match (check.expected, check.passed) {
                (0, true) => "nothing to compare".into(),
                (expected, true) if sampled => format!("{expected} of the sample as in the source"),
                (expected, true) => format!("all {expected} as in the source"),
                (expected, false) if check.name == CheckName::MessageCount => {
                    format!(
                        "{} are there, {expected} should be; see the issues",
                        check.found
                    )
                }
                (expected, false) => format!("{} of {expected} as in the source", check.found),
            };
        }
        let passed = self.checks.iter().all(|check| check.passed);
        match &mut self.sample {
            Some(sample) => sample.as_in_source = passed,
            None => self.valid = passed,
        }
    }

    /// Whether nothing differs in what was compared, all or a sample.
    pub fn is_as_in_source(&self) -> bool {
        self.valid || self.sample.is_some_and(|sample| sample.as_in_source)
    }

    fn check(&mut self, name: CheckName) -> &mut Check {
        Check::of(&mut self.checks, name)
    }
}

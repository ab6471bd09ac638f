//! The progress of a run.

use std::time::Duration;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the source: counted in bytes, or whatever else the source counts.
    Reading,
    /// Planning: counted in items of the source.
    Planning,
    /// Writing: counted in records.
    Writing,
    /// Comparing: counted in records.
    Validating,
    /// Undoing: counted in records.
    Removing,
}

impl Phase {
    /// The phase in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Planning => "planning",
            Self::Writing => "writing",
            Self::Validating => "validating",
            Self::Removing => "removing",
        }
    }
}

/// How far a phase has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which phase.
    pub phase: Phase,
    /// How much of it is done, in the phase's own unit.
    pub done: u64,
    /// The total, where it is known.
    pub total: Option<u64>,
}

/// Why a run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The account's requests of this minute are used up.
    RateLimit,
    /// A request failed and is sent again after a pause.
    BackOff,
    /// Zep processes a batch.
    Batch,
    /// What a killed run sent may arrive late.
    LateWrites,
}

impl Wait {
    /// All reasons.
    pub const ALL: [Self; 4] = [
        Self::RateLimit,
        Self::BackOff,
        Self::Batch,
        Self::LateWrites,
    ];

    /// What is waited for, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "the rate limit",
            Self::BackOff => "a pause before a request is sent again",
            Self::Batch => "a batch that Zep processes",
            Self::LateWrites => "writes that may arrive late",
        }
    }
}

/// A wait, and how long it lasts where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The reason.
    pub reason: Wait,
    /// The time left.
    pub left: Option<Duration>,
}

/// A progress sink. It is called often and from any thread, so each call must return at once.
pub trait Watch: Send + Sync {
    /// Takes the progress.
    fn at(&self, progress: Progress);

    /// The run has this id in the ledger.
    fn noted(&self, _run: &str) {}

    /// The run waits for this. Called every second while it does.
    fn waits(&self, _waiting: Waiting) {}

    /// The run no longer waits for this. Called every second while it does not.
    fn goes_on(&self, _reason: Wait) {}
}

/// Ignores progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn at(&self, _progress: Progress) {}
}

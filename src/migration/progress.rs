//! The progress of a run.

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
}

impl Phase {
    /// The phase in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Planning => "planning",
            Self::Writing => "writing",
            Self::Validating => "validating",
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

/// A progress sink. It is called often and from any thread, so each call must return at once.
pub trait Watch: Send + Sync {
    /// Takes the progress.
    fn at(&self, progress: Progress);
}

/// Ignores progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn at(&self, _progress: Progress) {}
}

//! How far a run has come, for whoever waits for it.

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the source: counted in bytes.
    Reading,
    /// Putting what was read in order: counted in things that were read.
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
    /// How much there is in all, where that is known.
    pub total: Option<u64>,
}

/// Is told how far a run has come, often: each call must return at once.
pub trait Watch: Send + Sync {
    /// Takes note.
    fn at(&self, progress: Progress);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn at(&self, _progress: Progress) {}
}

//! What is wrong with a configuration.

use super::{Origin, Setting};

/// The longest value that an error repeats, in characters. Keys are longer, should one be in the
/// wrong setting.
const QUOTABLE_CHARS: usize = 16;

/// A value that cannot be used, its origin, and what the setting may be. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} ({}) {message}", origin_text(.origin))]
pub struct Problem {
    /// The setting.
    pub setting: Setting,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong and what it may be.
    pub message: String,
}

fn origin_text(origin: &Origin) -> &'static str {
    match origin {
        Origin::Default => "not set",
        set => set.as_str(),
    }
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A wrong value as an error shows it: on one line, and not at all if it is long enough to be a
/// secret.
pub(super) fn quoted(raw: &str) -> String {
    if raw.chars().count() > QUOTABLE_CHARS {
        return "the value".to_owned();
    }
    format!("`{}`", raw.escape_debug())
}

//! Errors in a filter, with their place.

use std::fmt;

use serde_json::Value;

use crate::zep::InvalidId;

/// How many characters of a wrong value an error repeats.
const QUOTED_CHARS: usize = 80;
/// How many characters of a key a path repeats.
const KEY_CHARS: usize = 40;

/// A filter that cannot be understood. Quotes the wrong part, shortened, except ids, which can be
/// names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}; {advice}")]
pub struct InvalidFilter {
    /// The place, as in `filters.AND[1].created_at.gte`.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// What to write instead.
    pub advice: String,
}

/// A place in the filter.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    pub(super) fn refuse(
        &self,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> InvalidFilter {
        InvalidFilter {
            path: self.to_string(),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    /// Refuses an id with its type's error, which does not repeat the id.
    pub(super) fn refuse_id(&self, invalid: InvalidId) -> InvalidFilter {
        self.refuse(
            format!("the id {}", invalid.problem),
            "give an id as it was given when the memory was added",
        )
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("filters"),
            Self::Item(within, index) => write!(f, "{within}[{index}]"),
            Self::Key(within, key) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if !key.is_empty() && key.len() <= KEY_CHARS && key.chars().all(plain) {
                    write!(f, "{within}.{key}")
                } else {
                    let quoted = shortened(&Value::from(*key).to_string(), KEY_CHARS);
                    write!(f, "{within}[{quoted}]")
                }
            }
        }
    }
}

/// The JSON of a value, shortened: a text has its own quotes and needs no others.
pub(super) fn quote(value: &Value) -> String {
    shortened(&value.to_string(), QUOTED_CHARS)
}

pub(super) fn quote_key(key: &str) -> String {
    quote(&Value::from(key))
}

fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

//! The tokens of a file, and the search for the one that a request shows.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;

use super::tokens::{Entry, Expiry, TokenHash};
use super::used::Used;
use crate::audit::{Proof, Who};
use crate::config::Setting;
use crate::memory::{
    access::Caller,
    access::{Allowed, Grant, Role},
};

/// The most entries of a file. Ours: each request is compared with all of them.
const MAX_ENTRIES: usize = 10_000;

/// A known token, by its hash.
#[derive(Debug)]
pub(super) struct KnownToken {
    hash: TokenHash,
    pub(super) caller: Caller,
    /// Its holder, in the audit trail.
    pub(super) who: Who,
    expires: Option<Expiry>,
}

impl KnownToken {
    /// A token that may do everything for everybody.
    pub(super) fn unrestricted(token: &str) -> Self {
        Self {
            hash: TokenHash::of(token),
            caller: Caller::Granted(Arc::new(Grant {
                role: Role::Operator,
                users: Allowed::All,
                agents: Allowed::All,
                apps: Allowed::All,
            })),
            who: Who {
                name: Setting::AuthToken.name().into(),
                role: Role::Operator.as_str(),
                proof: Proof::Token,
            },
            expires: None,
        }
    }

    /// Whether this is the hash of the token.
    pub(super) fn has(&self, hash: &TokenHash) -> bool {
        self.hash.is(hash)
    }

    /// What operators see of it.
    pub(super) fn in_use(&self, used: &Used) -> InUse {
        InUse {
            who: self.who.clone(),
            caller: self.caller.clone(),
            expires: self.expires.map(|end| end.0),
            used_at: used.at(&self.who.name),
        }
    }

    /// Whether the token has not expired.
    pub(super) fn is_valid(&self) -> bool {
        self.expires.is_none_or(|end| !end.is_past())
    }
}

/// A token as operators see it.
#[derive(Debug)]
pub(in crate::http) struct InUse {
    pub(in crate::http) who: Who,
    pub(in crate::http) caller: Caller,
    pub(in crate::http) expires: Option<Timestamp>,
    pub(in crate::http) used_at: Option<Timestamp>,
}

/// All tokens of a file.
#[derive(Debug, Default)]
pub(super) struct TokenTable(pub(super) Vec<KnownToken>);

impl TokenTable {
    /// The token of this hash. Compares with all of them, so that the time reveals nothing.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<&KnownToken> {
        let mut found = None;
        for token in &self.0 {
            if token.has(hash) {
                found = Some(token);
            }
        }
        found
    }

    /// Parses a file: one JSON object a line; blank lines and lines that begin with `#` are skipped.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidLine> {
        let mut tokens = Vec::new();
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        let text = text.trim_start_matches('\u{feff}');
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let invalid = |problem| InvalidLine { line, problem };
            let entry = parse_entry(text).map_err(invalid)?;
            let grant = entry.grant().map_err(invalid)?;
            let who = Who {
                name: entry.name.as_str().into(),
                role: entry.role.as_str(),
                proof: Proof::Token,
            };
            if !names.insert(entry.name) {
                return Err(invalid("`name` is that of an earlier entry".into()));
            }
            if !hashes.insert(entry.hash) {
                return Err(invalid("`hash` is that of an earlier entry".into()));
            }
            if tokens.len() == MAX_ENTRIES {
                return Err(invalid(format!(
                    "there are more than {MAX_ENTRIES} entries"
                )));
            }
            tokens.push(KnownToken {
                hash: entry.hash,
                caller: Caller::Granted(Arc::new(grant)),
                who,
                expires: entry.expires,
            });
        }
        Ok(Self(tokens))
    }
}

/// An entry that cannot be used. Names no person and repeats no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InvalidLine {
    /// From 1.
    pub(super) line: usize,
    /// The field, and what is wrong with it.
    pub(super) problem: String,
}

fn parse_entry(text: &str) -> Result<Entry, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let entry = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let cause = error.into_inner();
        match (field.as_str(), cause.classify()) {
            (_, serde_json::error::Category::Syntax | serde_json::error::Category::Eof) => {
                "is not one JSON object".to_owned()
            }
            (".", _) => in_words(&cause),
            (field, _) => format!("`{field}` {}", in_words(&cause)),
        }
    })?;
    json.end().map_err(|_| "is more than one JSON object")?;
    Ok(entry)
}

/// serde_json's message in the words of JSON, without the wrong value and without the position, which
/// is relative to the one line.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    let wrong_type = text.strip_prefix("invalid type: ");
    match wrong_type.and_then(|it| it.rsplit_once(", expected ")) {
        Some((_, expected)) => {
            let expected = match expected {
                "a map" => "an object",
                "a sequence" => "a list",
                kind if kind.starts_with("struct ") => "an object",
                kind if kind.starts_with(['i', 'u']) && kind[1..].parse::<u8>().is_ok() => {
                    "a whole number"
                }
                "f64" => "a number",
                kind => kind,
            };
            format!("must be {expected}")
        }
        None => text.to_owned(),
    }
}

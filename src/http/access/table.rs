//! All tokens that are known, and finding the one that is shown.

use std::{collections::HashSet, sync::Arc};

use super::tokens::{Entry, Expiry, TokenHash};
use crate::memory::{
    access::Caller,
    access::{Allowed, Grant, Role},
};

/// The most entries of a file. Ours: each request is compared with all of them.
const MAX_ENTRIES: usize = 10_000;

/// A token that is known, by its hash.
#[derive(Debug)]
pub(super) struct Known {
    hash: TokenHash,
    pub(super) caller: Caller,
    expires: Option<Expiry>,
}

impl Known {
    /// A token that may do everything for everybody.
    pub(super) fn everything(token: &str) -> Self {
        Self {
            hash: TokenHash::of(token),
            caller: Caller::Granted(Arc::new(Grant {
                role: Role::Operator,
                users: Allowed::All,
                agents: Allowed::All,
                apps: Allowed::All,
            })),
            expires: None,
        }
    }

    /// Whether a token of this hash is this one.
    pub(super) fn is(&self, hash: &TokenHash) -> bool {
        self.hash.is(hash)
    }

    /// Whether it is good now.
    pub(super) fn is_good(&self) -> bool {
        self.expires.is_none_or(|end| !end.is_past())
    }
}

/// All tokens of a file.
#[derive(Debug, Default)]
pub(super) struct Table(pub(super) Vec<Known>);

impl Table {
    /// The token of this hash. Looks at all of them, so that the time it takes tells nothing.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<&Known> {
        let mut found = None;
        for known in &self.0 {
            if known.is(hash) {
                found = Some(known);
            }
        }
        found
    }

    /// Reads a file's text: one JSON object a line; blank lines and lines that begin with `#` say
    /// nothing.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut known = Vec::new();
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        let text = text.trim_start_matches('\u{feff}');
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |problem| Wrong { line, problem };
            let entry = parse_entry(text).map_err(wrong)?;
            let grant = entry.grant().map_err(wrong)?;
            if !names.insert(entry.name) {
                return Err(wrong("`name` stands in an earlier entry, too".into()));
            }
            if !hashes.insert(entry.hash) {
                return Err(wrong("`hash` stands in an earlier entry, too".into()));
            }
            if known.len() == MAX_ENTRIES {
                return Err(wrong(format!("there are more than {MAX_ENTRIES} entries")));
            }
            known.push(Known {
                hash: entry.hash,
                caller: Caller::Granted(Arc::new(grant)),
                expires: entry.expires,
            });
        }
        Ok(Self(known))
    }
}

/// An entry that cannot be used. Names no one and repeats no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
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
            (".", _) => without_place(&cause),
            (field, _) => format!("`{field}` {}", without_place(&cause)),
        }
    })?;
    json.end().map_err(|_| "is more than one JSON object")?;
    Ok(entry)
}

/// The message without serde_json's line and column, which are those of the one line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

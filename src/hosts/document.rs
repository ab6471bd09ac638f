//! A configuration file's text: what it lists, and the same text with one thing in it changed.

use serde_json::{Map, Value};

use super::places::Section;
use super::{jsonc, toml};

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// JSON, with comments and trailing commas where a host allows them.
    Json,
    /// TOML.
    Toml,
}

/// Why a file's text cannot be used. Never quotes the text: there are keys in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not what it should be written in.
    #[error("line {line}, column {column}: {problem}")]
    Broken {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Something is not the kind of thing that it must be.
    #[error("{at} is not {expected}")]
    WrongKind {
        /// What.
        at: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A name stands twice where it may stand once; which one the host takes is its own affair.
    #[error("`{0}` stands there twice; remove one of them")]
    Twice(String),
    /// The change would have touched something else. Nobody has seen it happen.
    #[error("the entry cannot be changed without touching something else; change it by hand")]
    Unsafe,
}

/// A server in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Where it stands: names from the outside in, its own last.
    pub path: Vec<String>,
    /// What is written there.
    pub entry: Value,
}

impl Listed {
    /// Its own name.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}

impl Syntax {
    /// The text as data. An empty text is an empty object.
    ///
    /// # Errors
    /// [`DocumentError::Broken`], or [`DocumentError::WrongKind`] if it is no object.
    pub fn read(self, text: &str) -> Result<Map<String, Value>, DocumentError> {
        match self {
            Self::Json => jsonc::read(text),
            Self::Toml => toml::read(text),
        }
    }

    /// An entry alone, as a TOML file has it.
    pub fn toml_entry(name: &str, entry: &Map<String, Value>) -> String {
        toml::rendered(name, entry)
    }

    /// The same text with `new` at `path`, and everything else as it was, to the byte. Of what
    /// stands at `path` already, only what differs changes. Objects on the way are made.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn set(self, text: &str, path: &[String], new: &Value) -> Result<String, DocumentError> {
        let before = self.read(text)?;
        let after = match self {
            Self::Json => jsonc::set(text, path, new)?,
            Self::Toml => toml::set(text, path, new)?,
        };
        // The last line of defence: whatever the editing did, this is what the file says then.
        let mut expected = Value::Object(before);
        put(&mut expected, path, new.clone());
        if self.read(&after).map(Value::Object).as_ref() != Ok(&expected) {
            return Err(DocumentError::Unsafe);
        }
        Ok(after)
    }
}

/// Every server in the lists of a document, in order.
///
/// # Errors
/// [`DocumentError::WrongKind`] if a list, or what it stands in, is no object.
pub fn listed(
    document: &Map<String, Value>,
    sections: &[Section],
) -> Result<Vec<Listed>, DocumentError> {
    let mut found = Vec::new();
    for section in sections {
        collect(document, section, &mut Vec::new(), &mut found)?;
    }
    Ok(found)
}

fn collect(
    object: &Map<String, Value>,
    section: &[&str],
    path: &mut Vec<String>,
    found: &mut Vec<Listed>,
) -> Result<(), DocumentError> {
    let Some((first, rest)) = section.split_first() else {
        found.extend(object.iter().map(|(name, entry)| {
            let mut path = path.clone();
            path.push(name.clone());
            Listed {
                path,
                entry: entry.clone(),
            }
        }));
        return Ok(());
    };
    let named = object
        .iter()
        .filter(|(name, _)| *first == "*" || name == first);
    for (name, value) in named {
        path.push(name.clone());
        match value {
            Value::Object(inner) => collect(inner, rest, path, found)?,
            Value::Null => {}
            _ => {
                return Err(DocumentError::WrongKind {
                    at: format!("`{}`", path.join(".")),
                    expected: "an object",
                });
            }
        }
        path.pop();
    }
    Ok(())
}

/// What stands at a path.
pub fn at<'a>(document: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(document.get(first)?, |value, name| value.get(name))
}

fn put(document: &mut Value, path: &[String], new: Value) {
    let mut target = document;
    for name in path {
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        target = &mut target[name.as_str()];
    }
    *target = new;
}

//! A configuration file's text: the servers it lists, and the same text with one value changed.

mod error;
mod jsonc;
mod toml;
mod yaml;

use serde_json::{Map, Value};

pub use error::DocumentError;

/// Where a file lists its servers: names from the outside in; `*` matches any name.
pub type Section = &'static [&'static str];

/// The language of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// JSON, with comments and trailing commas where a host allows them.
    Json,
    /// TOML.
    Toml,
    /// YAML, one document.
    Yaml,
}

/// A server in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedServer {
    /// Names from the outside in, its own last.
    pub path: Vec<String>,
    /// Its value.
    pub entry: Value,
}

impl ListedServer {
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
            Self::Yaml => yaml::read(text),
        }
    }

    /// One entry as text, to be shown.
    pub fn rendered(self, name: &str, entry: &Map<String, Value>) -> String {
        match self {
            Self::Json => jsonc::rendered(name, entry),
            Self::Toml => toml::rendered(name, entry),
            Self::Yaml => yaml::rendered(name, entry),
        }
    }

    /// The text with `new` at `path` and everything else unchanged, byte for byte. Within the old
    /// value only the differences change. Missing objects on the path are created.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn set(self, text: &str, path: &[String], new: &Value) -> Result<String, DocumentError> {
        let before = self.read(text)?;
        let after = match self {
            Self::Json => jsonc::set(text, path, new)?,
            Self::Toml => toml::set(text, path, new)?,
            Self::Yaml => yaml::set(text, path, new)?,
        };
        // Guards against faults of the editing libraries.
        let mut expected = Value::Object(before);
        put(&mut expected, path, new.clone());
        if self.read(&after).map(Value::Object).as_ref() != Ok(&expected) {
            return Err(DocumentError::Unsafe);
        }
        Ok(after)
    }
}

/// All servers that a document lists, in order.
///
/// # Errors
/// [`DocumentError::WrongKind`] if a list or one of its parents is not an object.
pub fn listed(
    document: &Map<String, Value>,
    sections: &[Section],
) -> Result<Vec<ListedServer>, DocumentError> {
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
    found: &mut Vec<ListedServer>,
) -> Result<(), DocumentError> {
    let Some((first, rest)) = section.split_first() else {
        found.extend(object.iter().map(|(name, entry)| {
            let mut path = path.clone();
            path.push(name.clone());
            ListedServer {
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

/// The value at a path.
pub fn at<'a>(document: &'a Map<String, Value>, path: &[impl AsRef<str>]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(document.get(first.as_ref())?, |value, name| {
            value.get(name.as_ref())
        })
}

/// Whether there is an object or a null at the path of a section.
pub(super) fn at_any(document: &Map<String, Value>, section: &[&str]) -> bool {
    let Some((first, rest)) = section.split_first() else {
        return true;
    };
    document
        .iter()
        .filter(|(name, _)| *first == "*" || name == first)
        .any(|(_, value)| match value {
            Value::Object(inner) => at_any(inner, rest),
            _ => rest.is_empty(),
        })
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

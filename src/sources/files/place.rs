//! Where a file is within an archive or a directory, by its path.

use super::parser::shown;

/// Where a file is within the source, and how.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its path; empty for the source itself.
    pub(super) path: &'a str,
    /// How many layers of packing are around it.
    pub(super) layers: usize,
}

pub(super) const SOURCE: Place<'_> = Place {
    path: "",
    layers: 0,
};

impl Place<'_> {
    /// The path of a file in it, as it may be shown.
    pub(super) fn path_of(self, name: &str) -> String {
        let name: String = shown(name)
            .chars()
            .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
            .collect();
        match self.path {
            "" => name,
            path => format!("{path}/{name}"),
        }
    }

    pub(super) fn packed(self) -> Self {
        Self {
            layers: self.layers + 1,
            ..self
        }
    }
}

/// Files that systems put beside others.
pub(super) fn is_hidden(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.any(|part| part.starts_with('.') && part != "." && part != "..")
        || path.starts_with("__MACOSX/")
        || path.ends_with("Thumbs.db")
}

/// A name whose numbers are ordered by their value.
pub(super) fn in_order(name: &str) -> Vec<(String, u64)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (before, after) = rest.split_at(text);
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        key.push((before.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = after;
    }
    key
}

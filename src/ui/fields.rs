//! Fields of a query or a form (`application/x-www-form-urlencoded`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The most fields that are read. Ours: the largest form has eight.
const MAX_FIELDS: usize = 50;

/// What is left as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Fields by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads them; what is no UTF-8 is replaced.
    pub(super) fn read(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decoded = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let fields = pairs.take(MAX_FIELDS).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(fields.collect())
    }

    /// The value of a field as it is; empty if there is none.
    pub(super) fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(theirs, _)| theirs == name);
        found.map_or("", |(_, value)| value)
    }

    /// The value of a field, trimmed; `None` if it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        Some(self.raw(name).trim()).filter(|value| !value.is_empty())
    }

    /// A number; `least` if there is none, or it is no number.
    pub(super) fn number(&self, name: &str, least: usize, most: usize) -> usize {
        let given = self.get(name).and_then(|text| text.parse().ok());
        given.unwrap_or(least).clamp(least, most)
    }
}

/// A path with a query.
pub(super) fn link(path: &str, query: &[(&str, &str)]) -> String {
    let mut link = path.to_owned();
    let given = query.iter().filter(|(_, value)| !value.is_empty());
    for (nth, (name, value)) in given.enumerate() {
        link.push(if nth == 0 { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        link.extend(utf8_percent_encode(value, QUERY));
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_says_is_read_back() {
        let odd = "a&b=c +%/..?#\u{202e}<ü>";
        let link = link("/ui/user", &[("id", odd), ("none", ""), ("page", "2")]);
        let fields = Fields::read(link.split_once('?').unwrap().1);
        assert_eq!(fields.get("id"), Some(odd));
        assert_eq!(fields.number("page", 1, 10), 2);
        assert_eq!(fields.get("none"), None);
        assert_eq!(Fields::read("a=%ff&a=2&&b").get("a"), Some("\u{fffd}"));
    }
}

//! JSON from outside, counted before anything is built from it.
//!
//! A short text can become a large value: each of the two million objects in 13 MB of `{"a":1},`
//! takes hundreds of bytes once it is parsed, and a parser may hold several copies. A [`Scanner`]
//! reads the text as it arrives and builds nothing.

use std::ops::Range;
use std::str::Utf8Error;

use serde::de::DeserializeOwned;

/// What a document may have.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// The deepest nesting of arrays and objects. Less than 128, where the parser stops.
    pub(crate) depth: usize,
    /// The most values, members of objects and items of arrays, outside `parts`.
    pub(crate) values: usize,
    /// Parts with bounds of their own.
    pub(crate) parts: &'static [Part],
}

/// A part of a document, where objects lead to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The keys that lead to it, [`MAX_PATH`] at most.
    pub(crate) path: &'static [&'static str],
    /// The most values in it.
    pub(crate) values: usize,
    /// How many bytes of its text are kept, for documents that are not.
    pub(crate) kept: usize,
}

/// Which bound a document exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMuch {
    /// Its nesting.
    #[error("it has more than {0} lists and objects within one another")]
    Depth(usize),
    /// Its values, outside parts with bounds of their own.
    #[error("it has more than {0} values")]
    Values(usize),
    /// The values of a part.
    #[error("`{}` has more than {} values", .0.path.last().unwrap_or(&""), .0.values)]
    Part(&'static Part),
}

/// The longest path of a part.
const MAX_PATH: usize = 3;
/// The longest key on a path, in bytes.
const MAX_NAME: usize = 16;

/// Counts a document that arrives in pieces. It accepts what is no JSON, since a parser builds nothing
/// after the first error; a key with escapes is never on a part's path, and its value is counted
/// outside all parts.
#[derive(Debug)]
pub(crate) struct Scanner {
    bounds: &'static Bounds,
    /// How many bytes came before.
    offset: usize,
    depth: usize,
    /// So many of the open arrays and objects, from the outside, are objects.
    objects: usize,
    values: usize,
    in_text: bool,
    escaped: bool,
    /// Whether the text is a key that may be on a path.
    naming: bool,
    names: [Name; MAX_PATH],
    /// The part that is being read.
    part: Option<usize>,
    parts: Vec<Found>,
    exceeded: Option<TooMuch>,
}

/// A key, if it is short.
#[derive(Debug, Clone, Copy, Default)]
struct Name {
    bytes: [u8; MAX_NAME],
    length: usize,
}

/// A part that was found.
#[derive(Debug, Clone, Default)]
struct Found {
    values: usize,
    range: Option<Range<usize>>,
    kept: Vec<u8>,
}

impl Scanner {
    pub(crate) fn new(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            offset: 0,
            depth: 0,
            objects: 0,
            values: 0,
            in_text: false,
            escaped: false,
            naming: false,
            names: [Name::default(); MAX_PATH],
            part: None,
            parts: vec![Found::default(); bounds.parts.len()],
            exceeded: None,
        }
    }

    /// Reads the next piece.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            if self.in_text {
                at += self.text(&piece[at..]);
                continue;
            }
            match byte {
                b'"' => self.begin_text(),
                b'{' | b'[' => self.open(byte),
                b'}' | b']' => self.close(self.offset + at),
                b',' => self.comma(self.offset + at),
                b':' => self.colon(self.offset + at + 1),
                _ => {}
            }
            at += 1;
        }
        self.keep(piece);
        self.offset += piece.len();
    }

    /// The first bound that was exceeded so far.
    pub(crate) fn exceeded(&self) -> Option<TooMuch> {
        self.exceeded
    }

    /// How many values there are so far, except in this part.
    pub(crate) fn values_outside(&self, part: usize) -> usize {
        let parts = self.parts.iter().enumerate();
        let others = parts.filter(|(index, _)| *index != part);
        self.values + others.map(|(_, part)| part.values).sum::<usize>()
    }

    /// Where the value of this part is, once it was read to its end.
    pub(crate) fn part(&self, part: usize) -> Option<Range<usize>> {
        let range = self.parts.get(part)?.range.clone()?;
        (self.part != Some(part)).then_some(range)
    }

    /// The text of this part, once it was read to its end, if it is as short as the part's bound.
    pub(crate) fn kept(&self, part: usize) -> Option<&[u8]> {
        let range = self.part(part)?;
        let kept = &self.parts[part].kept;
        (kept.len() == range.len()).then_some(kept)
    }

    fn keep(&mut self, piece: &[u8]) {
        let piece_end = self.offset + piece.len();
        for (index, (found, bound)) in self.parts.iter_mut().zip(self.bounds.parts).enumerate() {
            let Some(range) = &found.range else {
                continue;
            };
            let end = match self.part == Some(index) {
                true => piece_end,
                false => range.end,
            };
            let start = range.start.max(self.offset);
            if start < end && found.kept.len() + (end - start) <= bound.kept {
                let text = start - self.offset..end - self.offset;
                found.kept.extend_from_slice(&piece[text]);
            }
        }
    }

    /// Reads on in a text, and answers how many bytes.
    fn text(&mut self, piece: &[u8]) -> usize {
        if self.escaped {
            self.escaped = false;
            return 1;
        }
        let end = piece.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let length = end.unwrap_or(piece.len());
        if self.naming {
            self.names[self.depth - 1].push(&piece[..length]);
        }
        match end.map(|end| piece[end]) {
            None => return length,
            Some(b'"') => {
                self.in_text = false;
                self.naming = false;
            }
            Some(_) => {
                self.escaped = true;
                if self.naming {
                    self.names[self.depth - 1].length = usize::MAX;
                }
            }
        }
        length + 1
    }

    /// Whether keys of the innermost object may be on a path.
    fn on_path(&self) -> bool {
        (1..=MAX_PATH).contains(&self.depth) && self.depth == self.objects
    }

    fn begin_text(&mut self) {
        self.in_text = true;
        // A text after the colon is a value, and the next comma or brace forgets what it wrote here.
        self.naming = self.on_path() && self.part.is_none();
        if self.naming {
            self.names[self.depth - 1] = Name::default();
        }
    }

    fn open(&mut self, byte: u8) {
        if byte == b'{' && self.depth == self.objects {
            self.objects += 1;
        }
        self.depth += 1;
        self.count();
        if self.depth > self.bounds.depth {
            self.exceed(TooMuch::Depth(self.bounds.depth));
        }
    }

    fn close(&mut self, at: usize) {
        self.end_part(at);
        self.depth = self.depth.saturating_sub(1);
        self.objects = self.objects.min(self.depth);
    }

    fn comma(&mut self, at: usize) {
        self.end_part(at);
        self.count();
    }

    fn colon(&mut self, value_at: usize) {
        if !self.on_path() || self.part.is_some() {
            return;
        }
        let path = &self.names[..self.depth];
        let found = self.bounds.parts.iter().position(|part| {
            part.path.len() == path.len()
                && path.iter().zip(part.path).all(|(name, key)| name.is(key))
        });
        // Of a repeated key only the first value is the part.
        let found = found.filter(|part| self.parts[*part].range.is_none());
        if let Some(part) = found {
            self.part = Some(part);
            self.parts[part].range = Some(value_at..value_at);
        }
    }

    fn end_part(&mut self, at: usize) {
        let Some(part) = self.part else {
            return;
        };
        if self.depth == self.bounds.parts[part].path.len() {
            self.part = None;
            if let Some(range) = &mut self.parts[part].range {
                range.end = at;
            }
        }
    }

    fn count(&mut self) {
        let exceeded = match self.part {
            None => {
                self.values += 1;
                (self.values > self.bounds.values).then_some(TooMuch::Values(self.bounds.values))
            }
            Some(part) => {
                self.parts[part].values += 1;
                let bound = &self.bounds.parts[part];
                (self.parts[part].values > bound.values).then_some(TooMuch::Part(bound))
            }
        };
        if let Some(exceeded) = exceeded {
            self.exceed(exceeded);
        }
    }

    fn exceed(&mut self, exceeded: TooMuch) {
        self.exceeded.get_or_insert(exceeded);
    }
}

impl Name {
    fn push(&mut self, more: &[u8]) {
        let end = self.length.saturating_add(more.len());
        match self.bytes.get_mut(self.length..end) {
            Some(room) => {
                room.copy_from_slice(more);
                self.length = end;
            }
            None => self.length = usize::MAX,
        }
    }

    fn is(&self, key: &str) -> bool {
        self.bytes.get(..self.length) == Some(key.as_bytes())
    }
}

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    /// It exceeds its bounds.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// It is no JSON, or not of this type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is not UTF-8, as JSON is (RFC 8259, 8.1): also where nobody reads it.
    #[error("it is not UTF-8 from byte {} on", .0.valid_up_to())]
    Encoding(#[from] Utf8Error),
}

/// Checks a whole document against its bounds.
pub(crate) fn check(json: &[u8], bounds: &'static Bounds) -> Result<(), TooMuch> {
    let mut scanner = Scanner::new(bounds);
    for piece in json.chunks(64 * 1024) {
        scanner.feed(piece);
        if let Some(exceeded) = scanner.exceeded() {
            return Err(exceeded);
        }
    }
    Ok(())
}

/// Parses a document within its bounds.
pub(crate) fn from_slice<T: DeserializeOwned>(
    json: &[u8],
    bounds: &'static Bounds,
) -> Result<T, JsonError> {
    check(json, bounds)?;
    Ok(serde_json::from_str(str::from_utf8(json)?)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    static BOUNDS: Bounds = Bounds {
        depth: 6,
        values: 10,
        parts: &[
            Part {
                path: &["params", "arguments", "filters"],
                values: 4,
                kept: 0,
            },
            Part {
                path: &["id"],
                values: 0,
                kept: 8,
            },
        ],
    };
    static WIDE: Bounds = Bounds {
        depth: 1_000,
        values: usize::MAX,
        parts: &[Part {
            path: &["a", "b"],
            values: usize::MAX,
            kept: usize::MAX,
        }],
    };

    fn exceeds(json: &str) -> Option<TooMuch> {
        check(json.as_bytes(), &BOUNDS).err()
    }

    #[test]
    fn each_bound_is_exceeded_by_one_more() {
        assert_eq!(exceeds("[1,2,3,4,5,6,7,8,9,10]"), None);
        assert_eq!(
            exceeds("[1,2,3,4,5,6,7,8,9,10,11]"),
            Some(TooMuch::Values(10))
        );
        assert_eq!(exceeds("[[[[[[]]]]]]"), None);
        assert_eq!(exceeds("[[[[[[[]]]]]]]"), Some(TooMuch::Depth(6)));
        let filters = |items: &str| {
            format!(r#"{{"params":{{"arguments":{{"filters":[{items}],"a":"b"}}}}}}"#)
        };
        assert_eq!(exceeds(&filters("1,2,3,4")), None);
        assert_eq!(
            exceeds(&filters("1,2,3,4,5")),
            Some(TooMuch::Part(&BOUNDS.parts[0]))
        );
    }

    #[test]
    fn only_the_named_place_is_a_part() {
        for other in [
            r#"{"params":{"arguments":{"f\u0069lters":[1,2,3,4,5]}}}"#,
            r#"{"params":[{"arguments":{"filters":[1,2,3,4,5]}}]}"#,
            r#"{"x":{"arguments":{"filters":[1,2,3,4,5]}}}"#,
            r#"{"params":{"arguments":{"filters":1,"filters":[1,2,3,4,5]}}}"#,
            r#"{"params":{"arguments":{"a":"filters","b":[1,2,3,4,5]}}}"#,
            r#"{"params":{"arguments":{"a":{"filters":[1,2,3,4,5]}}}}"#,
        ] {
            assert_eq!(exceeds(other), None, "{other}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[\\PC\"\\\\{}\\[\\],:]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            let key = prop_oneof!["[ab]", "[\"\\\\:,{}]{0,3}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => {
                1 + items.len().saturating_sub(1) + items.iter().map(count).sum::<usize>()
            }
            Value::Object(map) => {
                1 + map.len().saturating_sub(1) + map.values().map(count).sum::<usize>()
            }
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn what_is_counted_does_not_depend_on_the_pieces(
            value in any_json(),
            pretty: bool,
            piece in 1_usize..9,
        ) {
            let value = json!({"x": value.clone(), "a": {"c": 1, "b": value}});
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let mut scanner = Scanner::new(&WIDE);
            for piece in text.as_bytes().chunks(piece) {
                scanner.feed(piece);
            }
            prop_assert_eq!(scanner.values_outside(usize::MAX), count(&value));
            let part = &text[scanner.part(0).unwrap()];
            prop_assert_eq!(scanner.kept(0), Some(part.as_bytes()));
            let part: Value = serde_json::from_str(part).unwrap();
            prop_assert_eq!(&part, &value["a"]["b"]);
        }

        #[test]
        fn nothing_panics(text in "[\"\\\\{}\\[\\],:ab ]{0,40}") {
            let mut scanner = Scanner::new(&WIDE);
            scanner.feed(text.as_bytes());
            let _ = scanner.part(0);
        }
    }
}

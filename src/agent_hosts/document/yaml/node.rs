//! A YAML text as values with their places.

use std::collections::HashSet;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Number, Value};

use super::super::error::DocumentError;

/// The deepest nesting that is read; hosts' files have less than ten levels.
const DEEPEST: usize = 64;

/// A value and its place in the text, in bytes.
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) place: Range<usize>,
    /// Whether it is on lines of its own, unlike what is quoted or in brackets.
    pub(super) is_block: bool,
    /// Whether it has an anchor or a tag, or is an alias: other values depend on it.
    pub(super) is_shared: bool,
}

pub(super) enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Member>),
}

pub(super) struct Member {
    pub(super) name: String,
    pub(super) start: usize,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(all) => all.iter().map(Self::value).collect(),
            Content::Map(members) => {
                let members = members.iter();
                Value::Object(
                    members
                        .map(|it| (it.name.clone(), it.value.value()))
                        .collect(),
                )
            }
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        match &self.content {
            Content::Map(members) => members.iter().find(|it| it.name == name),
            _ => None,
        }
    }

    /// Whether any part of it has an anchor or a tag, or is an alias.
    pub(super) fn is_shared_in_part(&self) -> bool {
        self.is_shared
            || match &self.content {
                Content::Scalar(_) => false,
                Content::List(all) => all.iter().any(Self::is_shared_in_part),
                Content::Map(members) => members.iter().any(|it| it.value.is_shared_in_part()),
            }
    }
}

/// Builds the nodes from the parser's events.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The byte of each character, and the end.
    bytes: Vec<usize>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let bytes = text.char_indices().map(|(byte, _)| byte);
        Self {
            text,
            bytes: bytes.chain([text.len()]).collect(),
            parser: Parser::new_from_str(text),
        }
    }

    /// The only document; a null if there is none.
    pub(super) fn document(mut self) -> Result<Node, DocumentError> {
        let mut found = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                _ if found.is_some() => return Err(broken(span, "more than one document")),
                event => found = Some(self.node(event, span, 0)?),
            }
        }
        Ok(found.unwrap_or(Node {
            content: Content::Scalar(Value::Null),
            place: self.text.len()..self.text.len(),
            is_block: false,
            is_shared: false,
        }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), DocumentError> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(DocumentError::Broken {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                problem: error.info().to_owned(),
            }),
            None => Err(DocumentError::Unsafe),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, DocumentError> {
        if depth > DEEPEST {
            return Err(broken(span, "values are nested too deeply"));
        }
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => Ok(Node {
                content: Content::Scalar(scalar(&text, style)),
                // The end of a block scalar is where the next value begins.
                place: place.start..self.end_of(place),
                is_block: matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
                is_shared: anchor != 0 || tag.is_some(),
            }),
            Event::SequenceStart(anchor, tag) => {
                let mut all = Vec::new();
                let close = loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break self.place(span).start;
                    }
                    all.push(self.node(event, span, depth + 1)?);
                };
                let last = all.last().map(|it| it.place.end);
                Ok(Node {
                    place: place.start..self.end_of_group(place.start, last, close),
                    content: Content::List(all),
                    is_block: !is_flow(self.text, place.start),
                    is_shared: anchor != 0 || tag.is_some(),
                })
            }
            Event::MappingStart(anchor, tag) => {
                let (mut members, mut names) = (Vec::new(), HashSet::new());
                let close = loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        break self.place(span).start;
                    }
                    let member = self.member(event, span, depth + 1)?;
                    if !names.insert(member.name.clone()) {
                        return Err(DocumentError::Twice(member.name));
                    }
                    members.push(member);
                };
                let last = members.last().map(|it: &Member| it.value.place.end);
                Ok(Node {
                    place: place.start..self.end_of_group(place.start, last, close),
                    content: Content::Map(members),
                    is_block: !is_flow(self.text, place.start),
                    is_shared: anchor != 0 || tag.is_some(),
                })
            }
            // Not resolved: a value that others share is not changed.
            _ => Ok(Node {
                content: Content::Scalar(Value::Null),
                place,
                is_block: false,
                is_shared: true,
            }),
        }
    }

    fn member(
        &mut self,
        event: Event<'a>,
        span: Span,
        depth: usize,
    ) -> Result<Member, DocumentError> {
        let key = self.node(event, span, depth)?;
        let name = match &key.content {
            Content::Scalar(Value::String(name)) => name.clone(),
            Content::Scalar(other) => other.to_string(),
            _ => return Err(broken(span, "a name is not a text")),
        };
        let (event, span) = self.next()?;
        let mut value = self.node(event, span, depth)?;
        if value.place.is_empty() {
            // A missing value is right after the colon.
            let colon = self.text[key.place.end..].find(':');
            let at = key.place.end + colon.map_or(0, |colon| colon + 1);
            value.place = at..at;
        }
        Ok(Member {
            name,
            start: key.place.start,
            value,
        })
    }

    fn place(&self, span: Span) -> Range<usize> {
        let byte = |index: usize| self.bytes.get(index).copied().unwrap_or(self.text.len());
        let start = byte(span.start.index());
        start..byte(span.end.index()).max(start)
    }

    /// The end of a value without the white space after it.
    fn end_of(&self, place: Range<usize>) -> usize {
        place.start + self.text[place].trim_end().len()
    }

    /// The end of a list or mapping: after its bracket, which is at `close`, or the end of its last
    /// value.
    fn end_of_group(&self, start: usize, last: Option<usize>, close: usize) -> usize {
        if is_flow(self.text, start) {
            close + usize::from(self.text[close..].starts_with(['}', ']']))
        } else {
            last.unwrap_or(start)
        }
    }
}

/// A scalar by the core schema of YAML 1.2.
pub(super) fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return text.into();
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    let is_number = text
        .starts_with(|it: char| it.is_ascii_digit() || matches!(it, '-' | '+' | '.'))
        && text.ends_with(|it: char| it.is_ascii_digit() || it == '.')
        && text.contains(|it: char| it.is_ascii_digit());
    is_number
        .then(|| text.parse().ok().and_then(Number::from_f64))
        .flatten()
        .map_or_else(|| text.into(), Value::Number)
}

fn is_flow(text: &str, start: usize) -> bool {
    text[start..].starts_with(['{', '['])
}

fn broken(span: Span, problem: &str) -> DocumentError {
    DocumentError::Broken {
        line: span.start.line(),
        column: span.start.col() + 1,
        problem: problem.to_owned(),
    }
}

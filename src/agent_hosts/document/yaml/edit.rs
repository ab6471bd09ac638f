//! Changes to a YAML text: a value on its line, or whole lines.

use std::ops::Range;

use saphyr_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::super::error::DocumentError;
use super::node::{Content, Member, Node, scalar};
use super::not_a_mapping;

/// The changes to a text, each a replaced range.
pub(super) struct Edits<'a> {
    text: &'a str,
    ends: &'static str,
    all: Vec<(Range<usize>, String)>,
}

impl<'a> Edits<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            text,
            ends: if text.contains("\r\n") { "\r\n" } else { "\n" },
            all: Vec::new(),
        }
    }

    pub(super) fn applied(mut self) -> String {
        // What is inserted where something goes takes its place.
        self.all.sort_by_key(|(range, _)| (range.start, range.end));
        let mut after = String::with_capacity(self.text.len() + 256);
        let mut at = 0;
        for (range, new) in self.all {
            after.push_str(&self.text[at..range.start]);
            after.push_str(&new);
            at = range.end;
        }
        after.push_str(&self.text[at..]);
        after
    }

    /// Gives a member another value, changing only the differences.
    pub(super) fn change(&mut self, member: &Member, new: &Value) -> Result<(), DocumentError> {
        let old = &member.value;
        if old.is_shared_in_part() {
            return Err(DocumentError::Unsafe);
        }
        match (&old.content, new) {
            _ if old.value() == *new => Ok(()),
            (Content::Map(members), Value::Object(new)) if old.is_block && !new.is_empty() => {
                self.merge(members, new)
            }
            (Content::Scalar(Value::Null), Value::Object(new)) => {
                for (name, value) in new {
                    self.add(Some(member), old, name, value)?;
                }
                Ok(())
            }
            (_, new) => {
                if old.is_block || self.text[old.place.clone()].contains('\n') {
                    let mut lines = Vec::new();
                    render(self.indent(member.start)?, &member.name, new, &mut lines);
                    let lines = self.lines(&lines);
                    self.all.push((self.lines_of(member), lines));
                } else {
                    let space = if old.place.is_empty() { " " } else { "" };
                    self.all
                        .push((old.place.clone(), format!("{space}{}", inline(new))));
                }
                Ok(())
            }
        }
    }

    /// Changes the members of a block mapping. A new member comes after the one before it.
    fn merge(&mut self, members: &[Member], new: &Map<String, Value>) -> Result<(), DocumentError> {
        let first = members.first().ok_or(DocumentError::Unsafe)?;
        let indent = self.indent(first.start)?;
        for member in members.iter().filter(|it| !new.contains_key(&it.name)) {
            self.indent(member.start)?;
            self.all.push((self.lines_of(member), String::new()));
        }
        let mut after = self.line_start(first.start);
        for (name, value) in new {
            if let Some(member) = members.iter().find(|it| it.name == *name) {
                self.change(member, value)?;
                after = self.lines_of(member).end;
            } else {
                let mut lines = Vec::new();
                render(indent, name, value, &mut lines);
                self.insert(after, &lines);
            }
        }
        Ok(())
    }

    /// Adds a member to the mapping `node`, the value of `holder`; without a holder, to the file.
    pub(super) fn add(
        &mut self,
        holder: Option<&Member>,
        node: &Node,
        name: &str,
        value: &Value,
    ) -> Result<(), DocumentError> {
        let mut lines = Vec::new();
        match (&node.content, holder) {
            (Content::Map(members), _) if node.is_block && !members.is_empty() => {
                render(self.indent(members[0].start)?, name, value, &mut lines);
                let last = &members[members.len() - 1];
                self.insert(self.lines_of(last).end, &lines);
            }
            (Content::Map(members), Some(_)) if !members.is_empty() => {
                let mut all = node.value();
                all[name] = value.clone();
                self.all.push((node.place.clone(), inline(&all)));
            }
            (Content::Scalar(Value::Null) | Content::Map(_), Some(holder)) => {
                if !self.all.iter().any(|(range, _)| *range == node.place) {
                    self.all.push((node.place.clone(), String::new()));
                }
                render(self.indent(holder.start)? + 2, name, value, &mut lines);
                self.insert(self.lines_of(holder).end, &lines);
            }
            (Content::Scalar(Value::Null), None) => {
                render(0, name, value, &mut lines);
                self.insert(self.text.len(), &lines);
            }
            (_, Some(holder)) => return Err(not_a_mapping(format!("`{}`", holder.name))),
            (_, None) => return Err(not_a_mapping("the file".to_owned())),
        }
        Ok(())
    }

    /// Inserts lines at the beginning of a line, or at the end of the text.
    fn insert(&mut self, at: usize, lines: &[String]) {
        let lines = self.lines(lines);
        let is_open = at == self.text.len() && !self.text.is_empty() && !self.text.ends_with('\n');
        let has_break = self.all.iter().any(|(range, _)| range.start == at);
        let lines = if is_open && !has_break {
            format!("{}{lines}", self.ends)
        } else {
            lines
        };
        self.all.push((at..at, lines));
    }

    fn lines(&self, lines: &[String]) -> String {
        lines.iter().flat_map(|line| [line, self.ends]).collect()
    }

    /// The lines of a member, with their ends.
    fn lines_of(&self, member: &Member) -> Range<usize> {
        let end = member.value.place.end.max(member.start);
        let end = self.text[end..]
            .find('\n')
            .map_or(self.text.len(), |newline| end + newline + 1);
        self.line_start(member.start)..end
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The indentation of a name, which must be the first on its line.
    fn indent(&self, at: usize) -> Result<usize, DocumentError> {
        let before = &self.text[self.line_start(at)..at];
        if before.chars().all(|it| it == ' ') {
            Ok(before.len())
        } else {
            Err(DocumentError::Unsafe)
        }
    }
}

/// A member as lines.
pub(super) fn render(indent: usize, name: &str, value: &Value, lines: &mut Vec<String>) {
    let name = key(name);
    let space = " ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            lines.push(format!("{space}{name}:"));
            for (name, value) in members {
                render(indent + 2, name, value, lines);
            }
        }
        value => lines.push(format!("{space}{name}: {}", inline(value))),
    }
}

/// A value on one line. Quoted strings, lists and objects of JSON are YAML too; a space after each
/// comma and colon is needed by readers of YAML 1.1.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(inline).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Object(all) => {
            let all: Vec<_> = all
                .iter()
                .map(|(name, value)| format!("{}: {}", key(name), inline(value)))
                .collect();
            format!("{{{}}}", all.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// A name, quoted where it could be read as something else.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && name
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-'))
        && matches!(scalar(name, ScalarStyle::Plain), Value::String(_))
        // Booleans of YAML 1.1.
        && !["y", "n", "yes", "no", "on", "off"].contains(&name.to_ascii_lowercase().as_str());
    if is_plain {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

//! The fields of one object, taken one after the other; what is left becomes the metadata.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, Value};

use super::time::time;
use crate::sources::{Defect, MEM0, Names};

/// The fields that hold the text of a snapshot that is an object.
const SNAPSHOT_TEXT: [&str; 4] = ["content", "text", "summary", "insight"];

/// The fields that hold a time, in order of precedence.
const TIMES: [&str; 7] = [
    "created_at",
    "timestamp",
    "date",
    "time",
    "createdAt",
    "sent_at",
    "create_time",
];

/// The fields that hold the time of the last change, in order of precedence.
const UPDATED: [&str; 3] = ["updated_at", "updatedAt", "update_time"];

/// The longest role, in characters. Zep's is an enumeration; this only keeps texts from passing as
/// roles.
const MAX_ROLE_CHARS: usize = 100;

/// Up to this length as JSON, a field of a snapshot is metadata and not part of its content.
const SMALL_FIELD: usize = 200;

/// The fields of an object that were not taken yet.
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// A field, where it is a text and not blank. Anything else stays for the metadata.
    pub(super) fn take_text(&mut self, name: &str) -> Option<String> {
        match self.0.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => {}
            _ => return None,
        }
        match self.take(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// An id, as text.
    fn id(&mut self, name: &str) -> Result<Option<String>, Defect> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(id @ (Value::String(_) | Value::Number(_))) => Ok(id_text(&id)),
            Some(_) => Err(Defect::of(name, "is neither text nor a number")),
        }
    }

    /// The first of these ids that is present. The others stay.
    pub(super) fn first_id(&mut self, names: &[&str]) -> Result<Option<String>, Defect> {
        for name in names {
            if let Some(id) = self.id(name)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// What the object names, its session in one of these fields.
    pub(super) fn names(&mut self, sessions: &[&str]) -> Result<Names, Defect> {
        let mut session: Option<(&str, String)> = None;
        for name in sessions {
            let Some(id) = self.id(name)? else { continue };
            match &session {
                Some((other, first)) if *first != id => {
                    let reason =
                        format!("and `{name}` name different sessions; only one can be kept");
                    return Err(Defect::of(*other, reason));
                }
                _ => session = Some((name, id)),
            }
        }
        Ok(Names {
            user: self.id("user_id")?,
            agent: self.id("agent_id")?,
            app: self.id("app_id")?,
            session: session.map(|(_, id)| id),
        })
    }

    pub(super) fn role(&mut self) -> Result<Option<String>, Defect> {
        let reason = match self.take("role") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(role)) if role.trim().is_empty() => "is blank".to_owned(),
            Some(Value::String(role)) if role.chars().count() > MAX_ROLE_CHARS => {
                format!("is over {MAX_ROLE_CHARS} characters")
            }
            Some(Value::String(role)) => return Ok(Some(role)),
            Some(_) => "is not a text".to_owned(),
        };
        Err(Defect::of("role", reason))
    }

    /// The first time that is present. Other fields with names of times stay for the metadata, as does
    /// one that is no time, or could be several: then the warning says so.
    pub(super) fn created_at(&mut self, warnings: &mut Vec<Defect>) -> Option<Timestamp> {
        let name = TIMES.into_iter().find(|name| self.is_given(name))?;
        let at = self.0.get(name).and_then(time);
        if at.is_none() {
            let reason = "is not a time that can only mean one; it may be RFC 3339, RFC 2822, a date, \
                          or Unix seconds, milliseconds, microseconds or nanoseconds up to 2200: \
                          kept undated, and the value in the metadata";
            warnings.push(Defect::of(name, reason));
            return None;
        }
        self.take(name);
        at
    }

    /// When it was last changed. Nothing where that is when it was made; what is no time stays for the
    /// metadata.
    pub(super) fn updated_at(&mut self, created_at: Option<Timestamp>) -> Option<Timestamp> {
        let name = UPDATED.into_iter().find(|name| self.is_given(name))?;
        let at = self.0.get(name).and_then(time)?;
        self.take(name);
        (Some(at) != created_at).then_some(at)
    }

    /// The day of expiry, which stays for the metadata.
    pub(super) fn expires(&self) -> Result<Option<Date>, Defect> {
        let name = "expiration_date";
        if !self.is_given(name) {
            return Ok(None);
        }
        match self.0.get(name).and_then(time) {
            Some(at) => Ok(Some(at.to_zoned(TimeZone::UTC).date())),
            None => Err(Defect::of(name, "is not a date")),
        }
    }

    /// Whether a field is present, not null and not a blank text.
    fn is_given(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            _ => true,
        })
    }

    /// The text of a snapshot with one text field, if its other fields are small enough for metadata.
    pub(super) fn only_text(&mut self) -> Option<String> {
        let mut texts = SNAPSHOT_TEXT.into_iter().filter(|name| self.has(name));
        let name = texts.next().filter(|name| self.is_given(name))?;
        let is_only = texts.next().is_none()
            && self.0.get(name).is_some_and(Value::is_string)
            && self
                .0
                .iter()
                .filter(|(other, _)| *other != name && *other != "metadata")
                .all(|(_, value)| value.to_string().len() <= SMALL_FIELD);
        if is_only { self.take_text(name) } else { None }
    }

    /// The object's metadata, and every other field that is not empty, renamed where the metadata
    /// has another one of its name.
    pub(super) fn into_metadata(mut self) -> Map<String, Value> {
        let mut metadata = match self.take("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metadata)) => metadata,
            // Stores of flat fields keep an object as text.
            Some(Value::String(text)) if text.starts_with('{') => serde_json::from_str(&text)
                .unwrap_or_else(|_| {
                    [("metadata".to_owned(), Value::String(text))]
                        .into_iter()
                        .collect()
                }),
            Some(other) => [("metadata".to_owned(), other)].into_iter().collect(),
        };
        for (mut name, value) in self.0 {
            if is_empty(&value) {
                continue;
            }
            while metadata.get(&name).is_some_and(|other| *other != value) {
                name = format!("{MEM0}_{name}");
            }
            metadata.insert(name, value);
        }
        metadata
    }
}

/// Whether a value says nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// An id as text; `None` where it is empty, too.
pub(super) fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

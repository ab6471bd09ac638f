//! What an item of a source means.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, Value};

use super::{Item, ItemKind, Named, Piece, RecordKind, SourceRecord, SourceUser};

/// Where the sentence of a memory stands.
const SENTENCE: [&str; 4] = ["memory", "text", "data", "content"];

/// Where the sentence of a snapshot stands, if it is an object.
const SNAPSHOT_TEXT: [&str; 4] = ["content", "text", "summary", "insight"];

/// Where a time stands, the surest first.
const TIMES: [&str; 6] = [
    "created_at",
    "timestamp",
    "date",
    "time",
    "createdAt",
    "sent_at",
];

/// What a memory's session is called: mem0's listing and its search differ.
const RUN: [&str; 2] = ["session_id", "run_id"];

/// What a turn's session is called.
const CONVERSATION: [&str; 4] = ["session_id", "run_id", "thread_id", "conversation_id"];

/// Characters of a role. Zep's is an enumeration; this only keeps texts from being taken for roles.
const MAX_ROLE_CHARS: usize = 100;

/// Length as JSON up to which a field of a snapshot is something said about it, not a part of it.
const SMALL_FIELD: usize = 200;

/// The largest Unix time that is taken for one: the beginning of 2200. From there on it is
/// milliseconds.
const MAX_UNIX_SECONDS: i64 = 7_258_118_400;

/// What an item means, in the source's own words.
///
/// # Errors
///
/// Why it means nothing that can be kept: which field is missing or wrong. Never names what was said.
pub fn interpret(item: &Item) -> Result<Piece, String> {
    if let ItemKind::Snapshot(kind) = &item.kind {
        return snapshot(kind, &item.value).map(record);
    }
    let Value::Object(fields) = &item.value else {
        return Err("is no object".to_owned());
    };
    let fields = Fields(fields.clone());
    match &item.kind {
        ItemKind::Memory => memory(fields).map(record),
        ItemKind::Turn => turn(fields).map(record),
        ItemKind::History => history(fields).map(Piece::Turns),
        ItemKind::User => user(fields).map(|user| Piece::User(Box::new(user))),
        ItemKind::Entity | ItemKind::Snapshot(_) => Ok(Piece::Nothing),
    }
}

/// A time of a source: text as [`crate::time::parse`] reads it, or Unix seconds or milliseconds from 1970
/// to 2200, with whatever fraction they have.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => crate::time::parse(text),
        Value::Number(number) => unix(&number.to_string()),
        _ => None,
    }
}

/// Unix seconds or milliseconds from their decimal digits: a float would not keep the nanoseconds.
fn unix(number: &str) -> Option<Timestamp> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i64 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    // How many units the first digit of the fraction is worth ten of.
    let nanoseconds = |places: usize| -> Option<i64> {
        let digits = format!("{fraction:0<places$}");
        digits.get(..places)?.parse().ok()
    };
    if whole < MAX_UNIX_SECONDS {
        Timestamp::new(whole, i32::try_from(nanoseconds(9)?).ok()?).ok()
    } else if whole < MAX_UNIX_SECONDS * 1000 {
        let within = whole % 1000 * 1_000_000 + nanoseconds(6)?;
        Timestamp::new(whole / 1000, i32::try_from(within).ok()?).ok()
    } else {
        None
    }
}

fn record(record: SourceRecord) -> Piece {
    Piece::Record(Box::new(record))
}

fn memory(mut fields: Fields) -> Result<SourceRecord, String> {
    let sentence = SENTENCE
        .into_iter()
        .find(|name| fields.has(name))
        .ok_or_else(|| missing("memory"))?;
    let Some(Value::String(content)) = fields.take(sentence) else {
        return Err(format!("`{sentence}` is no text"));
    };
    if content.trim().is_empty() {
        return Err(format!("`{sentence}` is blank"));
    }
    let role = fields.role()?.unwrap_or_else(|| "user".to_owned());
    let id = fields.first_id(&["id", "memory_id"])?;
    let named = fields.named(&RUN)?;
    let created_at = fields.created_at()?;
    let expires = fields.expires()?;
    let replaced = match fields.0.get("replaced_by") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(by)) => !by.is_empty(),
        Some(_) => true,
    };
    let memory_type = fields.take_text("memory_type");
    let mut metadata = fields.into_metadata();
    let memory_type = settle_memory_type(memory_type, &mut metadata);
    Ok(SourceRecord {
        kind: RecordKind::Memory,
        id,
        named,
        role,
        name: None,
        content,
        created_at,
        memory_type,
        metadata,
        expires,
        replaced,
    })
}

/// The kind of memory may stand beside the metadata or in it; it is kept once.
fn settle_memory_type(own: Option<String>, metadata: &mut Map<String, Value>) -> Option<String> {
    match (own, metadata.get("memory_type")) {
        (own, Some(Value::String(inner)))
            if !inner.is_empty() && own.as_ref().is_none_or(|own| own == inner) =>
        {
            let inner = inner.clone();
            metadata.shift_remove("memory_type");
            Some(inner)
        }
        (own, _) => own,
    }
}

fn turn(mut fields: Fields) -> Result<SourceRecord, String> {
    let content = fields
        .take("content")
        .filter(|content| !content.is_null())
        .ok_or_else(|| missing("content"))?;
    let content = spoken(content);
    if content.trim().is_empty() {
        return Err("`content` is blank".to_owned());
    }
    let role = fields.role()?.ok_or_else(|| missing("role"))?;
    let name = fields.take_text("name");
    let id = fields.first_id(&["id", "memory_id"])?;
    let named = fields.named(&CONVERSATION)?;
    let created_at = fields.created_at()?;
    let expires = fields.expires()?;
    let memory_type = fields.take_text("memory_type");
    let mut metadata = fields.into_metadata();
    let memory_type =
        settle_memory_type(memory_type, &mut metadata).or_else(|| Some("messages".to_owned()));
    Ok(SourceRecord {
        kind: RecordKind::Turn,
        id,
        named,
        role,
        name,
        content,
        created_at,
        memory_type,
        metadata,
        expires,
        replaced: false,
    })
}

/// What a turn says: text, or parts of text as model providers write them; anything else as its JSON.
fn spoken(content: Value) -> String {
    let part = |part: &Value| -> Option<String> {
        match part {
            Value::String(text) => Some(text.clone()),
            Value::Object(fields) => {
                let is_text = fields.get("type").is_none_or(|kind| kind == "text");
                let text = fields.get("text")?.as_str()?;
                is_text.then(|| text.to_owned())
            }
            _ => None,
        }
    };
    match content {
        Value::String(text) => text,
        Value::Array(parts) => match parts.iter().map(part).collect::<Option<Vec<_>>>() {
            Some(texts) => texts.join("\n"),
            None => Value::Array(parts).to_string(),
        },
        other => other.to_string(),
    }
}

fn snapshot(kind: &str, value: &Value) -> Result<SourceRecord, String> {
    let mut record = SourceRecord {
        kind: RecordKind::Snapshot,
        id: None,
        named: Named::default(),
        role: "system".to_owned(),
        name: None,
        content: String::new(),
        created_at: None,
        memory_type: Some(kind.to_owned()),
        metadata: Map::new(),
        expires: None,
        replaced: false,
    };
    match value {
        Value::String(text) => record.content.clone_from(text),
        Value::Object(fields) => {
            let mut fields = Fields(fields.clone());
            record.id = fields.first_id(&["id"])?;
            record.named = fields.named(&CONVERSATION)?;
            match fields.only_text() {
                Some(text) => {
                    record.content = text;
                    record.created_at = fields.created_at()?;
                    record.expires = fields.expires()?;
                    record.metadata = fields.into_metadata();
                }
                None => {
                    // All of it stays in the content, so a time that is none loses nothing.
                    record.created_at = fields.created_at().ok().flatten();
                    record.content = value.to_string();
                }
            }
        }
        other => record.content = other.to_string(),
    }
    if record.content.trim().is_empty() {
        return Err(format!("`{kind}` is blank"));
    }
    Ok(record)
}

fn history(mut fields: Fields) -> Result<Vec<SourceRecord>, String> {
    let named = fields.named(&RUN)?;
    let created_at = fields.created_at()?;
    let turns = match fields.take("input") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(turns)) => turns,
        Some(_) => return Err("`input` is no list of turns".to_owned()),
    };
    turns
        .into_iter()
        .enumerate()
        .filter(|(_, turn)| !says_nothing(turn))
        .map(|(index, value)| {
            let Value::Object(fields) = value else {
                return Err(format!("`input[{index}]` is no object"));
            };
            let turn = turn(Fields(fields)).map_err(|why| format!("`input[{index}]`: {why}"))?;
            Ok(SourceRecord {
                id: None,
                named: turn.named.or(&named),
                created_at: turn.created_at.or(created_at),
                ..turn
            })
        })
        .collect()
}

/// Whether a turn is a role alone: there is nothing in it to lose.
fn says_nothing(turn: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    };
    match turn {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| name == "role" || is_empty(value)),
        _ => false,
    }
}

fn user(mut fields: Fields) -> Result<SourceUser, String> {
    // mem0 calls its entities' own numbers `id` and what everybody else calls them `name`.
    let is_entity = fields.0.get("type").is_some_and(|kind| kind == "user")
        && !["user_id", "email", "role"]
            .iter()
            .any(|name| fields.has(name));
    let ids: &[&str] = if is_entity {
        &["name", "id"]
    } else {
        &["user_id", "id"]
    };
    let id = fields.first_id(ids)?.ok_or_else(|| missing("id"))?;
    Ok(SourceUser {
        id,
        name: fields.take_text("name"),
        email: fields.take_text("email"),
        role: fields.take_text("role"),
        metadata: fields.into_metadata(),
    })
}

fn missing(field: &str) -> String {
    format!("has no `{field}`")
}

/// The fields of a thing that were not used yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// A field, where it is text and says something. Anything else stays for the metadata.
    fn take_text(&mut self, name: &str) -> Option<String> {
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
    fn id(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(id)) => Ok(Some(id).filter(|id| !id.is_empty())),
            Some(Value::Number(id)) => Ok(Some(id.to_string())),
            Some(_) => Err(format!("`{name}` is neither text nor a number")),
        }
    }

    /// The first id that is there. The others stay.
    fn first_id(&mut self, names: &[&str]) -> Result<Option<String>, String> {
        for name in names {
            if let Some(id) = self.id(name)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn named(&mut self, sessions: &[&str]) -> Result<Named, String> {
        let mut session: Option<(&str, String)> = None;
        for name in sessions {
            let Some(id) = self.id(name)? else { continue };
            match &session {
                Some((other, first)) if *first != id => {
                    return Err(format!(
                        "`{other}` and `{name}` name different sessions; only one can be kept"
                    ));
                }
                _ => session = Some((name, id)),
            }
        }
        Ok(Named {
            user: self.id("user_id")?,
            agent: self.id("agent_id")?,
            app: self.id("app_id")?,
            session: session.map(|(_, id)| id),
        })
    }

    fn role(&mut self) -> Result<Option<String>, String> {
        match self.take("role") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(role)) if role.trim().is_empty() => {
                Err("`role` is blank".to_owned())
            }
            Some(Value::String(role)) if role.chars().count() > MAX_ROLE_CHARS => {
                Err(format!("`role` is over {MAX_ROLE_CHARS} characters"))
            }
            Some(Value::String(role)) => Ok(Some(role)),
            Some(_) => Err("`role` is no text".to_owned()),
        }
    }

    /// The first time that is there. Other fields of such names stay for the metadata.
    fn created_at(&mut self) -> Result<Option<Timestamp>, String> {
        let Some(name) = TIMES.into_iter().find(|name| self.says(name)) else {
            return Ok(None);
        };
        let Some(at) = self.0.get(name).and_then(time) else {
            return Err(format!(
                "`{name}` is no time; it may be RFC 3339, a date, or Unix seconds or milliseconds \
                 from 1970 to 2200"
            ));
        };
        self.take(name);
        Ok(Some(at))
    }

    /// The day of expiry, which stays for the metadata.
    fn expires(&self) -> Result<Option<Date>, String> {
        let name = "expiration_date";
        if !self.says(name) {
            return Ok(None);
        }
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
        match self.0.get(name).and_then(time) {
            Some(at) => Ok(Some(day(at))),
            None => Err(format!("`{name}` is no date")),
        }
    }

    fn says(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            _ => true,
        })
    }

    /// The one text of a snapshot, if all else is small and only says something about it.
    fn only_text(&mut self) -> Option<String> {
        let mut texts = SNAPSHOT_TEXT.into_iter().filter(|name| self.has(name));
        let name = texts.next().filter(|name| self.says(name))?;
        let is_only = texts.next().is_none()
            && self.0.get(name).is_some_and(Value::is_string)
            && self
                .0
                .iter()
                .filter(|(other, _)| *other != name && *other != "metadata")
                .all(|(_, value)| value.to_string().len() <= SMALL_FIELD);
        if is_only { self.take_text(name) } else { None }
    }

    /// What is left: the metadata, and beside it every other field that says something, under another
    /// name where the metadata has one of that name already.
    fn into_metadata(mut self) -> Map<String, Value> {
        let mut metadata = match self.take("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(other) => [("metadata".to_owned(), other)].into_iter().collect(),
        };
        for (mut name, value) in self.0 {
            let is_empty = match &value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(values) => values.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                _ => false,
            };
            if is_empty {
                continue;
            }
            while metadata.get(&name).is_some_and(|other| *other != value) {
                name.insert_str(0, "mem0_");
            }
            metadata.insert(name, value);
        }
        metadata
    }
}

//! One flat metadata object for what is ours and what is the caller's, and back.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::gap::{self, Gap};
use super::{PartNo, is_blank};
use crate::memory::model::{AgentId, AppId, MemoryKind, RecordId, TimeOrigin};
use crate::zep::{Metadata, RECORD_ID_KEY, RECORD_PART_KEY, limits};

/// The key of a JSON text that carries our marks and whatever metadata Zep does not take.
pub const EXTRA_KEY: &str = "zm_x";
/// The key of the kind of memory.
pub const MEMORY_TYPE_KEY: &str = "memory_type";
/// The key that says where a migrated record comes from.
pub const MIGRATION_SOURCE_KEY: &str = "migration_source";
/// The key of the role as it was given, where Zep has another word for it.
pub const ORIGINAL_ROLE_KEY: &str = "original_role";
/// The key of the agent that a record belongs to beside its user.
pub const AGENT_KEY: &str = "agent_id";
/// The key of the app that a record belongs to beside its user.
pub const APP_KEY: &str = "app_id";

/// The keys that are ours at Zep, in a record that has them or not. A caller's key of the same
/// name travels in [`EXTRA_KEY`].
pub const RESERVED_KEYS: [&str; 8] = [
    RECORD_ID_KEY,
    RECORD_PART_KEY,
    EXTRA_KEY,
    MEMORY_TYPE_KEY,
    MIGRATION_SOURCE_KEY,
    ORIGINAL_ROLE_KEY,
    AGENT_KEY,
    APP_KEY,
];

/// In [`EXTRA_KEY`]: the caller's metadata that Zep does not take.
const METADATA: &str = "metadata";
/// In [`EXTRA_KEY`]: what was cut out of this part's text.
const GAPS: &str = "gaps";
const TIME: &str = "time";
const INFERRED: &str = "inferred";
const REPLACES: &str = "replaces";
const INSTEAD: &str = "instead_of";
const DELETED: &str = "deleted";
const UPDATED: &str = "updated";
const SPEAKER: &str = "speaker";
const ROLE: &str = "role";
const NAME: &str = "name";

/// The largest integer that every reader of JSON keeps exactly (RFC 8259, section 6).
const MAX_EXACT_INTEGER: u64 = (1 << 53) - 1;

/// What we add to a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Ours {
    /// Which record it is.
    pub record: RecordId,
    /// What kind of memory.
    pub memory_type: Option<MemoryKind>,
    /// Where it was migrated from.
    pub migration_source: Option<String>,
    /// Who spoke, in the source's own word, where Zep has another one.
    pub original_role: Option<String>,
    /// The agent named beside the user.
    pub agent: Option<AgentId>,
    /// The app named beside the user.
    pub app: Option<AppId>,
    /// What only we need to know.
    pub marks: Marks,
}

impl Ours {
    /// A record of which nothing but its id is known.
    pub fn new(record: RecordId) -> Self {
        Self {
            record,
            memory_type: None,
            migration_source: None,
            original_role: None,
            agent: None,
            app: None,
            marks: Marks::default(),
        }
    }
}

/// What only we need to know of a record; kept in [`EXTRA_KEY`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    /// Whether its time was said or inferred.
    pub time: TimeOrigin,
    /// The Zep id of the record that this one took the place of.
    pub replaces: Option<String>,
    /// The id of the migrated record that this one took the place of: migrated again, that one is
    /// not to come back.
    pub instead_of: Option<String>,
    /// Whether it was deleted as far as Zep allows, and is to be hidden.
    pub deleted: bool,
    /// When it was changed here last.
    pub updated: Option<Timestamp>,
    /// Who spoke, for a message that is stored as an episode.
    pub speaker: Option<Speaker>,
    /// The speaker's whole name, where Zep has a shortened one.
    pub name: Option<String>,
    /// Marks of other versions of this program. They survive a change of the rest.
    pub other: Map<String, Value>,
}

/// Who spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The role, in the source's own word.
    pub role: String,
    /// The name.
    pub name: Option<String>,
}

impl Marks {
    fn to_map(&self) -> Map<String, Value> {
        let mut map = self.other.clone();
        // These two are not marks: what else stands under their names would be taken for them.
        map.shift_remove(METADATA);
        map.shift_remove(GAPS);
        if self.time == TimeOrigin::Inferred {
            map.insert(TIME.into(), INFERRED.into());
        }
        if let Some(uuid) = &self.replaces {
            map.insert(REPLACES.into(), uuid.as_str().into());
        }
        if let Some(record) = &self.instead_of {
            map.insert(INSTEAD.into(), record.as_str().into());
        }
        if self.deleted {
            map.insert(DELETED.into(), true.into());
        }
        if let Some(time) = self.updated {
            map.insert(UPDATED.into(), time.to_string().into());
        }
        if let Some(Speaker { role, name }) = &self.speaker {
            let speaker = match name {
                Some(name) => json!({ ROLE: role, NAME: name }),
                None => json!({ ROLE: role }),
            };
            map.insert(SPEAKER.into(), speaker);
        }
        if let Some(name) = &self.name {
            map.insert(NAME.into(), name.as_str().into());
        }
        map
    }

    /// Takes the marks we know; what is left, mistaken values included, is kept as it is.
    fn from_map(mut map: Map<String, Value>) -> Self {
        let inferred = take(&mut map, TIME, |v| (v == INFERRED).then_some(()));
        Self {
            time: inferred.map_or(TimeOrigin::Given, |()| TimeOrigin::Inferred),
            replaces: take(&mut map, REPLACES, text),
            instead_of: take(&mut map, INSTEAD, text),
            deleted: take(&mut map, DELETED, |v| (*v == json!(true)).then_some(())).is_some(),
            updated: take(&mut map, UPDATED, |v| exact_time(v.as_str()?)),
            speaker: take(&mut map, SPEAKER, Speaker::from_json),
            name: take(&mut map, NAME, text),
            other: map,
        }
    }
}

impl Speaker {
    fn from_json(value: &Value) -> Option<Self> {
        let map = value.as_object()?;
        let name = match map.get(NAME) {
            Some(name) => Some(text(name)?),
            None => None,
        };
        let known = 1 + usize::from(name.is_some());
        let role = text(map.get(ROLE)?)?;
        (map.len() == known).then_some(Self { role, name })
    }
}

/// The metadata of one stored part, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Unpacked {
    /// What we added; none if we did not write it.
    pub ours: Option<Ours>,
    /// Which part of the record it is; none if the record has one part only.
    pub part: Option<PartNo>,
    /// What was cut out of this part's text, in order.
    pub gaps: Vec<Gap>,
    /// The caller's metadata, whole, with none of ours.
    pub caller: Map<String, Value>,
}

/// The metadata of one part: ours, then the caller's keys in their order as long as they fit and
/// Zep takes them, then the rest as JSON text.
pub(crate) fn build(
    ours: &Ours,
    part: Option<PartNo>,
    gaps: &[Gap],
    caller: &Map<String, Value>,
) -> Metadata {
    let mut flat = Metadata::new();
    let mut extra = ours.marks.to_map();
    flat.insert(RECORD_ID_KEY.into(), ours.record.as_str().into());
    if let Some(part) = part {
        flat.insert(RECORD_PART_KEY.into(), part.to_string().into());
    }
    for (key, value) in [
        (
            MEMORY_TYPE_KEY,
            ours.memory_type.as_ref().map(MemoryKind::as_str),
        ),
        (MIGRATION_SOURCE_KEY, ours.migration_source.as_deref()),
        (ORIGINAL_ROLE_KEY, ours.original_role.as_deref()),
        (AGENT_KEY, ours.agent.as_ref().map(AgentId::as_str)),
        (APP_KEY, ours.app.as_ref().map(AppId::as_str)),
    ] {
        let Some(value) = value else { continue };
        let place = if is_plain(value) {
            &mut flat
        } else {
            &mut extra
        };
        place.insert(key.into(), value.into());
    }
    if !gaps.is_empty() {
        extra.insert(GAPS.into(), gap::to_json(gaps));
    }

    fill(flat, extra, caller)
}

/// Puts the caller's keys behind ours, in their order, as long as they fit and Zep takes them; the
/// rest goes as JSON text beside what `extra` holds.
fn fill(
    mut flat: Metadata,
    mut extra: Map<String, Value>,
    caller: &Map<String, Value>,
) -> Metadata {
    let fits =
        |key: &str, value: &Value| !RESERVED_KEYS.contains(&key) && is_plain(key) && is_flat(value);
    let fitting = caller
        .iter()
        .filter(|(key, value)| fits(key, value))
        .count();
    let all_fit = fitting == caller.len() && flat.len() + fitting <= limits::METADATA_KEYS;
    let room = if all_fit && extra.is_empty() {
        limits::METADATA_KEYS
    } else {
        limits::METADATA_KEYS - 1
    };
    let mut left_over = Map::new();
    for (key, value) in caller {
        let place = if flat.len() < room && fits(key, value) {
            &mut flat
        } else {
            &mut left_over
        };
        place.insert(key.clone(), value.clone());
    }
    if !left_over.is_empty() {
        extra.insert(METADATA.into(), left_over.into());
    }
    if !extra.is_empty() {
        flat.insert(EXTRA_KEY.into(), Value::Object(extra).to_string().into());
    }
    flat
}

/// The metadata of something that has no parts (a user): these keys first, then the caller's as far
/// as they fit, then the rest as JSON text.
pub fn pack_flat(first: Metadata, caller: &Map<String, Value>) -> Metadata {
    fill(first, Map::new(), caller)
}

/// What [`pack_flat`] packed, whole.
pub fn unpack_flat(metadata: &Metadata) -> Map<String, Value> {
    let mut flat = metadata.clone();
    let extra = take(&mut flat, EXTRA_KEY, read_extra).unwrap_or_default();
    if let Some(Value::Object(left_over)) = extra.get(METADATA) {
        for (key, value) in left_over {
            flat.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    flat
}

/// Takes the metadata of a stored part apart.
///
/// What is not exactly as we write it was written by somebody else: it is shown as the caller's,
/// and an item without a record id of ours is the caller's altogether. Where somebody added a key
/// to an item of ours that we carry as JSON text already, the added one is shown.
pub fn unpack(metadata: &Metadata) -> Unpacked {
    let mut flat = metadata.clone();
    let record = take(&mut flat, RECORD_ID_KEY, |v| {
        exact(v, |id| RecordId::new(id).ok(), RecordId::as_str)
    });
    let Some(record) = record else {
        return Unpacked {
            ours: None,
            part: None,
            gaps: Vec::new(),
            caller: flat,
        };
    };
    let part = take(&mut flat, RECORD_PART_KEY, |v| PartNo::parse(v.as_str()?));
    let mut extra = take(&mut flat, EXTRA_KEY, read_extra).unwrap_or_default();
    let left_over = match extra.shift_remove(METADATA) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let gaps = take(&mut extra, GAPS, gap::from_json).unwrap_or_default();

    let mut own = |key: &str| {
        take(&mut flat, key, |v| text(v).filter(|text| is_plain(text)))
            .or_else(|| take(&mut extra, key, text))
    };
    let migration_source = own(MIGRATION_SOURCE_KEY);
    let original_role = own(ORIGINAL_ROLE_KEY);
    let memory_type = take(&mut flat, MEMORY_TYPE_KEY, |v| {
        exact(v, |kind| MemoryKind::new(kind).ok(), MemoryKind::as_str)
    });
    let agent = take(&mut flat, AGENT_KEY, |v| {
        exact(v, |id| AgentId::new(id).ok(), AgentId::as_str)
    });
    let app = take(&mut flat, APP_KEY, |v| {
        exact(v, |id| AppId::new(id).ok(), AppId::as_str)
    });
    for (key, value) in left_over {
        flat.entry(key).or_insert(value);
    }
    Unpacked {
        ours: Some(Ours {
            record,
            memory_type,
            migration_source,
            original_role,
            agent,
            app,
            marks: Marks::from_map(extra),
        }),
        part,
        gaps,
        caller: flat,
    }
}

/// The object that [`EXTRA_KEY`] carries, if it is one of ours.
fn read_extra(value: &Value) -> Option<Map<String, Value>> {
    let map: Map<String, Value> = serde_json::from_str(value.as_str()?).ok()?;
    let sound = map.get(METADATA).is_none_or(Value::is_object)
        && map
            .get(GAPS)
            .is_none_or(|gaps| gap::from_json(gaps).is_some());
    sound.then_some(map)
}

/// Takes a key out of a map if its value can be read.
fn take<T>(
    map: &mut Map<String, Value>,
    key: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = read(map.get(key)?)?;
    map.shift_remove(key);
    Some(value)
}

/// Reads a time, if it is written as we write it.
fn exact_time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time.to_string() == text).then_some(time)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Reads a checked word, if it is written as we write it.
fn exact<T>(
    value: &Value,
    read: impl FnOnce(&str) -> Option<T>,
    written: impl FnOnce(&T) -> &str,
) -> Option<T> {
    let word = value.as_str()?;
    let read = read(word)?;
    (written(&read) == word).then_some(read)
}

/// Whether Zep takes this value (Zep: adding messages), and every store on the way keeps it as it
/// is.
fn is_flat(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(is_scalar),
        _ => is_scalar(value),
    }
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::String(text) => is_plain(text),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.unsigned_abs() <= MAX_EXACT_INTEGER,
            None => number.is_f64(),
        },
        Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether text is not blank and has no U+0000, which databases do not take in text (PostgreSQL:
/// character types) and JSON text within text carries as an escape.
fn is_plain(text: &str) -> bool {
    !is_blank(text) && !text.contains('\0')
}

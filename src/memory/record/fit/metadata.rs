//! Packs our marks and the caller's metadata into one flat object, and unpacks them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::is_blank;
use crate::memory::model::{AgentId, AppId, MemoryKind, RecordId, TimeOrigin};
use crate::zep::gap::{self, GAPS, Gap};
use crate::zep::{Metadata, PartNo, RecordMark, limits};

/// The key of a JSON text with our marks and the metadata that Zep does not take.
pub const EXTRA_KEY: &str = gap::EXTRA_KEY;
/// The key of the memory kind.
pub const MEMORY_TYPE_KEY: &str = "memory_type";
/// The key of a migrated record's source.
pub const MIGRATION_SOURCE_KEY: &str = "migration_source";
/// The key of the original role, where Zep's word differs.
pub const ORIGINAL_ROLE_KEY: &str = "original_role";
/// The key of the agent named beside the user.
pub const AGENT_KEY: &str = "agent_id";
/// The key of the app named beside the user.
pub const APP_KEY: &str = "app_id";

/// All keys of ours. A caller's key of the same name goes into [`EXTRA_KEY`].
pub const RESERVED_KEYS: [&str; 8] = [
    RecordMark::RECORD_KEY,
    RecordMark::PART_KEY,
    EXTRA_KEY,
    MEMORY_TYPE_KEY,
    MIGRATION_SOURCE_KEY,
    ORIGINAL_ROLE_KEY,
    AGENT_KEY,
    APP_KEY,
];

/// In [`EXTRA_KEY`]: the caller's metadata that Zep does not take.
const METADATA: &str = "metadata";
const TIME: &str = "time";
const INFERRED: &str = "inferred";
const REPLACES: &str = "replaces";
const INSTEAD: &str = "instead_of";
const RUN: &str = "run";
const DELETED: &str = "deleted";
const DOUBLE: &str = "double";
const UPDATED: &str = "updated";
const SPEAKER: &str = "speaker";
const ROLE: &str = "role";
const NAME: &str = "name";
const SESSION: &str = "session";

/// The largest integer that every reader of JSON keeps exactly (RFC 8259, section 6).
const MAX_EXACT_INTEGER: u64 = (1 << 53) - 1;

/// Our metadata of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Ours {
    /// The record id.
    pub record: RecordId,
    /// The kind of memory.
    pub memory_type: Option<MemoryKind>,
    /// The migration source.
    pub migration_source: Option<String>,
    /// The speaker's role in the source's own word, where Zep's differs.
    pub original_role: Option<String>,
    /// The agent named beside the user.
    pub agent: Option<AgentId>,
    /// The app named beside the user.
    pub app: Option<AppId>,
    /// Marks without a key of their own.
    pub marks: Marks,
}

impl Ours {
    /// A record with only its id known.
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

/// Marks of a record that are kept in [`EXTRA_KEY`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    /// Whether its time was stated or inferred.
    pub time: TimeOrigin,
    /// Zep's id of the record that this one replaced.
    pub replaces: Option<String>,
    /// The id of the migrated record that this one replaced: a repeated migration must not restore
    /// it.
    pub instead_of: Option<String>,
    /// The run of a migration that wrote it.
    pub run: Option<String>,
    /// Whether it was deleted as far as Zep allows and is hidden.
    pub deleted: bool,
    /// Whether it is a second copy of a stored part and is hidden; the other one is shown.
    pub double: bool,
    /// When it was last changed here.
    pub updated: Option<Timestamp>,
    /// The speaker, for a message that is stored as an episode.
    pub speaker: Option<Speaker>,
    /// The speaker's full name, where Zep has a shortened one.
    pub name: Option<String>,
    /// That it says how its session was opened, and nothing that anybody said: it is hidden.
    pub session: Option<Map<String, Value>>,
    /// Marks of other versions of this program; kept when the rest changes.
    pub other: Map<String, Value>,
}

/// A speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The role, in the source's own word.
    pub role: String,
    /// The name.
    pub name: Option<String>,
}

impl Marks {
    /// Whether it is not shown.
    pub(crate) fn is_hidden(&self) -> bool {
        self.deleted || self.double || self.session.is_some()
    }

    fn to_map(&self) -> Map<String, Value> {
        let mut map = self.other.clone();
        // These two are not marks and are not read as such.
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
        if let Some(run) = &self.run {
            map.insert(RUN.into(), run.as_str().into());
        }
        if self.deleted {
            map.insert(DELETED.into(), true.into());
        }
        if self.double {
            map.insert(DOUBLE.into(), true.into());
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
        if let Some(session) = &self.session {
            map.insert(SESSION.into(), session.clone().into());
        }
        map
    }

    /// Takes the known marks; everything else, invalid values included, stays as it is.
    fn from_map(mut map: Map<String, Value>) -> Self {
        let inferred = take(&mut map, TIME, |v| (v == INFERRED).then_some(()));
        Self {
            time: inferred.map_or(TimeOrigin::Given, |()| TimeOrigin::Inferred),
            replaces: take(&mut map, REPLACES, text),
            instead_of: take(&mut map, INSTEAD, text),
            run: take(&mut map, RUN, text),
            deleted: take(&mut map, DELETED, |v| (*v == json!(true)).then_some(())).is_some(),
            double: take(&mut map, DOUBLE, |v| (*v == json!(true)).then_some(())).is_some(),
            updated: take(&mut map, UPDATED, |v| exact_time(v.as_str()?)),
            speaker: take(&mut map, SPEAKER, Speaker::from_json),
            name: take(&mut map, NAME, text),
            session: take(&mut map, SESSION, |v| v.as_object().cloned()),
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

/// The unpacked metadata of one stored part.
#[derive(Debug, Clone, PartialEq)]
pub struct Unpacked {
    /// Our metadata; none if we did not write the part.
    pub ours: Option<Ours>,
    /// The part's number.
    pub part: PartNo,
    /// The gaps of this part's text, in order.
    pub gaps: Vec<Gap>,
    /// The caller's metadata, whole, without our keys.
    pub caller: Map<String, Value>,
}

/// The mark and the metadata of one part: our keys, then the caller's in their order while they fit
/// and Zep takes them, then the rest as JSON text.
pub(crate) fn build(
    ours: &Ours,
    part: PartNo,
    gaps: &[Gap],
    caller: &Map<String, Value>,
) -> (RecordMark, Metadata) {
    let mark = RecordMark {
        record: ours.record.as_str().to_owned(),
        part,
    };
    let mut flat = Metadata::new();
    let mut extra = ours.marks.to_map();
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

    let room = limits::METADATA_KEYS - mark.key_count();
    (mark, fill(flat, extra, caller, room))
}

/// Adds the caller's keys in their order while there are at most `most` and Zep takes them; the rest
/// goes into `extra` as JSON text.
fn fill(
    mut flat: Metadata,
    mut extra: Map<String, Value>,
    caller: &Map<String, Value>,
    most: usize,
) -> Metadata {
    let fits =
        |key: &str, value: &Value| !RESERVED_KEYS.contains(&key) && is_plain(key) && is_flat(value);
    let fitting = caller
        .iter()
        .filter(|(key, value)| fits(key, value))
        .count();
    let all_fit = fitting == caller.len() && flat.len() + fitting <= most;
    let room = if all_fit && extra.is_empty() {
        most
    } else {
        most - 1
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

/// Metadata of something without parts (a user): these keys first, then the caller's while they
/// fit, then the rest as JSON text.
pub fn pack_flat(first: Metadata, caller: &Map<String, Value>) -> Metadata {
    fill(first, Map::new(), caller, limits::METADATA_KEYS)
}

/// Unpacks the output of [`pack_flat`].
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

/// Unpacks the metadata of a stored part.
///
/// Values that differ from what we write were written by another program and are shown as the
/// caller's; an item without our record id is the caller's altogether. If a key is both stored flat
/// and carried as JSON text, the flat one, added later, is shown.
pub fn unpack(metadata: &Metadata) -> Unpacked {
    unpacked(metadata.clone())
}

/// The same without a copy.
pub(crate) fn unpacked(mut flat: Metadata) -> Unpacked {
    let ours = RecordMark::decode(&flat).and_then(|mark| {
        let exact = RecordId::new(&mark.record).ok()?;
        (exact.as_str() == mark.record).then_some((exact, mark))
    });
    let Some((record, mark)) = ours else {
        return Unpacked {
            ours: None,
            part: PartNo::WHOLE,
            gaps: Vec::new(),
            caller: flat,
        };
    };
    mark.remove_from(&mut flat);
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
        part: mark.part,
        gaps,
        caller: flat,
    }
}

/// The object in [`EXTRA_KEY`], if it is ours.
fn read_extra(value: &Value) -> Option<Map<String, Value>> {
    let map: Map<String, Value> = serde_json::from_str(value.as_str()?).ok()?;
    let sound = map.get(METADATA).is_none_or(Value::is_object)
        && map
            .get(GAPS)
            .is_none_or(|gaps| gap::from_json(gaps).is_some());
    sound.then_some(map)
}

/// Removes a key from a map if its value can be read.
fn take<T>(
    map: &mut Map<String, Value>,
    key: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = read(map.get(key)?)?;
    map.shift_remove(key);
    Some(value)
}

/// Reads a time in the form we write.
fn exact_time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time.to_string() == text).then_some(time)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Reads a checked word in the form we write.
fn exact<T>(
    value: &Value,
    read: impl FnOnce(&str) -> Option<T>,
    written: impl FnOnce(&T) -> &str,
) -> Option<T> {
    let word = value.as_str()?;
    let read = read(word)?;
    (written(&read) == word).then_some(read)
}

/// Whether Zep takes this value (Zep: adding messages) and every store on the way keeps it
/// unchanged.
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

/// Whether text is not blank and has no U+0000: databases refuse it in text (PostgreSQL: character
/// types).
fn is_plain(text: &str) -> bool {
    !is_blank(text) && !text.contains('\0')
}

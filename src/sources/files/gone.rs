//! Whether an item still counts: the marks that systems leave on what they deleted or retired.
//!
//! The name of a field says what kind of mark it is: `deleted_at`, `isDeleted`, `deleted_by`,
//! `superseded_by`, `valid_until`, `is_active`, `state`. Its value says whether it applies.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fields::is_empty;
use super::store::as_object;
use super::time::time;
use crate::sources::Gone;

/// Words for what was deleted.
const DELETED: [&str; 14] = [
    "deleted",
    "delete",
    "deletion",
    "removed",
    "remove",
    "removal",
    "trashed",
    "purged",
    "erased",
    "forgotten",
    "tombstone",
    "tombstoned",
    "destroyed",
    "softdeleted",
];

/// Words for what no longer counts.
const RETIRED: [&str; 16] = [
    "archived",
    "paused",
    "inactive",
    "disabled",
    "expired",
    "superseded",
    "replaced",
    "obsolete",
    "outdated",
    "stale",
    "invalid",
    "invalidated",
    "retired",
    "deprecated",
    "deactivated",
    "revoked",
];

/// What a field says that is false of what no longer counts.
const IN_FORCE: [&str; 5] = ["active", "valid", "current", "latest", "enabled"];

/// Until when something counts.
const UNTIL: [&str; 8] = [
    "validuntil",
    "validto",
    "validthrough",
    "expires",
    "expire",
    "expiry",
    "expiration",
    "tinvalid",
];

/// What took the place of something.
const SUCCESSORS: [&str; 4] = ["supersededby", "replacedby", "mergedinto", "replacement"];

/// The fields that say in what state something is.
const STATES: [&str; 9] = [
    "state",
    "status",
    "lifecycle",
    "lifecyclestate",
    "lifecyclestatus",
    "memorystate",
    "memorystatus",
    "recordstate",
    "recordstatus",
];

/// The fields that say what happened to something last.
const EVENTS: [&str; 6] = [
    "event",
    "eventtype",
    "operation",
    "operationtype",
    "op",
    "changetype",
];

/// What the last event of a memory was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It was made or changed.
    Written,
    Deleted,
    /// Nothing.
    Unchanged,
}

/// What an event means, if it is one of a memory: `ADD`, `memory_add`, `memory:delete`.
pub(super) fn event(name: &str) -> Option<Event> {
    match last_word(name)?.as_str() {
        "add" | "added" | "create" | "created" | "update" | "updated" => Some(Event::Written),
        "none" | "noop" => Some(Event::Unchanged),
        word => DELETED.contains(&word).then_some(Event::Deleted),
    }
}

/// Why an item with these fields must not be shown any more; `None` if it may. Deletion outweighs all
/// else.
pub(super) fn gone(fields: &Map<String, Value>) -> Option<Gone> {
    let own = fields.iter().filter_map(|(name, value)| mark(name, value));
    let metadata = fields.get("metadata").cloned().and_then(as_object);
    let within = metadata.iter().flatten();
    // A caller's own metadata may have a `status` of something else.
    let within =
        within.filter(|(name, value)| is_plain(name) || mark(name, value) == Some(Gone::Deleted));
    let within = within.filter_map(|(name, value)| mark(name, value));
    own.chain(within).max()
}

/// Why the items in a list of this name must not be shown any more.
pub(super) fn gone_by_list(name: &str) -> Option<Gone> {
    words(name).filter_map(|word| by_word(&word)).max()
}

/// Whether the name of a mark can only mean the item itself, wherever it stands.
fn is_plain(name: &str) -> bool {
    let name = letters(name);
    let word = name.strip_prefix("is").unwrap_or(&name);
    let is_adjective = RETIRED.contains(&word) || IN_FORCE.contains(&word);
    !STATES.contains(&name.as_str()) && (!is_adjective || word != name || word == "archived")
}

fn mark(name: &str, value: &Value) -> Option<Gone> {
    if is_nothing(value) {
        return None;
    }
    let name = letters(name);
    let name = name.as_str();
    if STATES.contains(&name) {
        return by_word(&last_word(text(value)?)?);
    }
    if EVENTS.contains(&name) || name == "type" {
        let word = last_word(text(value)?)?;
        let is_deletion = match name {
            "type" => word == "tombstone",
            _ => DELETED.contains(&word.as_str()),
        };
        return is_deletion.then_some(Gone::Deleted);
    }
    if SUCCESSORS.contains(&name) {
        return (truth(value) != Some(false)).then_some(Gone::Retired);
    }
    let word = name.strip_prefix("is").unwrap_or(name);
    if IN_FORCE.contains(&word) {
        return (truth(value) == Some(false)).then_some(Gone::Retired);
    }
    let ends = ["at", "on", "date", "time", "by"];
    let ends = ends.into_iter().find_map(|end| word.strip_suffix(end));
    let stem = ends.or_else(|| word.strip_prefix("date")).unwrap_or(word);
    let stem = stem.strip_prefix("soft").unwrap_or(stem);
    if UNTIL.contains(&stem) || UNTIL.contains(&word) {
        // The day of expiry is compared when the records are selected.
        return (name != "expirationdate" && is_past(value)).then_some(Gone::Retired);
    }
    let gone = match stem {
        "intrash" => Gone::Deleted,
        stem => by_word(stem)?,
    };
    let applies = match (truth(value), gone) {
        (Some(truth), _) => truth,
        (None, Gone::Deleted) => !matches!(value, Value::Number(_)) || time(value).is_some(),
        (None, Gone::Retired) => is_past(value),
    };
    applies.then_some(gone)
}

fn by_word(word: &str) -> Option<Gone> {
    if DELETED.contains(&word) {
        Some(Gone::Deleted)
    } else {
        RETIRED.contains(&word).then_some(Gone::Retired)
    }
}

/// The letters of a name, in lower case: `deletedAt` and `deleted_at` are the same mark.
fn letters(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = String> + '_ {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The last word of a state or event, unless it is denied: `soft-deleted`, `MemoryState.deleted`.
fn last_word(text: &str) -> Option<String> {
    let is_denied = words(text).any(|word| matches!(word.as_str(), "not" | "never" | "un" | "to"));
    words(text).next_back().filter(|_| !is_denied)
}

/// A state, which may be an object with a name.
fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("name")?.as_str())
}

/// Whether a value says nothing. Some databases write an absent time as a text, or as the first one
/// they know.
fn is_nothing(value: &Value) -> bool {
    let is_absent = |text: &str| {
        let text = text.trim().to_lowercase();
        matches!(
            text.as_str(),
            "" | "null" | "none" | "nan" | "nat" | "never" | "undefined"
        ) || text.starts_with("0000-")
            || text.starts_with("0001-01-01")
    };
    is_empty(value) || value.as_str().is_some_and(is_absent)
}

/// Whether a value is a time that has come.
fn is_past(value: &Value) -> bool {
    time(value).is_some_and(|at| at > Timestamp::UNIX_EPOCH && at <= Timestamp::now())
}

/// A truth value as databases write it.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => match number.as_i64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

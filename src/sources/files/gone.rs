//! Whether an item still counts: the marks that systems leave on what they deleted or retired.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fields::is_empty;
use super::time::time;
use crate::sources::Gone;

/// What the value of a field must be to mark an item.
#[derive(Debug, Clone, Copy)]
enum Mark {
    /// Anything but nothing: a time of deletion, the id of a successor.
    Given,
    /// True, in any of the ways in which databases write it.
    True,
    /// False, likewise.
    False,
    /// A time that has come.
    Past,
    /// One of [`DELETED`] or [`RETIRED`], which decides.
    Word,
}

/// The fields that mark an item, without regard to case and underscores: `deletedAt` is `deleted_at`.
const MARKS: [(&str, Mark, Gone); 37] = [
    ("deletedat", Mark::Given, Gone::Deleted),
    ("deletedon", Mark::Given, Gone::Deleted),
    ("removedat", Mark::Given, Gone::Deleted),
    ("isdeleted", Mark::True, Gone::Deleted),
    ("deleted", Mark::True, Gone::Deleted),
    ("softdeleted", Mark::True, Gone::Deleted),
    ("isremoved", Mark::True, Gone::Deleted),
    ("removed", Mark::True, Gone::Deleted),
    ("tombstone", Mark::True, Gone::Deleted),
    ("event", Mark::Word, Gone::Deleted),
    ("state", Mark::Word, Gone::Deleted),
    ("status", Mark::Word, Gone::Deleted),
    ("archivedat", Mark::Past, Gone::Retired),
    ("invalidat", Mark::Past, Gone::Retired),
    ("invalidatedat", Mark::Past, Gone::Retired),
    ("expiredat", Mark::Past, Gone::Retired),
    ("supersededat", Mark::Past, Gone::Retired),
    ("replacedat", Mark::Past, Gone::Retired),
    ("validuntil", Mark::Past, Gone::Retired),
    ("validto", Mark::Past, Gone::Retired),
    ("expiresat", Mark::Past, Gone::Retired),
    ("expiryat", Mark::Past, Gone::Retired),
    ("isarchived", Mark::True, Gone::Retired),
    ("archived", Mark::True, Gone::Retired),
    ("ispaused", Mark::True, Gone::Retired),
    ("isexpired", Mark::True, Gone::Retired),
    ("expired", Mark::True, Gone::Retired),
    ("issuperseded", Mark::True, Gone::Retired),
    ("superseded", Mark::True, Gone::Retired),
    ("replacedby", Mark::Given, Gone::Retired),
    ("supersededby", Mark::Given, Gone::Retired),
    ("mergedinto", Mark::Given, Gone::Retired),
    ("isactive", Mark::False, Gone::Retired),
    ("active", Mark::False, Gone::Retired),
    ("isvalid", Mark::False, Gone::Retired),
    ("iscurrent", Mark::False, Gone::Retired),
    ("islatest", Mark::False, Gone::Retired),
];

/// The words of a state, or of the last event, that mean that an item was deleted.
const DELETED: [&str; 8] = [
    "deleted",
    "delete",
    "removed",
    "remove",
    "trashed",
    "purged",
    "erased",
    "forgotten",
];

/// The words of a state that mean that an item no longer counts.
const RETIRED: [&str; 13] = [
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
];

/// Why an item with these fields must not be shown any more; `None` if it may. Deletion outweighs all
/// else.
pub(super) fn gone(fields: &Map<String, Value>) -> Option<Gone> {
    let own = fields.iter().filter_map(|(name, value)| mark(name, value));
    // A caller's own metadata may have a `status` of something else.
    let within = fields.get("metadata").and_then(Value::as_object);
    let within = within.into_iter().flatten();
    let within = within.filter_map(|(name, value)| mark(name, value));
    own.chain(within.filter(|gone| *gone == Gone::Deleted))
        .max()
}

fn mark(name: &str, value: &Value) -> Option<Gone> {
    if value.is_null() {
        return None;
    }
    let same = |mark: &str| {
        let letters = name.bytes().filter(|letter| *letter != b'_');
        letters
            .map(|letter| letter.to_ascii_lowercase())
            .eq(mark.bytes())
    };
    let (_, mark, gone) = MARKS.iter().find(|(mark, ..)| same(mark))?;
    let applies = match mark {
        Mark::Given => !is_empty(value) && truth(value) != Some(false),
        Mark::True => truth(value) == Some(true),
        Mark::False => truth(value) == Some(false),
        Mark::Past => time(value).is_some_and(|at| at <= Timestamp::now()),
        Mark::Word => return word(value.as_str()?),
    };
    applies.then_some(*gone)
}

fn word(state: &str) -> Option<Gone> {
    let state = state.trim().to_lowercase();
    if DELETED.contains(&state.as_str()) {
        Some(Gone::Deleted)
    } else {
        RETIRED.contains(&state.as_str()).then_some(Gone::Retired)
    }
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

//! Fits content and metadata into Zep's limits without loss, and restores them.
//!
//! [`pack`] turns one record into the parts that Zep takes; [`unpack`] and [`join`] restore the
//! record. What Zep would refuse (nested metadata, stretches of blanks longer than a message …) is
//! carried as JSON text under the key [`EXTRA_KEY`].

mod metadata;
mod same;
mod split;

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::memory::model::Place;
use crate::zep::{Metadata, PartNo, RecordMark, gap, limits};

pub use crate::zep::Gap;
pub(crate) use metadata::unpacked;
pub use metadata::{
    AGENT_KEY, APP_KEY, EXTRA_KEY, MEMORY_TYPE_KEY, MIGRATION_SOURCE_KEY, Marks, ORIGINAL_ROLE_KEY,
    Ours, RESERVED_KEYS, Speaker, Unpacked, pack_flat, unpack, unpack_flat,
};
pub use same::{same_metadata, same_value};
pub use split::{Piece, is_blank, split};

/// The longest content of one record, in characters. Ours: some 250 messages of Zep's.
pub const MAX_CONTENT_CHARS: usize = 1_000_000;
/// The largest metadata of one record, in bytes of JSON text. Ours: every part carries it.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// The deepest nesting of metadata; `{"a": 1}` is 1 deep. Ours: well under the 128 at which JSON
/// parsers commonly stop.
pub const MAX_METADATA_DEPTH: usize = 32;
/// The most top-level keys of metadata. Ours.
pub const MAX_METADATA_KEYS: usize = 1_000;

/// Why a record cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {}", self.field(), self.problem())]
pub enum FitError {
    /// The content is empty or only blanks, which Zep refuses.
    Blank,
    /// The content is longer than [`MAX_CONTENT_CHARS`].
    ContentTooLong {
        /// Its length in characters.
        chars: usize,
    },
    /// The metadata is larger than [`MAX_METADATA_BYTES`].
    MetadataTooLarge {
        /// The size of its JSON text in bytes.
        bytes: usize,
    },
    /// The metadata is nested deeper than [`MAX_METADATA_DEPTH`].
    MetadataTooDeep,
    /// The metadata has more keys than [`MAX_METADATA_KEYS`].
    MetadataTooManyKeys {
        /// The number of keys.
        keys: usize,
    },
}

impl FitError {
    /// The field of the record that does not fit.
    pub fn field(&self) -> RecordField {
        match self {
            Self::Blank | Self::ContentTooLong { .. } => RecordField::Content,
            Self::MetadataTooLarge { .. }
            | Self::MetadataTooDeep
            | Self::MetadataTooManyKeys { .. } => RecordField::Metadata,
        }
    }

    /// What is wrong with the field and what it may be.
    pub fn problem(&self) -> String {
        match self {
            Self::Blank => "is blank; give it some text".to_owned(),
            Self::ContentTooLong { chars } => format!(
                "has {chars} characters; it may have at most {MAX_CONTENT_CHARS}: split it into \
                 several records"
            ),
            Self::MetadataTooLarge { bytes } => format!(
                "has {bytes} bytes as JSON; it may have at most {MAX_METADATA_BYTES}: move text \
                 into the content"
            ),
            Self::MetadataTooDeep => {
                format!("is nested more than {MAX_METADATA_DEPTH} levels deep; flatten it")
            }
            Self::MetadataTooManyKeys { keys } => {
                format!(
                    "has {keys} keys; it may have at most {MAX_METADATA_KEYS}: nest or drop some"
                )
            }
        }
    }
}

/// A field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordField {
    /// The content.
    Content,
    /// The metadata.
    Metadata,
}

impl fmt::Display for RecordField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "content",
            Self::Metadata => "metadata",
        })
    }
}

/// The form in which a part is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A message of a thread.
    Message,
    /// An episode of a graph.
    Episode,
}

impl Carrier {
    /// The form of records at a place.
    pub(crate) fn at(place: &Place) -> Self {
        match place {
            Place::Session(..) => Self::Message,
            Place::Graph(_) => Self::Episode,
        }
    }
}

/// The size at which content is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// The size that Zep's own loader uses.
    #[default]
    Normal,
    /// For content that Zep refused as too long at the normal size: a quarter of it, which fits
    /// even if Zep counts bytes (a character has at most 4 in UTF-8).
    Small,
}

impl Level {
    /// The longest part, in characters.
    pub fn max_chars(self, carrier: Carrier) -> usize {
        let normal = match carrier {
            Carrier::Message => limits::SAFE_MESSAGE_CHARS,
            Carrier::Episode => limits::SAFE_EPISODE_CHARS,
        };
        match self {
            Self::Normal => normal,
            Self::Small => normal / 4,
        }
    }

    /// The level at which this content has that many parts; an interrupted write must continue with
    /// it. `None` if there is none: the content is a different one.
    pub fn of_stored(content: &str, carrier: Carrier, total: u32) -> Option<Self> {
        [Self::Normal, Self::Small].into_iter().find(|level| {
            split(content, level.max_chars(carrier))
                .is_ok_and(|pieces| pieces.len() == total as usize)
        })
    }
}

/// One part of a record, as Zep will take it.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedPart {
    /// The text: not blank, within the level's limit.
    pub content: String,
    /// Which part of the record it is.
    pub mark: RecordMark,
    /// The metadata: at most [`limits::METADATA_KEYS`] flat keys, with the mark's.
    pub metadata: Metadata,
}

/// Splits a record into its parts, in order, each with the record's whole metadata.
///
/// # Errors
/// [`FitError`] if the content is blank or too long, or the metadata is beyond its bounds.
pub fn pack(
    ours: &Ours,
    caller: &Map<String, Value>,
    content: &str,
    carrier: Carrier,
    level: Level,
) -> Result<Vec<FittedPart>, FitError> {
    check_metadata(caller)?;
    let chars = content.chars().count();
    if chars > MAX_CONTENT_CHARS {
        return Err(FitError::ContentTooLong { chars });
    }
    let pieces = split(content, level.max_chars(carrier))?;
    let total = pieces.len() as u32;
    Ok((1..)
        .zip(pieces)
        .map(|(number, piece)| {
            let (mark, metadata) =
                metadata::build(ours, PartNo { number, total }, &piece.gaps, caller);
            FittedPart {
                content: piece.text,
                mark,
                metadata,
            }
        })
        .collect())
}

/// The new mark and metadata of a part whose content stays: its number and gaps are kept, everything else
/// is as given.
///
/// # Errors
/// [`FitError`] if the metadata is beyond its bounds.
pub fn repack(
    stored: &Unpacked,
    ours: &Ours,
    caller: &Map<String, Value>,
) -> Result<(RecordMark, Metadata), FitError> {
    check_metadata(caller)?;
    Ok(metadata::build(ours, stored.part, &stored.gaps, caller))
}

/// Checks a caller's metadata against our bounds.
///
/// # Errors
/// [`FitError`] that names the bound and the excess.
pub fn check_metadata(caller: &Map<String, Value>) -> Result<(), FitError> {
    if caller.len() > MAX_METADATA_KEYS {
        return Err(FitError::MetadataTooManyKeys { keys: caller.len() });
    }
    if caller
        .values()
        .any(|value| deeper_than(value, MAX_METADATA_DEPTH - 1))
    {
        return Err(FitError::MetadataTooDeep);
    }
    let bytes = Value::Object(caller.clone()).to_string().len();
    if bytes > MAX_METADATA_BYTES {
        return Err(FitError::MetadataTooLarge { bytes });
    }
    Ok(())
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(rest) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, rest)),
        Value::Object(map) => map.values().any(|item| deeper_than(item, rest)),
        _ => false,
    }
}

/// A stored part, the input of [`join`].
#[derive(Debug, Clone, Copy)]
pub struct JoinPart<'a> {
    /// Which part.
    pub part: PartNo,
    /// Its text.
    pub content: &'a str,
    /// The gaps of its text ([`Unpacked::gaps`]).
    pub gaps: &'a [Gap],
}

/// A record joined from its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The content: whole if nothing is missing, else the parts found.
    pub content: String,
    /// The numbers of missing parts, ascending.
    pub missing: Vec<u32>,
    /// The indexes of the parts used, in the order of their numbers.
    pub used: Vec<usize>,
}

/// Joins the parts of one record, given in any order. Of parts with the same number the first
/// counts. If the record was stored twice with different splits (an attempt was refused as too long
/// half-way and split smaller), the more complete split counts.
pub fn join(parts: &[JoinPart<'_>]) -> Joined {
    let mut splits: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
    for (place, part) in parts.iter().enumerate() {
        let PartNo { number, total } = part.part;
        splits
            .entry(total)
            .or_default()
            .entry(number)
            .or_insert(place);
    }
    // Compares fractions without dividing.
    let best = splits.into_iter().max_by(|(total_a, a), (total_b, b)| {
        (a.len() as u64 * u64::from(*total_b)).cmp(&(b.len() as u64 * u64::from(*total_a)))
    });
    let Some((total, by_number)) = best else {
        return Joined {
            content: String::new(),
            missing: Vec::new(),
            used: Vec::new(),
        };
    };
    let missing = (1..=total)
        .filter(|number| !by_number.contains_key(number))
        .collect();
    let used: Vec<usize> = by_number.into_values().collect();
    let content = used
        .iter()
        .map(|&place| gap::restore(parts[place].content, parts[place].gaps))
        .collect();
    Joined {
        content,
        missing,
        used,
    }
}

/// A speaker's name within Zep's limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FittedName {
    /// The name, at most [`limits::NAME_CHARS`] characters; none if it was blank.
    pub name: Option<String>,
    /// The full name if it was shortened: for [`Marks::name`].
    pub full: Option<String>,
}

/// Shortens a name that is too long for Zep, at a grapheme boundary.
pub fn fit_name(name: &str) -> FittedName {
    if is_blank(name) {
        return FittedName::default();
    }
    if name.chars().nth(limits::NAME_CHARS).is_none() {
        return FittedName {
            name: Some(name.to_owned()),
            full: None,
        };
    }
    FittedName {
        name: Some(split::shorten(split::trim(name), limits::NAME_CHARS).to_owned()),
        full: Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::model::RecordId;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn pack_text(content: &str, caller: Value) -> Result<Vec<FittedPart>, FitError> {
        let ours = Ours::new(RecordId::new("r").unwrap());
        pack(
            &ours,
            &map(caller),
            content,
            Carrier::Message,
            Level::Normal,
        )
    }

    #[test]
    fn what_is_beyond_the_bounds_is_refused_by_name() {
        assert_eq!(pack_text(" \n\t\u{1f} ", json!({})), Err(FitError::Blank));
        let long = "x".repeat(MAX_CONTENT_CHARS + 1);
        assert!(matches!(
            pack_text(&long, json!({})),
            Err(FitError::ContentTooLong { chars }) if chars == MAX_CONTENT_CHARS + 1
        ));
        assert!(pack_text(&long[1..], json!({})).is_ok());

        let mut deep = json!(1);
        for _ in 0..MAX_METADATA_DEPTH {
            deep = json!({ "a": deep });
        }
        assert!(pack_text("x", deep.clone()).is_ok());
        assert_eq!(
            pack_text("x", json!({ "a": deep })),
            Err(FitError::MetadataTooDeep)
        );

        let keys = |n: usize| Value::Object((0..n).map(|i| (i.to_string(), json!(1))).collect());
        assert!(pack_text("x", keys(MAX_METADATA_KEYS)).is_ok());
        assert!(matches!(
            pack_text("x", keys(MAX_METADATA_KEYS + 1)),
            Err(FitError::MetadataTooManyKeys { keys: 1_001 })
        ));

        let frame = r#"{"a":""}"#.len();
        let text = "x".repeat(MAX_METADATA_BYTES - frame);
        assert!(pack_text("x", json!({ "a": text })).is_ok());
        assert!(matches!(
            pack_text("x", json!({ "a": format!("{text}x") })),
            Err(FitError::MetadataTooLarge { bytes }) if bytes == MAX_METADATA_BYTES + 1
        ));
    }

    #[test]
    fn the_number_of_parts_tells_the_level() {
        for carrier in [Carrier::Message, Carrier::Episode] {
            for length in [5_000, 9_600, 100_000] {
                let content = "word ".repeat(length / 5);
                for level in [Level::Normal, Level::Small] {
                    let parts = split(&content, level.max_chars(carrier)).unwrap().len() as u32;
                    let expected = if parts == 1 { Level::Normal } else { level };
                    assert_eq!(Level::of_stored(&content, carrier, parts), Some(expected));
                }
            }
        }
        assert_eq!(Level::of_stored("hello", Carrier::Message, 7), None);
    }

    fn numbered(number: u32, total: u32, content: &str) -> JoinPart<'_> {
        JoinPart {
            part: PartNo { number, total },
            content,
            gaps: &[],
        }
    }

    #[test]
    fn joining_tells_what_is_missing_and_takes_the_first_of_two() {
        let joined = join(&[
            numbered(4, 4, "d"),
            numbered(1, 4, "a"),
            numbered(1, 4, "A"),
        ]);
        assert_eq!(joined.content, "ad");
        assert_eq!(joined.missing, [2, 3]);
        assert_eq!(joined.used, [1, 0]);
        assert_eq!(join(&[]).content, "");
    }

    #[test]
    fn of_two_splits_the_one_nearest_to_whole_counts() {
        let joined = join(&[
            numbered(1, 2, "ab"),
            numbered(1, 3, "a"),
            numbered(2, 3, "b"),
            numbered(3, 3, "c"),
        ]);
        assert_eq!((joined.content.as_str(), joined.missing.len()), ("abc", 0));
    }

    #[test]
    fn a_long_name_is_shortened_at_a_whole_character_and_kept_whole() {
        let family = "👩‍👩‍👧‍👦";
        let name = format!("{}{family}{family}", "x".repeat(92));
        let fitted = fit_name(&name);
        assert_eq!(
            fitted.name.as_deref(),
            Some(format!("{}{family}", "x".repeat(92)).as_str())
        );
        assert_eq!(fitted.full.as_deref(), Some(name.as_str()));

        let fits = "y".repeat(limits::NAME_CHARS);
        assert_eq!(fit_name(&fits).name.as_deref(), Some(fits.as_str()));
        assert_eq!(fit_name(&fits).full, None);
        assert_eq!(fit_name(" "), FittedName::default());
        let padded = format!("{}z", " ".repeat(150));
        assert_eq!(fit_name(&padded).name.as_deref(), Some("z"));
        assert_eq!(fit_name(&padded).full, Some(padded));
    }
}

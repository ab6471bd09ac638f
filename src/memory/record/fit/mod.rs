//! Making content and metadata fit Zep's limits without losing any, and back.
//!
//! [`pack`] turns one record into the parts that Zep will take; [`unpack`] and [`join`] turn parts
//! into the record again. What Zep would refuse (nested metadata, stretches of blanks longer than
//! a message …) travels as JSON text under the key [`EXTRA_KEY`].

mod gap;
mod metadata;
mod same;
mod split;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::zep::{Metadata, limits};

pub use gap::Gap;
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
/// How deep metadata may be nested; `{"a": 1}` is 1 deep. Ours: well under the 128 that JSON
/// parsers commonly stop at.
pub const MAX_METADATA_DEPTH: usize = 32;
/// How many keys metadata may have at its top level. Ours.
pub const MAX_METADATA_KEYS: usize = 1_000;
/// How many parts a record can have. Ours: more than the longest content makes at
/// [`Level::Small`]; a part that claims more was not written by us.
pub const MAX_PARTS: u32 = 10_000;

/// A record that cannot be stored as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// The content is empty or nothing but blanks, which Zep refuses.
    #[error("content is blank; give it some text")]
    Blank,
    /// The content is longer than [`MAX_CONTENT_CHARS`].
    #[error(
        "content has {chars} characters; it may have at most {MAX_CONTENT_CHARS}: split it into several records"
    )]
    ContentTooLong {
        /// How many characters it has.
        chars: usize,
    },
    /// The metadata is larger than [`MAX_METADATA_BYTES`].
    #[error(
        "metadata has {bytes} bytes as JSON; it may have at most {MAX_METADATA_BYTES}: move text into the content"
    )]
    MetadataTooLarge {
        /// How many bytes its JSON text has.
        bytes: usize,
    },
    /// The metadata is nested deeper than [`MAX_METADATA_DEPTH`].
    #[error("metadata is nested more than {MAX_METADATA_DEPTH} levels deep; flatten it")]
    MetadataTooDeep,
    /// The metadata has more keys than [`MAX_METADATA_KEYS`].
    #[error("metadata has {keys} keys; it may have at most {MAX_METADATA_KEYS}: nest or drop some")]
    MetadataTooManyKeys {
        /// How many keys it has.
        keys: usize,
    },
}

/// What a part is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A message of a thread.
    Message,
    /// An episode of a graph.
    Episode,
}

/// How small content is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// As Zep's own loader splits.
    #[default]
    Normal,
    /// For content that Zep refused for its length all the same: a quarter of that, which fits
    /// even if Zep counts bytes (a character has 4 in UTF-8 at most).
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

    /// The level at which this content makes that many parts: the one that an interrupted write
    /// of it must be continued with. `None` if it is neither, and so the content is another one.
    pub fn of_stored(content: &str, carrier: Carrier, total: u32) -> Option<Self> {
        [Self::Normal, Self::Small].into_iter().find(|level| {
            split(content, level.max_chars(carrier))
                .is_ok_and(|pieces| pieces.len() == total as usize)
        })
    }
}

/// Which part of a split record something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartNo {
    /// Counted from 1.
    pub number: u32,
    /// How many there are: 2 to [`MAX_PARTS`], or 1 for a record of one part, which says no number.
    pub total: u32,
}

impl PartNo {
    /// The only part of a record of one part.
    pub const WHOLE: Self = Self {
        number: 1,
        total: 1,
    };

    /// Reads `2/3`, exactly as it is written by [`pack`].
    fn parse(text: &str) -> Option<Self> {
        let (number, total) = text.split_once('/')?;
        let part = Self {
            number: number.parse().ok()?,
            total: total.parse().ok()?,
        };
        let sound =
            (1..=part.total).contains(&part.number) && (2..=MAX_PARTS).contains(&part.total);
        (sound && part.to_string() == text).then_some(part)
    }
}

impl std::fmt::Display for PartNo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.total)
    }
}

/// One part of a record, as Zep will take it.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedPart {
    /// The text: not blank, and no longer than the level allows.
    pub content: String,
    /// The metadata: at most [`limits::METADATA_KEYS`] flat keys.
    pub metadata: Metadata,
}

/// Makes a record fit: its parts in order, each with the record's whole metadata.
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
            let part = (total > 1).then_some(PartNo { number, total });
            FittedPart {
                metadata: metadata::build(ours, part, &piece.gaps, caller),
                content: piece.text,
            }
        })
        .collect())
}

/// The new metadata of a part whose content stays: its number and gaps are kept, everything else
/// is as given.
///
/// # Errors
/// [`FitError`] if the metadata is beyond its bounds.
pub fn repack(
    stored: &Unpacked,
    ours: &Ours,
    caller: &Map<String, Value>,
) -> Result<Metadata, FitError> {
    check_metadata(caller)?;
    Ok(metadata::build(ours, stored.part, &stored.gaps, caller))
}

/// Checks a caller's metadata against the bounds that we set.
///
/// # Errors
/// [`FitError`] that says which bound and by how much.
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

/// A stored part, as [`join`] takes it.
#[derive(Debug, Clone, Copy)]
pub struct JoinPart<'a> {
    /// Which part; none for a record of one part.
    pub part: Option<PartNo>,
    /// Its text.
    pub content: &'a str,
    /// What was cut out of its text ([`Unpacked::gaps`]).
    pub gaps: &'a [Gap],
}

/// The parts of one record, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The content: whole if nothing is missing, else what there is of it.
    pub content: String,
    /// The numbers of the parts that are missing, ascending.
    pub missing: Vec<u32>,
    /// Which of the given parts were used, by their place among them, in the order of their number.
    pub used: Vec<usize>,
}

/// Puts the parts of one record together, in whatever order they come. Of parts with the same
/// number the first one counts. If the record was stored twice with different splits (an attempt
/// was refused for length half-way, and split smaller), the split that is nearest to whole counts.
pub fn join(parts: &[JoinPart<'_>]) -> Joined {
    let mut splits: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
    for (place, part) in parts.iter().enumerate() {
        let PartNo { number, total } = part.part.unwrap_or(PartNo {
            number: 1,
            total: 1,
        });
        splits
            .entry(total)
            .or_default()
            .entry(number)
            .or_insert(place);
    }
    // Compared as fractions of their totals, without dividing.
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

/// A speaker's name as Zep takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FittedName {
    /// The name, at most [`limits::NAME_CHARS`] characters; none if it was blank.
    pub name: Option<String>,
    /// The whole name where it had to be shortened: for [`Marks::name`].
    pub full: Option<String>,
}

/// Shortens a name that is too long for Zep, at a character that a reader sees as one.
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

    #[test]
    fn a_part_number_is_read_only_as_it_is_written() {
        assert_eq!(
            PartNo::parse("2/3"),
            Some(PartNo {
                number: 2,
                total: 3
            })
        );
        for wrong in [
            "0/3",
            "4/3",
            "1/1",
            "02/3",
            "+2/3",
            "2/3 ",
            "2",
            "/",
            "1/10001",
            "1/99999999999",
        ] {
            assert_eq!(PartNo::parse(wrong), None, "{wrong}");
        }
    }

    fn numbered(number: u32, total: u32, content: &str) -> JoinPart<'_> {
        JoinPart {
            part: Some(PartNo { number, total }),
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

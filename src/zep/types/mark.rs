//! The mark by which a stored message or episode is known again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Metadata;

/// How the metadata keys begin that this program adds.
pub(crate) const OWN_KEYS: &str = "zm_";

/// Which record an item belongs to, and which part of the record it is. All parts of a record carry
/// the same record id.
///
/// Every write carries one: it is what settles a lost answer without storing anything twice. An
/// adapter encodes it as its API allows. Generation 3 and the embedded store keep it under two
/// metadata keys ([`RecordMark::KEYS`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RecordMark {
    /// The record's id.
    pub record: String,
    /// Which part of the record.
    pub part: PartNo,
}

impl RecordMark {
    /// The metadata key of the record id.
    pub const RECORD_KEY: &str = "zm_id";
    /// The metadata key of the part, for records of several: `2/3`.
    pub const PART_KEY: &str = "zm_part";
    /// Both keys.
    pub const KEYS: [&str; 2] = [Self::RECORD_KEY, Self::PART_KEY];

    /// The mark of a record of one part.
    pub fn whole(record: impl Into<String>) -> Self {
        Self {
            record: record.into(),
            part: PartNo::WHOLE,
        }
    }

    /// Whether the record has other parts.
    pub fn is_split(&self) -> bool {
        self.part.total > 1
    }

    /// How many metadata keys the mark takes.
    pub fn key_count(&self) -> usize {
        1 + usize::from(self.is_split())
    }

    /// This metadata with the mark in front of it.
    pub fn encode(mark: Option<&Self>, metadata: &Metadata) -> Metadata {
        let Some(mark) = mark else {
            return metadata.clone();
        };
        let mut marked = Metadata::new();
        marked.insert(Self::RECORD_KEY.into(), mark.record.as_str().into());
        if mark.is_split() {
            marked.insert(Self::PART_KEY.into(), mark.part.to_string().into());
        }
        marked.extend(metadata.clone());
        marked
    }

    /// The mark in stored metadata; `None` where there is none. A part that is not written as
    /// [`RecordMark::encode`] writes it is somebody else's key, and the record has one part.
    pub fn decode(metadata: &Metadata) -> Option<Self> {
        let part = metadata.get(Self::PART_KEY).and_then(|part| part.as_str());
        Some(Self {
            record: Self::record_in(metadata)?.to_owned(),
            part: part.and_then(PartNo::parse).unwrap_or(PartNo::WHOLE),
        })
    }

    /// The mark in stored metadata, and the metadata without it.
    pub fn split_off(metadata: &Metadata) -> (Option<Self>, Metadata) {
        let mut rest = metadata.clone();
        let mark = Self::decode(metadata).inspect(|mark| mark.remove_from(&mut rest));
        (mark, rest)
    }

    /// Removes this mark's keys from the metadata that it was decoded from.
    pub(crate) fn remove_from(&self, metadata: &mut Metadata) {
        metadata.shift_remove(Self::RECORD_KEY);
        if self.is_split() {
            metadata.shift_remove(Self::PART_KEY);
        }
    }

    /// The record id in stored metadata.
    pub(crate) fn record_in(metadata: &Metadata) -> Option<&str> {
        metadata.get(Self::RECORD_KEY)?.as_str()
    }
}

/// Which part of a record something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartNo {
    /// Counted from 1.
    pub number: u32,
    /// How many parts the record has: 1 to [`PartNo::MAX_TOTAL`].
    pub total: u32,
}

impl PartNo {
    /// The only part of a record.
    pub const WHOLE: Self = Self {
        number: 1,
        total: 1,
    };
    /// How many parts a record can have. Ours: more than the longest content makes; a part that
    /// claims more was not written by this program.
    pub const MAX_TOTAL: u32 = 10_000;

    /// Whether the record begins with this part.
    pub fn is_first(self) -> bool {
        self.number == 1
    }

    /// Whether the record ends with this part.
    pub fn is_last(self) -> bool {
        self.number == self.total
    }

    /// Reads `2/3`, exactly as it is displayed, of records of several parts.
    fn parse(text: &str) -> Option<Self> {
        let (number, total) = text.split_once('/')?;
        let part = Self {
            number: number.parse().ok()?,
            total: total.parse().ok()?,
        };
        let sound =
            (1..=part.total).contains(&part.number) && (2..=Self::MAX_TOTAL).contains(&part.total);
        (sound && part.to_string() == text).then_some(part)
    }
}

impl fmt::Display for PartNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.total)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_mark_is_stored_in_front_of_the_metadata_and_read_back() {
        let metadata = json!({"b": 1, "a": 2}).as_object().unwrap().clone();
        let mut mark = RecordMark::whole("r");
        let marked = RecordMark::encode(Some(&mark), &metadata);
        assert_eq!(
            Value::from(marked).to_string(),
            r#"{"zm_id":"r","b":1,"a":2}"#
        );
        mark.part = PartNo {
            number: 2,
            total: 3,
        };
        let marked = RecordMark::encode(Some(&mark), &metadata);
        assert_eq!(marked["zm_part"], "2/3");
        assert_eq!(RecordMark::split_off(&marked), (Some(mark), metadata));
    }

    #[test]
    fn a_part_number_is_read_only_as_it_is_written() {
        let part = PartNo::parse("2/3");
        assert_eq!(part.map(|part| (part.number, part.total)), Some((2, 3)));
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
}

//! Putting records together while their parts are read one after the other.

use std::collections::{HashMap, HashSet};

use crate::memory::import::{PartOf, part_of};
use crate::memory::records::{Assembled, StoredPart, assemble, is_hidden};
use crate::zep::PartNo;

/// The records of a place that have parts which were not read yet.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pending: HashMap<String, Vec<(PartNo, StoredPart)>>,
    /// Records of several parts that are complete: what follows repeats a part.
    complete: HashSet<String>,
}

impl Parts {
    /// Takes the next part. Answers the record that it completes; none for one that is deleted.
    pub(super) fn add(&mut self, part: StoredPart) -> Option<Assembled> {
        if is_hidden(&part) {
            return None;
        }
        let Some(PartOf { record, number, .. }) = part_of(&part) else {
            return whole(vec![part]);
        };
        if number.total == 1 {
            return whole(vec![part]);
        }
        if self.complete.contains(&record) {
            return None;
        }
        let parts = self.pending.entry(record.clone()).or_default();
        if !parts.iter().any(|(noted, _)| *noted == number) {
            parts.push((number, part));
        }
        let of_this_split = parts
            .iter()
            .filter(|(other, _)| other.total == number.total);
        if of_this_split.count() < number.total as usize {
            return None;
        }
        let parts = self.pending.remove(&record)?;
        self.complete.insert(record);
        whole(parts.into_iter().map(|(_, part)| part).collect())
    }

    /// The ids of the records that lack parts.
    pub(super) fn incomplete(self) -> impl Iterator<Item = String> {
        self.pending.into_keys()
    }
}

fn whole(parts: Vec<StoredPart>) -> Option<Assembled> {
    assemble(parts).records.pop()
}

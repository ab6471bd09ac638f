//! Compares what the emulator holds with what the tool reported.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::operation::{Operation, Report, USERS};
use crate::common::service::Service;

/// Counts of what is wrong. A record or a report counts once in each field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wrong {
    /// Reported as stored, but missing or changed.
    pub lost: usize,
    /// Stored more than once.
    pub doubled: usize,
    /// Stored for another user, in another session, or in another order than reported.
    pub misplaced: usize,
    /// Reports that contradict what is stored.
    pub misreported: usize,
}

/// One message or episode.
#[derive(Debug)]
struct Part {
    user: String,
    session: Option<String>,
    place: usize,
    uuid: String,
    number: u32,
    total: u32,
    content: String,
}

/// A record's place in its session, and the events at which it was sent and first reported as
/// stored.
struct Stands {
    place: usize,
    begun: usize,
    known: usize,
}

/// Everything that is stored, by operation and number of the record in it.
pub struct Truth(BTreeMap<(usize, usize), Vec<Part>>);

impl Truth {
    pub fn read(service: &Service) -> Self {
        let mut truth = Self(BTreeMap::new());
        for (thread, user) in service.threads() {
            let session = thread
                .strip_suffix(&format!("::zm::{user}"))
                .unwrap_or(&thread);
            for (place, message) in service.messages(&thread).iter().enumerate() {
                truth.take(&user, Some(session), place, message);
            }
        }
        for user in service.users() {
            assert!(USERS.contains(&user.as_str()), "nobody named {user}");
            for (place, episode) in service.texts(&user).iter().enumerate() {
                truth.take(&user, None, place, episode);
            }
        }
        truth
    }

    fn take(&mut self, user: &str, session: Option<&str>, place: usize, item: &Value) {
        let metadata = &item["metadata"];
        let record = metadata["zm_id"].as_str().expect("all is ours");
        let index = record
            .rsplit_once(':')
            .and_then(|(_, index)| index.parse().ok())
            .unwrap_or(0);
        let (number, total) = match metadata["zm_part"].as_str() {
            Some(part) => {
                let (number, total) = part.split_once('/').unwrap();
                (number.parse().unwrap(), total.parse().unwrap())
            }
            None => (1, 1),
        };
        let operation = metadata["operation"].as_u64().unwrap();
        let key = (usize::try_from(operation).unwrap(), index);
        self.0.entry(key).or_default().push(Part {
            user: user.to_owned(),
            session: session.map(str::to_owned),
            place,
            uuid: item["uuid"].as_str().unwrap().to_owned(),
            number,
            total,
            content: item["content"].as_str().unwrap().to_owned(),
        });
    }

    fn parts(&self, operation: &Operation, index: usize) -> &[Part] {
        self.0
            .get(&(operation.number, index))
            .map_or(&[], Vec::as_slice)
    }

    /// The id of a record that is stored whole and unchanged.
    fn whole(&self, operation: &Operation, index: usize) -> Option<&str> {
        let mut parts: Vec<&Part> = self.parts(operation, index).iter().collect();
        parts.sort_by_key(|part| part.number);
        parts.dedup_by_key(|part| part.number);
        let first = parts.first()?;
        let said: String = parts.iter().map(|part| part.content.as_str()).collect();
        let is_whole = parts.len() == first.total as usize
            && without_space(&said) == without_space(&operation.contents[index]);
        is_whole.then_some(first.uuid.as_str())
    }

    /// Compares the last reports with what is stored.
    pub fn compare(&self, operations: &[Operation]) -> Wrong {
        let mut wrong = Wrong::default();
        for operation in operations {
            let there: Vec<Option<&str>> = (0..operation.contents.len())
                .map(|index| self.whole(operation, index))
                .collect();
            let anything = (0..there.len()).any(|i| !self.parts(operation, i).is_empty());
            let honest = match &operation.reports.last().unwrap().1 {
                Report::Stored(ids) => {
                    wrong.lost += there.iter().filter(|id| id.is_none()).count();
                    ids.len() == there.len()
                        && ids
                            .iter()
                            .zip(0..)
                            .all(|(id, index)| self.is_part_of(id, operation, index))
                }
                Report::Partly {
                    stored, in_doubt, ..
                } => {
                    let whole: Vec<&str> = there.iter().copied().flatten().collect();
                    wrong.lost += stored
                        .iter()
                        .filter(|id| {
                            !(0..there.len())
                                .any(|i| there[i].is_some() && self.is_part_of(id, operation, i))
                        })
                        .count();
                    *in_doubt || whole.len() == stored.len()
                }
                Report::Failed(_) => !anything,
            };
            if !honest {
                eprintln!("misreported: {operation:?}\nthere: {there:?}");
                wrong.misreported += 1;
            }
            for index in 0..there.len() {
                let parts = self.parts(operation, index);
                let mut times: HashMap<u32, usize> = HashMap::new();
                for part in parts {
                    *times.entry(part.number).or_default() += 1;
                }
                wrong.doubled += usize::from(times.values().any(|&times| times > 1));
                wrong.misplaced += usize::from(parts.iter().any(|part| {
                    part.user != operation.user || part.session.as_deref() != operation.session
                }));
            }
        }
        let known: usize = operations.iter().map(|o| self.of(o).count()).sum();
        assert_eq!(known, self.0.len(), "there is what nobody asked for");
        wrong.misplaced += self.out_of_order(operations);
        wrong
    }

    fn of(&self, operation: &Operation) -> impl Iterator<Item = usize> {
        (0..operation.contents.len()).filter(|&i| !self.parts(operation, i).is_empty())
    }

    fn is_part_of(&self, id: &str, operation: &Operation, index: usize) -> bool {
        self.parts(operation, index)
            .iter()
            .any(|part| part.uuid == id && part.number == 1)
    }

    /// Records placed before one that was reported as stored before they were sent, and records of
    /// one call that are not in its order.
    fn out_of_order(&self, operations: &[Operation]) -> usize {
        let mut wrong = 0;
        let mut sessions: BTreeMap<(&str, &str), Vec<Stands>> = BTreeMap::new();
        for operation in operations {
            let Some(session) = operation.session else {
                continue;
            };
            let mut before = None;
            for index in self.of(operation) {
                let mut parts: Vec<&Part> = self.parts(operation, index).iter().collect();
                // Counted as doubled.
                parts.sort_by_key(|part| (part.number, part.place));
                parts.dedup_by_key(|part| part.number);
                let places: Vec<usize> = parts.iter().map(|part| part.place).collect();
                wrong += usize::from(!places.is_sorted() || before > places.first().copied());
                before = places.last().copied();
                let known = operation.reports.iter().find(|(_, report)| match report {
                    Report::Stored(_) => true,
                    Report::Partly { stored, .. } => {
                        parts.iter().any(|part| stored.contains(&part.uuid))
                    }
                    Report::Failed(_) => false,
                });
                sessions
                    .entry((operation.user, session))
                    .or_default()
                    .push(Stands {
                        place: places[0],
                        begun: operation.begun,
                        known: known.map_or(usize::MAX, |(event, _)| *event),
                    });
            }
        }
        for mut records in sessions.into_values() {
            records.sort_by_key(|record| record.place);
            let mut known_behind = usize::MAX;
            for record in records.into_iter().rev() {
                wrong += usize::from(known_behind < record.begun);
                known_behind = known_behind.min(record.known);
            }
        }
        wrong
    }
}

fn without_space(text: &str) -> String {
    text.split_whitespace().collect()
}

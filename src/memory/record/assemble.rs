//! Assembles records from their stored parts.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::memory::model::{MemoryKind, Record, TimeOrigin, Uuid};
use crate::memory::record::fit::{JoinPart, Joined, Marks, Ours, Unpacked, join, unpack, unpacked};
use crate::zep::{Episode, Message, Metadata, Role};

/// A stored message or episode.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPart {
    /// Zep's id.
    pub uuid: Option<Uuid>,
    /// Zep's word for the speaker's role.
    pub role: String,
    /// The speaker's name.
    pub name: Option<String>,
    /// The text.
    pub content: String,
    /// When it was said.
    pub created_at: Option<Timestamp>,
    /// Its metadata as stored.
    pub metadata: Metadata,
}

impl From<Message> for StoredPart {
    fn from(message: Message) -> Self {
        Self {
            uuid: message.uuid,
            role: message.role.as_str().to_owned(),
            name: message.name,
            content: message.content,
            created_at: message.created_at,
            metadata: message.metadata.unwrap_or_default(),
        }
    }
}

impl From<Episode> for StoredPart {
    /// An episode that is not a message has no role.
    fn from(episode: Episode) -> Self {
        Self {
            uuid: Some(episode.uuid),
            role: episode
                .role_type
                .unwrap_or(Role::NoRole)
                .as_str()
                .to_owned(),
            // In an episode, Zep calls the speaker's name `role`.
            name: episode.role,
            content: episode.content,
            created_at: episode.created_at,
            metadata: episode.metadata.unwrap_or_default(),
        }
    }
}

/// A record with its place in the window.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembled {
    /// The record.
    pub record: Record,
    /// Our metadata of it, for changes; none if we did not write it.
    pub ours: Option<Ours>,
    /// The index of its first part in the window.
    pub first: usize,
    /// The index of its last part in the window.
    pub last: usize,
    /// Zep's ids of its parts, in the order of their numbers.
    pub parts: Vec<Uuid>,
}

/// The records of a window of stored parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assembly {
    /// The records that begin in the window, in the order of their first part.
    pub records: Vec<Assembled>,
    /// The ids of incomplete records: some part is not in the window.
    pub incomplete: Vec<String>,
    /// The number of parts whose record begins outside the window.
    pub stray: usize,
    /// The number of hidden records: marked as deleted.
    pub hidden: usize,
}

impl Assembly {
    /// Leaves out the records that begin before this index of the window.
    pub(crate) fn begin_at(&mut self, index: usize) {
        self.records.retain(|found| found.first >= index);
        let left = self.records.iter().filter(|found| found.record.incomplete);
        self.incomplete = left
            .filter_map(|found| found.record.record_id.clone())
            .collect();
    }
}

/// Assembles records. Parts of different records may be mixed, missing or double. Each part that we
/// did not write is a record of its own. Of copies of one part the first counts; one that is marked as
/// a double, never.
pub fn assemble(items: Vec<StoredPart>) -> Assembly {
    assemble_without(items, |_| false)
}

/// The same without the parts that are known to be doubles of others.
pub(crate) fn assemble_without(
    items: Vec<StoredPart>,
    is_double: impl Fn(&Uuid) -> bool,
) -> Assembly {
    let mut items: Vec<(StoredPart, Unpacked)> = items
        .into_iter()
        .map(|mut item| {
            let unpacked = unpacked(std::mem::take(&mut item.metadata));
            (item, unpacked)
        })
        .collect();
    let mut assembly = Assembly::default();
    let counts = |(item, unpacked): &(StoredPart, Unpacked)| {
        !marks(unpacked).is_some_and(|marks| marks.double)
            && !item.uuid.as_ref().is_some_and(&is_double)
    };
    for places in by_record(&items, counts) {
        let group: Vec<&(StoredPart, Unpacked)> = places.iter().map(|&i| &items[i]).collect();
        let joined = join(
            &group
                .iter()
                .map(|(item, unpacked)| JoinPart {
                    part: unpacked.part,
                    content: &item.content,
                    gaps: &unpacked.gaps,
                })
                .collect::<Vec<_>>(),
        );
        let begins = !joined.missing.contains(&FIRST);
        if group.iter().any(|(_, unpacked)| is_no_memory(unpacked)) {
            assembly.hidden += usize::from(begins);
        } else if begins {
            let assembled = put_together(&mut items, &places, joined);
            if assembled.record.incomplete {
                assembly
                    .incomplete
                    .extend(assembled.record.record_id.clone());
            }
            assembly.records.push(assembled);
        } else {
            assembly.stray += places.len();
        }
    }
    assembly.records.sort_by_key(|assembled| assembled.first);
    assembly
}

/// The number of a record's first part.
const FIRST: u32 = 1;

/// The indexes of each record's parts, those that count.
fn by_record(
    items: &[(StoredPart, Unpacked)],
    counts: impl Fn(&(StoredPart, Unpacked)) -> bool,
) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut group_of: HashMap<&str, usize> = HashMap::new();
    for (place, item) in items.iter().enumerate().filter(|(_, item)| counts(item)) {
        match &item.1.ours {
            Some(ours) => {
                let group = *group_of.entry(ours.record.as_str()).or_insert(groups.len());
                if group == groups.len() {
                    groups.push(Vec::new());
                }
                groups[group].push(place);
            }
            None => groups.push(vec![place]),
        }
    }
    groups
}

fn is_no_memory(unpacked: &Unpacked) -> bool {
    marks(unpacked).is_some_and(|marks| marks.deleted || marks.session.is_some())
}

fn marks(unpacked: &Unpacked) -> Option<&Marks> {
    unpacked.ours.as_ref().map(|ours| &ours.marks)
}

/// A record from the parts at these indexes, which are used up. Everything but the content comes from the
/// first part.
fn put_together(
    items: &mut [(StoredPart, Unpacked)],
    places: &[usize],
    joined: Joined,
) -> Assembled {
    let used = || joined.used.iter().map(|&part| places[part]);
    let parts: Vec<Uuid> = used().filter_map(|i| items[i].0.uuid.clone()).collect();
    let first = places[joined.used[0]];
    let last = used().max().unwrap_or(first);
    let (item, unpacked) = &mut items[first];
    let (ours, caller) = (unpacked.ours.take(), std::mem::take(&mut unpacked.caller));
    let (role, name) = speaker(ours.as_ref());
    let undated = ours
        .as_ref()
        .is_some_and(|ours| ours.marks.time == TimeOrigin::Inferred);
    Assembled {
        record: Record {
            id: item.uuid.take().unwrap_or_else(|| Uuid(String::new())),
            record_id: ours.as_ref().map(|ours| ours.record.as_str().to_owned()),
            role: role.unwrap_or(&item.role).to_owned(),
            name: name.or(item.name.as_deref()).map(str::to_owned),
            content: joined.content,
            created_at: item.created_at.filter(|_| !undated),
            updated_at: ours.as_ref().and_then(|ours| ours.marks.updated),
            memory_type: ours
                .as_ref()
                .and_then(|ours| ours.memory_type.as_ref())
                .map(MemoryKind::as_str)
                .map(str::to_owned),
            metadata: caller,
            incomplete: !joined.missing.is_empty(),
            pending: false,
        },
        ours,
        first,
        last,
        parts,
    }
}

/// Whether a stored part is not shown: it is deleted as far as Zep allows, or a double of another.
pub(crate) fn is_hidden(part: &StoredPart) -> bool {
    let unpacked = unpack(&part.metadata);
    marks(&unpacked).is_some_and(Marks::is_hidden)
}

/// The role and the name of the speaker, where our marks tell them and not Zep's own fields.
pub(crate) fn speaker(ours: Option<&Ours>) -> (Option<&str>, Option<&str>) {
    let speaker = ours.and_then(|ours| ours.marks.speaker.as_ref());
    let original_role = ours.and_then(|ours| ours.original_role.as_deref());
    let full_name = ours.and_then(|ours| ours.marks.name.as_deref());
    (
        original_role.or(speaker.map(|speaker| speaker.role.as_str())),
        full_name.or(speaker.and_then(|speaker| speaker.name.as_deref())),
    )
}

/// The record assembled from these episodes; `None` if it is deleted as far as Zep allows, or its
/// first part is missing.
pub(crate) fn whole(parts: Vec<Episode>) -> Option<Assembled> {
    let parts = parts.into_iter().map(StoredPart::from).collect();
    assemble(parts).records.into_iter().next()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::memory::model::RecordId;
    use crate::memory::record::fit::{Carrier, Level, Speaker, fit_name, pack};
    use crate::zep::RecordMark;

    fn ours(id: &str) -> Ours {
        Ours::new(RecordId::new(id).unwrap())
    }

    fn stored(ours: &Ours, caller: Value, content: &str) -> Vec<StoredPart> {
        let caller: Map<String, Value> = caller.as_object().cloned().unwrap();
        pack(ours, &caller, content, Carrier::Message, Level::Small)
            .unwrap()
            .into_iter()
            .enumerate()
            .map(|(i, part)| StoredPart {
                uuid: Some(Uuid(format!("{}-{i}", ours.record))),
                role: "user".into(),
                name: None,
                content: part.content,
                created_at: "2024-05-01T10:00:00Z".parse().ok(),
                metadata: RecordMark::encode(Some(&part.mark), &part.metadata),
            })
            .collect()
    }

    fn long(word: &str) -> String {
        word.repeat(2_500 / word.len())
    }

    fn ids(assembly: &Assembly) -> Vec<&str> {
        let id = |a: &'_ Assembled| a.record.record_id.is_some();
        assert!(assembly.records.iter().all(id));
        let ids = assembly.records.iter();
        ids.filter_map(|a| a.record.record_id.as_deref()).collect()
    }

    #[test]
    fn interleaved_records_come_back_whole_in_the_order_of_their_first_part() {
        let a = stored(&ours("a"), json!({"n": [1, {"b": null}]}), &long("alpha "));
        let b = stored(&ours("b"), json!({}), &long("beta "));
        assert_eq!((a.len(), b.len()), (3, 3));
        let mixed = [&b[0], &a[0], &a[2], &b[1], &a[1], &b[2]];
        let assembly = assemble(mixed.into_iter().cloned().collect());
        assert_eq!(ids(&assembly), ["b", "a"]);
        let [first, second] = assembly.records.as_slice() else {
            panic!("two records")
        };
        assert_eq!(first.record.content, long("beta "));
        assert_eq!((first.first, first.last), (0, 5));
        assert_eq!(second.record.content, long("alpha "));
        assert_eq!((second.first, second.last), (1, 4));
        assert_eq!(
            second.parts,
            ["a-0", "a-1", "a-2"].map(|id| Uuid(id.into()))
        );
        assert_eq!(second.record.id.as_str(), "a-0");
        assert_eq!(
            Value::from(second.record.metadata.clone()),
            json!({"n": [1, {"b": null}]})
        );
        assert!(assembly.incomplete.is_empty() && assembly.stray == 0);
    }

    #[test]
    fn a_record_with_a_missing_part_is_shown_as_incomplete() {
        let mut parts = stored(&ours("a"), json!({}), &long("alpha "));
        parts.remove(1);
        let assembly = assemble(parts);
        assert_eq!(assembly.incomplete, ["a"]);
        assert!(assembly.records[0].record.incomplete);
        assert_eq!(assembly.records[0].parts.len(), 2);
    }

    #[test]
    fn parts_of_a_record_that_began_earlier_are_counted_and_not_shown() {
        let mut parts = stored(&ours("a"), json!({}), &long("alpha "));
        parts.remove(0);
        parts.extend(stored(&ours("b"), json!({}), "ok"));
        let assembly = assemble(parts);
        assert_eq!(assembly.stray, 2);
        assert_eq!(ids(&assembly), ["b"]);
        assert_eq!(assembly.records[0].first, 2);
    }

    #[test]
    fn a_part_that_was_stored_twice_counts_once() {
        let parts = stored(&ours("a"), json!({}), &long("alpha "));
        let doubled: Vec<_> = parts.iter().chain(&parts).cloned().collect();
        let assembly = assemble(doubled);
        assert_eq!(assembly.records.len(), 1);
        assert_eq!(assembly.records[0].record.content, long("alpha "));
        assert_eq!(assembly.records[0].last, 2);

        let once = stored(&ours("b"), json!({}), "ok");
        let twice = once.iter().chain(&once).cloned().collect();
        assert_eq!(assemble(twice).records[0].record.content, "ok");
    }

    #[test]
    fn what_others_wrote_is_a_record_each_with_all_its_metadata() {
        let message: Message = serde_json::from_value(json!({
            "uuid": "u", "role": "assistant", "name": "Bot", "content": "ok",
            "created_at": "2024-05-01T10:00:00Z",
            "metadata": {"memory_type": "x", "zm_x": "{}", "zm_part": "1/2", "agent_id": "a"},
        }))
        .unwrap();
        let assembly = assemble(vec![message.clone().into(), message.clone().into()]);
        assert_eq!(assembly.records.len(), 2);
        let record = &assembly.records[1].record;
        assert_eq!(record.record_id, None);
        assert_eq!(Some(&record.metadata), message.metadata.as_ref());
        assert_eq!(
            (record.role.as_str(), record.name.as_deref()),
            ("assistant", Some("Bot"))
        );
        assert_eq!(record.created_at, message.created_at);
        assert_eq!(
            (assembly.records[1].first, assembly.records[1].last),
            (1, 1)
        );
    }

    #[test]
    fn deleted_records_are_hidden_even_if_only_a_part_is_marked() {
        let mut deleted = ours("a");
        deleted.marks.deleted = true;
        let mut parts = stored(&ours("a"), json!({}), &long("alpha "));
        parts[2].metadata = stored(&deleted, json!({}), &long("alpha "))[2]
            .metadata
            .clone();
        parts.extend(stored(&deleted_alone(), json!({}), "gone"));
        parts.extend(stored(&ours("c"), json!({}), "here"));
        let assembly = assemble(parts);
        assert_eq!(ids(&assembly), ["c"]);
        assert_eq!(assembly.hidden, 2);
    }

    #[test]
    fn a_part_marked_as_a_double_hides_no_other() {
        let mut double = ours("a");
        double.marks.double = true;
        let mut parts = stored(&double, json!({}), "once");
        parts.extend(stored(&ours("a"), json!({}), "once"));
        parts.extend(stored(&double, json!({}), "once"));
        let assembly = assemble(parts);
        assert_eq!(ids(&assembly), ["a"]);
        assert_eq!((assembly.records[0].first, assembly.hidden), (1, 0));
    }

    fn deleted_alone() -> Ours {
        let mut ours = ours("b");
        ours.marks.deleted = true;
        ours
    }

    #[test]
    fn roles_names_and_times_are_shown_as_the_source_had_them() {
        let full = "n".repeat(130);
        let mut ours = ours("a");
        ours.original_role = Some("therapist".into());
        ours.memory_type = MemoryKind::new("insights").ok();
        ours.marks = Marks {
            time: TimeOrigin::Inferred,
            name: fit_name(&full).full,
            ..Marks::default()
        };
        let mut parts = stored(&ours, json!({}), "hello");
        parts[0].name = fit_name(&full).name;
        let record = assemble(parts).records.remove(0).record;
        assert_eq!(record.role, "therapist");
        assert_eq!(record.name, Some(full));
        assert_eq!(record.created_at, None);
        assert_eq!(record.memory_type.as_deref(), Some("emotional_state"));
    }

    #[test]
    fn a_message_stored_as_an_episode_keeps_its_speaker() {
        let mut ours = ours("a");
        ours.marks.speaker = Some(Speaker {
            role: "coach".into(),
            name: Some("Ann".into()),
        });
        let part = stored(&ours, json!({}), "hello").remove(0);
        let episode: Episode = serde_json::from_value(json!({
            "uuid": "e", "content": part.content, "metadata": part.metadata, "source": "text",
        }))
        .unwrap();
        let record = assemble(vec![episode.into()]).records.remove(0).record;
        assert_eq!(
            (record.role.as_str(), record.name.as_deref()),
            ("coach", Some("Ann"))
        );

        let plain: Episode = serde_json::from_value(json!({"uuid": "e", "content": "x"})).unwrap();
        let record = assemble(vec![plain.into()]).records.remove(0).record;
        assert_eq!((record.role.as_str(), record.name), ("norole", None));
    }
}

//! Doubles: a write without an answer is looked for, and sent again if it is not found. If the first
//! one arrives after all, Zep holds the part twice, with the same mark and the same `created_at`.
//!
//! Every reader shows a part once, whichever process wrote it and whichever page it reads:
//!
//! - *In a thread* the first copy counts. Zep lists a thread in the order of arrival, so a message
//!   that was said after everything before it repeats nothing: its copy would have its time. A reader
//!   therefore knows the latest time before its page: the cursor carries it, and a page of the newest
//!   messages has [`AHEAD`] more in front. Only a message that is not later may be a double, and only
//!   then is the thread read whole, once for a while ([`Repeats`]). In the ordinary case this costs no
//!   request. Where the backend itself stores each part once, there is nothing to look for
//!   ([`MessagePage::is_single`](crate::zep::MessagePage::is_single)).
//! - *In a graph*, which is not listed by arrival, the copy with the smallest id counts ([`among`]).
//!
//! Both rules need nothing but what Zep holds, so that all processes keep the same copy, and no two
//! of them remove each other's.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::memory::{model::Uuid, record::fit, record::view::SourceView};
use crate::zep::{Message, PartNo, RecordMark, limits::MESSAGES_PER_CALL};

/// How many messages in front of a page of the newest are read with it. Ours: more than one write
/// has messages, so that the first of them was said before the page, unless that many messages in a
/// row were sent with older times.
pub(crate) const AHEAD: u32 = MESSAGES_PER_CALL as u32 + 10;

/// The latest time of these messages.
pub(crate) fn latest(messages: &[Message]) -> Option<Timestamp> {
    messages
        .iter()
        .filter_map(|message| message.created_at)
        .max()
}

/// Whether a message may repeat one that came before; this is the latest time of those. A record is
/// shown where it begins, so the first parts decide.
pub(crate) fn may_repeat(message: &Message, latest: Option<Timestamp>) -> bool {
    let is_later = message.created_at.is_some() && message.created_at > latest;
    !is_later && message.mark().is_some_and(|mark| mark.part.is_first())
}

/// What reading a whole thread told of its doubles.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// The messages that may repeat an earlier one, and whether they do.
    checked: HashMap<Uuid, bool>,
    /// How many messages of the thread are doubles.
    pub(crate) doubles: u64,
}

impl Repeats {
    /// Looks through a whole thread, oldest message first.
    pub(crate) fn of(messages: &[Message]) -> Self {
        let mut repeats = Self::default();
        let mut seen: HashSet<RecordMark> = HashSet::new();
        let mut latest = None;
        for message in messages {
            let Some(mark) = message.mark() else {
                latest = latest.max(message.created_at);
                continue;
            };
            let may_repeat = may_repeat(message, latest);
            // One that is hidden as a double takes no other's place.
            let is_double = is_hidden(message) || !seen.insert(mark);
            repeats.doubles += u64::from(is_double);
            latest = latest.max(message.created_at);
            if let Some(uuid) = message.uuid.clone().filter(|_| may_repeat || is_double) {
                repeats.checked.insert(uuid, is_double);
            }
        }
        repeats
    }

    /// Whether this message is a double; `None` if it was not there.
    pub(crate) fn is_double(&self, message: &Uuid) -> Option<bool> {
        self.checked.get(message).copied()
    }

    /// For a cache.
    pub(crate) fn weight(&self) -> u64 {
        1 + self.checked.len() as u64
    }
}

/// Whether a message is hidden as a double.
fn is_hidden(message: &Message) -> bool {
    let metadata = message.metadata.as_ref();
    metadata
        .and_then(|metadata| fit::unpack(metadata).ours)
        .is_some_and(|ours| ours.marks.double)
}

/// The doubles among these episodes of an owner, each with the copy that counts.
pub(crate) fn among(sources: &[&SourceView]) -> HashMap<Uuid, Uuid> {
    let mut kept: HashMap<_, &Uuid> = HashMap::new();
    for source in sources.iter().filter(|source| !source.deleted) {
        if let Some(part) = part_in_place(source) {
            let least = kept.entry(part).or_insert(&source.id);
            *least = (*least).min(&source.id);
        }
    }
    sources
        .iter()
        .filter_map(|source| {
            let least = *kept.get(&part_in_place(source)?)?;
            (*least != source.id).then(|| (source.id.clone(), least.clone()))
        })
        .collect()
}

fn part_in_place(source: &SourceView) -> Option<((Option<&str>, &str), PartNo)> {
    Some((source.record_in_place()?, source.part))
}

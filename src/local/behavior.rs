//! Switches for what Zep does not document.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the embedded Zep behaves where Zep Cloud's behaviour is not documented, and how fast it
/// processes.
///
/// The defaults serve the local backend best. The emulator sets each switch by its serde name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behavior {
    /// The meaning of `cursor` for a thread's messages.
    pub cursor: CursorMeaning,
    /// What deleting a message's episode does to the message.
    pub episode_deletion: EpisodeDeletion,
    /// Whether the messages of a draft batch show in their threads.
    pub draft_messages: DraftMessages,
    /// What PATCH does to existing metadata.
    pub metadata_patch: MetadataPatch,
    /// The status for creating a thread that exists.
    pub existing_thread: ExistingThread,
    /// The unit of length limits.
    pub length_counts: LengthCounts,
    /// Every so many items of a batch fail; 0: none does. Zep does not say when items fail.
    pub failing_items: u32,
    /// The delay from arrival until facts, entities and search results appear, and the duration of
    /// a batch. Zero: none.
    #[serde(rename = "processing_delay_ms", with = "millis")]
    pub processing_delay: Duration,
}

/// The meaning of `cursor` for a thread's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CursorMeaning {
    /// How many messages are skipped.
    #[default]
    Offset,
    /// The page number from 1, for pages of `limit` messages.
    Page,
}

/// What deleting a message's episode does to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpisodeDeletion {
    /// The message is deleted, too.
    #[default]
    RemovesMessage,
    /// The message stays in its thread; it is only removed from the graph.
    KeepsMessage,
}

/// Whether the messages of a draft batch show in their threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DraftMessages {
    /// They appear when the batch is processed.
    #[default]
    Hidden,
    /// They appear when they are added, unprocessed.
    Visible,
}

/// What PATCH does to existing metadata. Either way, a key set to null is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataPatch {
    /// Keys that are not named stay, as zep-cloud 3.30.0 says of episodes.
    #[default]
    Merges,
    /// Keys that are not named are removed.
    Replaces,
}

/// The status for creating a thread that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExistingThread {
    /// 400.
    #[default]
    #[serde(rename = "400")]
    BadRequest,
    /// 409.
    #[serde(rename = "409")]
    Conflict,
}

impl ExistingThread {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Conflict => 409,
        }
    }
}

/// The unit of length limits: Zep says "characters" without defining them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LengthCounts {
    /// Unicode code points.
    #[default]
    Chars,
    /// Bytes of UTF-8.
    Bytes,
}

impl LengthCounts {
    /// The length of a text in this unit.
    pub fn length(self, text: &str) -> usize {
        match self {
            Self::Chars => text.chars().count(),
            Self::Bytes => text.len(),
        }
    }
}

/// Serialises a duration as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        u64::try_from(time.as_millis())
            .unwrap_or(u64::MAX)
            .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        // 32 bits are 49 days: longer delays would overflow timestamps.
        u32::deserialize(from).map(|millis| Duration::from_millis(millis.into()))
    }
}

//! What Zep leaves unsaid, as switches with both answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the embedded Zep behaves where Zep Cloud's behaviour is not documented, and how fast it is.
///
/// The default is what serves best as a memory of its own; the emulator sets each one, by the names
/// that serde gives them here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behavior {
    /// What `cursor` of a thread's messages means.
    pub cursor: CursorMeaning,
    /// What deleting the episode of a message does to the message.
    pub episode_deletion: EpisodeDeletion,
    /// Whether the messages of a draft batch already show in their threads.
    pub draft_messages: DraftMessages,
    /// What PATCH does to the metadata that is already there.
    pub metadata_patch: MetadataPatch,
    /// The status with which a thread that exists is refused.
    pub existing_thread: ExistingThread,
    /// What the limits on texts count.
    pub length_counts: LengthCounts,
    /// How long after their arrival facts, entities and search results appear, and how long a
    /// batch is in work. Zero: at once.
    #[serde(rename = "processing_delay_ms", with = "millis")]
    pub processing_delay: Duration,
}

/// What `cursor` of a thread's messages means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CursorMeaning {
    /// How many messages stand before the answer.
    #[default]
    Offset,
    /// The number of the page, from 1, each of `limit` messages.
    Page,
}

/// What deleting the episode of a message does to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpisodeDeletion {
    /// It is gone from its thread, too.
    #[default]
    RemovesMessage,
    /// It stays in its thread; only the graph forgets it.
    KeepsMessage,
}

/// Whether the messages of a draft batch already show in their threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DraftMessages {
    /// They come into their threads when the batch is processed.
    #[default]
    Hidden,
    /// They stand in their threads from the moment of adding, unprocessed.
    Visible,
}

/// What PATCH does to the metadata that is already there. A key set to null is removed either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataPatch {
    /// Keys that are not named stay (so zep-cloud 3.30.0 says of episodes).
    #[default]
    Merges,
    /// Keys that are not named go.
    Replaces,
}

/// The status with which a thread that exists is refused.
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

/// What the limits on texts count: Zep says "characters" and not what one is.
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
    /// How long a text is.
    pub fn length(self, text: &str) -> usize {
        match self {
            Self::Chars => text.chars().count(),
            Self::Bytes => text.len(),
        }
    }
}

/// A duration as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        u64::try_from(time.as_millis())
            .unwrap_or(u64::MAX)
            .serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        // 32 bits are 49 days: longer ones would only overflow times that they are added to.
        u32::deserialize(from).map(|millis| Duration::from_millis(millis.into()))
    }
}

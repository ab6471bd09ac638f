//! What Zep leaves unsaid, as switches with both answers.

use std::time::Duration;

/// How the embedded Zep behaves where Zep Cloud's behaviour is not documented, and how fast it is.
///
/// The default is what serves best as a memory of its own; the emulator sets each one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// How long after their arrival facts, entities and search results appear, and how long a
    /// batch is in work. Zero: at once.
    pub processing_delay: Duration,
}

/// What `cursor` of a thread's messages means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CursorMeaning {
    /// How many messages stand before the answer.
    #[default]
    Offset,
    /// The number of the page, from 1, each of `limit` messages.
    Page,
}

/// What deleting the episode of a message does to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EpisodeDeletion {
    /// It is gone from its thread, too.
    #[default]
    RemovesMessage,
    /// It stays in its thread; only the graph forgets it.
    KeepsMessage,
}

/// Whether the messages of a draft batch already show in their threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DraftMessages {
    /// They come into their threads when the batch is processed.
    #[default]
    Hidden,
    /// They stand in their threads from the moment of adding, unprocessed.
    Visible,
}

/// What PATCH does to the metadata that is already there. A key set to null is removed either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataPatch {
    /// Keys that are not named stay (so zep-cloud 3.30.0 says of episodes).
    #[default]
    Merges,
    /// Keys that are not named go.
    Replaces,
}

/// The status with which a thread that exists is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExistingThread {
    /// 400.
    #[default]
    BadRequest,
    /// 409.
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

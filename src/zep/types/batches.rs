//! Batches, and other things that Zep does in the background.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Metadata, NewEpisode, NewMessage, lenient_time, null_is_default};
use crate::zep::ids::{Owner, ThreadId, Uuid};

/// One thing of a batch: a message of a thread or an episode of a graph, which must exist.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchItem {
    /// A message of a thread.
    Message(ThreadId, NewMessage),
    /// An episode of a graph.
    Episode(Owner, NewEpisode),
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchStatus {
    /// Items can be added.
    Draft,
    /// Zep refused it as a whole.
    Invalid,
    /// Waiting to be processed.
    Queued,
    /// Being processed.
    Processing,
    /// Every item is stored.
    Succeeded,
    /// Some items are stored.
    Partial,
    /// No item is stored.
    Failed,
    /// Stopped.
    Canceled,
    /// A status that Zep added later.
    #[serde(other)]
    Unknown,
}

/// A batch as Zep knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Zep's id.
    pub batch_id: Option<String>,
    /// Where it stands.
    pub status: Option<BatchStatus>,
    /// How many items it has.
    pub item_count: Option<u64>,
    /// The application's own fields.
    pub metadata: Option<Metadata>,
    /// How far it is.
    pub progress: Option<BatchProgress>,
    /// When it was made.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// When it was given to be processed.
    #[serde(deserialize_with = "lenient_time")]
    pub processed_at: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "lenient_time")]
    pub completed_at: Option<Timestamp>,
}

/// How far a batch is, in items.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchProgress {
    /// All.
    pub total_items: Option<u64>,
    /// Waiting.
    pub queued_items: Option<u64>,
    /// In work.
    pub processing_items: Option<u64>,
    /// Stored.
    pub succeeded_items: Option<u64>,
    /// Not stored.
    pub failed_items: Option<u64>,
    /// Left out.
    pub skipped_items: Option<u64>,
    /// Stopped.
    pub canceled_items: Option<u64>,
    /// 0–100.
    pub percent_complete: Option<f64>,
}

/// Where one item of a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchItemStatus {
    /// In a draft.
    Pending,
    /// Waiting.
    Queued,
    /// In work.
    Processing,
    /// Stored.
    Succeeded,
    /// Not stored.
    Failed,
    /// Left out.
    Skipped,
    /// Stopped.
    Canceled,
    /// A status that Zep added later.
    #[serde(other)]
    Unknown,
}

impl BatchItemStatus {
    /// Zep's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Canceled => "canceled",
            Self::Unknown => "unknown",
        }
    }
}

/// What an item of a batch becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchItemKind {
    /// A message of a thread.
    ThreadMessage,
    /// An episode of a graph.
    GraphEpisode,
    /// A kind that Zep added later.
    #[serde(other)]
    Unknown,
}

/// One item of a batch as Zep lists it: without content and metadata.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchItemState {
    /// Zep's id of the item.
    pub item_id: Option<String>,
    /// Its place in the batch, in the order added.
    pub sequence_index: Option<u64>,
    /// What it becomes.
    pub kind: Option<BatchItemKind>,
    /// Where it stands.
    pub status: Option<BatchItemStatus>,
    /// The episode, and so the message, that it becomes.
    pub episode_uuid: Option<Uuid>,
    /// The thread of a message.
    pub thread_id: Option<String>,
    /// The user of an episode.
    pub user_id: Option<String>,
    /// The graph of an episode.
    pub graph_id: Option<String>,
    /// What went wrong.
    pub error: Option<Map<String, Value>>,
}

/// A page of batches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchPage {
    /// The batches.
    #[serde(deserialize_with = "null_is_default")]
    pub batches: Vec<Batch>,
    /// Asks for the next page.
    pub next_cursor: Option<u64>,
}

/// A page of a batch's items.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchItemPage {
    /// The items.
    #[serde(deserialize_with = "null_is_default")]
    pub items: Vec<BatchItemState>,
    /// Asks for the next page.
    pub next_cursor: Option<u64>,
}

/// Something that Zep does in the background.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Zep's id.
    pub task_id: Option<String>,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Where it stands.
    pub status: Option<String>,
    /// What went wrong.
    pub error: Option<Value>,
    /// When it was made.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "lenient_time")]
    pub completed_at: Option<Timestamp>,
}

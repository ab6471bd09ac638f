//! Batches, and other background work.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Metadata, NewEpisode, NewMessage, lenient_time};
use crate::zep::ids::{Owner, ThreadId, Uuid};

/// One item of a batch: a message of an existing thread or an episode of an existing graph.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchItem {
    /// A message of a thread.
    Message(ThreadId, NewMessage),
    /// An episode of a graph.
    Episode(Owner, NewEpisode),
}

/// The status of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchStatus {
    /// Items can be added.
    Draft,
    /// Refused as a whole.
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

/// A batch as Zep stores it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Zep's id.
    pub batch_id: Option<String>,
    /// Its status.
    pub status: Option<BatchStatus>,
    /// How many items it has.
    pub item_count: Option<u64>,
    /// The application's own fields.
    pub metadata: Option<Metadata>,
    /// Its progress.
    pub progress: Option<BatchProgress>,
    /// When it was created.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// When its processing was started.
    #[serde(deserialize_with = "lenient_time")]
    pub processed_at: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "lenient_time")]
    pub completed_at: Option<Timestamp>,
}

/// A batch's progress, in items.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchProgress {
    /// All.
    pub total_items: Option<u64>,
    /// Waiting.
    pub queued_items: Option<u64>,
    /// Being processed.
    pub processing_items: Option<u64>,
    /// Stored.
    pub succeeded_items: Option<u64>,
    /// Not stored.
    pub failed_items: Option<u64>,
    /// Skipped.
    pub skipped_items: Option<u64>,
    /// Stopped.
    pub canceled_items: Option<u64>,
    /// 0–100.
    pub percent_complete: Option<f64>,
}

/// The status of one item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchItemStatus {
    /// In a draft.
    Pending,
    /// Waiting.
    Queued,
    /// Being processed.
    Processing,
    /// Stored.
    Succeeded,
    /// Not stored.
    Failed,
    /// Skipped.
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

/// What an item of a batch is stored as.
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
    /// What it is stored as.
    pub kind: Option<BatchItemKind>,
    /// Its status.
    pub status: Option<BatchItemStatus>,
    /// Its episode, which is also its message.
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

/// A background task of Zep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Zep's id.
    pub task_id: Option<String>,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its status.
    pub status: Option<String>,
    /// What went wrong.
    pub error: Option<Value>,
    /// When it was created.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "lenient_time")]
    pub completed_at: Option<Timestamp>,
}

//! Graphs, and what is in them: episodes, facts, entities.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Metadata, RecordMark, Role, lenient_time, null_is_default};
use crate::zep::ids::Uuid;

/// A graph that belongs to no user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Graph {
    /// Zep's id.
    pub uuid: Option<Uuid>,
    /// The application's id.
    pub graph_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// When it was created in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
}

/// What kind of data an episode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// A JSON document.
    Json,
    /// A turn of a conversation.
    Message,
    /// Plain text.
    #[serde(other)]
    Text,
}

/// An episode to be added to a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEpisode {
    /// What kind of data it is.
    pub data_type: DataType,
    /// The data, at most 10,000 characters.
    pub data: String,
    /// When it happened; `None`: the time of ingestion.
    pub created_at: Option<Timestamp>,
    /// Which record it is.
    pub mark: Option<RecordMark>,
    /// Flat keys: at most 10, with the mark's.
    pub metadata: Metadata,
    /// Where it came from, for people.
    pub source_description: Option<String>,
}

impl NewEpisode {
    /// The same episode with its mark in its metadata, for backends that keep it there.
    pub(crate) fn with_mark_in_metadata(&self) -> Self {
        Self {
            metadata: RecordMark::encode(self.mark.as_ref(), &self.metadata),
            mark: None,
            ..self.clone()
        }
    }
}

/// An episode as Zep stores it. Every message of a thread is one, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Zep's id.
    pub uuid: Uuid,
    /// The data.
    pub content: String,
    /// When it happened.
    #[serde(default, deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// The application's own fields.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// Whether Zep has extracted its facts.
    #[serde(default)]
    pub processed: Option<bool>,
    /// The speaker's name, for messages.
    #[serde(default)]
    pub role: Option<String>,
    /// Who speaks, for messages.
    #[serde(default)]
    pub role_type: Option<Role>,
    /// What kind of data it is.
    #[serde(default)]
    pub source: Option<DataType>,
    /// Where it came from.
    #[serde(default)]
    pub source_description: Option<String>,
    /// The thread it is a message of.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// In a search: a rank, or with [`Reranker::CrossEncoder`](super::Reranker::CrossEncoder) a similarity in 0–1.
    #[serde(default)]
    pub score: Option<f64>,
}

impl Episode {
    /// Which record the episode belongs to, where this program wrote it.
    pub fn mark(&self) -> Option<RecordMark> {
        RecordMark::decode(self.metadata.as_ref()?)
    }
}

/// A fact (edge) that Zep extracted from episodes. It has no metadata, session or user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Zep's id.
    pub uuid: Uuid,
    /// The fact as text.
    pub fact: String,
    /// The relation's name.
    #[serde(default)]
    pub name: String,
    /// When Zep extracted it: not when it happened.
    #[serde(default, deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// Since when it is true.
    #[serde(default, deserialize_with = "lenient_time")]
    pub valid_at: Option<Timestamp>,
    /// Since when it is no longer true.
    #[serde(default, deserialize_with = "lenient_time")]
    pub invalid_at: Option<Timestamp>,
    /// When Zep learned that it is no longer true.
    #[serde(default, deserialize_with = "lenient_time")]
    pub expired_at: Option<Timestamp>,
    /// The episodes it was extracted from.
    #[serde(default, deserialize_with = "null_is_default")]
    pub episodes: Vec<Uuid>,
    /// The relation's attributes.
    #[serde(default)]
    pub attributes: Option<Map<String, Value>>,
    /// The entity it is about.
    #[serde(default)]
    pub source_node_uuid: Option<Uuid>,
    /// The entity at its other end.
    #[serde(default)]
    pub target_node_uuid: Option<Uuid>,
    /// In a search: a rank, or with [`Reranker::CrossEncoder`](super::Reranker::CrossEncoder) a similarity in 0–1.
    #[serde(default)]
    pub score: Option<f64>,
}

/// An entity (node) that Zep recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// Zep's id.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Its summary.
    #[serde(default)]
    pub summary: String,
    /// What kind of thing it is.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// When Zep recognised it.
    #[serde(default, deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// Its attributes.
    #[serde(default)]
    pub attributes: Option<Map<String, Value>>,
    /// In a search: a rank, or with [`Reranker::CrossEncoder`](super::Reranker::CrossEncoder) a similarity in 0–1.
    #[serde(default)]
    pub score: Option<f64>,
}

/// Changes to a fact. Absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FactPatch {
    /// The new text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fact: Option<String>,
    /// The new attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
}

//! What goes to Zep and what comes back, in generation 3's own field names.
//!
//! Answers are read leniently, as Zep's schemas allow: unknown fields pass, every optional field
//! may be absent or null, and a time that is no time reads as absent rather than failing the whole
//! answer.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::ids::{Owner, ThreadId, UserId, Uuid};

/// A metadata object. Zep takes at most 10 keys, each a string, a number, a boolean or a non-empty
/// array of those.
pub type Metadata = Map<String, Value>;

/// The metadata key under which every record that this program writes carries its record id.
pub const RECORD_ID_KEY: &str = "zm_id";
/// The metadata key that says which part of a split record this is: `2/3`.
pub const RECORD_PART_KEY: &str = "zm_part";

/// Who speaks in a message (Zep: adding messages). Roles that Zep may add later read as `norole`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The AI.
    Assistant,
    /// Instructions and records about the conversation.
    System,
    /// The result of a function call.
    Function,
    /// The result of a tool call.
    Tool,
    /// None of these.
    #[serde(other)]
    NoRole,
}

impl Role {
    /// Zep's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Function => "function",
            Self::Tool => "tool",
            Self::NoRole => "norole",
        }
    }
}

/// The project that a key belongs to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Project {
    /// Zep's id of it.
    pub uuid: Option<Uuid>,
    /// Its name.
    pub name: Option<String>,
    /// When it was made.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
}

/// A user as Zep knows them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Zep's id.
    pub uuid: Option<Uuid>,
    /// The application's id.
    pub user_id: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// The application's own fields.
    pub metadata: Option<Metadata>,
    /// When they were made in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// When they were last changed.
    #[serde(deserialize_with = "lenient_time")]
    pub updated_at: Option<Timestamp>,
}

/// The fields of a user that an application sets. Absent ones are left as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserFields {
    /// Their address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The application's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A page of a numbered listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNumber {
    /// From 1.
    pub number: u32,
    /// Items on it.
    pub size: u32,
}

/// A page of users, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserPage {
    /// The users.
    #[serde(deserialize_with = "null_is_default")]
    pub users: Vec<User>,
    /// How many there are in all.
    pub total_count: Option<u64>,
}

/// A thread as Zep knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Zep's id.
    pub uuid: Option<Uuid>,
    /// The application's id.
    pub thread_id: Option<String>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// When it was made in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
}

/// A page of threads, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadPage {
    /// The threads.
    #[serde(deserialize_with = "null_is_default")]
    pub threads: Vec<Thread>,
    /// How many there are in all.
    pub total_count: Option<u64>,
}

/// A message to be added to a thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewMessage {
    /// Who speaks.
    pub role: Role,
    /// What was said, at most 4,096 characters.
    pub content: String,
    /// The speaker's name, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was said. Left out, Zep takes the time of ingestion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// At most 10 flat keys.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
}

/// A message as Zep stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Zep's id: the same as that of the message's episode.
    pub uuid: Option<Uuid>,
    /// Who speaks.
    pub role: Role,
    /// What was said.
    pub content: String,
    /// The speaker's name.
    #[serde(default)]
    pub name: Option<String>,
    /// When it was said.
    #[serde(default, deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// The application's own fields.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// Whether Zep has drawn its facts from it.
    #[serde(default)]
    pub processed: Option<bool>,
}

/// Which messages of a thread to read, always answered oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// The first ones.
    First {
        /// How many at most.
        limit: u32,
    },
    /// Those behind a known message.
    After {
        /// How many messages stand before the window, the known one included.
        offset: u64,
        /// The known message: the one directly before the window. The adapter proves by it that it
        /// reads the right place.
        last: Uuid,
        /// How many at most.
        limit: u32,
    },
    /// The newest ones.
    Last {
        /// How many at most.
        limit: u32,
    },
}

/// Messages of a thread, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessagePage {
    /// The messages.
    #[serde(deserialize_with = "null_is_default")]
    pub messages: Vec<Message>,
    /// How many the thread holds in all.
    pub total_count: Option<u64>,
    /// Whose thread it is. Absent: not ours (who does not say, is not believed).
    pub user_id: Option<String>,
    /// When the thread was made in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub thread_created_at: Option<Timestamp>,
}

/// What adding messages answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddedMessages {
    /// The new messages' ids, in the order they were given.
    #[serde(deserialize_with = "null_is_default")]
    pub message_uuids: Vec<Uuid>,
    /// The context block, where it was asked for.
    pub context: Option<String>,
    /// The task that processes them.
    pub task_id: Option<String>,
}

/// Zep's ready-made context block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadContext {
    /// The block.
    pub context: Option<String>,
}

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
    /// When it was made in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
}

/// A page of graphs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GraphPage {
    /// The graphs.
    #[serde(deserialize_with = "null_is_default")]
    pub graphs: Vec<Graph>,
    /// How many there are in all.
    pub total_count: Option<u64>,
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
    /// When it happened. Left out, Zep takes the time of ingestion.
    pub created_at: Option<Timestamp>,
    /// At most 10 flat keys.
    pub metadata: Metadata,
    /// Where it came from, for people.
    pub source_description: Option<String>,
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
    /// Whether Zep has drawn its facts from it.
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
    /// In a search: a rank, or with [`Reranker::CrossEncoder`] a likeness in 0–1.
    #[serde(default)]
    pub score: Option<f64>,
}

/// A fact (edge) that Zep drew from episodes. Carries no metadata, no session and no user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Zep's id.
    pub uuid: Uuid,
    /// The fact in words.
    pub fact: String,
    /// The relation's name.
    #[serde(default)]
    pub name: String,
    /// When Zep drew it: not when it happened.
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
    /// The episodes it was drawn from.
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
    /// In a search: a rank, or with [`Reranker::CrossEncoder`] a likeness in 0–1.
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
    /// What is known of it.
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
    /// In a search: a rank, or with [`Reranker::CrossEncoder`] a likeness in 0–1.
    #[serde(default)]
    pub score: Option<f64>,
}

/// What a search looks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchScope {
    /// Facts.
    Edges,
    /// Entities.
    Nodes,
    /// Episodes, messages included.
    Episodes,
    /// Whatever Zep finds useful, as a ready-made context block.
    Auto,
}

/// How a search orders what it found (Zep: searching the graph).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reranker {
    /// By reciprocal rank: `score` is a rank.
    Rrf,
    /// By likeness to the query: `score` is in 0–1.
    CrossEncoder,
}

/// A search in one graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// What to look for, at most 400 characters.
    pub query: String,
    /// What to look through.
    pub scope: SearchScope,
    /// At most 50; `None` for Zep's default of 10, and for [`SearchScope::Auto`], which ignores it.
    pub limit: Option<u32>,
    /// How to order; `None` for Zep's default, `rrf`.
    pub reranker: Option<Reranker>,
    /// What to leave out.
    pub filters: Filters,
}

/// Restrictions on facts and entities (zep-cloud 3.30.0, `SearchFilters`). Lists hold at most 256.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Only these facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_uuids: Option<Vec<Uuid>>,
    /// Only what was drawn from these episodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode_uuids: Option<Vec<Uuid>>,
    /// By time of creation: any of the lists, all conditions of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Vec<Vec<DateFilter>>>,
    /// Only what was drawn from episodes with such metadata. Experimental in Zep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode_metadata_filters: Option<MetadataFilter>,
}

impl Filters {
    /// Whether nothing is restricted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A condition on a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DateFilter {
    /// `=`, `<>`, `>`, `<`, `>=`, `<=`, `IS NULL`, `IS NOT NULL`.
    pub comparison_operator: String,
    /// What to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// A condition on episodes' metadata, made of conditions on single keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetadataFilter {
    /// `and` or `or`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Conditions on single keys.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub filters: Vec<MetadataCondition>,
    /// Conditions within the condition.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub groups: Vec<MetadataFilter>,
}

impl MetadataFilter {
    /// Exactly this value under this key.
    pub fn equals(key: &str, value: &str) -> Self {
        Self {
            kind: "and".into(),
            filters: vec![MetadataCondition {
                comparison_operator: "=".into(),
                property_name: key.into(),
                property_value: Value::String(value.into()),
            }],
            groups: Vec::new(),
        }
    }
}

/// A condition on one metadata key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetadataCondition {
    /// `=`, `<>`, `>`, `<`, `>=`, `<=`, `IS NULL`, `IS NOT NULL`, `CONTAINS`.
    pub comparison_operator: String,
    /// The key.
    pub property_name: String,
    /// What to compare with; absent for the two `NULL` operators.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub property_value: Value,
}

/// What a search found, in the order of fitness.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Facts.
    #[serde(deserialize_with = "null_is_default")]
    pub edges: Vec<Fact>,
    /// Entities.
    #[serde(deserialize_with = "null_is_default")]
    pub nodes: Vec<Entity>,
    /// Episodes.
    #[serde(deserialize_with = "null_is_default")]
    pub episodes: Vec<Episode>,
    /// The ready-made context block of [`SearchScope::Auto`].
    pub context: Option<String>,
}

/// By what a listing of facts or episodes is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// By Zep's id.
    Uuid,
    /// By the time of the event, not of receipt.
    CreatedAt,
}

/// The direction of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Smallest or oldest first.
    Asc,
    /// Largest or newest first.
    Desc,
}

/// Which page of which facts or episodes to list, as Zep takes it in the body.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// At most 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The previous page's [`Page::next_cursor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Left out, Zep orders by uuid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_by: Option<OrderBy>,
    /// Left out, Zep lists downwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Facts only: which ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Filters>,
    /// Episodes only: these episodes, and those that mention these entities. At most 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentioned_node_uuids: Option<Vec<Uuid>>,
    /// Episodes only: those with such metadata. Experimental in Zep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode_metadata_filters: Option<MetadataFilter>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A changed fact. Absent fields are left as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FactPatch {
    /// The new words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fact: Option<String>,
    /// The new attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
}

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

/// One item of a batch as Zep lists it: without content and metadata.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchItemState {
    /// Zep's id of the item.
    pub item_id: Option<String>,
    /// Its place in the batch, in the order added.
    pub sequence_index: Option<u64>,
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

/// A new user: an id and what is known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    /// The application's id.
    pub user_id: UserId,
    /// What is known of them.
    pub fields: UserFields,
}

/// Reads a time where there is one; anything else (null, or text that is no RFC 3339 time) reads as
/// absent.
fn lenient_time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let raw = Option::<Value>::deserialize(input)?;
    Ok(raw.and_then(|value| value.as_str()?.parse().ok()))
}

/// Reads `null` as the empty value.
fn null_is_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

//! Threads and their messages.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{Metadata, RecordMark, lenient_time, null_is_default};
use crate::zep::ids::{Owner, Uuid};

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

/// A thread as Zep stores it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Zep's id.
    pub uuid: Option<Uuid>,
    /// The application's id.
    pub thread_id: Option<String>,
    /// Its user.
    pub user_id: Option<String>,
    /// When it was created in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
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
    /// When it was said; `None`: the time of ingestion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Which record it is. An adapter encodes it before it sends the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<RecordMark>,
    /// Flat keys: at most 10, with the mark's.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
}

impl NewMessage {
    /// The same message with its mark in its metadata, for backends that keep it there.
    pub(crate) fn with_mark_in_metadata(&self) -> Self {
        Self {
            metadata: RecordMark::encode(self.mark.as_ref(), &self.metadata),
            mark: None,
            ..self.clone()
        }
    }
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
    /// Whether Zep has extracted its facts.
    #[serde(default)]
    pub processed: Option<bool>,
}

impl Message {
    /// Which record the message belongs to, where this program wrote it.
    pub fn mark(&self) -> Option<RecordMark> {
        RecordMark::decode(self.metadata.as_ref()?)
    }
}

/// Which messages of a thread to read, always answered oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// The first ones.
    First {
        /// How many at most.
        limit: u32,
    },
    /// Those after a known message.
    After {
        /// How many messages come before the window, the known one included.
        offset: u64,
        /// The message directly before the window: the proof that the right place is read.
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
    /// The thread's user. Absent counts as somebody else's.
    pub user_id: Option<String>,
    /// When the thread was created in Zep.
    #[serde(deserialize_with = "lenient_time")]
    pub thread_created_at: Option<Timestamp>,
    /// Whether the backend guarantees that none of the messages repeats an earlier one of the thread.
    #[serde(skip)]
    pub is_single: bool,
}

impl MessagePage {
    /// Whether the thread is this owner's; not if its user is not named.
    pub fn is_of(&self, owner: &Owner) -> bool {
        match owner {
            Owner::User(user) => self.user_id.as_deref() == Some(user.as_str()),
            Owner::Graph(_) => false,
        }
    }
}

/// The answer to adding messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddedMessages {
    /// The new messages' ids, in order.
    #[serde(deserialize_with = "null_is_default")]
    pub message_uuids: Vec<Uuid>,
    /// The context block, if requested.
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

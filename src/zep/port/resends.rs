//! What an adapter tells of writes that may arrive twice.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::zep::ids::{Owner, ThreadId};

/// A record that was sent again since it was not found, or that stayed in doubt, so that its caller may
/// send it again. Should the first write arrive after all, Zep holds the record twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAgain {
    /// Where it was sent.
    pub to: SentTo,
    /// The record's id.
    pub record: String,
    /// Whether it was deleted since: then no copy stays.
    pub deleted: bool,
}

/// Where a record was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentTo {
    /// To this thread, as messages.
    Thread(ThreadId),
    /// To this owner's graph, as episodes.
    Graph(Owner),
}

/// Is told which records may arrive twice.
#[async_trait]
pub trait Resends: Send + Sync + Debug {
    /// Notes a record, before it is sent again.
    async fn note(&self, sent: SentAgain);

    /// A record is deleted, or (`deleted` false) may be stored anew under its id. Does nothing for a
    /// record that was not noted.
    async fn set_deleted(&self, sent: SentAgain);
}

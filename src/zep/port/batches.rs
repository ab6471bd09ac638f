//! Batches, and other background work.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Pages;
use crate::zep::error::Result;
use crate::zep::types::{
    Batch, BatchItem, BatchItemState, BatchItemStatus, BatchStatus, Metadata, Task,
};

/// Batches, and other background work.
#[async_trait]
pub trait Batches: Send + Sync + Debug {
    /// Creates an empty draft of a batch.
    async fn create_batch(&self, metadata: &Metadata) -> Result<Batch>;
    /// Batches, newest first, of one status or of all.
    fn batches(&self, status: Option<BatchStatus>) -> Pages<'_, Batch>;
    /// A batch.
    async fn batch(&self, batch: &str) -> Result<Batch>;
    /// Appends 1 to 350 items to a draft, in order. Answers the items as they are then.
    async fn add_batch_items(
        &self,
        batch: &str,
        items: &[BatchItem],
    ) -> Result<Vec<BatchItemState>>;
    /// A batch's items, of one status or of all, in the order added.
    fn batch_items<'a>(
        &'a self,
        batch: &'a str,
        status: Option<BatchItemStatus>,
    ) -> Pages<'a, BatchItemState>;
    /// Starts the processing of a draft. [`Error::Conflict`](crate::zep::Error::Conflict) if it is
    /// no draft.
    async fn process_batch(&self, batch: &str) -> Result<Batch>;
    /// Deletes a batch that is not being processed.
    async fn delete_batch(&self, batch: &str) -> Result<()>;

    /// A background task.
    async fn task(&self, task: &str) -> Result<Task>;
}

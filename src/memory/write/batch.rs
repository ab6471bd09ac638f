//! Imported records in Zep's batches.

use std::collections::HashSet;

use serde_json::Value;

use super::import::{Imported, draft_of};
use crate::memory::{
    Result,
    access::{Caller, Right},
    model::Place,
    record::draft::Stored,
    record::fit::{Carrier, Level},
    service::MemoryService,
    write::job::{episode, message},
};
use crate::zep::{
    Batch, BatchItem, BatchItemState, BatchItemStatus, BatchStatus, Error, Metadata, OWN_KEYS,
    ThreadId,
};

/// The metadata keys of a batch: the run that sent it, and its number.
const RUN_KEY: &str = "zm_run";
const NUMBER_KEY: &str = "zm_batch";

/// Names a batch by its run and its number within the run. Both are in the batch's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BatchName {
    /// The run's id.
    pub run: String,
    /// The batch's number in the ledger.
    pub number: i64,
}

impl BatchName {
    fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.insert(RUN_KEY.into(), self.run.as_str().into());
        metadata.insert(NUMBER_KEY.into(), self.number.into());
        metadata
    }

    fn of(metadata: &Metadata) -> Option<Self> {
        Some(Self {
            run: metadata.get(RUN_KEY)?.as_str()?.to_owned(),
            number: metadata.get(NUMBER_KEY).and_then(Value::as_i64)?,
        })
    }
}

/// The items of a record, or of one request.
#[derive(Debug, Default)]
pub struct BatchItems(Vec<BatchItem>);

impl BatchItems {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends those of a record.
    pub fn push(&mut self, record: Self) {
        self.0.extend(record.0);
    }

    /// Cuts off all but the first so many.
    #[must_use]
    pub fn split_off(&mut self, first: usize) -> Self {
        Self(self.0.split_off(first))
    }
}

impl MemoryService {
    /// Prepares a record that is not stored at all, not even in part; `thread` is its session's.
    /// `None` if a call of this process may have stored it.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`] if the caller may not reach the owner,
    /// [`crate::memory::Error::Invalid`] names the field that cannot be stored.
    pub fn batch_items(
        &self,
        caller: &Caller,
        place: &Place,
        thread: Option<&ThreadId>,
        record: Imported,
    ) -> Result<Option<BatchItems>> {
        let owner = place.owner();
        caller.may(Right::Migrate, &owner)?;
        let draft = draft_of(record, Carrier::at(place));
        let key = (owner.clone(), draft.id().to_owned());
        if self.inner.keyed.contains(&key) {
            return Ok(None);
        }
        let parts = draft.missing(Level::Normal, &Stored::default())?;
        let items = parts
            .into_iter()
            .map(|part| match thread {
                Some(thread) => BatchItem::Message(thread.clone(), message(&draft, part)),
                None => BatchItem::Episode(owner.clone(), episode(&draft, &part)),
            })
            .collect();
        Ok(Some(BatchItems(items)))
    }

    /// Creates a draft. Answers its id.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails; not found if it has no Batch API.
    pub async fn create_batch(&self, caller: &Caller, name: &BatchName) -> Result<String> {
        caller.may_at_all(Right::Migrate)?;
        let batch = self.zep().create_batch(&name.metadata()).await?;
        let unnamed = || Error::BadAnswer {
            message: "it names no id of the new batch".into(),
        };
        Ok(batch.batch_id.ok_or_else(unnamed)?)
    }

    /// All drafts that this program created, with their ids. Empty where there is no Batch API.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn batch_drafts(&self, caller: &Caller) -> Result<Vec<(BatchName, String)>> {
        caller.may_at_all(Right::Migrate)?;
        let mut drafts = Vec::new();
        let mut pages = self.zep().batches(Some(BatchStatus::Draft));
        loop {
            let page = match pages.next().await {
                Err(error) if error.is_not_found() => return Ok(drafts),
                page => page?,
            };
            let Some(page) = page else { return Ok(drafts) };
            drafts.extend(page.items.into_iter().filter_map(|batch| {
                let name = BatchName::of(&batch.metadata?)?;
                Some((name, batch.batch_id?))
            }));
        }
    }

    /// Appends items to a draft, all or none.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn add_to_batch(
        &self,
        caller: &Caller,
        batch: &str,
        items: &BatchItems,
    ) -> Result<()> {
        caller.may_at_all(Right::Migrate)?;
        self.zep().add_batch_items(batch, &items.0).await?;
        Ok(())
    }

    /// A batch.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn batch(&self, caller: &Caller, batch: &str) -> Result<Batch> {
        caller.may_at_all(Right::Migrate)?;
        Ok(self.zep().batch(batch).await?)
    }

    /// Starts the processing of a draft. Does nothing if it was started before.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn process_batch(&self, caller: &Caller, batch: &str) -> Result<()> {
        caller.may_at_all(Right::Migrate)?;
        match self.zep().process_batch(batch).await {
            Err(error) if !error.is_conflict() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Deletes a draft. Answers whether it is gone: one that is being processed is not deleted.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails.
    pub async fn delete_draft(&self, caller: &Caller, batch: &str) -> Result<bool> {
        caller.may_at_all(Right::Migrate)?;
        match self.zep().delete_batch(batch).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The items of a processed batch that are not stored, by their place in it. Reads as few pages as
    /// the batch's own counts allow.
    ///
    /// # Errors
    /// [`crate::memory::Error::Zep`] if Zep fails, or its counts and its list differ.
    pub async fn not_stored(&self, caller: &Caller, batch: &Batch) -> Result<HashSet<u64>> {
        caller.may_at_all(Right::Migrate)?;
        let mut missing = HashSet::new();
        let Some(id) = &batch.batch_id else {
            return Err(Error::BadAnswer {
                message: "a batch has no id".into(),
            }
            .into());
        };
        let counts = batch.progress.clone().unwrap_or_default();
        let refused = [
            (BatchItemStatus::Failed, counts.failed_items.unwrap_or(0)),
            (BatchItemStatus::Skipped, counts.skipped_items.unwrap_or(0)),
            (
                BatchItemStatus::Canceled,
                counts.canceled_items.unwrap_or(0),
            ),
        ];
        let in_all = counts.succeeded_items.map(|stored| {
            let refused: u64 = refused.iter().map(|(_, count)| count).sum();
            stored + refused
        });
        if in_all.is_some() && in_all == batch.item_count {
            for (status, count) in refused.into_iter().filter(|(_, count)| *count > 0) {
                let before = missing.len() as u64;
                self.list_items(id, status, |item| missing.insert(item))
                    .await?;
                if missing.len() as u64 - before != count {
                    return Err(Error::BadAnswer {
                        message: "a batch's counts and its list of items differ".into(),
                    }
                    .into());
                }
            }
            return Ok(missing);
        }
        missing.extend(0..batch.item_count.unwrap_or(0));
        self.list_items(id, BatchItemStatus::Succeeded, |item| missing.remove(&item))
            .await?;
        Ok(missing)
    }

    async fn list_items(
        &self,
        batch: &str,
        status: BatchItemStatus,
        mut each: impl FnMut(u64) -> bool,
    ) -> Result<()> {
        let mut pages = self.zep().batch_items(batch, Some(status));
        while let Some(page) = pages.next().await? {
            let is_it = |item: &BatchItemState| item.status == Some(status);
            for item in page.items.into_iter().filter(is_it) {
                if let Some(place) = item.sequence_index {
                    each(place);
                }
            }
        }
        Ok(())
    }
}

/// Whether a batch is one that this program sent.
pub(super) fn is_ours(batch: &Batch) -> bool {
    let mut keys = batch.metadata.iter().flat_map(Metadata::keys);
    keys.any(|key| key.starts_with(OWN_KEYS))
}

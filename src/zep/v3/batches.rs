//! Batches, and other background work.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ZepCloud;
use super::calls::owner_field;
use super::pages::{BatchItemPage, BatchPage};
use super::writes::episode_fields;
use crate::zep::error::Result;
use crate::zep::port::{Batches, Pages};
use crate::zep::transport::Request;
use crate::zep::types::{
    Batch, BatchItem, BatchItemState, BatchItemStatus, BatchStatus, Metadata, Task,
};

/// Batches or items of a page. Ours.
const PAGE: u32 = 100;

#[async_trait]
impl Batches for ZepCloud {
    async fn create_batch(&self, metadata: &Metadata) -> Result<Batch> {
        // Twice would leave a stray draft.
        self.ask(Request::post(&["batches"]).json(&json!({ "metadata": metadata }))?)
            .await
    }

    fn batches(&self, status: Option<BatchStatus>) -> Pages<'_, Batch> {
        Pages::by_cursor(move |cursor: Option<u64>| async move {
            let request = part(Request::get(&["batches"]), cursor, status);
            let page: BatchPage = self.ask(request).await?;
            Ok((page.batches, page.next_cursor))
        })
    }

    async fn batch(&self, batch: &str) -> Result<Batch> {
        self.ask(Request::get(&["batches", batch])).await
    }

    async fn add_batch_items(
        &self,
        batch: &str,
        items: &[BatchItem],
    ) -> Result<Vec<BatchItemState>> {
        let items: Vec<Value> = items.iter().map(item_body).collect();
        // Twice would append them twice; the caller can count the draft's items.
        let request =
            Request::post(&["batches", batch, "items"]).json(&json!({ "items": items }))?;
        let added: Option<Vec<BatchItemState>> = self.ask(request).await?;
        Ok(added.unwrap_or_default())
    }

    fn batch_items<'a>(
        &'a self,
        batch: &'a str,
        status: Option<BatchItemStatus>,
    ) -> Pages<'a, BatchItemState> {
        Pages::by_cursor(move |cursor: Option<u64>| async move {
            let request = part(Request::get(&["batches", batch, "items"]), cursor, status);
            let page: BatchItemPage = self.ask(request).await?;
            Ok((page.items, page.next_cursor))
        })
    }

    async fn process_batch(&self, batch: &str) -> Result<Batch> {
        // Only a draft can be processed.
        let request = Request::post(&["batches", batch, "process"]);
        let existing = Request::get(&["batches", batch]);
        self.once(request, existing, |there: Batch| {
            let is_given = there.status.is_some_and(|it| it != BatchStatus::Draft);
            is_given.then_some(there)
        })
        .await
    }

    async fn delete_batch(&self, batch: &str) -> Result<()> {
        self.delete(&["batches", batch]).await
    }

    async fn task(&self, task: &str) -> Result<Task> {
        self.ask(Request::get(&["tasks", task])).await
    }
}

fn part(request: Request, cursor: Option<u64>, status: Option<impl Serialize>) -> Request {
    let status = status.and_then(|status| json!(status).as_str().map(str::to_owned));
    request
        .query("limit", PAGE)
        .query_opt("cursor", cursor)
        .query_opt("status", status)
}

fn item_body(item: &BatchItem) -> Value {
    let mut fields: Map<String, Value>;
    match item {
        BatchItem::Message(thread, message) => {
            fields = match json!(message.with_mark_in_metadata()) {
                Value::Object(fields) => fields,
                _ => Map::new(),
            };
            fields.insert("type".into(), "thread_message".into());
            fields.insert("thread_id".into(), thread.as_str().into());
        }
        BatchItem::Episode(owner, episode) => {
            let (owner, id) = owner_field(owner);
            fields = episode_fields(episode);
            fields.insert("type".into(), "graph_episode".into());
            fields.insert("data_type".into(), json!(episode.data_type));
            fields.insert(owner.into(), id.into());
        }
    }
    Value::Object(fields)
}

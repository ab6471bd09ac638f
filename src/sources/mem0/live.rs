//! mem0 Platform, in use: the service's memories stay there.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::client::platform::{Client, Page};
use super::platform::described;
use crate::memory::mem0::{Accepted, Addition, Listed, Mem0, Mem0Error, Named, Object, Result};
use crate::sources::client::{Error, Limits};
use crate::zep::Outcome;

/// How long to try while somebody waits. Ours.
const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    patience: Duration::from_secs(10),
};
/// The most pages of the list of entities that are read for one answer. Ours.
const MAX_ENTITY_PAGES: u64 = 100;

/// mem0 Platform, for a service whose memories stay there.
pub struct LiveMem0(Client);

impl fmt::Debug for LiveMem0 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveMem0").field(&self.0.host()).finish()
    }
}

impl LiveMem0 {
    /// Checks the address and the key, and sends nothing.
    ///
    /// # Errors
    /// If the address or the key cannot be used.
    pub fn new(url: &str, key: &SecretString) -> std::result::Result<Self, Error> {
        Client::new(url, key, LIMITS).map(Self)
    }
}

#[async_trait]
impl Mem0 for LiveMem0 {
    fn host(&self) -> String {
        self.0.host()
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await?;
        Ok(())
    }

    async fn add(&self, new: &Addition) -> Result<Accepted> {
        let answer = self.0.add(body(new)).await?;
        Ok(accepted(&answer))
    }

    async fn search(
        &self,
        query: &str,
        filters: &Value,
        top_k: u32,
        threshold: Option<f64>,
    ) -> Result<Vec<Object>> {
        let found = self.0.search(query, filters, top_k, threshold).await?;
        Ok(found.results)
    }

    async fn memories(&self, filters: &Value, page: u32, page_size: u32) -> Result<Listed> {
        let size = usize::try_from(page_size).unwrap_or(usize::MAX);
        match self.0.current(filters, page.into(), size).await {
            Ok(page) => Ok(listed(&page)),
            // mem0 has no page behind the last one.
            Err(Error::NotFound { .. }) if page > 1 => Ok(Listed::default()),
            Err(error) => Err(error.into()),
        }
    }

    async fn memory(&self, id: &str) -> Result<Object> {
        Ok(self.0.memory(id).await?)
    }

    async fn update(&self, id: &str, text: Option<&str>, metadata: Option<&Object>) -> Result<()> {
        let mut fields = Map::new();
        if let Some(text) = text {
            fields.insert("text".into(), text.into());
        }
        if let Some(metadata) = metadata {
            fields.insert("metadata".into(), metadata.clone().into());
        }
        if fields.is_empty() {
            return Err(refused("nothing is to be changed: give a text or metadata"));
        }
        Ok(self.0.update(id, fields).await?)
    }

    async fn delete(&self, id: &str) -> Result<()> {
        Ok(self.0.delete(id).await?)
    }

    async fn delete_all(&self, of: &[(&'static str, String)]) -> Result<()> {
        // mem0 once took no entity for all memories.
        if of.is_empty() {
            return Err(refused("name a user, agent, app or run"));
        }
        of.iter().try_for_each(|(_, id)| names_one(id))?;
        Ok(self.0.delete_all(of).await?)
    }

    async fn entities(&self) -> Result<Vec<Named>> {
        let mut seen = HashSet::new();
        let mut entities = Vec::new();
        let mut last = None;
        for number in 1..=MAX_ENTITY_PAGES {
            let page = self.0.entities(last.as_ref().map(|last| (last, number)));
            let page = page.await?;
            let before = seen.len();
            for raw in &page.results {
                let Some(entity) = serde_json::from_str(raw.get())
                    .ok()
                    .and_then(|item| described(&item))
                else {
                    continue;
                };
                let named = Named {
                    kind: entity.kind.as_str(),
                    id: entity.name,
                };
                if seen.insert(named.clone()) {
                    entities.push(named);
                }
            }
            if !page.has_next() || seen.len() == before {
                return Ok(entities);
            }
            last = Some(page);
        }
        tracing::warn!(
            pages = MAX_ENTITY_PAGES,
            entities = entities.len(),
            "mem0 has more entities than are listed"
        );
        Ok(entities)
    }

    async fn delete_entity(&self, entity: &Named) -> Result<()> {
        names_one(&entity.id)?;
        Ok(self.0.delete_entity(entity.kind, &entity.id).await?)
    }

    async fn event(&self, id: &str) -> Result<Object> {
        Ok(self.0.event(id).await?)
    }
}

/// An addition as mem0's client sends it: what is usual is left out.
fn body(new: &Addition) -> Value {
    let messages: Vec<_> = new
        .messages
        .iter()
        .map(|(role, content)| json!({"role": role, "content": content}))
        .collect();
    let mut body = json!({"messages": messages});
    for (field, id) in &new.of {
        body[*field] = id.as_str().into();
    }
    if !new.metadata.is_empty() {
        body["metadata"] = new.metadata.clone().into();
    }
    if let Some(timestamp) = new.timestamp {
        body["timestamp"] = timestamp.into();
    }
    if !new.infer {
        body["infer"] = false.into();
    }
    body
}

/// What mem0 answered to an addition. Where it made the memories at once they are in `results`;
/// older releases answered these alone, or an event for each.
fn accepted(answer: &Value) -> Accepted {
    let results = answer.get("results").unwrap_or(answer).as_array();
    let results = results.map_or(&[][..], Vec::as_slice);
    let text = |field: &str| {
        std::iter::once(answer)
            .chain(results)
            .find_map(|part| part.get(field)?.as_str())
            .map(str::to_owned)
    };
    let memory = |result: &Value| {
        let memory = result.pointer("/data/memory").or(result.get("memory"))?;
        let id = result.get("id")?.as_str()?;
        // What an addition replaced is no memory that it made.
        let is_gone = result.get("event").is_some_and(|event| event == "DELETE");
        (!is_gone).then(|| memory.as_str().map(|text| (id.to_owned(), text.to_owned())))?
    };
    Accepted {
        status: text("status"),
        event: text("event_id"),
        memories: results.iter().filter_map(memory).collect(),
    }
}

/// A page. An item that is no object is left out: it must not cost the others.
fn listed(page: &Page) -> Listed {
    let texts = page.results.iter().map(|raw| raw.get());
    let items = texts.filter_map(|text| serde_json::from_str(text).ok());
    Listed {
        items: items.collect(),
        count: page.count,
        has_next: page.has_next(),
    }
}

/// Checks that an id is one entity's: mem0 takes `*` for all of a kind.
fn names_one(id: &str) -> Result<()> {
    match id {
        "" | "*" => Err(refused("an id that is empty or `*` names no one entity")),
        _ => Ok(()),
    }
}

/// A request that mem0 would refuse, or take for another one.
fn refused(message: &str) -> Mem0Error {
    Mem0Error {
        message: message.into(),
        status: None,
        outcome: Outcome::Refused,
        retry_after: None,
    }
}

impl From<Error> for Mem0Error {
    fn from(error: Error) -> Self {
        let in_doubt = error.is_in_doubt();
        let (status, outcome) = match &error {
            Error::Settings { .. } => (None, Outcome::NotSent),
            // mem0 answered, so that what it says holds although an earlier attempt is in doubt.
            Error::NotFound { .. } => (Some(404), Outcome::Refused),
            Error::Unauthorized { status, .. } | Error::Refused { status, .. } => {
                (Some(*status), Outcome::Refused)
            }
            Error::RateLimited { .. } if !in_doubt => (Some(429), Outcome::NotSent),
            Error::NoAnswer { .. } if !in_doubt => (None, Outcome::NotSent),
            Error::RateLimited { .. } => (Some(429), Outcome::Unknown),
            Error::Failed { status, .. } => (Some(*status), Outcome::Unknown),
            Error::NoAnswer { .. } | Error::BadAnswer { .. } => (None, Outcome::Unknown),
        };
        let retry_after = match &error {
            Error::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        };
        Self {
            message: error.to_string(),
            status,
            outcome,
            retry_after,
        }
    }
}

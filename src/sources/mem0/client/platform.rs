//! mem0 Platform's API. Requests are those of mem0's own client, mem0ai's `MemoryClient` 2.2.1.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::outgoing;
use crate::sources::MEM0;
use crate::sources::client::{Error, Http, Limits, Request, Result, Scheme, segment};

/// mem0 Platform itself.
pub(crate) const URL: &str = "https://api.mem0.ai";
/// The most memories of a page (mem0: `page_size` up to 200).
pub(crate) const PAGE_SIZE: usize = 200;

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// How many items the list has.
    #[serde(default)]
    pub(crate) count: Option<u64>,
    /// The address of the next page, if there is one.
    #[serde(default)]
    next: Option<Value>,
    /// Each item as it came: one that cannot be read must not cost the others.
    pub(crate) results: Vec<Box<RawValue>>,
}

impl Page {
    /// Whether another page follows.
    pub(crate) fn has_next(&self) -> bool {
        match &self.next {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(next)) => !next.is_empty(),
            Some(_) => true,
        }
    }

    /// What the address of the next page asks for. Its host does not matter: the key goes nowhere
    /// else.
    fn next_query(&self) -> Option<Vec<(String, String)>> {
        let next = self.next.as_ref()?.as_str()?;
        let (_, query) = next.split_once('?')?;
        let url = reqwest::Url::parse(&format!("https://next/?{query}")).ok()?;
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        (!pairs.is_empty()).then_some(pairs)
    }
}

/// What mem0 found, best first.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    /// Memories, with `score`.
    pub(crate) results: Vec<Map<String, Value>>,
}

/// mem0 Platform.
pub(crate) struct Client(Http);

impl Client {
    /// Checks the address and the key, and sends nothing.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub(crate) fn new(url: &str, key: &SecretString, limits: Limits) -> Result<Self> {
        let (url, key) = checked(url, key)?;
        Http::new(MEM0, &url, Some((&key, Scheme::Token)), limits).map(Self)
    }

    /// Scheme and host.
    pub(crate) fn host(&self) -> String {
        self.0.host()
    }

    /// Whether the key is accepted.
    pub(crate) async fn ping(&self) -> Result<Value> {
        self.0.ask(&Request::get("/v1/ping/")).await
    }

    /// The users, agents, apps and runs: the first page, or the one after `last`, which is the
    /// `number`th.
    pub(crate) async fn entities(&self, last: Option<(&Page, u64)>) -> Result<Page> {
        let mut request = Request::get("/v1/entities/");
        if let Some((last, number)) = last {
            request.query = last
                .next_query()
                .unwrap_or_else(|| vec![("page".to_owned(), number.to_string())]);
        }
        self.0.ask(&request).await
    }

    /// A page of the memories that pass these filters, the expired ones, too. Pages count from 1.
    pub(crate) async fn memories(&self, filters: &Value, page: u64, size: usize) -> Result<Page> {
        let body = json!({"filters": filters, "show_expired": true});
        self.page(body, page, size).await
    }

    /// A page of the memories that pass these filters and have not expired. Pages count from 1.
    pub(crate) async fn current(&self, filters: &Value, page: u64, size: usize) -> Result<Page> {
        self.page(json!({"filters": filters}), page, size).await
    }

    async fn page(&self, body: Value, page: u64, size: usize) -> Result<Page> {
        let request = Request::post("/v3/memories/", body)
            .query("page", page)
            .query("page_size", size);
        self.0.ask(&request).await
    }

    /// Searches memories that have not expired. `filters` must name an entity.
    pub(crate) async fn search(
        &self,
        query: &str,
        filters: &Value,
        top_k: u32,
        threshold: Option<f64>,
    ) -> Result<Found> {
        let mut body = json!({"query": query.trim(), "filters": filters, "top_k": top_k});
        if let Some(threshold) = threshold {
            body["threshold"] = threshold.into();
        }
        let request = Request::post("/v3/memories/search/", body);
        self.0.ask(&request).await
    }

    /// Adds memories: `messages`, an entity, and what else mem0 takes. Not sent again if it may have
    /// arrived, since mem0 would add them twice.
    pub(crate) async fn add(&self, new: Value) -> Result<Value> {
        let request = Request::post("/v3/memories/add/", new).once();
        self.0.ask(&request).await
    }

    /// The processing of an addition.
    pub(crate) async fn event(&self, id: &str) -> Result<Map<String, Value>> {
        let path = format!("/v1/event/{}/", segment(MEM0, id)?);
        self.0.ask(&Request::get(path)).await
    }

    /// A memory.
    pub(crate) async fn memory(&self, id: &str) -> Result<Map<String, Value>> {
        self.0.ask(&Request::get(of_memory(id)?)).await
    }

    /// Replaces what `fields` has of `text`, `metadata` and `expiration_date`.
    pub(crate) async fn update(&self, id: &str, fields: Map<String, Value>) -> Result<()> {
        let request = Request::put(of_memory(id)?, fields.into());
        self.0.tell(&request).await
    }

    /// Deletes a memory.
    pub(crate) async fn delete(&self, id: &str) -> Result<()> {
        self.0.tell(&Request::delete(of_memory(id)?)).await
    }

    /// Deletes the memories that have all of these entities, in the background: pairs like `user_id`
    /// and an id. Not sent again if it may have arrived: what was added since must stay.
    pub(crate) async fn delete_all(&self, of: &[(&str, String)]) -> Result<()> {
        let request = of
            .iter()
            .fold(Request::delete("/v1/memories/"), |request, (field, id)| {
                request.query(field, id)
            });
        self.0.tell(&request.once()).await
    }

    /// Deletes an entity with its memories, in the background. Not sent again if it may have arrived.
    pub(crate) async fn delete_entity(&self, kind: &str, id: &str) -> Result<()> {
        let (kind, id) = (segment(MEM0, kind)?, segment(MEM0, id)?);
        let request = Request::delete(format!("/v2/entities/{kind}/{id}/"));
        self.0.tell(&request.once()).await
    }

    /// The history of a memory: the turns that it was made from are in `input`.
    pub(crate) async fn history(&self, memory: &str) -> Result<Vec<Value>> {
        let path = format!("{}history/", of_memory(memory)?);
        self.0.ask(&Request::get(path)).await
    }
}

/// The path of a memory.
fn of_memory(id: &str) -> Result<String> {
    Ok(format!("/v1/memories/{}/", segment(MEM0, id)?))
}

/// Checks an address of mem0 and a key for it.
fn checked(url: &str, key: &SecretString) -> Result<(reqwest::Url, SecretString)> {
    let url = outgoing::check_address(url, URL).map_err(|problem| Error::Settings {
        service: MEM0,
        field: "address",
        problem,
    })?;
    let key = SecretString::from(key.expose_secret().trim());
    outgoing::check_key(key.expose_secret(), "https://app.mem0.ai").map_err(|problem| {
        Error::Settings {
            service: MEM0,
            field: "key",
            problem,
        }
    })?;
    Ok((url, key))
}

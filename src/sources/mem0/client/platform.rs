//! mem0 Platform's API.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

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
        let request = Request::post("/v3/memories/", body)
            .query("page", page)
            .query("page_size", size);
        self.0.ask(&request).await
    }

    /// The history of a memory: the turns that it was made from are in `input`.
    pub(crate) async fn history(&self, memory: &str) -> Result<Vec<Value>> {
        let path = format!("/v1/memories/{}/history/", segment(MEM0, memory)?);
        self.0.ask(&Request::get(path)).await
    }
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

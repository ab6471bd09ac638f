//! The API of mem0's self-hosted server.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use crate::outgoing;
use crate::sources::MEM0;
use crate::sources::client::{Error, Http, Limits, Request, Result, Scheme};

/// The most memories that the server lists for one request (mem0: `top_k` up to 1,000, no offset).
pub(crate) const MOST_LISTED: usize = 1_000;

/// Where mem0's own compose file puts the server.
const EXAMPLE: &str = "http://localhost:8888";

/// Memories, as newer servers (`{"results": […]}`) and older ones (`[…]`) answer them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Box<RawValue>")]
struct Memories(Vec<Box<RawValue>>);

#[derive(Debug, Deserialize)]
struct Results {
    results: Vec<Box<RawValue>>,
}

impl TryFrom<Box<RawValue>> for Memories {
    type Error = serde_json::Error;

    fn try_from(answer: Box<RawValue>) -> std::result::Result<Self, Self::Error> {
        match answer.get().starts_with('[') {
            true => serde_json::from_str(answer.get()).map(Self),
            false => serde_json::from_str(answer.get()).map(|Results { results }| Self(results)),
        }
    }
}

/// A self-hosted mem0.
pub(crate) struct Client {
    url: reqwest::Url,
    key: Option<SecretString>,
    limits: Limits,
    /// With the way of authentication that the server accepts.
    http: OnceCell<Http>,
}

impl Client {
    /// Checks the address and the key, and sends nothing.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub(crate) fn new(url: &str, key: Option<&SecretString>, limits: Limits) -> Result<Self> {
        let settings = |field| {
            move |problem| Error::Settings {
                service: MEM0,
                field,
                problem,
            }
        };
        let url = outgoing::check_address(url, EXAMPLE).map_err(settings("address"))?;
        let key = key.map(|key| SecretString::from(key.expose_secret().trim()));
        if let Some(key) = &key {
            outgoing::check_key(key.expose_secret(), "the server's dashboard")
                .map_err(settings("key"))?;
        }
        Ok(Self {
            url,
            key,
            limits,
            http: OnceCell::new(),
        })
    }

    /// The users, agents and runs, each with its number of memories.
    pub(crate) async fn entities(&self) -> Result<Vec<Box<RawValue>>> {
        self.ask(&Request::get("/entities")).await
    }

    /// The memories of an entity (`user_id`, `agent_id` or `run_id`), the expired ones, too; without
    /// one, those of everybody, which takes an administrator's key.
    pub(crate) async fn memories(
        &self,
        entity: Option<(&str, &str)>,
        top_k: usize,
    ) -> Result<Vec<Box<RawValue>>> {
        let mut request = Request::get("/memories");
        if let Some((field, id)) = entity {
            request = request.query(field, id);
        }
        let request = request.query("top_k", top_k).query("show_expired", true);
        let Memories(memories) = self.ask(&request).await?;
        Ok(memories)
    }

    async fn ask<T: DeserializeOwned + Send>(&self, request: &Request) -> Result<T> {
        if let Some(http) = self.http.get() {
            return http.ask(request).await;
        }
        let mut refused = None;
        for scheme in self.schemes() {
            let key = self.key.as_ref().map(|key| (key, scheme));
            let http = Http::new(MEM0, &self.url, key, self.limits)?;
            match http.ask(request).await {
                // Another way of showing the same key may be the right one.
                Err(error @ Error::Unauthorized { status: 401, .. }) => {
                    refused.get_or_insert(error);
                }
                answer => {
                    // Another call may have been first, which is as good.
                    let _ = self.http.set(http);
                    return answer;
                }
            }
        }
        Err(refused.unwrap_or(Error::Unauthorized {
            service: MEM0,
            status: 401,
            message: "no key was accepted".into(),
        }))
    }

    /// The likelier way first: the server's own keys go into `X-API-Key`, what a login answers is a
    /// JWT for `Authorization`.
    fn schemes(&self) -> [Scheme; 2] {
        let is_jwt = self.key.as_ref().is_some_and(|key| {
            let key = key.expose_secret();
            key.starts_with("eyJ") && key.matches('.').count() == 2
        });
        match is_jwt {
            true => [Scheme::Bearer, Scheme::ApiKey],
            false => [Scheme::ApiKey, Scheme::Bearer],
        }
    }
}

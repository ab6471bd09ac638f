//! The issuer's keys: fetched, kept, and fetched again.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse},
};
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::config::is_safe;

/// How old keys may be before they are fetched again.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);
/// How long there is at least between two tries while there are keys: tokens that name unknown keys
/// must not make us ask the issuer without end.
const BETWEEN: Duration = Duration::from_secs(30);
/// The same while there are none.
const BETWEEN_FIRST: Duration = Duration::from_secs(2);
/// How long keys are good while the issuer does not answer. Then it is not known any more which of
/// them it took back.
const GOOD_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a connection to the issuer may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one request to it may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes. Ours.
const MAX_BYTES: usize = 256 * 1024;
/// The most keys that are kept. Ours.
const MAX_KEYS: usize = 100;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has none such.
    Unknown,
    /// The issuer does not answer.
    Unavailable,
}

/// A key of the issuer's.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    decoding: DecodingKey,
}

/// All keys, as they were at one moment.
#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<Vec<Key>>,
    at: Instant,
}

#[derive(Debug, Default)]
struct State {
    fetched: Option<Fetched>,
    tried: Option<Instant>,
}

/// The issuer's keys.
#[derive(Debug)]
pub(super) struct Keys {
    client: Client,
    issuer: String,
    /// Where they are, if that need not be looked up.
    url: Option<Url>,
    state: RwLock<State>,
    fetching: Mutex<()>,
}

impl Keys {
    /// Contacts nobody.
    pub(super) fn new(issuer: &str, url: Option<Url>) -> Result<Self, reqwest::Error> {
        // Fails only where somebody installed one before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ))
            // Keys come from where the configuration says, and from nowhere else.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            issuer: issuer.to_owned(),
            url,
            state: RwLock::default(),
            fetching: Mutex::default(),
        })
    }

    /// The key of this name that signs so.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, NoKey> {
        let before = self.good();
        if let Some(fetched) = &before
            && let Some(key) = among(&fetched.keys, id, algorithm)
        {
            if fetched.at.elapsed() > FRESH_FOR && self.may_try() {
                // Nobody waits for it.
                let keys = self.clone();
                tokio::spawn(async move { keys.fetch_after(Some(fetched_at(&keys))).await });
            }
            return Ok(key);
        }
        self.fetch_after(before.as_ref().map(|fetched| fetched.at))
            .await;
        let fetched = self.good().ok_or(NoKey::Unavailable)?;
        among(&fetched.keys, id, algorithm).ok_or(NoKey::Unknown)
    }

    /// What was fetched, unless that is too long ago.
    fn good(&self) -> Option<Fetched> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let fetched = state.fetched.clone()?;
        (fetched.at.elapsed() < GOOD_FOR).then_some(fetched)
    }

    fn may_try(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let between = match state.fetched {
            Some(_) => BETWEEN,
            None => BETWEEN_FIRST,
        };
        state.tried.is_none_or(|tried| tried.elapsed() >= between)
    }

    /// Fetches the keys, unless somebody did since those that were seen, or it was tried just now.
    async fn fetch_after(&self, seen: Option<Instant>) {
        let _turn = self.fetching.lock().await;
        let now = self.good().map(|fetched| fetched.at);
        if now > seen || !self.may_try() {
            return;
        }
        let fetched = self.fetch().await;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                state.fetched = Some(Fetched {
                    keys: Arc::new(keys),
                    at: Instant::now(),
                });
            }
            Err(problem) => tracing::warn!(
                problem,
                "the keys of the issuer of tokens cannot be fetched; those fetched before are used"
            ),
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, &'static str> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let set: KeySet = self.get(url).await?;
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .take(MAX_KEYS)
            .filter_map(usable)
            .collect();
        if keys.is_empty() {
            return Err("it lists no key that can be used");
        }
        tracing::debug!(keys = keys.len(), "fetched the issuer's keys");
        Ok(keys)
    }

    /// Where the issuer says that its keys are (RFC 8414, OpenID Connect Discovery).
    async fn discover(&self) -> Result<Url, &'static str> {
        let mut last = "its address cannot be used";
        for url in discovery_urls(&self.issuer) {
            match self.get::<Metadata>(url).await {
                // RFC 8414, 3.3: otherwise somebody else speaks.
                Ok(found) if found.issuer != self.issuer => {
                    return Err("its metadata names another issuer than MCP_OAUTH_ISSUER");
                }
                Ok(found) => {
                    let url = Url::parse(&found.jwks_uri).ok().filter(is_safe);
                    return url.ok_or("its metadata names no https address for its keys");
                }
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, &'static str> {
        let request = self.client.get(url).header("accept", "application/json");
        let mut response = request.send().await.map_err(|error| {
            if error.is_timeout() {
                "it did not answer in time"
            } else {
                "it cannot be reached"
            }
        })?;
        if !response.status().is_success() {
            return Err("it answered with an error");
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| "its answer broke off")? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err("its answer is too large");
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|_| "its answer is not what it should be")
    }
}

fn fetched_at(keys: &Keys) -> Instant {
    keys.good().map_or_else(Instant::now, |fetched| fetched.at)
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    /// Each for itself: one that is not understood says nothing about the others.
    keys: Vec<Value>,
}

fn usable(key: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let signs = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    // A shared secret is no public key, whatever the set says.
    (signs && decoding.family() != AlgorithmFamily::Hmac).then_some(Key {
        id: jwk.common.key_id,
        algorithm: jwk.common.key_algorithm,
        decoding,
    })
}

/// The key of this name; where the token names none, the only one that signs so.
fn among(keys: &[Key], id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut fitting = keys.iter().filter(|key| {
        key.decoding.family() == algorithm.family()
            && (id.is_none() || key.id.as_deref() == id)
            && key
                .algorithm
                .is_none_or(|only| only.to_string() == format!("{algorithm:?}"))
    });
    let found = fitting.next()?;
    fitting.next().is_none().then(|| found.decoding.clone())
}

/// Where an issuer may describe itself, best first.
fn discovery_urls(issuer: &str) -> Vec<Url> {
    let Ok(url) = Url::parse(issuer) else {
        return Vec::new();
    };
    let path = url.path().trim_end_matches('/');
    let paths = [
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    let mut urls: Vec<Url> = paths
        .iter()
        .map(|path| {
            let mut url = url.clone();
            url.set_path(path);
            url
        })
        .collect();
    urls.dedup();
    urls
}

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

/// How often the issuer is asked.
#[derive(Debug, Clone, Copy)]
struct Pace {
    fresh_for: Duration,
    between: Duration,
    between_first: Duration,
}

/// The issuer's keys.
#[derive(Debug)]
pub(super) struct Keys {
    client: Client,
    pace: Pace,
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
            pace: Pace {
                fresh_for: FRESH_FOR,
                between: BETWEEN,
                between_first: BETWEEN_FIRST,
            },
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
            if fetched.at.elapsed() > self.pace.fresh_for && self.may_try() {
                // Nobody waits for it.
                let (keys, seen) = (self.clone(), fetched.at);
                tokio::spawn(async move { keys.fetch_after(Some(seen)).await });
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
            Some(_) => self.pace.between,
            None => self.pace.between_first,
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
    use serde_json::json;

    use super::*;

    /// An issuer whose keys are called after how often they were asked for.
    #[derive(Debug, Default)]
    struct Issuer {
        asked: AtomicU32,
        down: AtomicBool,
    }

    async fn answer(State(issuer): State<Arc<Issuer>>) -> Result<Json<Value>, StatusCode> {
        let asked = issuer.asked.fetch_add(1, Ordering::SeqCst) + 1;
        if issuer.down.load(Ordering::SeqCst) {
            return Err(StatusCode::BAD_GATEWAY);
        }
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        Ok(Json(json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": format!("key-{asked}")},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "enc", "use": "enc"},
            {"kty": "new", "kid": "unheard-of"},
        ]})))
    }

    async fn keys(pace: Pace) -> (Arc<Issuer>, Arc<Keys>) {
        let issuer = Arc::new(Issuer::default());
        let app = Router::new()
            .route("/keys", get(answer))
            .with_state(issuer.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut keys = Keys::new("https://issuer.example", Url::parse(&url).ok()).unwrap();
        keys.pace = pace;
        (issuer, Arc::new(keys))
    }

    async fn find(keys: &Arc<Keys>, id: &str) -> Option<NoKey> {
        keys.find(Some(id), Algorithm::EdDSA).await.err()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn an_unknown_key_is_asked_for_and_not_without_end() {
        let between = Duration::from_millis(400);
        let (issuer, keys) = keys(Pace {
            fresh_for: HOUR,
            between,
            between_first: Duration::ZERO,
        })
        .await;
        assert_eq!(find(&keys, "key-1").await, None);
        for _ in 0..50 {
            assert_eq!(find(&keys, "key-2").await, Some(NoKey::Unknown));
        }
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
        tokio::time::sleep(between).await;
        assert_eq!(find(&keys, "key-2").await, None);
        // It took the first one back.
        assert_eq!(find(&keys, "key-1").await, Some(NoKey::Unknown));
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
        for never in ["shared", "enc", "unheard-of"] {
            assert_eq!(find(&keys, never).await, Some(NoKey::Unknown), "{never}");
        }
    }

    #[tokio::test]
    async fn many_who_come_at_once_ask_once() {
        let (issuer, keys) = keys(Pace {
            fresh_for: HOUR,
            between: HOUR,
            between_first: HOUR,
        })
        .await;
        let all = futures::future::join_all((0..50).map(|_| find(&keys, "key-1"))).await;
        assert!(all.iter().all(Option::is_none), "{all:?}");
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn old_keys_serve_while_the_issuer_is_down_and_new_ones_come_by_themselves() {
        let (issuer, keys) = keys(Pace {
            fresh_for: Duration::ZERO,
            between: Duration::from_millis(50),
            between_first: Duration::ZERO,
        })
        .await;
        issuer.down.store(true, Ordering::SeqCst);
        assert_eq!(find(&keys, "key-2").await, Some(NoKey::Unavailable));
        issuer.down.store(false, Ordering::SeqCst);
        assert_eq!(find(&keys, "key-2").await, None);
        issuer.down.store(true, Ordering::SeqCst);
        for _ in 0..5 {
            assert_eq!(find(&keys, "key-2").await, None);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        assert!(issuer.asked.load(Ordering::SeqCst) > 3);
        issuer.down.store(false, Ordering::SeqCst);
        let begun = Instant::now();
        // Behind the back of whoever shows the old one.
        while find(&keys, "key-2").await.is_none() {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[test]
    fn metadata_is_looked_for_where_the_standards_say() {
        let of = |issuer| {
            discovery_urls(issuer)
                .into_iter()
                .map(String::from)
                .collect::<Vec<_>>()
        };
        let at = "https://login.example.com";
        assert_eq!(
            of("https://login.example.com/tenant/"),
            [
                format!("{at}/.well-known/oauth-authorization-server/tenant"),
                format!("{at}/.well-known/openid-configuration/tenant"),
                format!("{at}/tenant/.well-known/openid-configuration"),
            ]
        );
        assert_eq!(
            of(at),
            [
                format!("{at}/.well-known/oauth-authorization-server"),
                format!("{at}/.well-known/openid-configuration"),
            ]
        );
    }
}

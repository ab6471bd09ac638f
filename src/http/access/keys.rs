//! Caches the issuer's keys, and fetches them again when they are old or a token names an unknown one.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;

use super::jwks::{Key, KeyFetcher, find_key};

/// How long fetched keys stay valid while the issuer does not answer. After that it is not known
/// which of them it revoked.
const VALID_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyError {
    /// The issuer has no such key.
    Unknown,
    /// The issuer does not answer.
    Unavailable,
}

/// How often keys are fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How old keys may be before they are fetched again.
    fresh_for: Duration,
    /// The shortest time between two fetches: tokens with unknown keys must not make us query the
    /// issuer endlessly.
    between: Duration,
    /// The same while there are no keys.
    between_first: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_secs(10 * 60),
            between: Duration::from_secs(30),
            between_first: Duration::from_secs(2),
        }
    }
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
pub(super) struct KeyCache {
    fetcher: KeyFetcher,
    pace: Pace,
    state: RwLock<State>,
    fetching: Mutex<()>,
}

impl KeyCache {
    /// An empty cache. Sends nothing yet.
    pub(super) fn new(fetcher: KeyFetcher, pace: Pace) -> Self {
        Self {
            fetcher,
            pace,
            state: RwLock::default(),
            fetching: Mutex::default(),
        }
    }

    /// The key with this id and algorithm.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, KeyError> {
        let before = self.valid();
        if let Some(fetched) = &before
            && let Some(key) = find_key(&fetched.keys, id, algorithm)
        {
            if fetched.at.elapsed() > self.pace.fresh_for && self.may_try() {
                // In the background: this request has its key.
                let (cache, seen) = (self.clone(), fetched.at);
                tokio::spawn(async move { cache.fetch_after(Some(seen)).await });
            }
            return Ok(key);
        }
        self.fetch_after(before.as_ref().map(|fetched| fetched.at))
            .await;
        let fetched = self.valid().ok_or(KeyError::Unavailable)?;
        find_key(&fetched.keys, id, algorithm).ok_or(KeyError::Unknown)
    }

    /// The fetched keys, unless they are too old.
    fn valid(&self) -> Option<Fetched> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let fetched = state.fetched.clone()?;
        (fetched.at.elapsed() < VALID_FOR).then_some(fetched)
    }

    fn may_try(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let between = match state.fetched {
            Some(_) => self.pace.between,
            None => self.pace.between_first,
        };
        state.tried.is_none_or(|tried| tried.elapsed() >= between)
    }

    /// Fetches the keys, unless they were fetched after `seen` or the last try was just now.
    async fn fetch_after(&self, seen: Option<Instant>) {
        let _turn = self.fetching.lock().await;
        let now = self.valid().map(|fetched| fetched.at);
        if now > seen || !self.may_try() {
            return;
        }
        let fetched = self.fetcher.fetch().await;
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
                "the keys of the token issuer cannot be fetched; those fetched before are used"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
    use reqwest::Url;
    use serde_json::{Value, json};

    use super::*;

    /// An issuer that names its key after the number of requests so far.
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

    async fn keys(pace: Pace) -> (Arc<Issuer>, Arc<KeyCache>) {
        let issuer = Arc::new(Issuer::default());
        let app = Router::new()
            .route("/keys", get(answer))
            .with_state(issuer.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let fetcher = KeyFetcher::new("https://issuer.example", Url::parse(&url).ok()).unwrap();
        (issuer, Arc::new(KeyCache::new(fetcher, pace)))
    }

    async fn find(keys: &Arc<KeyCache>, id: &str) -> Option<KeyError> {
        keys.find(Some(id), Algorithm::EdDSA).await.err()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn an_unknown_key_is_fetched_but_not_endlessly() {
        let between = Duration::from_millis(400);
        let (issuer, keys) = keys(Pace {
            fresh_for: HOUR,
            between,
            between_first: Duration::ZERO,
        })
        .await;
        assert_eq!(find(&keys, "key-1").await, None);
        for _ in 0..50 {
            assert_eq!(find(&keys, "key-2").await, Some(KeyError::Unknown));
        }
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
        tokio::time::sleep(between).await;
        assert_eq!(find(&keys, "key-2").await, None);
        // The issuer revoked the first one.
        assert_eq!(find(&keys, "key-1").await, Some(KeyError::Unknown));
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
        for never in ["shared", "enc", "unheard-of"] {
            assert_eq!(find(&keys, never).await, Some(KeyError::Unknown), "{never}");
        }
    }

    #[tokio::test]
    async fn concurrent_requests_fetch_once() {
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
    async fn old_keys_serve_while_the_issuer_is_down_and_new_ones_are_fetched_in_the_background() {
        let (issuer, keys) = keys(Pace {
            fresh_for: Duration::ZERO,
            between: Duration::from_millis(50),
            between_first: Duration::ZERO,
        })
        .await;
        issuer.down.store(true, Ordering::SeqCst);
        assert_eq!(find(&keys, "key-2").await, Some(KeyError::Unavailable));
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
        // In the background: requests with the old key do not wait.
        while find(&keys, "key-2").await.is_none() {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

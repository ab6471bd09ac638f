//! Fetches the issuer's key set (JWKS), from its configured address or the one in its metadata.

use std::time::Duration;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse},
};
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::config::is_secure;
use crate::json::{self, Bounds};

/// Time limit for connecting to the issuer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for one request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest response that is read, in bytes. Ours.
const MAX_BYTES: usize = 256 * 1024;
/// The most keys that are kept. Ours.
const MAX_KEYS: usize = 100;
/// The bounds of an answer: as many keys with 20 fields each, and metadata.
static ANSWER: Bounds = Bounds {
    depth: 20,
    values: MAX_KEYS * 40,
    parts: &[],
};

/// A public key of the issuer.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    decoding: DecodingKey,
}

/// The key with this id and algorithm; without an id, the only key with this algorithm.
pub(super) fn find_key(
    keys: &[Key],
    id: Option<&str>,
    algorithm: Algorithm,
) -> Option<DecodingKey> {
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

/// Fetches the keys of one issuer.
#[derive(Debug)]
pub(super) struct KeyFetcher {
    client: Client,
    issuer: String,
    /// The address of the keys; without it, discovery finds it.
    url: Option<Url>,
}

impl KeyFetcher {
    /// Sends nothing yet.
    pub(super) fn new(issuer: &str, url: Option<Url>) -> Result<Self, reqwest::Error> {
        // Fails only if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ))
            // Keys come only from the address that the configuration or the metadata names.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            issuer: issuer.to_owned(),
            url,
        })
    }

    /// All usable keys; the error says what is wrong with the issuer.
    pub(super) async fn fetch(&self) -> Result<Vec<Key>, &'static str> {
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
            return Err("it lists no usable key");
        }
        tracing::debug!(keys = keys.len(), "fetched the issuer's keys");
        Ok(keys)
    }

    /// The address of the keys in the issuer's metadata (RFC 8414, OpenID Connect Discovery).
    async fn discover(&self) -> Result<Url, &'static str> {
        let mut last = "its address cannot be used";
        for url in discovery_urls(&self.issuer) {
            match self.get::<Metadata>(url).await {
                // RFC 8414, 3.3: otherwise another issuer could impersonate it.
                Ok(found) if found.issuer != self.issuer => {
                    return Err("its metadata names another issuer than MCP_OAUTH_ISSUER");
                }
                Ok(found) => {
                    let url = Url::parse(&found.jwks_uri).ok().filter(is_secure);
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
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|_| "its answer is incomplete")?
        {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err("its answer is too large");
            }
            body.extend_from_slice(&chunk);
        }
        json::from_slice(&body, &ANSWER).map_err(|_| "its answer cannot be parsed")
    }
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    /// Parsed one by one: an unknown kind of key does not hide the others.
    keys: Vec<Value>,
}

fn usable(key: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let signs = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    // A shared secret is not a public key, even if the set lists it.
    (signs && decoding.family() != AlgorithmFamily::Hmac).then_some(Key {
        id: jwk.common.key_id,
        algorithm: jwk.common.key_algorithm,
        decoding,
    })
}

/// The addresses where an issuer may publish its metadata, best first.
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
    use super::*;

    #[test]
    fn metadata_is_looked_up_at_the_standard_addresses() {
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

//! Tokens that an issuer signs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::{Json, Router, routing::get};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use zep_mcp_server::config::{AccessSettings, OauthSettings};

use super::authentication::Guarded;

pub const AUDIENCE: &str = "https://memory.example.com/mcp";
const RSA: &str = include_str!("../../fixtures/access/rsa.json");

/// A signing key.
pub enum Signer {
    Edwards(Ed25519KeyPair),
    Curve(EcdsaKeyPair),
}

impl Signer {
    fn edwards() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Edwards(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    fn curve() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Curve(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Edwards(_) => "EdDSA",
            Self::Curve(_) => "ES256",
        }
    }

    fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Edwards(key) => {
                let x = BASE64.encode(key.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig"})
            }
            Self::Curve(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (BASE64.encode(x), BASE64.encode(y));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "alg": "ES256"})
            }
        }
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = match self {
            Self::Edwards(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
            Self::Curve(key) => {
                let signature = key.sign(&SystemRandom::new(), message.as_bytes());
                signature.unwrap().as_ref().to_vec()
            }
        };
        format!("{message}.{}", BASE64.encode(signature))
    }
}

#[derive(Default)]
struct Served {
    keys: Mutex<Vec<Value>>,
    issuer: Mutex<String>,
    down: AtomicBool,
    asked: AtomicU32,
}

/// An issuer, and a server that trusts it.
pub struct World {
    served: Arc<Served>,
    pub issuer: String,
    pub server: Guarded,
    pub edwards: Signer,
    curve: Signer,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut OauthSettings)) -> Self {
        let (edwards, curve) = (Signer::edwards(), Signer::curve());
        let served = Arc::new(Served::default());
        let rsa: Value = serde_json::from_str(RSA).unwrap();
        *served.keys.lock().unwrap() = vec![
            edwards.jwk("edwards"),
            curve.jwk("curve"),
            rsa["jwk"].clone(),
        ];
        let app = Router::new()
            .route(
                "/.well-known/oauth-authorization-server/tenant",
                get(metadata),
            )
            .route("/keys", get(keys))
            .with_state(served.clone());
        let url = super::world::listen_with(app).await;
        let issuer = format!("{url}/tenant");
        *served.issuer.lock().unwrap() = issuer.clone();
        let mut oauth = OauthSettings {
            issuer: issuer.clone(),
            audience: AUDIENCE.into(),
            resource: AUDIENCE.parse().unwrap(),
            jwks_url: Some(format!("{url}/keys").parse().unwrap()),
            user_claim: "sub".into(),
        };
        change(&mut oauth);
        let server = Guarded::new(AccessSettings {
            oauth: Some(oauth),
            ..AccessSettings::default()
        })
        .await;
        Self {
            served,
            issuer,
            server,
            edwards,
            curve,
        }
    }

    pub fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": "alice", "scope": "memory:read",
            "exp": now() + 600,
        })
    }

    pub fn signed(&self, claims: &Value) -> String {
        self.edwards
            .sign(&header_of(&self.edwards, "edwards"), claims)
    }

    /// The status for a token with one claim changed.
    async fn changed(&self, claim: &str, value: Value) -> u16 {
        let mut claims = self.claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value,
        }
        self.server.show(&self.signed(&claims)).await.0
    }
}

fn header_of(signer: &Signer, id: &str) -> Value {
    json!({"alg": signer.algorithm(), "typ": "at+jwt", "kid": id})
}

pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

async fn metadata(State(served): State<Arc<Served>>) -> Json<Value> {
    let issuer = served.issuer.lock().unwrap().clone();
    let keys = issuer.replace("/tenant", "/keys");
    Json(json!({"issuer": issuer, "jwks_uri": keys}))
}

async fn keys(State(served): State<Arc<Served>>) -> Result<Json<Value>, StatusCode> {
    served.asked.fetch_add(1, Ordering::SeqCst);
    match served.down.load(Ordering::SeqCst) {
        true => Err(StatusCode::SERVICE_UNAVAILABLE),
        false => Ok(Json(json!({"keys": *served.keys.lock().unwrap()}))),
    }
}

#[tokio::test]
async fn a_token_of_the_issuer_authenticates_its_user() {
    let world = World::new().await;
    for (signer, id) in [(&world.edwards, "edwards"), (&world.curve, "curve")] {
        let token = signer.sign(&header_of(signer, id), &world.claims());
        let (status, who) = world.server.show(&token).await;
        assert_eq!(status, 200, "{id}: {who}");
        assert!(who.contains("Reader") && who.contains("alice"), "{who}");
    }
    // The only key of its kind needs no id.
    let unnamed = json!({"alg": "EdDSA"});
    let token = world.edwards.sign(&unnamed, &world.claims());
    assert_eq!(world.server.show(&token).await.0, 200);
    assert_eq!(world.changed("aud", json!(["other", AUDIENCE])).await, 200);
    // Clocks differ a little.
    assert_eq!(world.changed("exp", json!(now() - 30)).await, 200);
    assert_eq!(world.changed("nbf", json!(now() + 30)).await, 200);
}

#[tokio::test]
async fn rsa_signatures_of_both_kinds_are_checked() {
    let rsa: Value = serde_json::from_str(RSA).unwrap();
    let world = World::with(|oauth| oauth.issuer = "https://issuer.example.com".into()).await;
    for kind in ["RS256", "PS256"] {
        let token = rsa[kind].as_str().unwrap();
        let (status, who) = world.server.show(token).await;
        assert_eq!(status, 200, "{kind}: {who}");
        // The last character but one: not every bit of the last is significant.
        let mut broken = token.to_owned();
        let at = broken.len() - 2;
        let other = if broken.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        broken.replace_range(at..=at, other);
        assert_eq!(world.server.show(&broken).await.0, 401, "{kind}");
    }
}

#[tokio::test]
async fn a_wrong_claim_invalidates_a_token() {
    let out: Vec<(&str, Value)> = vec![
        ("exp", json!(now() - 90)),
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(1e19)),
        ("nbf", json!(now() + 90)),
        ("iss", json!("https://other.example.com")),
        ("iss", json!(1)),
        ("iss", Value::Null),
        ("aud", json!("https://other.example.com")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("sub", Value::Null),
    ];
    for (claim, value) in out {
        // Each at a server of its own, before throttling begins.
        let world = World::new().await;
        assert_eq!(
            world.changed(claim, value.clone()).await,
            401,
            "{claim} {value}"
        );
    }
    let world = World::new().await;
    let issuer = &world.issuer;
    for issuer in [
        json!(format!("{issuer}/")),
        // A string is needed (RFC 7519, 4.1.1).
        json!([issuer]),
        json!([issuer, "https://other.example.com"]),
        json!({ "0": issuer }),
    ] {
        assert_eq!(world.changed("iss", issuer.clone()).await, 401, "{issuer}");
    }
}

#[tokio::test]
async fn wrong_signatures_and_headers_are_refused() {
    let part = |value: &Value| BASE64.encode(value.to_string());
    for number in 0..9 {
        let world = World::new().await;
        let claims = world.claims();
        let other = Signer::edwards();
        let good = world.signed(&claims);
        let (head, signature) = good.rsplit_once('.').unwrap();
        let token = match number {
            // A foreign key with the right id.
            0 => other.sign(&header_of(&other, "edwards"), &claims),
            1 => other.sign(&header_of(&other, "unknown"), &claims),
            // A key in the token itself.
            2 => {
                let header = json!({"alg": "EdDSA", "jwk": other.jwk("mine"), "kid": "edwards"});
                other.sign(&header, &claims)
            }
            3 => {
                let none = json!({"alg": "none"});
                format!("{}.{}.", part(&none), part(&claims))
            }
            // The public key as a shared secret.
            4 => {
                let header = json!({"alg": "HS256", "kid": "edwards"});
                let message = format!("{}.{}", part(&header), part(&claims));
                let Signer::Edwards(key) = &world.edwards else {
                    unreachable!()
                };
                let secret = key.public_key().as_ref();
                let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
                let signature = ring::hmac::sign(&secret, message.as_bytes());
                format!("{message}.{}", BASE64.encode(signature))
            }
            // Other claims with the same signature.
            5 => {
                let mut claims = claims.clone();
                claims["sub"] = "bob".into();
                let header = good.split('.').next().unwrap();
                format!("{header}.{}.{signature}", part(&claims))
            }
            // A key of another kind.
            6 => world
                .edwards
                .sign(&header_of(&world.edwards, "curve"), &claims),
            // A critical extension.
            7 => {
                let mut header = header_of(&world.edwards, "edwards");
                header["crit"] = json!(["exp"]);
                world.edwards.sign(&header, &claims)
            }
            _ => format!("{head}."),
        };
        let (status, said) = world.server.show(&token).await;
        assert_eq!(status, 401, "{number}: {said}");
        assert_eq!(world.server.show(&good).await.0, 200, "{number}");
    }
}

#[tokio::test]
async fn a_valid_token_that_grants_nothing_learns_which_scopes_to_request() {
    let world = World::new().await;
    let mut claims = world.claims();
    claims["scope"] = "openid profile".into();
    let shown = format!("Bearer {}", world.signed(&claims));
    let response = world.server.get_with(&[&shown]).await;
    assert_eq!(response.status(), 403);
    let challenge = response.headers()[header::WWW_AUTHENTICATE]
        .to_str()
        .unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert!(challenge.contains("memory:read"), "{challenge}");
    // It does not count as a guess.
    assert_eq!(world.server.access.failures().refused, 0);
}

#[tokio::test]
async fn clients_find_the_issuer() {
    let world = World::new().await;
    let response = world.server.get_with(&[]).await;
    assert_eq!(response.status(), 401);
    let challenge = response.headers()[header::WWW_AUTHENTICATE]
        .to_str()
        .unwrap();
    let address = "https://memory.example.com/.well-known/oauth-protected-resource/mcp";
    assert!(
        challenge.starts_with("Bearer ")
            && challenge.contains(&format!("resource_metadata=\"{address}\"")),
        "{challenge}"
    );
    for path in ["", "/mcp"] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let response = world.server.get(&path).await;
        assert_eq!(response.status(), 200);
        let document: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(document["resource"], AUDIENCE);
        assert_eq!(document["authorization_servers"], json!([world.issuer]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    }
}

#[tokio::test]
async fn the_keys_are_found_by_the_metadata_only_if_it_names_the_issuer() {
    let world = World::with(|oauth| oauth.jwks_url = None).await;
    assert_eq!(
        world.server.show(&world.signed(&world.claims())).await.0,
        200
    );
    let world = World::with(|oauth| oauth.jwks_url = None).await;
    *world.served.issuer.lock().unwrap() = "https://somebody.example.com".into();
    assert_eq!(
        world.server.show(&world.signed(&world.claims())).await.0,
        503
    );
}

#[tokio::test]
async fn known_keys_work_while_the_issuer_is_down() {
    let world = World::new().await;
    let token = world.signed(&world.claims());
    assert_eq!(world.server.show(&token).await.0, 200);
    world.served.down.store(true, Ordering::SeqCst);
    assert_eq!(world.server.show(&token).await.0, 200);
    let fresh = World::new().await;
    fresh.served.down.store(true, Ordering::SeqCst);
    let response = fresh
        .server
        .get_with(&[&format!("Bearer {}", fresh.signed(&fresh.claims()))])
        .await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn tokens_with_unknown_keys_do_not_cause_endless_requests() {
    let world = World::new().await;
    let other = Signer::edwards();
    for number in 0..50 {
        let header = header_of(&other, &format!("unknown-{number}"));
        world
            .server
            .show(&other.sign(&header, &world.claims()))
            .await;
    }
    assert_eq!(world.served.asked.load(Ordering::SeqCst), 1);
    assert_eq!(
        world.server.show(&world.signed(&world.claims())).await.0,
        200
    );
}

#[tokio::test]
async fn another_token_of_the_same_holder_is_the_same_subject() {
    let world = World::new().await;
    let mut claims = world.claims();
    let first =
        super::authentication::subject_of(&world.server.access, &world.signed(&claims)).await;
    claims["exp"] = json!(now() + 1_200);
    claims["scope"] = "memory:write".into();
    let second =
        super::authentication::subject_of(&world.server.access, &world.signed(&claims)).await;
    assert_eq!(first, second);
    claims["sub"] = "bob".into();
    let bob = super::authentication::subject_of(&world.server.access, &world.signed(&claims)).await;
    assert_ne!(first, bob);
    assert!(world.server.access.still_admits(&first).await);
    assert!(!format!("{first:?} {}", first.label()).contains("alice"));
}

//! Authentication of requests: tokens, challenges, throttling.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Extension, Router, middleware, routing::get};
use reqwest::{Response, header};
use secrecy::ExposeSecret;
use serde_json::Value;
use zep_mcp_server::config::AccessSettings;
use zep_mcp_server::http::access::{Access, Subject, authenticate, fresh};
use zep_mcp_server::memory::access::Caller;

use super::world::{client, listen_with};

/// A server whose handler answers with the authenticated caller.
pub struct Guarded {
    pub access: Arc<Access>,
    pub url: String,
    client: reqwest::Client,
}

impl Guarded {
    pub async fn new(settings: AccessSettings) -> Self {
        let access = Arc::new(Access::new(settings).unwrap());
        let app = Router::new()
            .route("/", get(who))
            .layer(middleware::from_fn_with_state(access.clone(), authenticate))
            .merge(access.protected_resource());
        Self {
            access,
            url: listen_with(app).await,
            client: client(),
        }
    }

    pub async fn with_token(token: &str) -> Self {
        Self::new(AccessSettings {
            token: Some(token.into()),
            ..AccessSettings::default()
        })
        .await
    }

    pub async fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.url);
        self.client.get(url).send().await.unwrap()
    }

    pub async fn get_with(&self, authorization: &[&str]) -> Response {
        let mut request = self.client.get(&self.url);
        for value in authorization {
            request = request.header(header::AUTHORIZATION, *value);
        }
        request.send().await.unwrap()
    }

    /// The status, and the caller.
    pub async fn show(&self, token: &str) -> (u16, String) {
        let response = self.get_with(&[&format!("Bearer {token}")]).await;
        let status = response.status().as_u16();
        (status, response.text().await.unwrap())
    }
}

async fn who(
    Extension(caller): Extension<Caller>,
    Extension(subject): Extension<Subject>,
    headers: axum::http::HeaderMap,
) -> String {
    assert!(!headers.contains_key(header::AUTHORIZATION));
    format!("{caller:?} {}", subject.label())
}

/// The subject of this token.
pub async fn subject_of(access: &Arc<Access>, token: &str) -> Subject {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let tell = move |Extension(subject): Extension<Subject>| async move {
        sender.send(subject).unwrap();
    };
    let app = Router::new()
        .route("/", get(tell))
        .layer(middleware::from_fn_with_state(access.clone(), authenticate));
    let url = listen_with(app).await;
    client().get(url).bearer_auth(token).send().await.unwrap();
    receiver.try_recv().unwrap()
}

fn challenge(response: &Response) -> String {
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    challenge
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_token_is_accepted_in_one_header_only() {
    let token = fresh().unwrap().expose_secret().to_owned();
    let server = Guarded::with_token(&token).await;
    let right = format!("Bearer {token}");
    let basic = format!("Basic {token}");
    let two = format!("Bearer {token} {token}");
    let longer = format!("Bearer {token}0");
    let shorter = format!("Bearer {}", &token[..token.len() - 1]);
    for (shown, status, code) in [
        (vec![right.as_str()], 200, ""),
        (vec![&right.replace("Bearer", "bearer")], 200, ""),
        (vec![], 401, ""),
        (vec![&basic], 401, ""),
        (vec![&token], 400, "invalid_request"),
        (vec!["Bearer"], 400, "invalid_request"),
        (vec![&right, &right], 400, "invalid_request"),
        (vec![&two], 400, "invalid_request"),
        (vec![&longer], 401, "invalid_token"),
        (vec![&shorter], 401, "invalid_token"),
        (
            vec![&right.to_uppercase().replace("BEARER", "Bearer")],
            401,
            "invalid_token",
        ),
    ] {
        let response = server.get_with(&shown).await;
        assert_eq!(response.status(), status, "{shown:?}");
        let challenge = challenge(&response);
        assert_eq!(challenge.is_empty(), status == 200);
        if status != 200 {
            assert!(challenge.starts_with("Bearer"), "{challenge}");
            assert_eq!(
                challenge.contains("error="),
                !code.is_empty(),
                "{challenge}"
            );
            assert!(challenge.contains(code), "{challenge}");
            let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            assert!(body["detail"].is_string());
            assert!(!body.to_string().contains(&token));
        }
    }
    // Queries end up in logs.
    let response = server.get(&format!("/?access_token={token}")).await;
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn a_session_can_be_bound_to_its_subject() {
    let token = fresh().unwrap().expose_secret().to_owned();
    let server = Guarded::with_token(&token).await;
    let (_, first) = server.show(&token).await;
    let (_, second) = server.show(&token).await;
    assert_eq!(first, second);
    assert!(!first.contains(&token));
    let other = fresh().unwrap().expose_secret().to_owned();
    let (_, others) = Guarded::with_token(&other).await.show(&other).await;
    assert_ne!(first.rsplit(' ').next(), others.rsplit(' ').next());
}

#[tokio::test]
async fn other_machines_need_a_token() {
    let open = Access::new(AccessSettings::default()).unwrap();
    let closed = Access::new(AccessSettings {
        token: Some("a-token-of-24-characters".into()),
        ..AccessSettings::default()
    })
    .unwrap();
    for (address, is_here) in [
        ("127.0.0.1:8081", true),
        ("127.9.9.9:0", true),
        ("[::1]:8081", true),
        ("[::ffff:127.0.0.1]:8081", true),
        ("0.0.0.0:8081", false),
        ("[::]:8081", false),
        ("192.0.2.7:8081", false),
        ("[::ffff:192.0.2.7]:8081", false),
    ] {
        let address: SocketAddr = address.parse().unwrap();
        assert!(closed.check_binding(&address).is_ok());
        let checked = open.check_binding(&address);
        assert_eq!(checked.is_ok(), is_here, "{address}");
        if let Err(error) = checked {
            let line = "export MCP_AUTH_TOKEN=\"$(zep-mcp-server token new)\"";
            assert!(error.to_string().contains(line), "{error}");
        }
    }
}

#[tokio::test]
async fn without_authentication_this_machine_has_the_rights_of_stdio() {
    let server = Guarded::new(AccessSettings::default()).await;
    let response = server.get_with(&[]).await;
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().starts_with("Operator"));
    let response = server.get("/.well-known/oauth-protected-resource").await;
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn guessing_is_throttled_and_counted_and_locks_nobody_out() {
    // One that a person chose, and a generated one.
    let guessable = "correct-horse-battery";
    let server = Guarded::with_token(guessable).await;
    let mut held = None;
    for guess in 0..20 {
        let response = server
            .get_with(&[&format!("Bearer guess-number-{guess:04}")])
            .await;
        match response.status().as_u16() {
            401 => assert!(held.is_none(), "{guess}"),
            429 => {
                let wait = response.headers()[header::RETRY_AFTER].to_str().unwrap();
                held = Some(wait.parse::<u64>().unwrap());
            }
            other => panic!("{other}"),
        }
    }
    assert!(
        held.is_some_and(|wait| (1..=60).contains(&wait)),
        "{held:?}"
    );
    let failures = server.access.failures();
    assert_eq!(failures.refused + failures.throttled, 20, "{failures:?}");
    assert!(failures.throttled > 0);
    // Right or wrong: it is not checked, so further guesses reveal nothing.
    assert_eq!(server.show(guessable).await.0, 429);
    // A request without a token is only told that it needs one.
    assert_eq!(server.get_with(&[]).await.status(), 401);

    let random = fresh().unwrap().expose_secret().to_owned();
    let server = Guarded::with_token(&random).await;
    for guess in 0..20 {
        server.show(&format!("guess-number-{guess:04}")).await;
    }
    assert_eq!(server.show("guess-number-0000").await.0, 429);
    // Behind the same address (a proxy's), tokens that cannot be guessed still work.
    assert_eq!(server.show(&random).await.0, 200);
    let wrong = fresh().unwrap().expose_secret().to_owned();
    assert_eq!(server.show(&wrong).await.0, 429);
}
